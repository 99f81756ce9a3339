/* Typed pairs through protobuf.h, schemas that differ, and hashed and pattern routes end to end. */
#include "fixture.h"

#include <weft/protobuf.h>

#include "sample.pb-c.h"

struct pair {
    weft_node *a, *b;
    struct events ea, eb;
};

static void open_pair(struct pair *p)
{
    events_init(&p->ea);
    events_init(&p->eb);
    p->a = fx_open("tcp://127.0.0.1:0/a", NULL, &p->ea);
    p->b = fx_open("tcp://127.0.0.1:0/b", weft_node_url(p->a), &p->eb);
    CHECK_EQ(weft_node_wait_peers(p->a, 1, WAIT_MS), 0);
}

static void close_pair(struct pair *p)
{
    weft_node_close(p->a);
    weft_node_close(p->b);
}

TEST(pb, a_typed_pair)
{
    static struct pair p;
    open_pair(&p);
    weft_intent *out;
    weft_interest *in;
    CHECK_EQ(weft_publish_pb(p.a, &sample__pose__descriptor, "a.pose", NULL, &out), 0);
    CHECK_EQ(weft_subscribe_pb(p.b, &sample__pose__descriptor, "a.pose", NULL, &in), 0);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t joints[3] = {i, i + 1, i * i};
        Sample__Pose pose = SAMPLE__POSE__INIT;
        pose.x = i * 0.5;
        pose.frame = i % 2 ? "base" : "";
        pose.joints = joints;
        pose.n_joints = i % 4;
        CHECK_EQ(weft_send_pb(out, &pose.base), 0);
    }
    for (uint32_t i = 0; i < 500; i++) {
        weft_msg *msg;
        ProtobufCMessage *any;
        CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
        CHECK_STR(weft_msg_route(msg), "sample.Pose@a.pose");
        CHECK_STR(weft_msg_sender(msg), weft_node_url(p.a));
        CHECK_EQ(weft_msg_unpack(msg, &sample__pose__descriptor, &any), 0);
        const Sample__Pose *pose = (const Sample__Pose *)any;
        CHECK(pose->x == i * 0.5 && pose->n_joints == i % 4);
        CHECK_STR(pose->frame, i % 2 ? "base" : "");
        CHECK(pose->n_joints < 3 || pose->joints[2] == i * i);
        protobuf_c_message_free_unpacked(any, NULL);
        weft_msg_unref(msg);
    }
    close_pair(&p);
}

TEST(pb, what_does_not_parse_is_malformed)
{
    weft_msg *msg;
    ProtobufCMessage *any = NULL;
    CHECK_EQ(weft_msg_new(3, &msg), 0);
    memcpy(weft_msg_data(msg), "\xff\xff\xff", 3);
    CHECK_EQ(weft_msg_unpack(msg, &sample__pose__descriptor, &any), WEFT_EMALFORMED);
    CHECK(any == NULL);
    weft_msg_unref(msg);
    weft_intent *out;
    CHECK_EQ(weft_publish_pb(NULL, &sample__pose__descriptor, "a b", NULL, &out), WEFT_EROUTE);
}

