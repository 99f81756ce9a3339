/* Addresses are numbers, "localhost" or a path: nothing is looked up, so that what a configuration
 * says does not depend on who answers. */
#include "http_address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "../common/units.h"

#define HOST_TEXT 256

/* Split "host:port", "[host]:port" or, without a port, either host alone. The brackets go. False:
 * malformed, or too long. ret_port is NULL where there is none. */
static bool split(const char *text, char *ret_host, bool *ret_bracketed, const char **ret_port)
{
    const char *start = text, *end, *rest;
    bool bracketed = *text == '[';
    if (bracketed) {
        start = text + 1;
        end = strchr(start, ']');
        rest = end ? end + 1 : NULL;
    } else {
        end = rest = text + strcspn(text, ":");
    }
    if (!end || end == start || end - start >= HOST_TEXT || (*rest && *rest != ':'))
        return false;
    memcpy(ret_host, start, (size_t)(end - start));
    ret_host[end - start] = 0;
    *ret_bracketed = bracketed;
    *ret_port = *rest ? rest + 1 : NULL;
    return true;
}

static bool parse_port(const char *text, uint16_t *ret_port)
{
    uint64_t port;
    if (!text || !count_parse(text, 0, 65535, &port))
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static bool loopback4(const struct in_addr *ip)
{
    return ntohl(ip->s_addr) >> 24 == 127;
}

static bool parse_unix(const char *path, struct http_address *ret_address)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (*path != '/' || strlen(path) >= sizeof(un.sun_path))
        return false;
    memcpy(un.sun_path, path, strlen(path) + 1);
    *ret_address = (struct http_address){.size = sizeof(un)};
    memcpy(&ret_address->socket, &un, sizeof(un));
    ret_address->local = true;
    return true;
}

static bool parse_v6(const char *host, uint16_t port, struct http_address *ret_address)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
        return false;
    *ret_address = (struct http_address){.size = sizeof(in6)};
    memcpy(&ret_address->socket, &in6, sizeof(in6));
    ret_address->local = http_socket_local(&ret_address->socket);
    return true;
}

static bool parse_v4(const char *host, uint16_t port, struct http_address *ret_address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (strcasecmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
        return false;
    *ret_address = (struct http_address){.size = sizeof(in)};
    memcpy(&ret_address->socket, &in, sizeof(in));
    ret_address->local = http_socket_local(&ret_address->socket);
    return true;
}

bool http_socket_local(const struct sockaddr_storage *socket)
{
    if (socket->ss_family == AF_INET)
        return loopback4(&((const struct sockaddr_in *)socket)->sin_addr);
    if (socket->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)socket)->sin6_addr);
    return socket->ss_family == AF_UNIX;
}

bool http_address_parse(const char *text, struct http_address *ret_address)
{
    char host[HOST_TEXT];
    const char *port_text;
    uint16_t port;
    bool bracketed;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, ret_address);
    if (!split(text, host, &bracketed, &port_text) || !parse_port(port_text, &port))
        return false;
    return bracketed ? parse_v6(host, port, ret_address) : parse_v4(host, port, ret_address);
}

bool http_name_valid(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '.' && text[i] != '_')
            return false;
    return len > 0 && len < HOST_TEXT;
}

static bool address_allowed(const char *host, bool bracketed, bool local)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (bracketed)
        return inet_pton(AF_INET6, host, &v6) == 1 && (!local || IN6_IS_ADDR_LOOPBACK(&v6));
    return inet_pton(AF_INET, host, &v4) == 1 && (!local || loopback4(&v4));
}

bool http_host_allowed(const char *host, bool local, const char *const *names)
{
    char name[HOST_TEXT];
    const char *port_text;
    uint16_t port;
    bool bracketed;
    if (!split(host, name, &bracketed, &port_text) || (port_text && !parse_port(port_text, &port)))
        return false;
    if (address_allowed(name, bracketed, local))
        return true;
    if (bracketed)
        return false;
    for (; names && *names; names++)
        if (strcasecmp(name, *names) == 0)
            return true;
    return strcasecmp(name, "localhost") == 0;
}

bool http_origin_allowed(const char *origin, const char *host)
{
    if (strncasecmp(origin, "http://", 7) == 0)
        return strcasecmp(origin + 7, host) == 0;
    return strncasecmp(origin, "https://", 8) == 0 && strcasecmp(origin + 8, host) == 0;
}
