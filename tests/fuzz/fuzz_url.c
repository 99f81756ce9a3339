/* Target: peer URLs.
 *
 *     input   URL NUL host NUL path NUL other URL
 *
 * What parses can be put together from its parts and parses to the same; so does whatever a part
 * was replaced in. The identity of a URL is the address of the same listener, and naming the same
 * listener is an equivalence. */
#include "fuzz.h"

#include <weft/weft.h>

#include "base/util.h"
#include "proto/route.h"
#include "proto/url.h"

static bool same_url(const struct url *a, const struct url *b)
{
    return strcmp(a->text, b->text) == 0 && strcmp(a->scheme, b->scheme) == 0 &&
           strcmp(a->address, b->address) == 0 && strcmp(a->host, b->host) == 0 &&
           a->port == b->port && strcmp(a->path, b->path) == 0 && strcmp(a->query, b->query) == 0;
}

static void check_reparse(const struct url *url)
{
    struct url again;
    CHECK_EQ(url_parse(url->text, strlen(url->text), &again, NULL), 0);
    CHECK(same_url(url, &again));
}

/* scheme://address[/path][?query] */
static void check_parts(const struct url *url)
{
    char text[2 * URL_MAX + 32];
    bool slash =
        *url->path || strlen(url->scheme) + 3 + strlen(url->address) < strcspn(url->text, "?");
    bool query = strchr(url->text, '?') != NULL;
    snprintf(text, sizeof(text), "%s://%s%s%s%s%s", url->scheme, url->address, slash ? "/" : "",
             url->path, query ? "?" : "", url->query);
    CHECK_STR(text, url->text);
    CHECK(path_valid(url->path, strlen(url->path), NULL));
    if (strcmp(url->scheme, "tcp") == 0)
        CHECK_EQ(strstr(url->address, url->host) != NULL, true);
    else
        CHECK(!url->host[0] && !url->port);
}

static void check_identity(const struct url *url)
{
    char id[URL_MAX + 1];
    struct url bare;
    size_t len = url_identity(url, id);
    CHECK_EQ(len, strlen(id));
    CHECK(len <= strlen(url->text));
    CHECK(url_same_address(url, url));
    /* An address that starts with a slash ends before its last component. */
    if (url->address[0] == '/')
        return;
    CHECK_EQ(url_parse(id, len, &bare, NULL), 0);
    CHECK(url_same_address(url, &bare) && url_same_address(&bare, url));
    CHECK_EQ(url_dialable(url), url_dialable(&bare));
    CHECK_EQ(url_host_loopback(url), url_host_loopback(&bare));
    CHECK_EQ(url_on_own_host(url), url_on_own_host(&bare));
    CHECK_EQ(url_host_unspecified(url), url_host_unspecified(&bare));
}

static bool same_spelled(const char *a, const char *b)
{
    for (; *a || *b; a++, b++) {
        bool separators = (*a == '.' || *a == '/') && (*b == '.' || *b == '/');
        if (*a != *b && !separators)
            return false;
    }
    return true;
}

static void check_replace(const struct url *url, const char *host, const char *path, uint16_t port)
{
    struct url made = *url;
    int rc = url_set_path(&made, path);
    CHECK(rc == WEFT_EURL ? same_url(&made, url) : url_same_address(&made, url));
    CHECK(rc < 0 || same_spelled(made.path, path));
    check_reparse(&made);

    made = *url;
    rc = url_set_port(&made, port);
    CHECK(rc == 0 ? made.port == port && strcmp(made.host, url->host) == 0 : same_url(&made, url));
    CHECK(rc == 0 || strcmp(url->scheme, "tcp") != 0 || strlen(url->text) > URL_MAX - 5);
    check_reparse(&made);

    made = *url;
    rc = url_set_host(&made, host);
    CHECK(rc == 0 ? strcmp(made.host, host) == 0 && made.port == url->port : same_url(&made, url));
    CHECK(rc < 0 || strcmp(made.path, url->path) == 0);
    check_reparse(&made);
}

/* Each parameter that can be found by hand is found, unless it does not fit. */
static void check_params(const struct url *url)
{
    char key[URL_MAX + 1], value[URL_MAX + 1], tiny[2];
    for (const char *p = url->query; *p;) {
        size_t pair = strcspn(p, "&"), name = strcspn(p, "=&");
        memcpy(key, p, name);
        key[name] = '\0';
        CHECK(url_param(url, key, value, sizeof(value)));
        CHECK(strlen(value) <= strlen(url->query));
        CHECK_EQ(url_param(url, key, tiny, sizeof(tiny)), strlen(value) < sizeof(tiny));
        p += pair + (p[pair] == '&');
    }
}

static void check_sentence(const char *text, size_t len)
{
    char out[128];
    for (size_t size = 1; size <= sizeof(out); size *= 8) {
        int n = url_explain(text, len, out, size);
        CHECK(n >= 0 && (size_t)n < size && strlen(out) == (size_t)n);
    }
}

static char *part(struct input *in, size_t *ret_len)
{
    const uint8_t *end = memchr(in->at, '\0', in->left);
    const uint8_t *text = take_bytes(in, end ? (size_t)(end - in->at) : in->left, ret_len);
    char *copy = malloc(*ret_len + 1);
    if (!copy)
        abort();
    memcpy(copy, text, *ret_len);
    copy[*ret_len] = '\0';
    take_u8(in);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1536)
        return -1;
    struct input in = input_of(data, size);
    char *texts[4];
    size_t lens[4], where = SIZE_MAX;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        texts[i] = part(&in, &lens[i]);
    struct url url, other;
    uint8_t *exact = exact_copy(texts[0], lens[0]);
    int rc = url_parse((const char *)exact, lens[0], &url, &where);
    CHECK(rc == 0 || (rc == WEFT_EURL && where <= lens[0] && where <= URL_MAX));
    check_sentence((const char *)exact, lens[0]);
    free(exact);
    if (rc == 0) {
        CHECK(strlen(url.text) == lens[0] && memcmp(url.text, texts[0], lens[0]) == 0);
        check_reparse(&url);
        check_parts(&url);
        check_identity(&url);
        check_params(&url);
        check_replace(&url, texts[1], texts[2], (uint16_t)(lens[1] * 997));
        if (url_parse(texts[3], lens[3], &other, NULL) == 0)
            CHECK_EQ(url_same_address(&url, &other), url_same_address(&other, &url));
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    return 0;
}
