/* A node that publishes or hears numbered messages, for tests that do harm to what is between:
 *
 *     count publish|subscribe ROUTE (self|peer|book URL | rate HZ | size BYTES | block MS |
 *                                outbox BYTES)...
 *
 * A message is a text, "RUN NUMBER " and a filling that follows from the number; RUN tells one
 * start of the publisher from the next. The publisher sends at its rate whether anybody listens or
 * not. Each line of output begins with the monotonic clock in seconds:
 *
 *     T listening URL            T up|down|refused|failed URL: text        T warning text
 *     T got RUN NUMBER           a message came; "bad" instead of "got" if not as it was sent
 *     T match | T unmatch        the publisher's first interest came, the last went
 *     T last NUMBER              after SIGUSR1: nothing is published any more
 *     T totals sent=… …          after SIGUSR2, and before the end: sent by this program, sent
 * while nobody was interested, queued to links, dropped and why
 *
 * SIGTERM ends it with 0; a node that cannot be opened with 1, naming what the library says. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weft/weft.h>

#define PEERS_MAX 16
#define NS 1000000000u
#define SIZE_LEAST 48

struct options {
    bool publish;
    const char *route, *self, *book, *peers[PEERS_MAX + 1];
    uint64_t rate, size, block_ms, outbox;
};

struct publisher {
    weft_intent *intent;
    char *message;
    uint64_t run, next, nobody, refused;
    bool quiet; /* SIGUSR1 came */
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

/* One line, whole, from whichever thread. */
static void say(const char *what, const char *a, const char *b)
{
    uint64_t t = now_ns();
    printf("%" PRIu64 ".%06" PRIu64 " %s %s%s%s\n", t / NS, t % NS / 1000, what, a, b ? ": " : "",
           b ? b : "");
}

/* ---- Messages -------------------------------------------------------------------------------- */

static void fill(char *message, size_t from, size_t size, uint64_t number)
{
    for (size_t i = from; i < size; i++)
        message[i] = (char)('a' + (number + i) % 26);
}

static size_t compose(char *message, size_t size, uint64_t run, uint64_t number)
{
    size_t len = (size_t)snprintf(message, SIZE_LEAST, "%" PRIu64 " %" PRIu64 " ", run, number);
    fill(message, len, size, number);
    return size;
}

static bool as_sent(const char *data, size_t size, uint64_t *ret_run, uint64_t *ret_number)
{
    char head[SIZE_LEAST + 1], again[SIZE_LEAST];
    if (size < SIZE_LEAST)
        return false;
    memcpy(head, data, SIZE_LEAST);
    head[SIZE_LEAST] = 0;
    char *end = NULL;
    *ret_run = strtoull(head, &end, 10);
    *ret_number = strtoull(end, NULL, 10);
    size_t len =
        (size_t)snprintf(again, sizeof(again), "%" PRIu64 " %" PRIu64 " ", *ret_run, *ret_number);
    if (len >= sizeof(again) || memcmp(again, head, len) != 0)
        return false;
    for (size_t i = len; i < size; i++) {
        if (data[i] != (char)('a' + (*ret_number + i) % 26))
            return false;
    }
    return true;
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    char text[64];
    uint64_t run = 0, number = 0;
    bool good = as_sent(weft_msg_data(msg), weft_msg_size(msg), &run, &number);
    snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, run, number);
    say(good ? "got" : "bad", text, NULL);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void on_event(weft_node *node, const weft_event *e, void *user)
{
    static const char *const names[] = {
        [WEFT_EVENT_PEER_UP] = "up",
        [WEFT_EVENT_PEER_DOWN] = "down",
        [WEFT_EVENT_REFUSED] = "refused",
        [WEFT_EVENT_DIAL_FAILED] = "failed",
        [WEFT_EVENT_MATCH] = "match",
        [WEFT_EVENT_UNMATCH] = "unmatch",
        [WEFT_EVENT_ADDRBOOK] = "warning",
        [WEFT_EVENT_WARNING] = "warning",
        [WEFT_EVENT_ROUTE_REFUSED] = "route-refused",
    };
    say(names[e->type], e->peer ? e->peer : "", e->text);
}

static void say_totals(weft_node *node, const struct publisher *p)
{
    char text[512];
    weft_stats s;
    if (weft_node_stats(node, &s) < 0)
        return;
    uint64_t dropped = 0;
    for (int i = 0; i < WEFT_DROP_REASONS; i++)
        dropped += s.dropped[i];
    snprintf(text, sizeof(text),
             "sent=%" PRIu64 " nobody=%" PRIu64 " refused=%" PRIu64 " queued=%" PRIu64
             " dropped=%" PRIu64 " link=%" PRIu64 " timeout=%" PRIu64 " dials=%" PRIu64
             " delivered=%" PRIu64,
             p->next, p->nobody, p->refused, s.messages_out, dropped, s.dropped[WEFT_DROP_LINK],
             s.dropped[WEFT_DROP_TIMEOUT], s.dials, s.delivered);
    say("totals", text, NULL);
}

