/* The grammar-aware mutator of sessions. An input is taken apart into records, the list is changed
 * as a whole (a scene comes in, records go, double, swap places, come from another input) or in one
 * field, and put together again. What comes out is a session that reaches as deep as the one it was
 * made of: a byte flipped anywhere would as a rule end it in the handshake. */
#include "session.h"

#include "base/prng.h"
#include "base/util.h"

#define RECORDS_MAX 256

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two,
                                 size_t two_size, uint8_t *out, size_t max_out, unsigned seed);

struct session {
    uint8_t config[CONFIG_SIZE];
    struct {
        uint8_t head[RECORD_HEAD]; /* n last */
        uint8_t bytes[255];
    } records[RECORDS_MAX];
    size_t count;
};

static struct session made, other;
static struct prng prng;

static unsigned pick(unsigned n)
{
    return (unsigned)prng_between(&prng, 0, n - 1);
}

/* ---- Apart and together ---- */

static void parse(struct session *s, const uint8_t *data, size_t size)
{
    struct input in = input_of(data, size);
    struct record r;
    for (size_t i = 0; i < CONFIG_SIZE; i++)
        s->config[i] = take_u8(&in);
    s->count = 0;
    while (s->count < RECORDS_MAX && take_record(&in, &r)) {
        uint8_t *h = s->records[s->count].head;
        const uint8_t head[RECORD_HEAD] = {r.op % OP_COUNT, r.slot, r.a, r.b, r.c, r.d, r.n};
        memcpy(h, head, sizeof(head));
        memcpy(s->records[s->count++].bytes, r.bytes, r.n);
    }
}

static size_t compose(const struct session *s, uint8_t *out, size_t max)
{
    size_t n = min_size(CONFIG_SIZE, max);
    memcpy(out, s->config, n);
    for (size_t i = 0; i < s->count; i++) {
        size_t bytes = s->records[i].head[RECORD_HEAD - 1];
        if (n + RECORD_HEAD + bytes > max)
            break;
        memcpy(out + n, s->records[i].head, RECORD_HEAD);
        memcpy(out + n + RECORD_HEAD, s->records[i].bytes, bytes);
        n += RECORD_HEAD + bytes;
    }
    return n;
}

/* ---- Records ---- */

/* Make room for one record at `at`; false: there is none. */
static bool open_gap(struct session *s, size_t at)
{
    if (s->count == RECORDS_MAX)
        return false;
    memmove(&s->records[at + 1], &s->records[at], (s->count - at) * sizeof(s->records[0]));
    memset(&s->records[at], 0, sizeof(s->records[0]));
    s->count++;
    return true;
}

static void drop(struct session *s, size_t at)
{
    s->count--;
    memmove(&s->records[at], &s->records[at + 1], (s->count - at) * sizeof(s->records[0]));
}

static void put(struct session *s, size_t *at, enum op op, unsigned slot, unsigned a, unsigned b,
                unsigned c, unsigned d)
{
    if (!open_gap(s, *at))
        return;
    const uint8_t head[RECORD_HEAD] = {(uint8_t)op, (uint8_t)slot, (uint8_t)a,
                                       (uint8_t)b,  (uint8_t)c,    (uint8_t)d};
    memcpy(s->records[(*at)++].head, head, sizeof(head));
}

static void put_bytes(struct session *s, size_t at, size_t n)
{
    s->records[at].head[RECORD_HEAD - 1] = (uint8_t)n;
    for (size_t i = 0; i < n; i++)
        s->records[at].bytes[i] = (uint8_t)pick(pick(2) ? 30 : 256);
}

/* Declarations that are as a rule well-formed: route, how, alias, origin. */
static void put_decls(struct session *s, size_t *at, unsigned slot)
{
    unsigned n = 1 + pick(8);
    put(s, at, OP_DECLS, slot, pick(4), pick(4) == 0, 0, 0);
    if (*at == 0)
        return;
    uint8_t *bytes = s->records[*at - 1].bytes;
    s->records[*at - 1].head[RECORD_HEAD - 1] = (uint8_t)(4 * n);
    for (unsigned i = 0; i < n; i++) {
        bytes[4 * i] = (uint8_t)pick(pick(4) ? 26 : 256);
        bytes[4 * i + 1] = (uint8_t)(pick(4) == 0 ? pick(256) : 0);
        bytes[4 * i + 2] = (uint8_t)(pick(3) ? 1 + pick(200) : 0);
        bytes[4 * i + 3] = (uint8_t)(pick(4) == 0 ? pick(URLS) : 0);
    }
}

