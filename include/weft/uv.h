/* Run a node on a loop of the caller's. Everything happens inside uv_run, but for host names: each
 * is looked up on a thread of its own for as long as the resolver takes, which runs none of the
 * caller's code. */
#ifndef WEFT_UV_H
#define WEFT_UV_H

#include <uv.h>

#include <weft/weft.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Open a node on `loop`. The calling thread is taken for the loop's thread from now on. Calls from
 * other threads that wait for the loop return only while it runs. [loop]
 * Errors: as weft_node_open. On failure *ret_error_text, if given, is a sentence as in
 * weft_node_open_explain. */
WEFT_API int weft_node_attach(uv_loop_t *loop, const weft_options *options, weft_node **ret_node,
                              char **ret_error_text);

/* Close an attached node: goodbye, drain, save, as weft_node_close, but without blocking. The
 * node's handles disappear from the loop over the next turns; then on_done (may be NULL) runs and
 * the node is gone. All its functions are off limits after this call. [loop, callbacks included] */
WEFT_API void weft_node_detach(weft_node *node, void (*on_done)(void *user), void *user);

#ifdef __cplusplus
}
#endif

#endif