/* ---- Publishing ------------------------------------------------------------------------------ */

static void send_next(struct publisher *p, size_t size)
{
    p->nobody += !weft_intent_interested(p->intent);
    if (weft_send(p->intent, p->message, compose(p->message, size, p->run, p->next)) < 0)
        p->refused++;
    p->next++;
}

static void handle(int number, weft_node *node, struct publisher *p)
{
    char text[32];
    if (number == SIGUSR2)
        say_totals(node, p);
    if (number != SIGUSR1)
        return;
    p->quiet = true;
    snprintf(text, sizeof(text), "%" PRIu64, p->next - 1);
    say("last", text, NULL);
}

/* Signals pace it: each wait for one ends when the next message is due. Late, it catches up. */
static void serve(weft_node *node, struct publisher *p, const struct options *o,
                  const sigset_t *signals)
{
    uint64_t due = now_ns(), pause = o->rate ? NS / o->rate : 0;
    for (;;) {
        uint64_t now = now_ns();
        uint64_t wait = p->intent && !p->quiet ? (due > now ? due - now : 0) : NS;
        struct timespec t = {.tv_sec = (time_t)(wait / NS), .tv_nsec = (long)(wait % NS)};
        int number = sigtimedwait(signals, NULL, &t);
        if (number == SIGTERM)
            return;
        if (number > 0)
            handle(number, node, p);
        else if (p->intent && !p->quiet) {
            send_next(p, o->size);
            due += pause;
        }
    }
}

/* ---- The program ----------------------------------------------------------------------------- */

static int parse(int argc, char **argv, struct options *o)
{
    size_t peers = 0;
    if (argc < 3 || argc % 2 == 0)
        return -1;
    o->publish = strcmp(argv[1], "publish") == 0;
    o->route = argv[2];
    for (int i = 3; i < argc; i += 2) {
        const char *key = argv[i], *value = argv[i + 1];
        if (strcmp(key, "self") == 0)
            o->self = value;
        else if (strcmp(key, "book") == 0)
            o->book = value;
        else if (strcmp(key, "peer") == 0 && peers < PEERS_MAX)
            o->peers[peers++] = value;
        else if (strcmp(key, "rate") == 0)
            o->rate = strtoull(value, NULL, 10);
        else if (strcmp(key, "size") == 0)
            o->size = strtoull(value, NULL, 10);
        else if (strcmp(key, "block") == 0)
            o->block_ms = strtoull(value, NULL, 10);
        else if (strcmp(key, "outbox") == 0)
            o->outbox = strtoull(value, NULL, 10);
        else
            return -1;
    }
    return o->size >= SIZE_LEAST ? 0 : -1;
}

static int open_node(const struct options *o, weft_node **ret_node)
{
    weft_options w;
    char *text = NULL;
    weft_options_init(&w);
    w.self = o->self;
    w.peers = o->peers;
    w.addrbook = o->book;
    w.on_event = on_event;
    if (o->outbox)
        w.outbox = (size_t)o->outbox;
    int rc = weft_node_open_explain(&w, ret_node, &text);
    if (rc < 0)
        say("failed to open", text ? text : weft_strerror(rc), NULL);
    weft_free(text);
    return rc;
}

static int declare(weft_node *node, const struct options *o, struct publisher *p)
{
    weft_subscribe_options s;
    weft_publish_options i;
    weft_interest *interest;
    weft_subscribe_options_init(&s);
    s.on_message = on_message;
    weft_publish_options_init(&i);
    i.block_ms = (uint32_t)o->block_ms;
    return o->publish ? weft_publish(node, o->route, &i, &p->intent)
                      : weft_subscribe(node, o->route, &s, &interest);
}

int main(int argc, char **argv)
{
    struct options o = {.rate = 100, .size = 64, .block_ms = 1000};
    struct publisher p = {.run = now_ns()};
    weft_node *node;
    sigset_t signals;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (parse(argc, argv, &o) < 0) {
        fputs("usage: count publish|subscribe ROUTE (self|peer|book|rate|size|block|outbox "
              "VALUE)...\n",
              stderr);
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    p.message = malloc(o.size);
    int rc = p.message ? open_node(&o, &node) : WEFT_ENOMEM;
    if (rc == 0) {
        say("listening", o.self ? weft_node_url(node) : "nowhere", NULL);
        rc = declare(node, &o, &p);
        if (rc == 0)
            serve(node, &p, &o, &signals);
        say_totals(node, &p);
        weft_node_close(node);
    }
    free(p.message);
    return rc < 0;
}
