/* An explanation on its way out: as JSON, and given back. */
#include "explain.h"
#include "memory.h"
#include "report_json.h"

static void findings_fini(struct explain_finding *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        xfree(list[i].from);
        xfree(list[i].to);
        xfree(list[i].text);
    }
    xfree(list);
}

void explanation_fini(struct explanation *e)
{
    for (size_t i = 0; i < e->n_parties; i++) {
        xfree(e->parties[i].peer);
        xfree(e->parties[i].home);
        xfree(e->parties[i].route);
    }
    xfree(e->parties);
    findings_fini(e->pairs, e->n_pairs);
    findings_fini(e->others, e->n_others);
    xfree(e->verdict);
    *e = (struct explanation){0};
}

const char *explain_word(enum explain_reason reason)
{
    static const char *const words[] = {
        "matches",    "type",   "hashed",  "schema", "scope",  "refused",  "network",
        "not_linked", "banned", "pending", "silent", "untold", "spelling",
    };
    return words[reason];
}

static json_t *parties_json(const struct explanation *e, bool intent)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < e->n_parties; i++) {
        const struct explain_party *p = &e->parties[i];
        if (p->intent != intent)
            continue;
        json_t *party = json_pack("{s:o, s:o, s:o, s:i, s:I}", "peer", text_json(p->peer), "home",
                                  text_json(p->home), "route", text_json(p->route), "count",
                                  (int)p->count, "messages", (json_int_t)p->messages);
        if (json_array_append_new(list, party) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *findings_json(const struct explain_finding *findings, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        const struct explain_finding *f = &findings[i];
        json_t *o =
            json_pack("{s:o, s:o, s:s, s:o}", "from", text_json(f->from), "to", text_json(f->to),
                      "reason", explain_word(f->reason), "text", text_json(f->text));
        if (json_array_append_new(list, o) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *explanation_json(const char *route, const struct explanation *e)
{
    return json_pack("{s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "route", text_json(route), "flows",
                     e->flows, "certain", e->certain, "verdict", text_json(e->verdict),
                     "publishers", parties_json(e, true), "subscribers", parties_json(e, false),
                     "pairs", findings_json(e->pairs, e->n_pairs), "others",
                     findings_json(e->others, e->n_others));
}
