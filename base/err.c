/* Names and texts of the error table in weft.h. */
#include <weft/weft.h>

const char *weft_strerror(int err)
{
    switch (err) {
#define WEFT_X(name, value, text)                                                                  \
    case value:                                                                                    \
        return text;
        WEFT_ERRORS(WEFT_X)
#undef WEFT_X
    default:
        return err >= 0 ? "success" : "unknown error";
    }
}

const char *weft_err_name(int err)
{
    switch (err) {
#define WEFT_X(name, value, text)                                                                  \
    case value:                                                                                    \
        return "WEFT_" #name;
        WEFT_ERRORS(WEFT_X)
#undef WEFT_X
    default:
        return err >= 0 ? "WEFT_OK" : "WEFT_E?";
    }
}
