/* Questions to a node and commands for it, from this program or over a link. */
#ifndef NODE_ASK_H
#define NODE_ASK_H

#include <weft/admin.h>

#include "base/list.h"
#include "mesh/mesh.h"

/* ---- Asking (ask.c): all on the loop ---- */

/* Call back what is finished. */
void asks_tell(weft_node *node);
/* Those whose time is up are finished. */
void asks_expire(weft_node *node, uint64_t mono_ns);
uint64_t asks_deadline(const weft_node *node); /* NEVER: none */
/* The node leaves: all are finished. */
void asks_abandon(weft_node *node);
/* A piece of an answer came over a link. */
void asks_told(weft_node *node, uint64_t token, const struct answer_msg *part);
/* That was all of it, or it failed. False: that token is none of a question. */
bool asks_ended(weft_node *node, uint64_t token, int error);

/* ---- Answering (answer.c): all on the loop ---- */

/* Another node asks: refuse it, or note it for answers_run. */
void answer_note(weft_node *node, struct mesh_link *link, uint64_t nonce,
                 const struct query_msg *query);
/* Answer what was noted, and go on with answers for which there is room again. Returns whether
 * anything was said to the mesh. */
bool answers_run(weft_node *node);
bool answers_wait(weft_node *node);               /* has answers_run something to do? */
uint64_t answers_deadline(const weft_node *node); /* when it may have; NEVER: nothing waits */
void answers_drop(weft_node *node);               /* all of them */

/* ---- Commands (command.c) ---- */

/* Do it. *ret_text, owned by the caller, is what there is to say, or NULL; also on failure. loop */
int command_run(weft_node *node, const weft_command *command, char **ret_text);

#endif
