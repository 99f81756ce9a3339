/* A pair of bounded byte queues between two ends that may live on different loops and threads.
 *
 *     side 0  ── lanes[0] ─►  side 1
 *     side 0  ◄─ lanes[1] ──  side 1
 *
 * Each side is used by its own loop's thread only. */
#ifndef TRANSPORT_PIPE_H
#define TRANSPORT_PIPE_H

#include <stddef.h>
#include <sys/types.h>

#include <uv.h>

#include "base/list.h"

enum { PIPE_CAPACITY = 256 * 1024 }; /* bytes under way in each direction */

struct pipe;

/* Both sides are open and nobody is woken yet. Errors: WEFT_ENOMEM. */
int pipe_new(struct pipe **ret_pipe);

/* Wake this side by `wake` from now on until it closes: when there is something to read, room to
 * write again, or the other side has closed. Nothing is told of what happened before. */
void pipe_attach(struct pipe *p, int side, uv_async_t *wake);

/* Take up to `size` bytes. Returns how many; 0: no room, a wake-up follows. Errors: WEFT_ELOST (the
 * other side has closed). */
ssize_t pipe_put(struct pipe *p, int side, const void *data, size_t size);

/* Hand out up to `size` bytes. Returns how many; 0: none, a wake-up follows. Errors: WEFT_ECLOSED
 * (none, and the other side has closed or finished). */
ssize_t pipe_get(struct pipe *p, int side, void *data, size_t size);

/* Bytes that this side has put and the other closed without getting; 0 while that is open. */
size_t pipe_unread(struct pipe *p, int side);

/* This side puts no more; it still gets. */
void pipe_finish(struct pipe *p, int side);

/* This side is done with the pipe. What it has put can still be got. The last to close frees it. */
void pipe_close(struct pipe *p, int side);

/* For whoever holds a pipe whose side 1 waits to be accepted. */
struct list *pipe_node(struct pipe *p);
struct pipe *pipe_of_node(struct list *node);

#endif
