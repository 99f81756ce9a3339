/* Hashed routes: prefix#base64(SHA-1(type@path)). The one file of the cores that needs libcrypto.
 * The path is hashed with '.' between its segments however it was spelled, since '/' is the same.
 */
#include "proto/route.h"

#include <string.h>

#include <openssl/evp.h>
#include <weft/weft.h>

#define SHA1_SIZE 20
#define SHA1_BASE64 28 /* with its one '=' */

int route_hash(const struct route *route, const char *prefix, size_t prefix_len, char *out,
               size_t size)
{
    if (route->kind != ROUTE_PLAIN || !path_valid(prefix, prefix_len, NULL) ||
        !path_covers(prefix, prefix_len, route->path, route->path_len))
        return WEFT_EROUTE;
    size_t len = prefix_len + 1 + SHA1_BASE64 - 1;
    if (len > ROUTE_MAX)
        return WEFT_EROUTE;
    if (len >= size)
        return WEFT_ELIMIT;

    char text[ROUTE_MAX];
    memcpy(text, route->text, route->len);
    for (size_t i = (size_t)route->type_len + 1; i < route->len; i++) {
        if (text[i] == '/')
            text[i] = '.';
    }
    unsigned char digest[EVP_MAX_MD_SIZE], base64[SHA1_BASE64 + 1];
    if (!EVP_Digest(text, route->len, digest, NULL, EVP_sha1(), NULL))
        return WEFT_ENOTSUP; /* a libcrypto configured without SHA-1 */
    EVP_EncodeBlock(base64, digest, SHA1_SIZE);

    memcpy(out, prefix, prefix_len);
    out[prefix_len] = '#';
    memcpy(out + prefix_len + 1, base64, SHA1_BASE64 - 1);
    out[len] = '\0';
    return (int)len;
}
