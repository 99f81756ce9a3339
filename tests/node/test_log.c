/* Log lines as records: each thing once, with the event it tells of; and as plain lines. */
#include "fixture.h"

#define RECORDS_MAX 64

struct record {
    enum weft_log_level level;
    enum weft_event_type type; /* 0: no event */
    int error;
    char peer[128], line[512];
};

struct records {
    pthread_mutex_t lock;
    struct record items[RECORDS_MAX];
    size_t count, plain;
};

static struct records records = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_record(enum weft_log_level level, const char *text, const weft_event *event,
                      void *user)
{
    struct records *r = user;
    pthread_mutex_lock(&r->lock);
    if (r->count < RECORDS_MAX) {
        struct record *item = &r->items[r->count++];
        *item = (struct record){.level = level};
        snprintf(item->line, sizeof(item->line), "%s", text);
        if (event) {
            item->type = event->type;
            item->error = event->error;
            snprintf(item->peer, sizeof(item->peer), "%s", event->peer ? event->peer : "");
        }
    }
    pthread_mutex_unlock(&r->lock);
}

static void on_log(enum weft_log_level level, const char *text, void *user)
{
    struct records *r = user;
    pthread_mutex_lock(&r->lock);
    r->plain++;
    pthread_mutex_unlock(&r->lock);
}

static size_t count_of(enum weft_event_type type, struct record *ret_last)
{
    size_t n = 0;
    pthread_mutex_lock(&records.lock);
    for (size_t i = 0; i < records.count; i++) {
        if (records.items[i].type != type)
            continue;
        *ret_last = records.items[i];
        n++;
    }
    pthread_mutex_unlock(&records.lock);
    return n;
}

static weft_node *open_logged(const char *self, enum weft_log_level level, bool as_records)
{
    weft_options o = fx_options(self);
    pthread_mutex_lock(&records.lock);
    records.count = records.plain = 0;
    pthread_mutex_unlock(&records.lock);
    o.on_record = as_records ? on_record : NULL;
    o.on_log = on_log;
    o.log_level = level;
    o.user = &records;
    return fx_open_options(&o);
}

TEST(log, records_have_their_event)
{
    struct record up = {0}, down = {0};
    weft_node *a = open_logged("inproc://log/a", WEFT_LOG_INFO, true);
    weft_node *b = fx_open("inproc://log2/b", "inproc://log/a", NULL);
    UNTIL(count_of(WEFT_EVENT_PEER_UP, &up) == 1);
    CHECK_EQ(up.level, WEFT_LOG_INFO);
    CHECK_STR(up.peer, "inproc://log2/b");
    CHECK(strstr(up.line, "peer up: inproc://log2/b") == up.line);
    weft_node_close(b);
    UNTIL(count_of(WEFT_EVENT_PEER_DOWN, &down) == 1);
    CHECK(strstr(down.line, "peer down: inproc://log2/b") == down.line);
    CHECK_EQ(down.error, WEFT_ESHUTDOWN);
    CHECK_EQ(down.level, WEFT_LOG_INFO); /* it said goodbye */
    weft_node_close(a);
    CHECK_EQ(records.plain, 0);
}

TEST(log, without_records_lines_are_plain)
{
    weft_node *a = open_logged("inproc://log/a", WEFT_LOG_INFO, false);
    weft_node *b = fx_open("inproc://log2/b", "inproc://log/a", NULL);
    CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
    weft_node_close(b);
    weft_node_close(a);
    CHECK_EQ(records.count, 0);
    CHECK(records.plain >= 2);
}

TEST(log, what_is_above_the_level_is_not_made)
{
    struct record last;
    weft_node *a = open_logged("inproc://log/a", WEFT_LOG_WARN, true);
    weft_node *b = fx_open("inproc://log2/b", "inproc://log/a", NULL);
    CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
    weft_node_close(b);
    weft_node_close(a);
    CHECK_EQ(count_of(WEFT_EVENT_PEER_UP, &last), 0);
}
