/* RESULT codes and WEFT_E… codes (docs/protocol.md section 3). Several errors share a code: the
 * sentence that travels with it tells them apart. */
#include <weft/weft.h>

#include "proto/codec.h"

int result_to_error(uint64_t code)
{
    switch (code) {
    case RESULT_OK:
        return 0;
    case RESULT_MALFORMED:
        return WEFT_EMALFORMED;
    case RESULT_SELF:
        return WEFT_ESELF;
    case RESULT_DUPLICATE:
        return WEFT_EDUPLICATE;
    case RESULT_NETWORK:
        return WEFT_ENETWORK;
    case RESULT_VERSION:
        return WEFT_EVERSION;
    case RESULT_DENIED:
        return WEFT_EDENIED;
    case RESULT_LIMIT:
        return WEFT_ELIMIT;
    case RESULT_NO_ROUTE:
        return WEFT_ENOROUTE;
    case RESULT_SCHEMA:
        return WEFT_ESCHEMA;
    case RESULT_TIMEOUT:
        return WEFT_EHANDSHAKE;
    case RESULT_SHUTDOWN:
        return WEFT_ESHUTDOWN;
    case RESULT_NOT_SUPPORTED:
        return WEFT_ENOTSUP;
    case RESULT_NOT_FOUND:
        return WEFT_ENOTFOUND;
    case RESULT_INVALID:
        return WEFT_EINVAL;
    case RESULT_TIMED_OUT:
        return WEFT_ETIMEDOUT;
    case RESULT_BUSY:
        return WEFT_EBUSY;
    case RESULT_IO:
        return WEFT_EIO;
    default: /* RESULT_FAILURE, and what later versions add */
        return WEFT_EPROTO;
    }
}

enum result_code result_from_error(int error)
{
    switch (error) {
    case 0:
        return RESULT_OK;
    case WEFT_EMALFORMED:
    case WEFT_EROUTE:
    case WEFT_EURL:
    case WEFT_EPATTERN:
    case WEFT_EPROTO:
        return RESULT_MALFORMED;
    case WEFT_ESELF:
        return RESULT_SELF;
    case WEFT_EDUPLICATE:
    case WEFT_EDISPLACED:
        return RESULT_DUPLICATE;
    case WEFT_ENETWORK:
        return RESULT_NETWORK;
    case WEFT_EVERSION:
        return RESULT_VERSION;
    case WEFT_EDENIED:
    case WEFT_ESCOPE:
        return RESULT_DENIED;
    case WEFT_ELIMIT:
    case WEFT_ETOOBIG:
    case WEFT_ENOMEM:
    case WEFT_EMFILE:
        return RESULT_LIMIT;
    case WEFT_ENOROUTE:
        return RESULT_NO_ROUTE;
    case WEFT_ESCHEMA:
        return RESULT_SCHEMA;
    case WEFT_EHANDSHAKE:
        return RESULT_TIMEOUT;
    case WEFT_ESHUTDOWN:
    case WEFT_ECLOSED:
        return RESULT_SHUTDOWN;
    case WEFT_ENOTSUP:
        return RESULT_NOT_SUPPORTED;
    case WEFT_ENOTFOUND:
        return RESULT_NOT_FOUND;
    case WEFT_EINVAL:
        return RESULT_INVALID;
    case WEFT_ETIMEDOUT:
        return RESULT_TIMED_OUT;
    case WEFT_EBUSY:
    case WEFT_EEXIST:
        return RESULT_BUSY;
    case WEFT_EIO:
    case WEFT_EACCESS:
    case WEFT_ENOSPC:
    case WEFT_ECORRUPT:
        return RESULT_IO;
    default:
        return RESULT_FAILURE;
    }
}
