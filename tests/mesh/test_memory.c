/* The n-th allocation fails, for every n, while three nodes form a mesh with routes: no crash, no
 * leak, and once there is memory again the mesh heals by itself. A longer failure, too. */
#include <stdbool.h>
#include <stdio.h>

#include <weft/weft.h>

#include "tests/check.h"
#include "tests/oom/oom.h"
#include "tests/sim/net.h"

#define WHY 256

/* What the program would do again if it were told that there is no memory. */
static void open_until_it_works(struct net_node *node, bool intent, const char *text)
{
    int error = 0;
    while (!net_open(node, intent, text, &error))
        CHECK_EQ(error, WEFT_ENOMEM);
}

static void start_until_it_works(struct net_node *node)
{
    while (!net_start(node, false)) {
        if (node->mesh)
            net_kill(node, NET_DEATH_CLOSES);
    }
}

static void play(struct net *net)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct net_node *node = net_node(net, i);
        char own[32], theirs[32];
        snprintf(own, sizeof(own), "T@n%u.x", i);
        snprintf(theirs, sizeof(theirs), "*@n%u.*", (i + 1) % 3);
        start_until_it_works(node);
        open_until_it_works(node, true, own);
        open_until_it_works(node, false, "T@n0.x");
        while (i && net_configure(node, net_node(net, 0)->url) == WEFT_ENOMEM)
            ;
        net_run(net, 50 * NS_PER_MS);
        open_until_it_works(node, false, theirs);
        net_run(net, 50 * NS_PER_MS);
    }
    net_run(net, 300 * NS_PER_MS);
    struct net_conn *conn = net_find(net, NULL, NULL);
    if (conn)
        net_cut(conn, 0, NET_CUT_BOTH);
    net_run(net, 2 * NS_PER_SEC);
    list_each_safe (it, &net_node(net, 1)->routes)
        net_close(net_node(net, 1), list_entry(it, struct net_route, in_node));
    open_until_it_works(net_node(net, 1), true, "T@n1.y");
    net_run(net, 300 * NS_PER_MS);
}

/* Returns how many allocations the whole took. */
static uint64_t run(uint64_t first_failure, uint64_t failures)
{
    oom_arm(first_failure + 1, failures);
    struct net_options options = {.seed = 11, .backlog = 10};
    struct net *net = net_new(&options);
    for (unsigned i = 0; i < 3; i++)
        net_add(net, NULL);
    play(net);
    uint64_t count = oom_count();
    oom_relent();
    char why[WHY] = "";
    if (net_run_whole(net, 90 * NS_PER_SEC, why, sizeof(why)) == NEVER)
        FAIL("allocation %llu (of %llu that fail): does not heal: %s",
             (unsigned long long)first_failure, (unsigned long long)failures, why);
    net_free(net);
    if (oom_living())
        FAIL("allocation %llu: %lld are left", (unsigned long long)first_failure,
             (long long)oom_living());
    weft_set_allocator(NULL, NULL, NULL);
    return count;
}

TEST(memory, one_allocation_fails)
{
    uint64_t count = run(0, 0);
    CHECK(count > 300);
    for (uint64_t n = 0; n < count; n++)
        run(n, 1);
}

TEST(memory, a_hundred_allocations_fail)
{
    uint64_t count = run(0, 0);
    for (uint64_t n = 0; n < count; n += 3)
        run(n, 100);
}

/* ---- An address book is asked for ---- */

/* The answer to a question that meets failing allocations, or NULL: none came, or the book. */
static const char *ask_book(struct net *net, struct net_end *end, uint64_t n)
{
    static char text[256];
    static uint64_t nonce = 77;
    struct control ask = {.type = MSG_ADDRBOOK}, got;
    struct header header;
    net_raw_send(end, &ask, ++nonce, true);
    oom_arm(n, 1);
    net_run(net, 200 * NS_PER_MS);
    oom_relent();
    text[0] = '\0';
    while (net_raw_next(end, &header, &got)) {
        if (got.type == MSG_RESULT && got.result.nonce == nonce && got.result.error != RESULT_OK)
            snprintf(text, sizeof(text), "%s", got.result.description);
        control_fini(&got);
    }
    return text[0] ? text : NULL;
}

/* Want of memory is told as that, and not as a book that is too large. */
TEST(memory, an_address_book_is_asked_for)
{
    unsigned refused = 0;
    for (uint64_t n = 1; n <= 12; n++) {
        oom_arm(0, 0);
        struct net *net = net_new(&(struct net_options){.seed = 1});
        struct net_node *node = net_add(net, NULL);
        CHECK(net_start(node, false));
        for (unsigned i = 0; i < 200; i++) {
            char url[64];
            snprintf(url, sizeof(url), "tcp://10.8.0.%u:7400/x", i + 1);
            CHECK_EQ(net_configure(node, url), 0);
        }
        struct net_node *peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer");
        struct net_end *end = net_raw_greet(net, peer, node, FEATURE_BOOK);
        CHECK(end);
        net_run(net, 200 * NS_PER_MS);
        const char *text = ask_book(net, end, n);
        if (text && strcmp(text, weft_strerror(WEFT_ENOMEM)) != 0)
            FAIL("allocation %llu: %s", (unsigned long long)n, text);
        refused += text != NULL;
        net_free(net);
    }
    CHECK(refused > 0);
}
