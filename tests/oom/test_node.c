/* Real nodes on a loop of the test's: opened, linked, sending, asked, closed, while the n-th
 * allocation fails. Each call answers with WEFT_ENOMEM or what weft.h says; what is lost is
 * counted; and when there is memory again the mesh is whole without help, and a message passes. */
#include "tests/oom/talk.h"

static bool attach_two(struct talk *t, const char *self_from, const char *self_to)
{
    weft_options o;
    weft_options_init(&o);
    o.self = self_from;
    t->from = world_attach(&t->w, &o);
    if (!t->from)
        return false;
    weft_options_init(&o);
    o.self = self_to;
    const char *peers[] = {weft_node_url(t->from), NULL};
    o.peers = peers;
    t->to = world_attach(&t->w, &o);
    return t->to != NULL;
}

static void mesh_over(const char *self_from, const char *self_to, bool sockets)
{
    struct talk t = {.route = "t.A@a.out", .pattern = "*@a.*"};
    world_open(&t.w, sockets);
    static const size_t sizes[] = {10, 3000, 20000, 600000, 0};
    if (attach_two(&t, self_from, self_to) && talk_begin(&t)) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            talk_send(&t, sizes[i]);
        if (talk_settle(&t))
            talk_passes(&t);
    }
    talk_end(&t);
}

static void over_inproc(void)
{
    mesh_over("inproc://oom-a/a", "inproc://oom-b/b", false);
}

static void over_tcp(void)
{
    mesh_over("tcp://127.0.0.1:0/a", "tcp://127.0.0.1:0/b", true);
}

TEST(oom_node, mesh_over_inproc)
{
    oom_each("mesh_over_inproc", &(struct oom_plan){.at_least = 150}, over_inproc);
}

TEST(oom_node, mesh_over_tcp)
{
    oom_each("mesh_over_tcp", &(struct oom_plan){.at_least = 150}, over_tcp);
}
