/* Nodes on one loop of the test's, in one thread, whose time is skipped where nothing happens: what
 * takes a node seconds of waiting takes a test none, and the n-th allocation is the same each time.
 */
#ifndef TESTS_OOM_WORLD_H
#define TESTS_OOM_WORLD_H

#include <weft/uv.h>

#include "tests/oom/oom.h"

#define WORLD_NODES 4

struct world {
    uv_loop_t loop;
    bool open;
    bool sockets; /* bytes take their time; inproc takes none */
    weft_node *nodes[WORLD_NODES];
    unsigned n_nodes, detached;
    unsigned ups, downs, refused_routes, matches;
};

void world_open(struct world *w, bool sockets);
/* Detach what is attached, and run until the loop is empty. */
void world_close(struct world *w);

/* Attach a node; as often as oom_again says. NULL: out of memory for good. `options` may have
 * everything but on_event and user. */
weft_node *world_attach(struct world *w, weft_options *options);
void world_detach(struct world *w, weft_node *node);

/* One turn of the loop; where nothing is under way, time is skipped to the next timer. */
void world_turn(struct world *w);

/* Turn until `holds` does. Memory that is short for longer than some turns comes back, and then it
 * must hold within minutes of the loop's time. False only in the mode ON: it may never. */
bool world_until(struct world *w, const char *what, bool (*holds)(struct world *w, void *arg),
                 void *arg);

#endif
