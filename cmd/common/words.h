/* The words that the programs have for the enums of the library, the same in tables and in JSON. */
#ifndef CMD_WORDS_H
#define CMD_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/admin.h>

/* "peer", "client" or "leaf"; "" for what is none of them, as in all that follow. */
const char *role_word(int role);

/* "error", "warn", "info" or "debug". */
const char *level_word(int level);

/* "configured", "gossip", "inbound" or "observed". */
const char *origin_word(int origin);

/* "peer_down", "route_refused" and so on, as in enum weft_event_type. */
const char *event_word(int type);

/* "timeout", "refused", "old", "replaced", "link", "too_big", "closed" or "no_memory". */
const char *drop_word(int reason);

/* Name of bit 0 to 63 of the agreed features, docs/protocol.md section 3; "" where it has none. */
const char *feature_word(unsigned bit);

/* 32 digits, or "" for zeros. Returns buf. */
#define NODE_ID_TEXT 33
const char *node_id_format(const uint8_t id[16], char buf[NODE_ID_TEXT]);

/* "7 old, 2 link": the reasons that have drops, as many as buf holds. Returns buf. */
const char *drops_format(const uint64_t dropped[WEFT_DROP_REASONS], char *buf, size_t size);

/* All reasons together. */
uint64_t drops_sum(const uint64_t dropped[WEFT_DROP_REASONS]);

#endif
