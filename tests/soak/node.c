/* One node of the soak, told what to do by soak.py over its standard input:
 *
 *     soak-node KEY=VALUE...      self, listen, path, peer (may be repeated), addrbook, role (peer
 * or leaf), seed, tally (a file), plant (a fault, to test soak.py)
 *
 *     open STREAM ROUTE PROFILE   publish           hear NUMBER ROUTE MODE   subscribe
 *     close STREAM                withdraw          deaf NUMBER              unsubscribe
 *     go  hush  mark              of the load       report  forget           of what was heard
 *     stat                        counters          route ROUTE              those of an intent
 *     book URL                    whom the peer there is linked to           quit
 *
 * Each is answered by its lines and then "ok"; a command that fails by "failed WHY", and the rest
 * goes on. The end of the input is the same as quit: no node outlives soak.py. What the library
 * warns of goes out as "log LEVEL TEXT". */
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soak.h"

#define PEERS_MAX 8
#define LINGER_MS 20000
#define BOOK_MS 10000
#define LEAK_BYTES 20000

struct setup {
    weft_options options;
    const char *listen[2], *peers[PEERS_MAX + 1], *tally;
    size_t peer_count;
    uint64_t seed;
    enum fault fault;
};

static struct setup setup;
static weft_node *node;

void say(const char *format, ...)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    va_list args;
    pthread_mutex_lock(&lock);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&lock);
}

static void on_log(enum weft_log_level level, const char *text, void *user)
{
    say("log %s %s", level == WEFT_LOG_ERROR ? "error" : "warn", text);
}

/* ---- Commands -------------------------------------------------------------------------------- */

struct words {
    uint64_t number;
    char route[ROUTE_TEXT], word[32];
};

/* A leak for soak.py to find. */
static void leak(void)
{
    if (setup.fault == FAULT_HEAP) {
        void *lost = heap_lose(LEAK_BYTES);
        if (lost)
            memset(lost, 1, LEAK_BYTES);
    } else if (setup.fault == FAULT_DESCRIPTORS && dup(STDIN_FILENO) < 0) {
        say("notice no descriptor is left to lose");
    }
}

static int do_open(const struct words *w)
{
    return load_open(w->number, w->route, w->word);
}

static int do_close(const struct words *w)
{
    leak();
    load_close(w->number);
    return 0;
}

static int do_hear(const struct words *w)
{
    return hear_open(w->number, w->route, w->word);
}

static int do_deaf(const struct words *w)
{
    hear_close(w->number);
    return 0;
}

static int do_go(const struct words *w)
{
    load_go();
    return 0;
}

static int do_hush(const struct words *w)
{
    load_hush();
    return 0;
}

static int do_mark(const struct words *w)
{
    load_mark();
    return 0;
}

static int do_report(const struct words *w)
{
    hear_report();
    return 0;
}

static int do_forget(const struct words *w)
{
    hear_forget();
    return 0;
}

static uint64_t total(const uint64_t dropped[WEFT_DROP_REASONS])
{
    uint64_t sum = 0;
    for (int i = 0; i < WEFT_DROP_REASONS; i++)
        sum += dropped[i];
    return sum;
}

static int do_stat(const struct words *w)
{
    weft_stats s;
    uint64_t messages, bytes;
    int rc = weft_node_stats(node, &s);
    if (rc < 0)
        return rc;
    size_t small, large;
    heap_counts(&small, &large);
    hear_counts(&messages, &bytes);
    say("stat peers=%" PRIu32 " intents=%" PRIu32 " interests=%" PRIu32
        " waiting=%zu small=%zu large=%zu "
        "messages=%" PRIu64 " bytes=%" PRIu64 " out=%" PRIu64 " dropped=%" PRIu64,
        s.peers, s.remote_intents, s.remote_interests, s.outbox_bytes, small, large, messages,
        bytes, s.messages_out, total(s.dropped));
    return 0;
}

static int do_route(const struct words *w)
{
    weft_route_info *routes;
    size_t count;
    int rc = weft_node_routes(node, &routes, &count);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        const weft_route_info *r = &routes[i];
        if (r->intent && !r->peer && strcmp(r->route, w->route) == 0)
            say("route %" PRIu64 " %" PRIu64 " %" PRIu64, r->messages, total(r->dropped),
                r->dropped[WEFT_DROP_LINK]);
    }
    weft_routes_free(routes, count);
    return 0;
}

/* Is it another name of a node further up? */
static bool known_before(const weft_addrbook *book, size_t i)
{
    const uint8_t *id = book->entries[i].node_id;
    for (size_t j = 0; j < i; j++) {
        if (book->entries[j].linked && memcmp(book->entries[j].node_id, id, 16) == 0)
            return true;
    }
    return false;
}

static int do_book(const struct words *w)
{
    weft_addrbook *book;
    int rc = weft_node_fetch_addrbook(node, w->route, BOOK_MS, &book);
    if (rc < 0)
        return rc;
    size_t linked = 0;
    for (size_t i = 0; i < book->count; i++)
        linked += book->entries[i].linked && !known_before(book, i);
    say("book %zu %zu", linked, book->count);
    weft_addrbook_free(book);
    return 0;
}

