/* What the router shows, against what the model says it must. */
#include <string.h>

#include "model_run.h"

struct model_intent *model_find_intent(uint32_t endpoint, const char *norm, const char *origin)
{
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        struct model_intent *i = &m.intents[k];
        if (i->used && i->endpoint == endpoint && strcmp(i->norm, norm) == 0 &&
            strcmp(i->origin, origin) == 0)
            return i;
    }
    return NULL;
}

static struct model_intent *of_record(const struct router_intent *record)
{
    for (uint32_t k = 0; k < MODEL_RECORDS; k++)
        if (m.intents[k].used && m.intents[k].record == record)
            return &m.intents[k];
    return NULL;
}

static void add_target(void *ctx, const struct router_target *target)
{
    *(uint64_t *)ctx += model_target_hash(target);
}

static uint64_t targets_of(struct router_intent *record)
{
    uint64_t sum = 0;
    router_each_target(router, record, add_target, &sum);
    return sum;
}

/* New records of links become known to the model here, as they do to the data plane. */
static void drain_changed(void)
{
    struct router_intent *r;
    while ((r = router_next_changed(router))) {
        if (r->dead) {
            REQUIRE(!of_record(r) && targets_of(r) == 0);
            router_release_intent(router, r);
            continue;
        }
        char norm[MODEL_TEXT];
        model_normal(r->route->text, norm);
        struct model_intent *i = model_find_intent(r->endpoint, norm, str_text(r->origin));
        REQUIRE(i && strcmp(i->route, r->route->text) == 0);
        i->record = r;
        i->targets = targets_of(r);
    }
}

static void check_intents(void)
{
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_intent *i = &m.intents[k];
        if (!i->used)
            continue;
        REQUIRE(i->record && i->record->alias != 0 && !i->record->dead);
        REQUIRE(i->record->schema == i->schema && i->record->link_alias == i->link_alias);
        REQUIRE(i->targets == model_targets(&m, i)); /* as of its last change */
        REQUIRE(targets_of(i->record) == i->targets);
        if (i->link_alias)
            REQUIRE(router_find_intent(router, i->endpoint, i->link_alias) == i->record);
        REQUIRE(router_find_intent_by_route(router, i->endpoint, i->norm, strlen(i->norm)));
    }
}

static uint32_t count_conflicts(struct model_conflict *out)
{
    uint32_t n = 0;
    for (uint32_t a = 0; a < MODEL_RECORDS; a++) {
        for (uint32_t b = 0; m.intents[a].used && b < MODEL_RECORDS; b++) {
            bool conflict = false;
            if (m.interests[b].used)
                model_linked(&m, &m.intents[a], &m.interests[b], &conflict);
            if (conflict)
                out[n++] =
                    (struct model_conflict){a, b, m.intents[a].schema, m.interests[b].schema};
        }
    }
    return n;
}

static struct model_conflict conflicts[2][MODEL_RECORDS * 64];
static uint32_t n_conflicts;

/* Conflicts that are there now and were not before the step. */
static uint32_t new_conflicts(void)
{
    struct model_conflict *now = conflicts[step & 1], *before = conflicts[~step & 1];
    uint32_t n = count_conflicts(now), fresh = n;
    for (uint32_t i = 0, k = 0; i < n; i++) { /* both are in order */
        while (k < n_conflicts && memcmp(&before[k], &now[i], 8) != 0 &&
               (before[k].intent < now[i].intent ||
                (before[k].intent == now[i].intent && before[k].interest < now[i].interest)))
            k++;
        if (k < n_conflicts && memcmp(&before[k], &now[i], sizeof(now[i])) == 0)
            fresh--;
    }
    n_conflicts = n;
    return fresh;
}

static void check_notices(void)
{
    struct router_notice notice;
    uint32_t told = 0;
    while (router_next_notice(router, &notice)) {
        if (notice.type == ROUTER_SCHEMA_CONFLICT) {
            REQUIRE(notice.ours && notice.theirs && notice.ours != notice.theirs);
            told++;
            continue;
        }
        struct model_interest *s = notice.interest;
        REQUIRE(s->used && s->told != (notice.type == ROUTER_INTEREST_MATCHED));
        s->told = !s->told;
    }
    REQUIRE(told == new_conflicts());
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_interest *s = &m.interests[k];
        if (!s->used || s->endpoint != ROUTER_LOCAL)
            continue;
        REQUIRE(router_interest_matches(s->handle) == model_matches(&m, s));
        REQUIRE(s->told == (model_matches(&m, s) > 0));
    }
}