/* Both schemas known and different: nothing is linked, and both sides are told of both. */
TEST(pb, schemas_that_differ_are_told_on_both_sides)
{
    static struct pair p;
    open_pair(&p);
    weft_publish_options po;
    weft_publish_options_init(&po);
    po.schema = weft_pb_schema(&sample__pose__descriptor);
    weft_subscribe_options so;
    weft_subscribe_options_init(&so);
    so.schema = weft_pb_schema(&sample__other__descriptor);
    CHECK(po.schema != so.schema && po.schema && so.schema);
    weft_intent *out;
    weft_interest *in;
    CHECK_EQ(weft_publish(p.a, "sample.Pose@a.pose", &po, &out), 0);
    CHECK_EQ(weft_subscribe(p.b, "sample.Pose@a.pose", &so, &in), 0);
    char ours[32], theirs[32];
    snprintf(ours, sizeof(ours), "%016llx", (unsigned long long)po.schema);
    snprintf(theirs, sizeof(theirs), "%016llx", (unsigned long long)so.schema);
    struct events *sides[] = {&p.ea, &p.eb};
    for (int i = 0; i < 2; i++) {
        struct seen s = events_wait(sides[i], WEFT_EVENT_ROUTE_REFUSED, 1);
        CHECK_EQ(s.error, WEFT_ESCHEMA);
        CHECK(strstr(s.text, ours) && strstr(s.text, theirs));
        CHECK(strstr(s.text, "sample.Pose@a.pose") != NULL);
    }
    CHECK(!weft_intent_interested(out));
    /* One that does not know the schema, or knows the right one, is served. */
    weft_interest *any = fx_subscribe(p.b, "sample.Pose@a.pose"), *same;
    CHECK_EQ(weft_subscribe_pb(p.b, &sample__pose__descriptor, "a.pose", NULL, &same), 0);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_interest_wait(same, WAIT_MS), 0);
    CHECK_EQ(weft_send(out, NULL, 0), 0);
    weft_msg *msg;
    CHECK_EQ(weft_recv(any, &msg, WAIT_MS), 0);
    weft_msg_unref(msg);
    CHECK_EQ(weft_recv(same, &msg, WAIT_MS), 0);
    weft_msg_unref(msg);
    CHECK_EQ(weft_recv(in, &msg, 0), WEFT_ETIMEDOUT);
    close_pair(&p);
}

TEST(pb, hashed_routes)
{
    static struct pair p;
    open_pair(&p);
    char route[128], other[128];
    CHECK(weft_route_hash("t.Secret@a.door", "a", route, sizeof(route)) > 0);
    CHECK(weft_route_hash("t.Secret@a.gate", "a", other, sizeof(other)) > 0);
    weft_interest *in = fx_subscribe(p.b, route), *wrong = fx_subscribe(p.b, other),
                  *all = fx_subscribe(p.b, "*@a.**");
    weft_intent *out = fx_publish(p.a, route);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_send(out, "open", 4), 0);
    weft_msg *msg;
    CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
    CHECK_STR(weft_msg_route(msg), route);
    CHECK_EQ(weft_msg_size(msg), 4);
    weft_msg_unref(msg);
    CHECK_EQ(weft_recv(wrong, &msg, 0), WEFT_ETIMEDOUT);
    CHECK_EQ(weft_recv(all, &msg, 0), WEFT_ETIMEDOUT); /* no pattern covers a hashed route */
    close_pair(&p);
}

static void expect_route(weft_interest *in, const char *route)
{
    weft_msg *msg;
    CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
    CHECK_STR(weft_msg_route(msg), route);
    weft_msg_unref(msg);
}

TEST(pb, patterns)
{
    static struct pair p;
    open_pair(&p);
    weft_interest *one = fx_subscribe(p.b, "*@a.*.temp"), *deep = fx_subscribe(p.b, "t.Foo@a.**"),
                  *none = fx_subscribe(p.b, "t.Foo@a.*.pressure");
    weft_intent *x = fx_publish(p.a, "t.Foo@a.x.temp"), *y = fx_publish(p.a, "t.Bar@a.y.temp"),
                *z = fx_publish(p.a, "t.Foo@a.x.y.z");
    CHECK_EQ(weft_intent_wait(x, WAIT_MS), 0);
    CHECK_EQ(weft_intent_wait(y, WAIT_MS), 0);
    CHECK_EQ(weft_intent_wait(z, WAIT_MS), 0);
    CHECK_EQ(weft_send(x, "1", 1), 0);
    CHECK_EQ(weft_send(y, "2", 1), 0);
    CHECK_EQ(weft_send(z, "3", 1), 0);
    expect_route(one, "t.Foo@a.x.temp");
    expect_route(one, "t.Bar@a.y.temp");
    expect_route(deep, "t.Foo@a.x.temp");
    expect_route(deep, "t.Foo@a.x.y.z");
    weft_msg *msg;
    CHECK_EQ(weft_recv(one, &msg, 0), WEFT_ETIMEDOUT);
    CHECK_EQ(weft_recv(none, &msg, 0), WEFT_ETIMEDOUT);
    close_pair(&p);
}
