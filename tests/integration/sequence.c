/* Sends or expects numbered messages, for tests against programs that are not ours:
 *
 *     sequence publish|subscribe ROUTE COUNT SIZE (self|peer URL)...
 *
 * Message i, from 0, is a protobuf message types.Foo{text}: "seq=i " and as many "x" as make up
 * SIZE bytes. The publisher waits for a subscriber first; the subscriber ends with 0 once COUNT
 * messages have come, each once, in order, byte for byte, and with 1 at the first that differs. A
 * node without "self" dials only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#define SIZE_MAX_MESSAGE 127 /* a length of one byte */
#define PEERS_MAX 8
#define PATIENCE_MS 60000

struct sequence {
    const char *route;
    uint64_t count;
    size_t size;
    const char *self, *peers[PEERS_MAX + 1];
};

static size_t compose(const struct sequence *s, uint64_t i, char *out)
{
    char *text = out + 2;
    size_t room = s->size - 2;
    size_t len = (size_t)snprintf(text, room + 1, "seq=%" PRIu64 " ", i);
    memset(text + len, 'x', room - len);
    out[0] = 0x0a;
    out[1] = (char)room;
    return s->size;
}

static int publish(weft_node *node, const struct sequence *s)
{
    char message[SIZE_MAX_MESSAGE + 8];
    weft_publish_options o;
    weft_intent *intent;
    weft_publish_options_init(&o);
    o.block_ms = PATIENCE_MS;
    int rc = weft_publish(node, s->route, &o, &intent);
    if (rc == 0)
        rc = weft_intent_wait(intent, PATIENCE_MS);
    for (uint64_t i = 0; rc == 0 && i < s->count; i++)
        rc = weft_send(intent, message, compose(s, i, message));
    if (rc < 0)
        return rc;
    weft_intent_close(intent);
    return 0;
}

static int check(const struct sequence *s, uint64_t i, const weft_msg *msg)
{
    char expected[SIZE_MAX_MESSAGE + 8];
    size_t size = compose(s, i, expected);
    if (weft_msg_size(msg) == size && memcmp(weft_msg_data(msg), expected, size) == 0)
        return 0;
    printf("message %" PRIu64 " expected, got %zu bytes: %.*s\n", i, weft_msg_size(msg),
           (int)weft_msg_size(msg), (const char *)weft_msg_data(msg));
    return WEFT_EMALFORMED;
}

static int subscribe(weft_node *node, const struct sequence *s)
{
    weft_interest *interest;
    int rc = weft_subscribe(node, s->route, NULL, &interest);
    for (uint64_t i = 0; rc == 0 && i < s->count; i++) {
        weft_msg *msg;
        rc = weft_recv(interest, &msg, PATIENCE_MS);
        if (rc < 0) {
            printf("message %" PRIu64 " did not come\n", i);
            return rc;
        }
        rc = check(s, i, msg);
        weft_msg_unref(msg);
    }
    return rc;
}

static int parse(int argc, char **argv, struct sequence *ret_sequence)
{
    size_t peers = 0;
    struct sequence s = {0};
    if (argc < 7 || argc % 2 == 0)
        return -1;
    s.route = argv[2];
    s.count = strtoull(argv[3], NULL, 10);
    s.size = strtoull(argv[4], NULL, 10);
    for (int i = 5; i < argc; i += 2) {
        if (strcmp(argv[i], "self") == 0)
            s.self = argv[i + 1];
        else if (strcmp(argv[i], "peer") == 0 && peers < PEERS_MAX)
            s.peers[peers++] = argv[i + 1];
        else
            return -1;
    }
    if (s.size < 32 || s.size > SIZE_MAX_MESSAGE)
        return -1;
    *ret_sequence = s;
    return 0;
}

static void on_event(weft_node *node, const weft_event *e, void *user)
{
    fprintf(stderr, "event %d: peer %s, %s\n", (int)e->type, e->peer ? e->peer : "none",
            e->text ? e->text : weft_strerror(e->error));
}

int main(int argc, char **argv)
{
    struct sequence s;
    weft_options o;
    weft_node *node;
    if (parse(argc, argv, &s) < 0) {
        fputs("usage: sequence publish|subscribe ROUTE COUNT SIZE (self|peer URL)...\n", stderr);
        return 2;
    }
    weft_options_init(&o);
    o.self = s.self;
    o.peers = s.peers;
    o.linger_ms = PATIENCE_MS;
    o.on_event = on_event;
    int rc = weft_node_open(&o, &node);
    if (rc == 0) {
        printf("%s\n", s.self ? weft_node_url(node) : "dialling only");
        fflush(stdout);
        rc = strcmp(argv[1], "publish") == 0 ? publish(node, &s) : subscribe(node, &s);
        weft_node_close(node);
    }
    if (rc < 0)
        printf("sequence: %s\n", weft_strerror(rc));
    return rc < 0;
}