/* A little time, or one after which something is due. */
static void put_time(struct session *s, size_t *at)
{
    put(s, at, OP_TIME, 0, pick(2) ? 20 + pick(14) : pick(36), pick(16), 0, 0);
}

/* How a handshake may be told: as a rule as it should be. */
static void put_shake(struct session *s, size_t *at, unsigned slot)
{
    static const uint8_t features[] = {0, 0, 0, 0x3b, 0x13, 0x2b, 1};
    put(s, at, OP_SHAKE, slot, pick(4) == 0, features[pick(ARRAY_LEN(features))],
        pick(4) ? 0 : pick(256), pick(3) ? pick(2) : pick(64));
}

static void put_any(struct session *s, size_t *at, unsigned slot)
{
    static const uint8_t ops[] = {
        OP_PEERS,  OP_BOOK,    OP_DIGEST, OP_DIGEST,  OP_PING,  OP_PONG,   OP_GOODBYE, OP_RESULT,
        OP_GREET,  OP_MESSAGE, OP_TYPE,   OP_DAMAGE,  OP_CUT,   OP_CUT,    OP_WALL,    OP_OPEN,
        OP_OPEN,   OP_CLOSE,   OP_DIAL,   OP_FORGET,  OP_BAN,   OP_ASK,    OP_SELF,    OP_LOSE,
        OP_OPENED, OP_RAW,     OP_STARVE, OP_RESTART, OP_QUERY, OP_ANSWER, OP_INQUIRE, OP_REPLY};
    enum op op = (enum op)ops[pick(ARRAY_LEN(ops))];
    unsigned a = op == OP_STARVE ? 0 : pick(pick(2) ? 4 : URLS);
    put(s, at, op, slot, a, pick(pick(2) ? 4 : 256), pick(4), pick(4));
    if (*at && pick(2))
        put_bytes(s, *at - 1, pick(24));
}

/* ---- Scenes ---- */

static void come_in(struct session *s, size_t *at, unsigned slot, unsigned who)
{
    put(s, at, OP_CONNECT, slot, who, pick(8) == 0, 0, 0);
    put_shake(s, at, slot);
}

static void dial_out(struct session *s, size_t *at, unsigned slot, unsigned who)
{
    put(s, at, OP_DIAL, 0, who, pick(2), 0, 0);
    if (pick(2))
        put_time(s, at);
    put(s, at, OP_OPENED, slot, 0, 0, pick(4) ? 0 : 128 + who, 0);
    put_shake(s, at, slot);
}

/* Some links of one node, from either side, and what brings them to their end: the DIGEST that
 * agrees, and GOODBYE, in any order. */
static void scene_links(struct session *s, size_t *at)
{
    unsigned who = pick(2) ? 0 : pick(WHOS), slot = pick(3), n = pick(4) ? 2 : 3 + pick(6);
    for (unsigned i = 0; i < n; i++) {
        (pick(2) ? come_in : dial_out)(s, at, slot + i, pick(4) && who == 0 ? pick(2) * 5 : who);
        if (pick(3) == 0)
            put_decls(s, at, slot + i);
        if (pick(4) == 0)
            put_time(s, at);
    }
    for (unsigned i = 0; i < n + 1; i++) {
        if (pick(2))
            put(s, at, OP_DIGEST, slot + pick(n), pick(4) == 0, pick(3), 0, 0);
        else
            put(s, at, OP_GOODBYE, slot + pick(n), pick(4) ? 2 : pick(6), 0, 0, 0);
    }
}

static void scene_routes(struct session *s, size_t *at)
{
    unsigned slot = pick(4);
    put(s, at, OP_OPEN, 0, pick(2), pick(26), pick(3), 0);
    put_decls(s, at, slot);
    if (pick(2))
        put_decls(s, at, slot);
    if (pick(2))
        put(s, at, OP_CLOSE, 0, pick(4), 0, 0, 0);
    put(s, at, OP_DIGEST, slot, pick(3), pick(3), 0, 0);
}