/* A base peer keeps our interest as long as it has the intent. */
static void demand_sticky(uint32_t id, struct model_adverts *wanted)
{
    struct model_adverts *told = &m.told[id];
    for (uint32_t k = 0; k < told->count; k++) {
        struct model_advert *a = &told->items[k];
        if (!a->intent && !model_find_intent(id, a->norm, ""))
            *a = told->items[--told->count], k--;
    }
    for (uint32_t k = 0; k < told->count; k++)
        if (!told->items[k].intent)
            wanted->items[wanted->count++] = told->items[k];
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_intent *i = &m.intents[k];
        if (i->used && i->endpoint == id && model_parse(i->norm).kind == ROUTE_PLAIN &&
            model_wants(&m, id, i->norm))
            REQUIRE(model_find_advert(told, false, i->norm, ""));
    }
}

static void check_adverts(uint32_t id)
{
    static struct model_adverts wanted;
    struct router_digest digest, sum = {0};
    struct model_adverts *told = &m.told[id];
    model_demand(&m, id, &wanted);
    if (m.endpoints[id].base)
        demand_sticky(id, &wanted);
    REQUIRE(told->count == wanted.count);
    for (uint32_t k = 0; k < told->count; k++) {
        const struct model_advert *a = &told->items[k];
        const struct model_advert *w = model_find_advert(&wanted, a->intent, a->norm, a->origin);
        REQUIRE(w);
        if (a->intent && !m.endpoints[id].base)
            REQUIRE(a->alias == w->alias && a->schema == w->schema && a->hops == w->hops);
        REQUIRE(a->hops <= 8);
        uint64_t h = route_digest(a->route, strlen(a->route), a->origin, strlen(a->origin));
        sum.intents += a->intent;
        sum.interests += !a->intent;
        sum.intents_hash += a->intent ? h : 0;
        sum.interests_hash += a->intent ? 0 : h;
    }
    router_digest_sent(router, id, &digest);
    REQUIRE(memcmp(&digest, &sum, sizeof(sum)) == 0);
}

/* An advert names a schema only if it is that of all interests it stands for. */
static void check_schemas(void)
{
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_interest *s = &m.interests[k];
        for (uint32_t id = 1; s->used && id < MODEL_ENDPOINTS; id++) {
            if (!m.endpoints[id].attached || !model_visible(&m, id, s))
                continue;
            const struct model_advert *a = model_find_advert(&m.told[id], false, s->norm, "");
            REQUIRE(!a || a->schema == 0 || a->schema == s->schema);
        }
    }
}

static void check_held(uint32_t id)
{
    struct router_digest held, sum = {0};
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_intent *i = &m.intents[k];
        const struct model_interest *s = &m.interests[k];
        if (i->used && i->endpoint == id && !i->stale) {
            sum.intents++;
            sum.intents_hash +=
                route_digest(i->latest, strlen(i->latest), i->origin, strlen(i->origin));
        }
        if (s->used && s->endpoint == id && !s->stale) {
            sum.interests++;
            sum.interests_hash += route_digest(s->latest, strlen(s->latest), "", 0);
        }
    }
    router_digest_held(router, id, &held);
    REQUIRE(memcmp(&held, &sum, sizeof(sum)) == 0);
}

void model_check(void)
{
    struct router_advert advert;
    drain_changed();
    while (router_next_advert(router, &advert))
        model_hear(&m, &advert);
    check_intents();
    check_notices();
    check_schemas();
    for (uint32_t id = 1; id < MODEL_ENDPOINTS; id++) {
        if (!m.endpoints[id].attached)
            continue;
        check_adverts(id);
        check_held(id);
    }
    REQUIRE(router_next_broken(router) == 0);
}

void model_check_reset(void)
{
    n_conflicts = 0;
}
