/* Peer URLs: scheme://address/path?key=value (docs/protocol.md section 1). A url is a value: copy
 * it.
 *
 *   tcp://10.0.0.7:7400/robot.arm         address 10.0.0.7:7400, path robot.arm
 *   tcp://[fe80::1%eth0]:7400/robot       host fe80::1%eth0
 *   unix:///run/weft.sock/robot           address /run/weft.sock, up to the first ".sock"
 *   unix:///run/weft/robot                address /run/weft: without, the last is the path
 *   inproc://name/path                    address name
 *   unix://0.0.0.0:0/path                 a client's or leaf's own name: no address of its own
 */
#ifndef PROTO_URL_H
#define PROTO_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define URL_MAX 256 /* bytes without the NUL */

struct url {
    char text[URL_MAX + 1]; /* the whole, NUL-terminated, as given */
    char scheme[16];
    char address[URL_MAX + 1]; /* NUL-terminated, brackets kept */
    char host[URL_MAX + 1];    /* tcp: without brackets; else empty */
    uint16_t port;             /* tcp */
    char path[URL_MAX + 1];    /* may be empty */
    char query[URL_MAX + 1];   /* without '?'; may be empty */
};

/* Parse and validate. Any scheme of [a-z0-9+.-] is taken; tcp needs host:port. ret_where (may be
 * NULL) is set on error to the offset of the first byte that does not fit. Errors: WEFT_EURL. */
int url_parse(const char *text, size_t len, struct url *ret_url, size_t *ret_where);

/* A sentence on what is wrong, naming the place and what was expected. Returns its length. */
int url_explain(const char *text, size_t len, char *out, size_t size);

/* Replace parts, composing the text anew. Errors: WEFT_EURL if the result is too long or not valid.
 */
int url_set_host(struct url *url, const char *host); /* brackets are added for IPv6 */
int url_set_port(struct url *url, uint16_t port);
int url_set_path(struct url *url, const char *path);

bool url_host_unspecified(const struct url *url); /* tcp: "", 0.0.0.0, ::. Other schemes: false */
/* tcp: 127.0.0.0/8, ::1, localhost and the names below it. Others: false */
bool url_host_loopback(const struct url *url);
/* Does it lead to the host of whoever dials it? Loopback, and what has no host: a socket file, a
 * device, a name in a process. */
bool url_on_own_host(const struct url *url);
bool url_dialable(
    const struct url *url); /* has an address: not 0.0.0.0:0, no unspecified host, port not 0 */

/* Same scheme and address: the same listener, whatever the path. */
bool url_same_address(const struct url *a, const struct url *b);

/* "scheme://address", the identity of a peer without node id. Returns its length; out has URL_MAX
 * + 1. */
size_t url_identity(const struct url *url, char *out);

/* Value of a query parameter into out; false if it is not there or does not fit. */
bool url_param(const struct url *url, const char *key, char *out, size_t size);

#endif
