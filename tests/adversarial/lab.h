/* What the adversarial tests on the virtual network share: nodes in one line, and a peer of the
 * test's own that says of itself what it likes. */
#ifndef TESTS_ADVERSARIAL_LAB_H
#define TESTS_ADVERSARIAL_LAB_H

#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define LAB_WHY 256
#define LAB_WALL UINT64_C(1700000000000000000) /* at the start of the network's clock */

struct net *lab_net(uint64_t seed);

/* The timestamp of what lab_send sent last. */
uint64_t lab_stamp(void);

/* Add a node and start it. */
struct net_node *lab_node(struct net *net);

/* The test fails if the network is not whole within ns. Returns how long it took. */
uint64_t lab_whole(struct net *net, uint64_t ns, const char *after);

/* What the test's peer says of itself; a zero field is the truth, and `features` all but INFO. */
struct lab_claim {
    const char *me, *you;
    const uint8_t *id;
    uint64_t incarnation, features;
    uint64_t stamp; /* of its INITIAL; 0: the time */
};

/* Shake hands over a connection that the test has dialled, up to PEERS. False: it was refused. */
bool lab_shake(struct net_end *end, const struct lab_claim *claim);
/* Connect and shake hands; the test fails if it is refused. */
struct net_end *lab_join(struct net *net, struct net_node *from, struct net_node *to,
                         const struct lab_claim *claim);
/* Wait for ns until the node dials an address of the test's own, and shake hands as the one that
 * was dialled. NULL: it did not dial. */
struct net_end *lab_answer(struct net_node *raw, const struct net_node *dialler, uint64_t ns,
                           const struct lab_claim *claim);

void lab_send(struct net_end *end, const struct control *control);
void lab_goodbye(struct net_end *end, enum goodbye_reason reason);
/* Declare an intent or interest; alias 0: none. */
void lab_declare(struct net_end *end, bool intent, const char *route, uint32_t alias);
/* A DIGEST of somebody who has declared this intent and this interest; NULL: none. */
void lab_digest(struct net_end *end, const char *intent, const char *interest);
void lab_peers(struct net_end *end, const char *const *names, size_t count, bool removed);

/* The next RESULT has this error and says this word; the link it came over stands. */
void lab_refused(struct net_end *end, uint64_t nonce, int error, const char *word);
/* The same, and then the connection ends. */
void lab_thrown_out(struct net_end *end, int error, const char *word);
/* A PING is answered, so all that was sent before was dealt with. */
void lab_alive(struct net_end *end);

bool lab_knows(const struct net_node *node, const char *url);
struct addrbook_view lab_view(const struct net_node *node, const char *url);

/* The link of a node that ends here; NULL: gone. */
struct mesh_link *lab_link(struct net_end *end);

/* Bytes that live, as the program's allocator counts them: what the nodes hold, and nothing of the
 * virtual network. Counting begins with lab_count_memory. */
void lab_count_memory(void);
size_t lab_memory(void);

#endif