/* Questions either way, and answers in any order. */
static void scene_questions(struct session *s, size_t *at)
{
    static const uint8_t ops[] = {OP_QUERY, OP_REPLY, OP_INQUIRE, OP_ANSWER, OP_ANSWER, OP_RESULT};
    unsigned slot = pick(4);
    for (unsigned n = 2 + pick(6); n; n--) {
        put(s, at, (enum op)ops[pick(ARRAY_LEN(ops))], slot, pick(4), pick(4),
            pick(pick(2) ? 4 : 256), pick(4));
        if (pick(6) == 0)
            put_time(s, at);
    }
}

static void scene(struct session *s, size_t *at)
{
    switch (pick(9)) {
    case 0:
        come_in(s, at, pick(4), pick(WHOS));
        break;
    case 1:
        dial_out(s, at, pick(4), pick(WHOS));
        break;
    case 2:
        scene_links(s, at);
        break;
    case 3:
        scene_routes(s, at);
        break;
    case 4:
        put_decls(s, at, pick(4));
        break;
    case 5:
        put_time(s, at);
        break;
    case 6:
        scene_questions(s, at);
        break;
    default:
        put_any(s, at, pick(4));
        break;
    }
}

/* ---- Mutation ---- */

static void change_field(struct session *s, size_t i)
{
    uint8_t *field = &s->records[i].head[pick(RECORD_HEAD - 1)];
    switch (pick(4)) {
    case 0:
        *field = (uint8_t)pick(256);
        break;
    case 1:
        *field = (uint8_t)pick(8);
        break;
    case 2:
        *field ^= (uint8_t)(1u << pick(8));
        break;
    default:
        *field = (uint8_t)(*field + pick(3) - 1);
        break;
    }
    s->records[i].head[0] %= OP_COUNT;
}

static void change_bytes(struct session *s, size_t i)
{
    uint8_t *n = &s->records[i].head[RECORD_HEAD - 1];
    if (*n == 0)
        put_bytes(s, i, pick(16));
    else
        *n = (uint8_t)LLVMFuzzerMutate(s->records[i].bytes, *n, 250);
}

/* Records of another session behind `at`. */
static void splice(struct session *s, size_t at)
{
    if (other.count == 0)
        return;
    size_t from = pick((unsigned)other.count), n = 1 + pick(12);
    for (size_t i = from; i < other.count && i < from + n && open_gap(s, at); i++)
        s->records[at++] = other.records[i];
}

static void mutate_once(struct session *s)
{
    size_t at = pick((unsigned)s->count + 1);
    size_t i = s->count ? pick((unsigned)s->count) : 0;
    unsigned how = pick(s->count ? 16 : 4);
    if (how < 6) {
        scene(s, &at);
    } else if (how < 9) {
        change_field(s, i);
    } else if (how < 11) {
        change_bytes(s, i);
    } else if (how < 13) {
        drop(s, i);
    } else if (how == 13 && open_gap(s, at)) {
        s->records[at] = s->records[i + (i >= at)];
    } else if (how == 14) {
        struct session *t = s;
        size_t j = pick((unsigned)s->count);
        uint8_t room[sizeof(t->records[0])];
        memcpy(room, &t->records[i], sizeof(room));
        t->records[i] = t->records[j];
        memcpy(&t->records[j], room, sizeof(room));
    } else {
        s->config[pick(CONFIG_SIZE)] = (uint8_t)pick(pick(2) ? 8 : 256);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    prng_init(&prng, seed);
    parse(&made, data, size);
    for (unsigned n = 1 + pick(4); n; n--)
        mutate_once(&made);
    return compose(&made, data, max_size);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two,
                                 size_t two_size, uint8_t *out, size_t max_out, unsigned seed)
{
    prng_init(&prng, seed);
    parse(&made, one, one_size);
    parse(&other, two, two_size);
    splice(&made, pick((unsigned)made.count + 1));
    return compose(&made, out, max_out);
}
