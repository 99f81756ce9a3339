/* What the files of explain share. */
#ifndef CMD_EXPLAIN_PRIVATE_H
#define CMD_EXPLAIN_PRIVATE_H

#include "explain.h"

struct work {
    const char *route;
    const struct explain_view *views;
    size_t n;
    struct explain_name {
        const char *url;
        const uint8_t *id;
    } * names; /* sorted by URL */
    size_t n_names;
    struct explanation *out;
};

/* Text of a format; the caller frees it with xfree. */
__attribute__((format(printf, 1, 2))) char *explain_text(const char *format, ...);

/* ---- explain_route.c ---- */

enum explain_relation { UNRELATED, PARTY, NEAR_TYPE, NEAR_HASHED, UNSEEN };

/* What something that was declared has to do with the route asked for. UNSEEN: it is hashed, and a
 * pattern was asked for. */
enum explain_relation explain_relation(const char *route, const char *declared, bool intent);

/* Do whole words differ, as in T@lab.a.x and T@lab.b.x? Those are two names; letters within a word
 * may be a mistake. The two are not equal. */
bool explain_other_words(const char *a, const char *b);

/* What stands behind the @; "" of a hashed route. */
const char *explain_path(const char *route);

/* May a node of that path publish the route? Of a hashed one only the prefix is known. */
bool explain_in_scope(const char *route, const char *path);

/* ---- explain_names.c ---- */

void explain_names_init(struct work *w);
void explain_names_fini(struct work *w);

/* Of several publishers of one name a router passes the later ones on as "name?link=N"
 * (docs/internals/router.md), while it lists them alike itself. How long the name is without that,
 * and whether two names are the same then. */
size_t explain_name_len(const char *url);
bool explain_same_name(const char *a, const char *b);

/* One node may have several names. Names that cannot be dialled name nobody for certain. */
bool explain_same_node(const struct work *w, const char *a, const char *b);

/* The view that is this node's own, or NO_VIEW. */
#define NO_VIEW SIZE_MAX
size_t explain_view_of(const struct work *w, const char *url);

/* ---- explain_pair.c ---- */

/* Do a publisher and a subscriber meet, and if not, why? from and to are left NULL. */
struct explain_finding explain_pair(const struct work *w, const struct explain_party *publisher,
                                    const struct explain_party *subscriber);

/* What keeps two nodes apart, by what one of them (`teller`, of that view) tells of the other. */
struct explain_finding explain_no_link(const struct work *w, size_t view, const char *teller,
                                       const char *other, const weft_peer_info *peer);

#endif
