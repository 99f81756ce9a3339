/* The test's own end of a connection: bytes as the test likes them. */
#include "net_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

struct net_node *net_raw_listen(struct net *net, const char *url)
{
    struct net_node_options options = {.url = url};
    struct net_node *node = net_add(net, &options);
    struct url own;
    if (url_parse(url, strlen(url), &own, NULL) == 0 && !url_host_unspecified(&own))
        snprintf(node->host, sizeof(node->host), "%.60s", own.host);
    prng_fill(&net->prng, node->id, sizeof(node->id));
    node->alive = true;
    return node;
}

struct net_end *net_raw_connect(struct net *net, struct net_node *from, struct net_node *to,
                                bool local)
{
    struct net_conn *conn = net_dial(from, to);
    conn->local = local;
    return &conn->ends[0];
}

void net_raw_write(struct net_end *end, const void *data, size_t size)
{
    net_put_data(end, data, size);
}

void net_raw_send(struct net_end *end, const struct control *control, uint64_t stamp,
                  bool want_result)
{
    struct buf out;
    struct header header = {.timestamp = stamp, .type = control->type, .want_result = want_result};
    buf_init(&out, FRAME_MAX_LIMIT);
    int rc = codec_encode(&out, &header, control);
    assert(rc == 0);
    (void)rc;
    net_raw_write(end, out.data, out.len);
    buf_fini(&out);
}

void net_raw_close(struct net_end *end)
{
    net_end_close(end, true);
}

bool net_raw_next(struct net_end *end, struct header *ret_header, struct control *ret_control)
{
    struct frame frame;
    if (frame_scan(end->rx.data, end->rx.len, FRAME_MAX_LIMIT, &frame) != 1)
        return false;
    int rc = header_decode(frame.header, frame.header_size, ret_header);
    assert(rc == 0);
    rc = codec_decode(ret_header->type, frame.body, frame.body_size, ret_control);
    if (rc < 0)
        *ret_control = (struct control){0};
    net_bytes_drop(&end->rx, frame.size);
    return true;
}

bool net_raw_await(struct net_end *end, uint32_t type, uint64_t ns, struct control *ret_control)
{
    struct net *net = end->conn->net;
    uint64_t until = net->now + ns;
    for (;;) {
        struct header header;
        while (net_raw_next(end, &header, ret_control)) {
            if (header.type == type)
                return true;
            control_fini(ret_control);
        }
        if (net->now >= until)
            return false;
        net_run(net, NS_PER_MS);
    }
}

struct control net_raw_handshake(const struct net_node *from, const struct net_node *to,
                                 enum stage stage, uint64_t features)
{
    return (struct control){
        .type = MSG_HANDSHAKE,
        .handshake =
            {
                .me = from->url,
                .you = to->url,
                .stage = stage,
                .version = PROTO_VERSION,
                .node_id = from->id,
                .incarnation = 1,
                .network = to->options.network ? to->options.network : "",
                .agent = "test",
                .features = features,
                .role = from->options.role,
            },
    };
}

bool net_raw_shake(struct net_end *end, uint64_t features)
{
    const struct net *net = end->conn->net;
    struct control got,
        c = net_raw_handshake(end->node, net_other(end)->node, STAGE_INITIAL, features);
    net_raw_send(end, &c, NET_EPOCH + net->now, false);
    if (!net_raw_await(end, MSG_HANDSHAKE, NS_PER_SEC, &got))
        return false;
    control_fini(&got);
    c.handshake.stage = STAGE_FINAL;
    net_raw_send(end, &c, NET_EPOCH + net->now, false);
    if (!net_raw_await(end, MSG_PEERS, NS_PER_SEC, &got))
        return false;
    control_fini(&got);
    c = (struct control){.type = MSG_PEERS};
    net_raw_send(end, &c, NET_EPOCH + net->now, false);
    return true;
}

struct net_end *net_raw_greet(struct net *net, struct net_node *from, struct net_node *to,
                              uint64_t features)
{
    struct net_end *end = net_raw_connect(net, from, to, false);
    return net_raw_shake(end, features) ? end : NULL;
}
