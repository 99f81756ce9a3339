/* Random operations on a router and on the naive model; after each, everything that can be seen of
 * the router is compared with what the rules demand. */
#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

#include "base/prng.h"
#include "base/util.h"
#include "model_run.h"
#include "proto/codec.h"

struct model m;
struct router *router;
uint64_t seed;
unsigned step;
static struct prng prng;

static uint32_t pick(uint32_t n)
{
    return (uint32_t)prng_between(&prng, 0, n - 1);
}

/* ---- Random names ---- */

static void random_route(char *out, bool pattern)
{
    static const char *const names[] = {"a", "b", "*", "**"};
    static const char *const types[] = {"T", "p.U", "*"};
    uint32_t n_names = pattern ? 4 : 2;
    int n = snprintf(out, MODEL_TEXT, "%s@", types[pick(pattern ? 3 : 2)]);
    uint32_t depth = 1 + pick(3);
    for (uint32_t i = 0; i < depth; i++)
        n += snprintf(out + n, MODEL_TEXT - (size_t)n, "%s%s",
                      i == 0         ? ""
                      : pick(4) == 0 ? "/"
                                     : ".",
                      names[pick(n_names)]);
    if (pattern || pick(5) > 0)
        return;
    char hashed[MODEL_TEXT];
    struct route r = model_parse(out);
    size_t prefix = pick(2) ? path_first(r.path, r.path_len).len : r.path_len;
    REQUIRE(route_hash(&r, r.path, prefix, hashed, sizeof(hashed)) > 0);
    snprintf(out, MODEL_TEXT, "%s", hashed);
}

static bool random_endpoint(uint32_t *ret_id)
{
    *ret_id = 1 + pick(MODEL_ENDPOINTS - 1);
    return m.endpoints[*ret_id].attached;
}

/* ---- Finding in the model ---- */

static struct model_interest *find_interest(uint32_t endpoint, const char *norm)
{
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        struct model_interest *s = &m.interests[k];
        if (s->used && s->endpoint == endpoint && strcmp(s->norm, norm) == 0)
            return s;
    }
    return NULL;
}

static struct model_intent *free_intent(void)
{
    for (uint32_t k = 0; k < MODEL_RECORDS; k++)
        if (!m.intents[k].used)
            return &m.intents[k];
    FAIL("model is full");
    return NULL;
}

static struct model_interest *free_interest(void)
{
    for (uint32_t k = 0; k < MODEL_RECORDS; k++)
        if (!m.interests[k].used)
            return &m.interests[k];
    FAIL("model is full");
    return NULL;
}

static const char *publisher(const struct model_intent *i)
{
    return i->origin[0] ? i->origin : m.endpoints[i->endpoint].name;
}

static void show(struct model_intent *i)
{
    bool taken = false;
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_intent *o = &m.intents[k];
        taken = taken || (o->used && o != i && strcmp(o->norm, i->norm) == 0 &&
                          strcmp(publisher(o), publisher(i)) == 0);
    }
    if (taken && i->endpoint)
        snprintf(i->shown, sizeof(i->shown), "%s?link=%u", publisher(i), i->endpoint);
    else
        snprintf(i->shown, sizeof(i->shown), "%s", i->endpoint ? publisher(i) : "");
}

/* ---- Operations ---- */

static struct model_intent *new_intent(uint32_t endpoint, const char *route, const char *origin)
{
    struct model_intent *i = free_intent();
    *i = (struct model_intent){.used = true, .endpoint = endpoint, .targets = UINT64_MAX};
    snprintf(i->route, sizeof(i->route), "%s", route);
    snprintf(i->origin, sizeof(i->origin), "%s", origin);
    model_normal(route, i->norm);
    show(i);
    return i;
}

static void open_intent(void)
{
    char route[MODEL_TEXT], norm[MODEL_TEXT];
    random_route(route, false);
    model_normal(route, norm);
    uint64_t schema = pick(3);
    struct router_intent *record;
    int rc = router_open_intent(router, route, schema, NULL, &record);
    struct model_intent *i = model_find_intent(ROUTER_LOCAL, norm, "");
    if (i && schema && i->schema && schema != i->schema) {
        REQUIRE(rc == WEFT_ESCHEMA);
        return;
    }
    REQUIRE(rc == 0 && (!i || i->record == record));
    if (!i)
        i = new_intent(ROUTER_LOCAL, route, "");
    i->refs++;
    i->record = record;
    i->schema = i->schema ? i->schema : schema;
}

