/* What the tests of the node share: nodes opened in one line, events collected, and waiting that
 * ends as soon as the condition holds. Everything here goes through the public API. */
#ifndef TESTS_NODE_FIXTURE_H
#define TESTS_NODE_FIXTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <weft/admin.h>

#include "../check.h"

#define WAIT_MS 30000 /* no wait of a healthy node comes near it */

uint64_t fx_now_ms(void);
void fx_pause(void); /* between two looks at a condition */

/* Wait until an expression holds that no call of the API waits for. */
#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        uint64_t until_end = fx_now_ms() + WAIT_MS;                                                \
        while (!(cond)) {                                                                          \
            if (fx_now_ms() > until_end)                                                           \
                FAIL("not within %d ms: %s", WAIT_MS, #cond);                                      \
            fx_pause();                                                                            \
        }                                                                                          \
    } while (0)

/* ---- Events ---- */

#define EVENTS_MAX 4096

struct seen {
    enum weft_event_type type;
    int error;
    bool intent;
    char peer[128], route[128], text[512];
};

struct events {
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct seen items[EVENTS_MAX];
    size_t count;
};

void events_init(struct events *events);
void events_take(weft_node *node, const weft_event *event, void *user); /* an on_event */
size_t events_count(struct events *events, enum weft_event_type type);
/* Wait for the n-th event (from 1) of a type, and copy it. */
struct seen events_wait(struct events *events, enum weft_event_type type, size_t n);

/* ---- Nodes ---- */

/* A node on `self` that knows `peer`; each may be NULL, and so may events. */
weft_node *fx_open(const char *self, const char *peer, struct events *events);
/* As above, from options; the test fails with the error's text. */
weft_node *fx_open_options(const weft_options *options);
weft_options fx_options(const char *self);

size_t fx_peer_count(weft_node *node);
/* Is there exactly one link between two nodes, and do both sides mean the same one? */
bool fx_one_link(weft_node *a, weft_node *b);
weft_stats fx_stats(weft_node *node);
uint64_t fx_dropped(weft_node *node); /* for all reasons */
weft_intent *fx_publish(weft_node *node, const char *route);
weft_interest *fx_subscribe(weft_node *node, const char *route);

/* ---- Reports ---- */

#define FX_ALL_PARTS                                                                               \
    (WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_ROUTES | WEFT_PART_BOOK | WEFT_PART_INCIDENTS)

/* Of this node (url NULL) or a linked one; the test fails with the error's text. */
weft_report *fx_inspect(weft_node *node, const char *url, uint32_t parts, const char *route);

/* What weft_node_inspect_async came to. */
struct fx_told {
    pthread_mutex_t lock;
    pthread_cond_t came;
    int error;
    weft_report *report;
    unsigned count;
};
#define FX_TOLD_INIT                                                                               \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER                        \
    }

/* An on_report, whose user is a struct fx_told. */
void fx_told_take(int error, const char *text, weft_report *report, void *user);
void fx_told_wait(struct fx_told *told);

/* An address that nobody listens on. */
void fx_dead_url(char *url, size_t size);

/* Subscribe a route so often: told to peers once, and each a row of a report. */
void fx_subscribe_often(weft_node *node, const char *route, unsigned count);

/* A folder of its own, removed by fx_rmdir with the files in it. */
void fx_mkdir(char *buf, size_t size);
void fx_rmdir(const char *folder);

/* Raise the limit of open files to what is allowed. */
void fx_many_files(void);

#endif
