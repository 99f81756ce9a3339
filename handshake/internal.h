/* What the files of the handshake share. */
#ifndef HANDSHAKE_INTERNAL_H
#define HANDSHAKE_INTERNAL_H

#include "handshake/handshake.h"

/* Fail with a sentence for both sides. Returns `error`. */
int handshake_refuse(struct handshake *h, int error, const char *format, ...) PRINTF_LIKE(3, 4);

/* Read the first HANDSHAKE of the other side: who it is, what it calls us, what both can do. The
 * peer fields are set on success only; else the machine has failed. Errors: as
 * handshake_on_handshake. */
int identity_consume(struct handshake *h, const struct handshake_msg *msg);

/* Check a FINAL against what was agreed and take the name it gives us. Errors: WEFT_EURL,
 * WEFT_EPROTO; then the machine has failed. */
int identity_confirm(struct handshake *h, const struct handshake_msg *msg);

#endif