static void close_intent(void)
{
    struct model_intent *i = &m.intents[pick(MODEL_RECORDS / 4)];
    if (!i->used || i->endpoint != ROUTER_LOCAL)
        return;
    router_close_intent(router, i->record);
    i->used = --i->refs > 0;
}

static void open_interest(void)
{
    struct model_interest *s = free_interest();
    *s = (struct model_interest){.used = true, .schema = pick(3)};
    random_route(s->route, pick(2));
    model_normal(s->route, s->norm);
    REQUIRE(router_open_interest(router, s->route, s->schema, s, &s->handle) == 0);
}

static void close_interest(void)
{
    struct model_interest *s = &m.interests[pick(MODEL_RECORDS / 4)];
    if (!s->used || s->endpoint != ROUTER_LOCAL)
        return;
    router_close_interest(router, s->handle);
    s->used = false;
}

static int intent_refusal(const struct model_intent *known, const struct decl *d, uint32_t id)
{
    struct route r = model_parse(d->route);
    const struct model_endpoint *e = &m.endpoints[id];
    if (r.kind == ROUTE_PATTERN)
        return WEFT_EPATTERN;
    if (d->hops > 8)
        return WEFT_EPROTO;
    if (!e->base && e->class != ENDPOINT_UPLINK && !route_in_scope(&r, e->path, strlen(e->path)))
        return WEFT_ESCOPE;
    for (uint32_t k = 0; d->alias && k < MODEL_RECORDS; k++) {
        const struct model_intent *o = &m.intents[k];
        if (o->used && o != known && o->endpoint == id && o->link_alias == d->alias)
            return WEFT_EPROTO;
    }
    return 0;
}

/* Hops near the limit more often than chance would have it. */
static uint64_t random_hops(void)
{
    return pick(4) ? pick(3) : 6 + pick(4);
}

/* Half the time what the endpoint has declared already, if a guess hits. */
static const struct model_intent *guess_intent(uint32_t id)
{
    for (int tries = 0; tries < 20; tries++) {
        const struct model_intent *i = &m.intents[pick(MODEL_RECORDS / 8)];
        if (i->used && i->endpoint == id)
            return i;
    }
    return NULL;
}

static void learn_intent(void)
{
    static const char *const origins[] = {"", "", "tcp://o:1/a", "tcp://n:1/"};
    char route[MODEL_TEXT], norm[MODEL_TEXT];
    uint32_t id;
    if (!random_endpoint(&id))
        return;
    random_route(route, pick(20) == 0);
    model_normal(route, norm);
    const struct model_endpoint *e = &m.endpoints[id];
    struct decl d = {
        .route = route,
        .registered = pick(3) > 0,
        .schema = e->base ? 0 : pick(3),
        .alias = e->base ? 0 : pick(400),
        .hops = random_hops(),
        .origin = e->base ? "" : origins[pick(4)],
    };
    const struct model_intent *again = pick(2) ? guess_intent(id) : NULL;
    if (again) {
        snprintf(route, sizeof(route), "%s", again->route);
        d.origin = again->origin;
        d.alias = pick(2) ? again->link_alias : d.alias;
        model_normal(route, norm);
    }
    struct model_intent *i = model_find_intent(id, norm, d.origin);
    int refused = d.registered ? intent_refusal(i, &d, id) : 0;
    REQUIRE(router_learn_intent(router, id, &d, 1) == refused);
    if (refused)
        return;
    if (!d.registered) {
        if (i)
            i->used = false;
        return;
    }
    if (!i)
        i = new_intent(id, route, d.origin);
    i->stale = false;
    snprintf(i->latest, sizeof(i->latest), "%s", route);
    i->link_alias = d.alias;
    i->schema = d.schema;
    i->hops = (uint32_t)d.hops;
}

