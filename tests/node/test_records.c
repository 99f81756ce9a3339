/* Records and the pool against a list: random messages written, read and dropped, with names that
 * change or do not; what comes out is what went in. Blocks come back from other threads, and
 * outlive the pool's owner. */
#include <pthread.h>

#include "../check.h"

#include "base/mem.h"
#include "base/prng.h"
#include "node/records.h"

#define MODEL_MAX 4096
#define NAMES 3
#define STEPS 60000
#define SIZE_MAX_ 6000u

struct expected {
    uint32_t size, place;
    uint64_t time;
    int name;
};

struct world {
    pthread_mutex_t lock;
    struct msg_pool *pool;
    struct records row;
    struct prng prng;
    struct str *routes[NAMES], *senders[NAMES];
    struct expected model[MODEL_MAX];
    unsigned head, count;
    uint8_t noise[2 * SIZE_MAX_];
};

static void open_world(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    pthread_mutex_init(&w->lock, NULL);
    w->pool = pool_new(&w->lock);
    CHECK(w->pool != NULL);
    prng_init(&w->prng, seed);
    prng_fill(&w->prng, w->noise, sizeof(w->noise));
    for (int i = 0; i < NAMES; i++) {
        char text[16];
        snprintf(text, sizeof(text), "t.X@p%d", i);
        w->routes[i] = str_new(text, strlen(text));
        w->senders[i] = str_new(text + 4, strlen(text) - 4);
    }
}

static void close_world(struct world *w)
{
    records_fini(&w->row);
    pool_close(w->pool);
    for (int i = 0; i < NAMES; i++) {
        str_unref(w->routes[i]);
        str_unref(w->senders[i]);
    }
    pthread_mutex_destroy(&w->lock);
}

static uint32_t below(struct world *w, uint32_t n)
{
    return (uint32_t)(prng_next(&w->prng) % n);
}

static void push(struct world *w)
{
    struct expected e = {.time = prng_next(&w->prng), .place = below(w, SIZE_MAX_)};
    e.size = below(w, 8) ? below(w, 100) : below(w, SIZE_MAX_);
    e.name = below(w, 4) || !w->count ? (int)below(w, NAMES)
                                      : w->model[(w->head + w->count - 1) % MODEL_MAX].name;
    struct parcel p = {.data = w->noise + e.place,
                       .size = e.size,
                       .time = e.time,
                       .route = w->routes[e.name],
                       .sender = w->senders[e.name]};
    if (e.size > RECORD_COPY_MAX)
        p.msg = msg_copy(NULL, p.data, p.size, p.route, p.sender, p.time);
    CHECK_EQ(records_push(&w->row, &p), 0);
    weft_msg_unref(p.msg);
    w->model[(w->head + w->count++) % MODEL_MAX] = e;
}

static struct expected next(struct world *w)
{
    struct expected e = w->model[w->head];
    w->head = (w->head + 1) % MODEL_MAX;
    w->count--;
    return e;
}

static void pop(struct world *w)
{
    struct expected e = next(w);
    weft_msg *msg = records_pop(&w->row, w->pool);
    CHECK(msg != NULL);
    CHECK_EQ(weft_msg_size(msg), e.size);
    CHECK(memcmp(weft_msg_data(msg), w->noise + e.place, e.size) == 0);
    CHECK_EQ(weft_msg_time(msg), e.time);
    CHECK_STR(weft_msg_route(msg), w->routes[e.name]->text);
    CHECK_STR(weft_msg_sender(msg), w->senders[e.name]->text);
    weft_msg_unref(msg);
}

static void drop(struct world *w)
{
    size_t expected = next(w).size, size = records_drop(&w->row);
    CHECK_EQ(size, expected);
}

TEST(records, what_goes_in_comes_out_in_order)
{
    static struct world w;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        open_world(&w, seed);
        for (int step = 0; step < STEPS; step++) {
            /* Now and then it fills up, now and then it runs dry. */
            uint32_t fill = step / 2000 % 2 ? 45 : 55;
            CHECK_EQ(w.row.count, w.count);
            if (below(&w, 100) < fill ? w.count < MODEL_MAX : w.count == 0)
                push(&w);
            else if (w.count == 0)
                records_trim(&w.row);
            else if (below(&w, 10))
                pop(&w);
            else
                drop(&w);
        }
        close_world(&w);
    }
}

TEST(records, a_row_that_is_emptied_gives_its_memory_back)
{
    static struct world w;
    open_world(&w, 9);
    while (w.row.cap < 256u << 10)
        push(&w);
    size_t cap = w.row.cap;
    records_trim(&w.row);
    CHECK_EQ(w.row.cap, cap); /* not while something is in it */
    while (w.count)
        pop(&w);
    records_trim(&w.row);
    CHECK_EQ(w.row.cap, 0u);
    push(&w);
    pop(&w);
    close_world(&w);
}

/* ---- The pool ---- */

#define HANDED 20000

struct hand {
    weft_msg *msgs[HANDED];
};

static void *release_all(void *arg)
{
    struct hand *hand = arg;
    for (int i = 0; i < HANDED; i++)
        weft_msg_unref(hand->msgs[i]);
    return NULL;
}

static void copy_all(struct world *w, struct hand *hand)
{
    for (int i = 0; i < HANDED; i++) {
        pthread_mutex_lock(&w->lock);
        hand->msgs[i] = msg_copy(w->pool, &i, sizeof(i), w->routes[i % NAMES], NULL, 0);
        pthread_mutex_unlock(&w->lock);
    }
    for (int i = 0; i < HANDED; i++) {
        CHECK(memcmp(weft_msg_data(hand->msgs[i]), &i, sizeof(i)) == 0);
        CHECK_STR(weft_msg_route(hand->msgs[i]), w->routes[i % NAMES]->text);
    }
}

TEST(pool, blocks_come_back_from_another_thread_and_outlive_it)
{
    static struct world w;
    static struct hand hand;
    pthread_t thread;
    open_world(&w, 1);
    for (int round = 0; round < 5; round++) {
        copy_all(&w, &hand);
        CHECK_EQ(pthread_create(&thread, NULL, release_all, &hand), 0);
        if (round % 2)
            pool_trim(w.pool, (uint64_t)round * 2 * NS_PER_SEC); /* while they come back */
        pthread_join(thread, NULL);
    }
    copy_all(&w, &hand);
    CHECK_EQ(pthread_create(&thread, NULL, release_all, &hand), 0);
    close_world(&w); /* the rest comes back when nobody waits for it */
    pthread_join(thread, NULL);
}
