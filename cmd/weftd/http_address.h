/* Where weftd's HTTP listener listens, and whom it talks to: addresses and the Host and Origin
 * headers. Pure, and there also in a weftd without the listener, which checks its configuration. */
#ifndef WEFTD_HTTP_ADDRESS_H
#define WEFTD_HTTP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define HTTP_DEFAULT_ADDRESS "127.0.0.1:7480"
#define HTTP_ADDRESS_EXPECTED                                                                      \
    "an address and a port such as 127.0.0.1:7480 or [::1]:7480, or unix:/PATH"

struct http_address {
    struct sockaddr_storage socket;
    socklen_t size;
    bool local; /* a unix socket or a loopback address: no other host gets there */
};

/* Take "127.0.0.1:7480", "[::1]:7480", "localhost:7480" or "unix:/run/weft/http.sock". Port 0 takes
 * a free one. False: it is none of them. */
bool http_address_parse(const char *text, struct http_address *ret_address);

/* Is it a unix socket or a loopback address? */
bool http_socket_local(const struct sockaddr_storage *socket);

/* Is `text` a host name as it may stand in a Host header, without a port? */
bool http_name_valid(const char *text);

/* May a request with this Host header be answered? A page of a stranger whose name leads here ("DNS
 * rebinding") sends its own name: only localhost, addresses, and `names` (NULL-terminated, or NULL)
 * pass. Where `local` is set, of the addresses only those of the loopback. */
bool http_host_allowed(const char *host, bool local, const char *const *names);

/* Is the Origin header that of a page from here, which is http:// or https:// and the Host header?
 */
bool http_origin_allowed(const char *origin, const char *host);

#endif
