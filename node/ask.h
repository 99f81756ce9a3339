/* Questions to a node and commands for it, from this program or over a link. */
#ifndef NODE_ASK_H
#define NODE_ASK_H

#include <weft/admin.h>

#include "base/list.h"

/* ---- Asking (ask.c): all on the loop ---- */

/* Call back what is finished. */
void asks_tell(weft_node *node);
/* Those whose time is up are finished. */
void asks_expire(weft_node *node, uint64_t mono_ns);
uint64_t asks_deadline(const weft_node *node); /* NEVER: none */
/* The node leaves: all are finished. */
void asks_abandon(weft_node *node);

/* ---- Commands (command.c) ---- */

/* Do it. *ret_text, owned by the caller, is what there is to say, or NULL; also on failure. loop */
int command_run(weft_node *node, const weft_command *command, char **ret_text);

#endif
