/* The rules of router.h and of docs/protocol.md section 5, one after the other. */
#include <stdio.h>
#include <string.h>

#include "model.h"
#include "tests/check.h"

static bool near(const struct model *m, uint32_t id)
{
    return id == ROUTER_LOCAL || m->endpoints[id].class == ENDPOINT_LEAF;
}

bool model_hears(const struct model *m, uint32_t to, uint32_t from)
{
    if (to == from || to == ROUTER_LOCAL)
        return false;
    return m->endpoints[to].class == ENDPOINT_LEAF || near(m, from);
}

bool model_linked(const struct model *m, const struct model_intent *i,
                  const struct model_interest *s, bool *ret_conflict)
{
    struct route route = model_parse(i->norm), interest = model_parse(s->norm);
    *ret_conflict = false;
    if (!route_covers(&interest, &route))
        return false;
    if (!near(m, i->endpoint) && !near(m, s->endpoint))
        return false;
    if (i->endpoint == s->endpoint && i->endpoint != ROUTER_LOCAL)
        return false;
    if (route.kind == ROUTE_HASHED &&
        (m->endpoints[i->endpoint].base || m->endpoints[s->endpoint].base))
        return false;
    *ret_conflict = i->schema && s->schema && i->schema != s->schema;
    return !*ret_conflict;
}

uint32_t model_matches(const struct model *m, const struct model_interest *s)
{
    uint32_t count = 0;
    bool conflict;
    for (uint32_t k = 0; k < MODEL_RECORDS; k++)
        count += m->intents[k].used && model_linked(m, &m->intents[k], s, &conflict);
    return count;
}

static bool relayed(const struct model *m, uint32_t to, const struct model_intent *i)
{
    return model_hears(m, to, i->endpoint) && (i->endpoint == ROUTER_LOCAL || i->hops < 8);
}

bool model_visible(const struct model *m, uint32_t to, const struct model_interest *s)
{
    return model_hears(m, to, s->endpoint) && (s->endpoint == ROUTER_LOCAL || s->hops < 8);
}

static bool addressed(const struct model *m, uint32_t to, const struct model_interest *s)
{
    const struct model_endpoint *e = &m->endpoints[to];
    struct route route = model_parse(s->norm);
    if (e->class == ENDPOINT_UPLINK)
        return true;
    return route_reaches(&route, e->path, strlen(e->path));
}

static void demand(struct model_adverts *out, bool intent, const char *norm, const char *origin,
                   uint32_t alias, uint32_t hops, uint64_t schema)
{
    if (model_find_advert(out, intent, norm, origin))
        return;
    struct model_advert *a = &out->items[out->count++];
    *a = (struct model_advert){.intent = intent, .alias = alias, .hops = hops, .schema = schema};
    snprintf(a->norm, sizeof(a->norm), "%s", norm);
    snprintf(a->origin, sizeof(a->origin), "%s", origin);
}

bool model_wants(const struct model *m, uint32_t to, const char *norm)
{
    struct route route = model_parse(norm);
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_interest *s = &m->interests[k];
        if (!s->used || !model_visible(m, to, s))
            continue;
        struct route interest = model_parse(s->norm);
        if (route_covers(&interest, &route))
            return true;
    }
    return false;
}

static bool has_interest(const struct model *m, uint32_t endpoint, const char *norm)
{
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_interest *s = &m->interests[k];
        if (s->used && s->endpoint == endpoint && strcmp(s->norm, norm) == 0)
            return true;
    }
    return false;
}

static void demand_intents(const struct model *m, uint32_t to, struct model_adverts *out)
{
    bool base = m->endpoints[to].base;
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_intent *i = &m->intents[k];
        if (!i->used || !relayed(m, to, i))
            continue;
        uint32_t hops = i->endpoint == ROUTER_LOCAL ? 0 : i->hops + 1;
        if (!base)
            demand(out, true, i->norm, i->shown, i->record->alias, hops, i->schema);
        else if (has_interest(m, to, i->norm) && model_parse(i->norm).kind != ROUTE_HASHED)
            demand(out, true, i->norm, "", 0, 0, 0);
    }
}

static void demand_interests(const struct model *m, uint32_t to, struct model_adverts *out)
{
    const struct model_endpoint *e = &m->endpoints[to];
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_interest *s = &m->interests[k];
        bool pattern = s->used && model_parse(s->norm).kind == ROUTE_PATTERN;
        if (s->used && model_visible(m, to, s) && addressed(m, to, s) && (e->patterns || !pattern))
            demand(out, false, s->norm, "", 0, 0, 0);
    }
    for (uint32_t k = 0; k < MODEL_RECORDS && !e->patterns; k++) {
        const struct model_intent *i = &m->intents[k];
        if (i->used && i->endpoint == to && model_wants(m, to, i->norm))
            demand(out, false, i->norm, "", 0, 0, 0);
    }
}

void model_demand(const struct model *m, uint32_t to, struct model_adverts *ret_adverts)
{
    ret_adverts->count = 0;
    demand_intents(m, to, ret_adverts);
    if (!m->endpoints[to].base)
        demand_interests(m, to, ret_adverts);
}