static void learn_interest(void)
{
    char route[MODEL_TEXT], norm[MODEL_TEXT];
    uint32_t id;
    if (!random_endpoint(&id))
        return;
    const struct model_endpoint *e = &m.endpoints[id];
    random_route(route, e->patterns && pick(2));
    model_normal(route, norm);
    struct decl d = {.route = route,
                     .registered = pick(3) > 0,
                     .schema = e->base ? 0 : pick(3),
                     .hops = random_hops(),
                     .origin = ""};
    int refused = d.registered && d.hops > 8 ? WEFT_EPROTO : 0;
    REQUIRE(router_learn_interest(router, id, &d, 1) == refused);
    struct model_interest *s = find_interest(id, norm);
    if (refused)
        return;
    if (!d.registered) {
        if (s)
            s->used = false;
        return;
    }
    if (!s) {
        s = free_interest();
        *s = (struct model_interest){.used = true, .endpoint = id};
        snprintf(s->route, sizeof(s->route), "%s", route);
        snprintf(s->norm, sizeof(s->norm), "%s", norm);
    }
    s->stale = false;
    snprintf(s->latest, sizeof(s->latest), "%s", route);
    s->schema = d.schema;
    s->hops = (uint32_t)d.hops;
}

static void attach(void)
{
    static const char *const paths[] = {"", "", "a", "a.b", "b"};
    uint32_t id;
    if (random_endpoint(&id))
        return;
    struct model_endpoint *e = &m.endpoints[id];
    *e = (struct model_endpoint){.attached = true, .class = (enum endpoint_class)pick(3)};
    e->base = pick(5) == 0;
    e->patterns = !e->base && pick(3) > 0;
    snprintf(e->path, sizeof(e->path), "%s", paths[pick(5)]);
    snprintf(e->name, sizeof(e->name), "tcp://n:%u/", pick(3)); /* some share a name */
    struct endpoint_options options = {.class = e->class,
                                       .path = e->path,
                                       .name = e->name,
                                       .base = e->base,
                                       .patterns = e->patterns};
    m.told[id].count = 0;
    REQUIRE(router_attach(router, id, &options, false) == 0);
    REQUIRE(router_attach(router, id, &options, false) == WEFT_EEXIST);
}

static void drop_of(uint32_t id, bool stale_only)
{
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        struct model_intent *i = &m.intents[k];
        struct model_interest *s = &m.interests[k];
        if (i->used && i->endpoint == id && (i->stale || !stale_only))
            i->used = false;
        if (s->used && s->endpoint == id && (s->stale || !stale_only))
            s->used = false;
    }
}

static void detach(void)
{
    uint32_t id;
    if (!random_endpoint(&id) || pick(4))
        return;
    router_detach(router, id);
    drop_of(id, false);
    m.endpoints[id].attached = false;
}

static void resync(void)
{
    uint32_t id;
    if (!random_endpoint(&id))
        return;
    struct model_endpoint *e = &m.endpoints[id];
    if (!e->resyncing) {
        router_resync_begin(router, id);
        for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
            m.intents[k].stale = m.intents[k].stale || m.intents[k].endpoint == id;
            m.interests[k].stale = m.interests[k].stale || m.interests[k].endpoint == id;
        }
    } else {
        router_resync_end(router, id);
        drop_of(id, true);
    }
    e->resyncing = !e->resyncing;
}

static void readvertise(void)
{
    uint32_t id;
    if (random_endpoint(&id))
        router_readvertise(router, id);
}

static void run(uint64_t with_seed, unsigned steps)
{
    static void (*const operations[])(void) = {
        open_intent,  close_intent, open_interest,  close_interest, learn_intent,
        learn_intent, learn_intent, learn_interest, learn_interest, attach,
        detach,       resync,       readvertise,
    };
    struct router_config config = {.max_routes = 100000};
    seed = with_seed;
    prng_init(&prng, seed);
    memset(&m, 0, sizeof(m));
    m.endpoints[0] = (struct model_endpoint){.attached = true, .local = true, .patterns = true};
    model_check_reset();
    REQUIRE(router_new(&config, &router) == 0);
    for (step = 0; step < steps; step++) {
        operations[pick(ARRAY_LEN(operations))]();
        model_check();
    }
    router_free(router);
}

TEST(router_model, agrees_with_the_rules)
{
    for (uint64_t s = 1; s <= 12; s++)
        run(s, 400);
}
