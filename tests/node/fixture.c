#include "fixture.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t fx_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void fx_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

/* ---- Events ---- */

void events_init(struct events *events)
{
    memset(events, 0, sizeof(*events));
    pthread_mutex_init(&events->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&events->came, &attr);
    pthread_condattr_destroy(&attr);
}

void events_take(weft_node *node, const weft_event *event, void *user)
{
    struct events *events = user;
    pthread_mutex_lock(&events->lock);
    if (events->count < EVENTS_MAX) {
        struct seen *s = &events->items[events->count++];
        s->type = event->type;
        s->error = event->error;
        s->intent = event->intent;
        snprintf(s->peer, sizeof(s->peer), "%s", event->peer ? event->peer : "");
        snprintf(s->route, sizeof(s->route), "%s", event->route ? event->route : "");
        snprintf(s->text, sizeof(s->text), "%s", event->text ? event->text : "");
    }
    pthread_cond_broadcast(&events->came);
    pthread_mutex_unlock(&events->lock);
}

/* lock held */
static const struct seen *nth(const struct events *events, enum weft_event_type type, size_t n)
{
    for (size_t i = 0; i < events->count; i++) {
        if (events->items[i].type == type && --n == 0)
            return &events->items[i];
    }
    return NULL;
}

size_t events_count(struct events *events, enum weft_event_type type)
{
    size_t n = 0;
    pthread_mutex_lock(&events->lock);
    for (size_t i = 0; i < events->count; i++)
        n += events->items[i].type == type;
    pthread_mutex_unlock(&events->lock);
    return n;
}

struct seen events_wait(struct events *events, enum weft_event_type type, size_t n)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += WAIT_MS / 1000;
    int rc = 0;
    pthread_mutex_lock(&events->lock);
    const struct seen *s;
    while (!(s = nth(events, type, n)) && rc == 0)
        rc = pthread_cond_timedwait(&events->came, &events->lock, &end);
    struct seen copy = s ? *s : (struct seen){0};
    pthread_mutex_unlock(&events->lock);
    if (!s)
        FAIL("event %d did not come %zu times", (int)type, n);
    return copy;
}

/* ---- Nodes ---- */

weft_options fx_options(const char *self)
{
    weft_options o;
    weft_options_init(&o);
    o.self = self;
    return o;
}

weft_node *fx_open_options(const weft_options *options)
{
    char *text = NULL;
    weft_node *node = NULL;
    int rc = weft_node_open_explain(options, &node, &text);
    if (rc < 0)
        FAIL("%s: %s: %s", options->self ? options->self : "(client)", weft_err_name(rc),
             text ? text : "");
    return node;
}

weft_node *fx_open(const char *self, const char *peer, struct events *events)
{
    weft_options o = fx_options(self);
    const char *peers[] = {peer, NULL};
    o.peers = peer ? peers : NULL;
    o.on_event = events ? events_take : NULL;
    o.user = events;
    return fx_open_options(&o);
}

size_t fx_peer_count(weft_node *node)
{
    weft_peer_info *peers;
    size_t n;
    CHECK_EQ(weft_node_peers(node, &peers, &n), 0);
    weft_peers_free(peers, n);
    return n;
}

/* How many links lead from one node to another; ret_inbound is of the last. */
static unsigned links_to(weft_node *from, weft_node *to, bool *ret_inbound)
{
    weft_peer_info *peers;
    size_t n;
    unsigned found = 0;
    CHECK_EQ(weft_node_peers(from, &peers, &n), 0);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(peers[i].url, weft_node_url(to)) != 0)
            continue;
        found++;
        *ret_inbound = peers[i].inbound;
    }
    weft_peers_free(peers, n);
    return found;
}

bool fx_one_link(weft_node *a, weft_node *b)
{
    bool in_a = false, in_b = false;
    return links_to(a, b, &in_a) == 1 && links_to(b, a, &in_b) == 1 && in_a != in_b;
}

weft_stats fx_stats(weft_node *node)
{
    weft_stats stats;
    CHECK_EQ(weft_node_stats(node, &stats), 0);
    return stats;
}

uint64_t fx_dropped(weft_node *node)
{
    weft_stats stats = fx_stats(node);
    uint64_t sum = 0;
    for (int i = 0; i < WEFT_DROP_REASONS; i++)
        sum += stats.dropped[i];
    return sum;
}

/* Where a machine is busy, a second without room says nothing. */
weft_intent *fx_publish(weft_node *node, const char *route)
{
    weft_publish_options o;
    weft_publish_options_init(&o);
    o.block_ms = WAIT_MS;
    weft_intent *intent;
    CHECK_EQ(weft_publish(node, route, &o, &intent), 0);
    return intent;
}

weft_interest *fx_subscribe(weft_node *node, const char *route)
{
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.block_ms = WAIT_MS;
    weft_interest *interest;
    CHECK_EQ(weft_subscribe(node, route, &o, &interest), 0);
    return interest;
}

/* The loop gets its turn in between. */
void fx_subscribe_often(weft_node *node, const char *route, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        fx_subscribe(node, route);
        if (i % 1000 == 0 || i == count)
            CHECK_EQ(fx_stats(node).interests, i);
    }
}

/* ---- Reports ---- */

weft_report *fx_inspect(weft_node *node, const char *url, uint32_t parts, const char *route)
{
    weft_query query;
    weft_query_init(&query);
    query.parts = parts;
    query.route = route;
    weft_report *report = NULL;
    char *text = NULL;
    int rc = weft_node_inspect(node, url, &query, WAIT_MS, &report, &text);
    if (rc < 0)
        FAIL("%s: %s", weft_err_name(rc), text ? text : "");
    return report;
}

void fx_told_take(int error, const char *text, weft_report *report, void *user)
{
    struct fx_told *told = user;
    pthread_mutex_lock(&told->lock);
    told->error = error;
    told->report = report;
    told->count++;
    pthread_cond_broadcast(&told->came);
    pthread_mutex_unlock(&told->lock);
}

void fx_told_wait(struct fx_told *told)
{
    pthread_mutex_lock(&told->lock);
    while (!told->count)
        pthread_cond_wait(&told->came, &told->lock);
    pthread_mutex_unlock(&told->lock);
}

void fx_dead_url(char *url, size_t size)
{
    weft_node *node = fx_open("tcp://127.0.0.1:0/gone", NULL, NULL);
    snprintf(url, size, "%s", weft_node_url(node));
    weft_node_close(node);
}

/* ---- Files ---- */

void fx_mkdir(char *buf, size_t size)
{
    snprintf(buf, size, "/tmp/weft-test-XXXXXX");
    CHECK(mkdtemp(buf) != NULL);
}

void fx_rmdir(const char *folder)
{
    chmod(folder, 0700);
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        char path[600];
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

void fx_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
