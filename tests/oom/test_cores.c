/* What the cores stand on, while the n-th allocation fails: uthash's tables, buffers, strings. And
 * the handshake, which allocates nothing. Routers, address books, meshes and the codec have tests
 * of this kind beside their others. */
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "base/util.h"
#include "tests/handshake/pair.h"
#include "tests/oom/oom.h"

#define ENTRIES 2000 /* uthash's table grows five times */

struct entry {
    struct map_node node;
    uint32_t key;
};

static bool holds(const struct map *map, uint32_t key)
{
    struct map_node *found = map_get(map, &key, sizeof(key));
    return found && container_of(found, struct entry, node)->key == key;
}

/* An entry that could not be added is not in, all others are, and it may be tried again. */
static void tables(void)
{
    static struct entry entries[ENTRIES];
    struct map map = {0};
    uint32_t count = 0;
    for (; count < ENTRIES; count++) {
        struct entry *e = &entries[count];
        *e = (struct entry){.key = count};
        int rc;
        do {
            rc = map_put(&map, &e->node, &e->key, sizeof(e->key));
            CHECK_EQ(holds(&map, count), rc == 0);
            CHECK_EQ(map_count(&map), count + (rc == 0));
            CHECK(count == 0 || holds(&map, count - 1));
        } while (oom_again(rc));
        if (rc < 0)
            break;
    }
    for (uint32_t key = 0; key < ENTRIES; key++)
        CHECK_EQ(holds(&map, key), key < count);
    for (uint32_t key = 0; key < count; key++)
        map_del(&map, &entries[key].node);
    CHECK_EQ(map_count(&map), 0);
}

TEST(oom_cores, tables)
{
    oom_each("tables", &(struct oom_plan){.at_least = 6}, tables);
}

/* A buffer that has failed stays failed, keeps what it had, and may be used anew. */
static void buffers(void)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    size_t len = 0;
    for (int i = 0; i < 3000; i++) {
        bool ok = buf_printf(&b, "%d %s ", i, "some text") && buf_put_u64(&b, (uint64_t)i);
        CHECK(ok || (oom_failed() && b.error == WEFT_ENOMEM));
        CHECK(b.len >= len);
        len = b.len;
    }
    CHECK(b.error || b.len > 3000 * 8);
    int rc = b.error;
    buf_reset(&b);
    CHECK_EQ(b.error, 0);
    CHECK(rc == 0 || oom_mode() != OOM_ONCE || buf_put_u32(&b, 7));
    buf_fini(&b);
    struct str *s = str_new("a.b", 3);
    CHECK(s ? strcmp(s->text, "a.b") == 0 : oom_failed());
    str_unref(s);
}

TEST(oom_cores, buffers)
{
    oom_each("buffers", &(struct oom_plan){.at_least = 8}, buffers);
}

TEST(oom_cores, a_handshake_allocates_nothing)
{
    struct pair pair;
    oom_arm(1, UINT64_MAX);
    pair_init(&pair, "tcp://10.0.0.1:7400/a", "tcp://10.0.0.2:7400/b");
    CHECK_EQ(pair_run(&pair, "tcp://10.0.0.2:7400/b"), 0);
    CHECK_EQ(oom_count(), 0);
}
