/* A node of the soak: what its parts share. soak.py drives it (node.c has the commands), load.c
 * sends, hear.c receives and checks, message.c says what a message looks like.
 *
 * Streams and interests have numbers that soak.py gives out and never uses twice, so that what one
 * process sent can be laid beside what the others received. */
#ifndef SOAK_SOAK_H
#define SOAK_SOAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/weft.h>

#define MESSAGE_MIN 32 /* bytes */
#define MESSAGE_MAX ((size_t)1 << 20)
#define ROUTE_TEXT 256

/* What the program does wrong on purpose, to show that soak.py finds it. */
enum fault { FAULT_NONE, FAULT_HEAP, FAULT_DESCRIPTORS, FAULT_LOSS, FAULT_TWICE, FAULT_SPIN };

/* One line to soak.py, whole whichever thread says it. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- heap.c ---- */

/* Count what the library allocates from now on; before anything else of weft. */
int heap_count(void);

/* Bytes in use now, in blocks that are small and in large ones (heap.c). */
void heap_counts(size_t *ret_small, size_t *ret_large);

/* Allocate as the library does; for a leak. */
void *heap_lose(size_t size);

/* ---- message.c ---- */

/* Write message `seq` of `stream`: size bytes, at least MESSAGE_MIN, all of which it decides. */
void message_write(uint64_t stream, uint64_t seq, void *data, size_t size);

/* Is every byte as message_write left it? */
bool message_read(const void *data, size_t size, uint64_t *ret_stream, uint64_t *ret_seq);

/* ---- load.c ---- */

/* Start the thread that sends; it does nothing until load_go. */
int load_start(weft_node *node, uint64_t seed);
void load_stop(void);

int load_open(uint64_t stream, const char *route, const char *profile);

/* Withdraw, and say "closed STREAM SENT". */
void load_close(uint64_t stream);

/* Go on sending. */
void load_go(void);

/* Stop sending: nothing is sent any more when this returns. */
void load_hush(void);

/* Send one message more on each stream, and say "sent STREAM SENT" for each. */
void load_mark(void);

/* ---- hear.c ---- */

/* `tally` is the file in which messages of mode "tally" are counted, so that the count outlives a
 * kill. */
int hear_start(weft_node *node, const char *tally, enum fault fault);
void hear_stop(void);

/* Subscribe; mode is "callback", "queue", "slow" (a small queue that drops its oldest) or "tally"
 * (a callback). */
int hear_open(uint64_t number, const char *route, const char *mode);

/* Unsubscribe, and say what it has heard and "deaf NUMBER". */
void hear_close(uint64_t number);

/* Say "got NUMBER STREAM FIRST NEXT COUNT" for each stream of each interest, and "dropped NUMBER
 * COUNT" for each interest that drops. */
void hear_report(void);

/* Begin anew: forget what was heard. */
void hear_forget(void);

/* Messages and bytes received since the start. */
void hear_counts(uint64_t *ret_messages, uint64_t *ret_bytes);

#endif
