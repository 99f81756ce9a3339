#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORD(words, i) ((size_t)(i) < sizeof(words) / sizeof((words)[0]) ? (words)[i] : "")

const char *role_word(int role)
{
    static const char *const words[] = {"", "peer", "client", "leaf"};
    return WORD(words, role);
}

const char *level_word(int level)
{
    static const char *const words[] = {"", "error", "warn", "info", "debug"};
    return WORD(words, level);
}

const char *origin_word(int origin)
{
    static const char *const words[] = {"",        "configured", "gossip",
                                        "inbound", "observed",   "operator"};
    return WORD(words, origin);
}

const char *event_word(int type)
{
    static const char *const words[] = {
        "",      "peer_up", "peer_down",     "refused",  "dial_failed",
        "match", "unmatch", "route_refused", "addrbook", "warning",
    };
    return WORD(words, type);
}

const char *drop_word(int reason)
{
    static const char *const words[WEFT_DROP_REASONS] = {
        "timeout", "refused", "old", "replaced", "link", "too_big", "closed", "no_memory",
    };
    return WORD(words, reason);
}

const char *feature_word(unsigned bit)
{
    static const char *const words[] = {"compact", "patterns", "ack", "digest",
                                        "goodbye", "book",     "info"};
    return WORD(words, bit);
}

const char *node_id_format(const uint8_t id[16], char buf[NODE_ID_TEXT])
{
    static const uint8_t none[16];
    buf[0] = '\0';
    for (size_t i = 0; i < 16 && memcmp(id, none, 16) != 0; i++)
        snprintf(buf + 2 * i, 3, "%02x", id[i]);
    return buf;
}

const char *drops_format(const uint64_t dropped[WEFT_DROP_REASONS], char *buf, size_t size)
{
    size_t at = 0;
    buf[0] = '\0';
    for (int i = 0; i < WEFT_DROP_REASONS; i++) {
        int n = dropped[i] ? snprintf(buf + at, size - at, "%s%" PRIu64 " %s", at ? ", " : "",
                                      dropped[i], drop_word(i))
                           : 0;
        if (n < 0 || (size_t)n >= size - at) {
            buf[at] = '\0';
            break;
        }
        at += (size_t)n;
    }
    return buf;
}

uint64_t drops_sum(const uint64_t dropped[WEFT_DROP_REASONS])
{
    uint64_t sum = 0;
    for (int i = 0; i < WEFT_DROP_REASONS; i++)
        sum += dropped[i];
    return sum;
}