/* What the words after a command are: n a number, r a route or URL, w a word. */
static const struct command {
    const char *name, *words;
    int (*run)(const struct words *w);
} commands[] = {
    {"open", "nrw", do_open}, {"close", "n", do_close},  {"hear", "nrw", do_hear},
    {"deaf", "n", do_deaf},   {"go", "", do_go},         {"hush", "", do_hush},
    {"mark", "", do_mark},    {"report", "", do_report}, {"forget", "", do_forget},
    {"stat", "", do_stat},    {"route", "r", do_route},  {"book", "r", do_book},
};

static bool take_words(char *rest, const char *kinds, struct words *ret_words)
{
    for (; *kinds; kinds++) {
        char *word = strtok_r(NULL, " ", &rest);
        if (!word || strlen(word) >= ROUTE_TEXT)
            return false;
        if (*kinds == 'n')
            ret_words->number = strtoull(word, NULL, 10);
        else if (*kinds == 'r')
            snprintf(ret_words->route, sizeof(ret_words->route), "%s", word);
        else
            snprintf(ret_words->word, sizeof(ret_words->word), "%.31s", word);
    }
    return true;
}

static void obey(char *line)
{
    char *rest, *name = strtok_r(line, " \n", &rest);
    struct words words = {0};
    for (size_t i = 0; name && i < sizeof(commands) / sizeof(*commands); i++) {
        if (strcmp(name, commands[i].name) != 0)
            continue;
        rest[strcspn(rest, "\n")] = '\0';
        int rc = WEFT_EINVAL;
        if (take_words(rest, commands[i].words, &words))
            rc = commands[i].run(&words);
        if (rc < 0)
            say("failed %s: %s", name, weft_strerror(rc));
        else
            say("ok");
        return;
    }
    say("failed: no such command");
}

/* ---- The program ----------------------------------------------------------------------------- */

static int take_fault(const char *name)
{
    static const char *const names[] = {"none", "heap", "descriptors", "loss", "twice", "spin"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(name, names[i]) == 0) {
            setup.fault = (enum fault)i;
            return 0;
        }
    }
    return -1;
}

static int take_setting(const char *key, const char *value)
{
    weft_options *o = &setup.options;
    if (strcmp(key, "self") == 0)
        o->self = value;
    else if (strcmp(key, "listen") == 0)
        setup.listen[0] = value;
    else if (strcmp(key, "path") == 0)
        o->path = value;
    else if (strcmp(key, "addrbook") == 0)
        o->addrbook = value;
    else if (strcmp(key, "role") == 0)
        o->role = strcmp(value, "leaf") == 0 ? WEFT_ROLE_LEAF : WEFT_ROLE_PEER;
    else if (strcmp(key, "seed") == 0)
        setup.seed = strtoull(value, NULL, 10);
    else if (strcmp(key, "tally") == 0)
        setup.tally = value;
    else if (strcmp(key, "plant") == 0)
        return take_fault(value);
    else if (strcmp(key, "peer") == 0 && setup.peer_count < PEERS_MAX)
        setup.peers[setup.peer_count++] = value;
    else
        return -1;
    return 0;
}

static bool take_settings(int argc, char **argv)
{
    weft_options_init(&setup.options);
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return false;
        *value = '\0';
        if (take_setting(argv[i], value + 1) < 0)
            return false;
    }
    setup.options.linger_ms = LINGER_MS;
    setup.options.log_level = WEFT_LOG_WARN;
    setup.options.on_log = on_log;
    setup.options.listen = setup.listen;
    if (setup.options.role == WEFT_ROLE_LEAF)
        setup.options.peers = setup.peers;
    return setup.tally != NULL;
}

/* Dialled often: that a node was away is to be forgotten soon. A leaf's router is anyway. */
static int dial(void)
{
    weft_dial_options o;
    if (setup.options.role == WEFT_ROLE_LEAF)
        return 0;
    weft_dial_options_init(&o);
    o.backoff_ms = 100;
    o.max_backoff_ms = 500;
    for (size_t i = 0; i < setup.peer_count; i++) {
        int rc = weft_node_dial(node, setup.peers[i], &o);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int start(void)
{
    int rc = heap_count();
    if (rc == 0)
        rc = weft_node_open(&setup.options, &node);
    if (rc == 0)
        rc = dial();
    if (rc == 0)
        rc = load_start(node, setup.seed);
    if (rc == 0)
        rc = hear_start(node, setup.tally, setup.fault);
    return rc;
}

int main(int argc, char **argv)
{
    char line[2 * ROUTE_TEXT];
    if (!take_settings(argc, argv)) {
        fputs("soak-node: see the head of node.c\n", stderr);
        return 2;
    }
    int rc = start();
    if (rc < 0) {
        say("failed to start: %s", weft_strerror(rc));
        return 1;
    }
    say("ready %s", weft_node_url(node));
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0)
        obey(line);
    load_hush();
    load_mark();
    load_stop();
    hear_stop();
    hear_report();
    rc = weft_node_close(node);
    say("bye");
    return rc < 0;
}
