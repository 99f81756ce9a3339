/* A peer URL is cut from left to right: scheme, query, and what lies between into address and path.
 * Where an address may itself hold slashes (it starts with one) the cut is after the first
 * component ending in ".sock", or before the last component; elsewhere it is at the first slash.
 * The parts are copied, so that a url can outlive its text and be passed by value.
 *
 * Every way to fail ends in a `struct fault`: url_parse takes the place, url_explain the sentence.
 * Replacing a part composes a new text and parses that, so that no url exists that would not parse.
 */
#include "proto/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <weft/weft.h>

#include "base/util.h"
#include "proto/route.h"
#include "proto/text.h"

#define SOCK ".sock"

/* A stretch of the text that is parsed. */
struct span {
    const char *at, *end;
};

static size_t span_len(struct span s)
{
    return (size_t)(s.end - s.at);
}

static const char *span_find(struct span s, char c)
{
    const char *p = s.at;
    while (p < s.end && *p != c)
        p++;
    return p;
}

/* Copy into a field of `size` bytes that is known to have room. */
static void span_copy(struct span s, char *out, size_t size)
{
    size_t len = min_size(span_len(s), size - 1);
    memcpy(out, s.at, len);
    out[len] = '\0';
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool all_of(struct span s, const char *others)
{
    for (const char *p = s.at; p < s.end; p++) {
        if (!is_alnum(*p) && !strchr(others, *p))
            return false;
    }
    return true;
}

/* ---- Parsing ---- */

static bool parse_scheme(const char *text, size_t len, struct url *url, struct fault *fault)
{
    size_t i = 0;
    while (i < len && text[i] != ':') {
        bool upper = text[i] >= 'A' && text[i] <= 'Z';
        if (upper || (!is_alnum(text[i]) && !strchr("+.-", text[i])))
            return fault_at(fault, i, "expected a scheme of a-z, 0-9, '+', '.', '-', then \"://\"");
        i++;
    }
    if (i == 0 || i >= sizeof(url->scheme))
        return fault_at(fault, i, "expected a scheme of 1 to 15 characters, as in tcp://");
    if (len - i < 3 || memcmp(text + i, "://", 3) != 0)
        return fault_at(fault, i, "expected \"://\" after the scheme");
    span_copy((struct span){text, text + i}, url->scheme, sizeof(url->scheme));
    return true;
}

static bool ends_in_sock(struct span s)
{
    size_t n = strlen(SOCK);
    return span_len(s) >= n && memcmp(s.end - n, SOCK, n) == 0;
}

/* Where the address ends, for one that starts with a slash. */
static const char *file_end(struct span s)
{
    const char *last = s.at;
    for (const char *slash = s.at; slash < s.end;) {
        const char *next = span_find((struct span){slash + 1, s.end}, '/');
        if (ends_in_sock((struct span){slash + 1, next}))
            return next;
        last = slash;
        slash = next;
    }
    return last;
}

static bool parse_port(struct span s, const char *text, uint16_t *port, struct fault *fault)
{
    uint32_t value = 0;
    for (const char *p = s.at; p < s.end; p++) {
        if (*p < '0' || *p > '9' || span_len(s) > 5)
            return fault_at(fault, (size_t)(p - text), "expected a port from 0 to 65535");
        value = value * 10 + (uint32_t)(*p - '0');
    }
    bool leading_zero = span_len(s) > 1 && *s.at == '0';
    if (span_len(s) == 0 || value > UINT16_MAX || leading_zero)
        return fault_at(fault, (size_t)(s.at - text), "expected a port from 0 to 65535");
    *port = (uint16_t)value;
    return true;
}

/* An IPv6 address, perhaps with %zone. */
static bool is_ipv6(struct span s)
{
    char digits[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    struct span ip = {s.at, span_find(s, '%')};
    struct span zone = {ip.end < s.end ? ip.end + 1 : s.end, s.end};
    if (span_len(ip) >= sizeof(digits) || !all_of(zone, "._-") || ip.end + 1 == s.end)
        return false;
    span_copy(ip, digits, sizeof(digits));
    return inet_pton(AF_INET6, digits, &addr) == 1;
}

/* host:port, the host perhaps in brackets. */
static bool parse_tcp(struct span s, const char *text, struct url *url, struct fault *fault)
{
    struct span host = {s.at, span_find(s, ':')};
    const char *colon = host.end;
    if (s.at < s.end && *s.at == '[') {
        host = (struct span){s.at + 1, span_find(s, ']')};
        colon = host.end < s.end ? host.end + 1 : s.end;
        if (host.end == s.end || !is_ipv6(host))
            return fault_at(fault, (size_t)(s.at - text), "expected an IPv6 address in brackets");
    } else if (!all_of(host, ".-_")) {
        return fault_at(fault, (size_t)(host.at - text), "expected a host name or IP address");
    }
    if (colon == s.end || *colon != ':')
        return fault_at(fault, (size_t)(colon - text), "expected ':' and a port after the host");
    struct span port = {colon + 1, s.end};
    if (span_find(port, ':') != s.end)
        return fault_at(fault, (size_t)(s.at - text), "expected brackets around an IPv6 address");
    span_copy(host, url->host, sizeof(url->host));
    return parse_port(port, text, &url->port, fault);
}

static bool parse_rest(struct span rest, const char *text, struct url *url, struct fault *fault)
{
    struct span query = {span_find(rest, '?'), rest.end};
    struct span address = {rest.at, query.at};
    bool file = address.at < address.end && *address.at == '/';
    address.end = file ? file_end(address) : span_find(address, '/');
    if (address.at == address.end)
        return fault_at(fault, (size_t)(address.at - text), "expected an address after \"://\"");
    if (span_find(address, '#') != address.end)
        return fault_at(fault, (size_t)(span_find(address, '#') - text),
                        "'#' cannot be part of an address");
    if (strcmp(url->scheme, "tcp") == 0 && !parse_tcp(address, text, url, fault))
        return false;

    struct span path = {address.end < query.at ? address.end + 1 : query.at, query.at};
    bool wild;
    if (span_len(path) > 0 && !path_check(path.at, span_len(path), PATH_PLAIN, &wild, fault)) {
        fault->at += (size_t)(path.at - text);
        return false;
    }
    if (query.at < query.end)
        query.at++;
    span_copy(address, url->address, sizeof(url->address));
    span_copy(path, url->path, sizeof(url->path));
    span_copy(query, url->query, sizeof(url->query));
    return true;
}

static bool parse(const char *text, size_t len, struct url *url, struct fault *fault)
{
    *url = (struct url){0};
    if (len == 0)
        return fault_at(fault, 0, "the URL is empty, expected scheme://address/path");
    if (len > URL_MAX)
        return fault_at(fault, URL_MAX, "expected no more than 256 bytes");
    if (!text_check(text, len, fault) || !parse_scheme(text, len, url, fault))
        return false;
    struct span rest = {text + strlen(url->scheme) + 3, text + len};
    if (!parse_rest(rest, text, url, fault))
        return false;
    span_copy((struct span){text, text + len}, url->text, sizeof(url->text));
    return true;
}

int url_parse(const char *text, size_t len, struct url *ret_url, size_t *ret_where)
{
    struct fault fault;
    struct url url;
    if (!parse(text, len, &url, &fault)) {
        if (ret_where)
            *ret_where = fault.at;
        return WEFT_EURL;
    }
    *ret_url = url;
    return 0;
}

int url_explain(const char *text, size_t len, char *out, size_t size)
{
    struct fault fault = {0, "nothing is wrong"};
    struct url url;
    parse(text, len, &url, &fault);
    return fault_explain(&fault, "URL", text, len, out, size);
}

/* ---- Replacing parts ---- */

/* Compose and parse; the result must have come apart as it was put together. */
static int compose(struct url *url, const char *address, const char *path)
{
    char text[URL_MAX + 1];
    struct url made;
    struct span whole = {address, address + strlen(address)};
    bool slash = *path || (*address == '/' && !ends_in_sock(whole));
    int len = snprintf(text, sizeof(text), "%s://%s%s%s%s%s", url->scheme, address,
                       slash ? "/" : "", path, *url->query ? "?" : "", url->query);
    if (len < 0 || (size_t)len >= sizeof(text) || url_parse(text, (size_t)len, &made, NULL) < 0)
        return WEFT_EURL;
    if (strcmp(made.address, address) != 0 || strcmp(made.path, path) != 0)
        return WEFT_EURL;
    *url = made;
    return 0;
}

static int compose_tcp(struct url *url, const char *host, uint16_t port)
{
    char address[URL_MAX + 1];
    bool brackets = strchr(host, ':') != NULL;
    int len = snprintf(address, sizeof(address), "%s%s%s:%u", brackets ? "[" : "", host,
                       brackets ? "]" : "", (unsigned)port);
    if (strcmp(url->scheme, "tcp") != 0 || len < 0 || (size_t)len >= sizeof(address))
        return WEFT_EURL;
    return compose(url, address, url->path);
}

int url_set_host(struct url *url, const char *host)
{
    return compose_tcp(url, host, url->port);
}

int url_set_port(struct url *url, uint16_t port)
{
    return compose_tcp(url, url->host, port);
}

int url_set_path(struct url *url, const char *path)
{
    char dotted[URL_MAX + 1];
    size_t len = strlen(path);
    if (len > URL_MAX)
        return WEFT_EURL;
    /* A path must not end an address early: with '.' it is one component of the URL. */
    for (size_t i = 0; i <= len; i++)
        dotted[i] = path[i] == '/' && url->address[0] == '/' ? '.' : path[i];
    return compose(url, url->address, dotted);
}

/* ---- Questions ---- */

static bool is_tcp(const struct url *url)
{
    return strcmp(url->scheme, "tcp") == 0;
}

/* The host as an IPv6 address, whatever the zone. */
static bool host_ipv6(const struct url *url, struct in6_addr *ret_addr)
{
    char digits[INET6_ADDRSTRLEN];
    size_t len = strcspn(url->host, "%");
    if (len >= sizeof(digits))
        return false;
    memcpy(digits, url->host, len);
    digits[len] = '\0';
    return inet_pton(AF_INET6, digits, ret_addr) == 1;
}

/* The host as an IPv4 address in host byte order, be it written as such ("127.1" too, as resolvers
 * take it) or mapped into IPv6. */
static bool host_ipv4(const struct url *url, uint32_t *ret_addr)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (!inet_aton(url->host, &v4)) {
        if (!host_ipv6(url, &v6) || !IN6_IS_ADDR_V4MAPPED(&v6))
            return false;
        memcpy(&v4, &v6.s6_addr[12], sizeof(v4));
    }
    *ret_addr = ntohl(v4.s_addr);
    return true;
}

static bool host_is_ipv6(const struct url *url, const struct in6_addr *wanted)
{
    struct in6_addr v6;
    return host_ipv6(url, &v6) && memcmp(&v6, wanted, sizeof(v6)) == 0;
}

bool url_host_unspecified(const struct url *url)
{
    uint32_t v4;
    if (!is_tcp(url))
        return false;
    return url->host[0] == '\0' || (host_ipv4(url, &v4) && v4 == 0) ||
           host_is_ipv6(url, &in6addr_any);
}

/* Is it a name that means the loopback wherever it is looked up: "localhost" and all below it,
 * which RFC 6761 keeps for that, or another that systems have in /etc/hosts? */
static bool is_localhost(const char *host)
{
    static const char *const names[] = {"localhost", "localhost.localdomain", "ip6-localhost",
                                        "ip6-loopback"};
    static const char below[] = ".localhost";
    size_t len = strlen(host), tail = sizeof(below) - 1;
    if (len > 0 && host[len - 1] == '.')
        len--;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (len == strlen(names[i]) && strncasecmp(host, names[i], len) == 0)
            return true;
    return len > tail && strncasecmp(host + len - tail, below, tail) == 0;
}

bool url_host_loopback(const struct url *url)
{
    uint32_t v4;
    if (!is_tcp(url))
        return false;
    return is_localhost(url->host) || (host_ipv4(url, &v4) && v4 >> 24 == 127) ||
           host_is_ipv6(url, &in6addr_loopback);
}

bool url_on_own_host(const struct url *url)
{
    return !is_tcp(url) || url_host_loopback(url);
}

bool url_dialable(const struct url *url)
{
    if (is_tcp(url))
        return url->port != 0 && !url_host_unspecified(url);
    return url->address[0] != '\0' && strcmp(url->address, "0.0.0.0:0") != 0;
}

size_t url_identity(const struct url *url, char *out)
{
    size_t n = strlen(url->scheme), i = 0;
    memcpy(out, url->scheme, n);
    memcpy(out + n, "://", 3);
    n += 3;
    /* Host names do not distinguish case; interface names behind '%' and files do. */
    bool fold = is_tcp(url);
    for (; url->address[i]; i++) {
        char c = url->address[i];
        fold = fold && c != '%';
        out[n + i] = (char)(fold && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[n + i] = '\0';
    return n + i;
}

bool url_same_address(const struct url *a, const struct url *b)
{
    char left[URL_MAX + 1], right[URL_MAX + 1];
    url_identity(a, left);
    url_identity(b, right);
    return strcmp(left, right) == 0;
}

bool url_param(const struct url *url, const char *key, char *out, size_t size)
{
    size_t key_len = strlen(key);
    for (const char *p = url->query; *p;) {
        struct span pair = {p, p + strcspn(p, "&")};
        struct span name = {pair.at, span_find(pair, '=')};
        if (span_len(name) == key_len && memcmp(name.at, key, key_len) == 0) {
            struct span value = {name.end < pair.end ? name.end + 1 : pair.end, pair.end};
            if (span_len(value) >= size)
                return false;
            span_copy(value, out, size);
            return true;
        }
        p = *pair.end ? pair.end + 1 : pair.end;
    }
    return false;
}
