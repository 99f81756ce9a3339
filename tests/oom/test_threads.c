/* Nodes with threads of their own, and calls that wait. How many allocations a run takes varies
 * with the threads' turns, so n goes on until several runs in a row have met no failure. */
#include <poll.h>

#include "tests/oom/oom.h"

#define SLICE_MS 20
#define WAIT_MS 30000 /* nothing takes that long; who waits so long hangs */

static weft_node *open_node(const char *self)
{
    weft_options o;
    weft_options_init(&o);
    o.self = self;
    weft_node *node = NULL;
    int rc;
    do {
        char *text = NULL;
        rc = weft_node_open_explain(&o, &node, &text);
        weft_free(text);
    } while (oom_again(rc));
    return rc < 0 ? NULL : node;
}

/* In the mode ON what a call waits for may never come. */
static bool hopeless(void)
{
    return oom_mode() == OOM_ON && oom_failing();
}

static int patience(void)
{
    return hopeless() ? 50 : WAIT_MS;
}

static int linked(weft_node *node)
{
    int rc = WEFT_ETIMEDOUT;
    for (int waited = 0; waited < WAIT_MS && rc < 0 && !hopeless(); waited += SLICE_MS)
        rc = weft_node_wait_peers(node, 1, SLICE_MS);
    CHECK(rc == 0 || (rc == WEFT_ETIMEDOUT && hopeless()));
    return rc;
}

/* Open both, and open again what was refused on a loop, until they have met. */
static bool meet(weft_node *a, weft_node *b, weft_intent **out, weft_interest **in)
{
    for (int waited = 0; waited < WAIT_MS && !hopeless(); waited += SLICE_MS) {
        int rc = *in ? weft_interest_wait(*in, SLICE_MS) : WEFT_ENOMEM;
        if (rc == 0 && weft_intent_wait(*out, SLICE_MS) == 0)
            return true;
        if (rc == WEFT_ENOMEM) {
            weft_interest_close(*in);
            *in = NULL;
            oom_again(weft_subscribe(b, "t.A@a.out", NULL, in));
        }
        if (!*out || weft_intent_wait(*out, 0) == WEFT_ENOMEM) {
            weft_intent_close(*out);
            *out = NULL;
            oom_again(weft_publish(a, "t.A@a.out", NULL, out));
        }
    }
    CHECK(hopeless());
    return false;
}

/* Send until one has come. Messages may go with a link, which needs memory to come up again. */
static void pass(weft_intent *out, weft_interest *in)
{
    weft_msg *msg = NULL;
    int rc = WEFT_ETIMEDOUT;
    for (int waited = 0; waited < WAIT_MS && rc == WEFT_ETIMEDOUT; waited += SLICE_MS) {
        int sent = weft_send(out, "hello", 5);
        CHECK(sent == 0 || ((sent == WEFT_ENOMEM || sent == WEFT_EDROPPED) && oom_failed()));
        rc = weft_recv(in, &msg, SLICE_MS);
        if (hopeless())
            break;
        if (oom_again(rc == WEFT_ENOMEM ? rc : 0))
            rc = WEFT_ETIMEDOUT;
    }
    CHECK(rc == 0 || hopeless());
    if (rc == 0)
        weft_msg_unref(msg);
}

/* The other node may have no memory to answer: it says so, or the link breaks. */
static bool unanswered(int rc)
{
    return oom_failed() && (rc == WEFT_ENOTFOUND || rc == WEFT_ELOST || rc == WEFT_ETIMEDOUT);
}

static void ask(weft_node *node, const char *url)
{
    weft_addrbook *book = NULL;
    uint64_t rtt;
    int rc;
    do
        rc = weft_node_ping(node, url, patience(), &rtt);
    while (!unanswered(rc) && oom_again(rc));
    do
        rc = weft_node_fetch_addrbook(node, url, patience(), &book);
    while (!unanswered(rc) && !(rc == WEFT_ELIMIT && oom_failed()) && oom_again(rc));
    CHECK((rc == 0) == (book != NULL));
    weft_addrbook_free(book);
}

static void two_nodes(void)
{
    weft_node *a = open_node("inproc://oom-a/a");
    weft_node *b = a ? open_node("inproc://oom-b/b") : NULL;
    weft_dial_options dial;
    weft_dial_options_init(&dial);
    dial.backoff_ms = dial.max_backoff_ms = 5;
    int rc = WEFT_ENOMEM;
    if (b) {
        do
            rc = weft_node_dial(b, weft_node_url(a), &dial);
        while (oom_again(rc));
    }
    if (rc == 0)
        rc = linked(b);
    weft_intent *out = NULL;
    weft_interest *in = NULL;
    bool met = rc == 0 && meet(a, b, &out, &in);
    if (met)
        pass(out, in);
    if (met)
        ask(b, weft_node_url(a));
    weft_interest_close(in);
    weft_intent_close(out);
    CHECK_EQ(weft_node_close(b), 0);
    CHECK_EQ(weft_node_close(a), 0);
}

TEST(oom_threads, two_nodes)
{
    struct oom_plan plan = {.at_least = 120, .quiet = 8, .awhile = 20, .runs_max = 25};
    oom_each("two_nodes", &plan, two_nodes);
}

/* ---- Refused on the loop ---- */

/* Open with memory for the caller's part alone: the loop has none. */
static weft_interest *subscribe_refused(weft_node *node)
{
    weft_interest *in = NULL;
    int rc = WEFT_ENOMEM;
    for (uint64_t n = 0; rc == WEFT_ENOMEM; n++) {
        oom_exhaust_after(n);
        rc = weft_subscribe(node, "t.A@a.in", NULL, &in);
    }
    CHECK_EQ(rc, 0);
    return in;
}

static weft_intent *publish_refused(weft_node *node)
{
    weft_intent *out = NULL;
    int rc = WEFT_ENOMEM;
    for (uint64_t n = 0; rc == WEFT_ENOMEM; n++) {
        oom_exhaust_after(n);
        rc = weft_publish(node, "t.A@a.out", NULL, &out);
    }
    CHECK_EQ(rc, 0);
    return out;
}

TEST(oom_threads, whoever_asks_a_refused_route_hears_of_it)
{
    oom_arm(0, 0);
    weft_node *node = open_node("inproc://oom-a/a");
    weft_interest *in = subscribe_refused(node);
    CHECK_EQ(weft_interest_wait(in, WAIT_MS), WEFT_ENOMEM);
    oom_relent();
    weft_msg *msg;
    CHECK_EQ(weft_recv(in, &msg, WAIT_MS), WEFT_ENOMEM);
    struct pollfd p = {.fd = weft_interest_fd(in), .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 0), 1);
    weft_interest_close(in);

    weft_intent *out = publish_refused(node);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), WEFT_ENOMEM);
    oom_relent();
    CHECK_EQ(weft_send(out, "x", 1), WEFT_ENOMEM);
    weft_intent_close(out);
    CHECK_EQ(weft_node_close(node), 0);
    CHECK_EQ(oom_living(), 0);
}
