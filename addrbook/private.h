/* The book's structures, and what its files share.
 *
 *     by_identity ── "tcp://10.0.0.2:7400" ─┐
 *     by_id ──────── 17 ───────────────── entry ──┐ names
 *     schedules[kind].slots[slot] ───────┘        ├── node (its id, linked or not)
 *                                         entry ──┘
 *
 * A node is what several names lead to. It is made when a link shows who answers at an address, so
 * an entry that was never linked has none. A peer without node id gets a node that is in no map. */
#ifndef ADDRBOOK_PRIVATE_H
#define ADDRBOOK_PRIVATE_H

#include "addrbook/addrbook.h"
#include "base/list.h"
#include "base/map.h"
#include "proto/codec.h"
#include "proto/url.h"

#define NODE_ID_SIZE 16
#define NODE_NAMES_MAX 8 /* of one node; beyond it the stalest name that nobody configured goes */
#define MARKS_MAX 4096   /* of a kind; the oldest is evicted */
#define TEXT_MAX URL_MAX /* bytes kept of an error or a source */
#define UNSCHEDULED SIZE_MAX
#define BAN_RECHECK_NS (60 * NS_PER_SEC) /* a banned entry looks at the wall clock so often */

struct node {
    struct map_node by_id; /* in book->nodes if has_id */
    uint8_t id[NODE_ID_SIZE];
    bool has_id;
    bool linked;       /* then no name of it is scheduled */
    uint32_t dialing;  /* names that are out */
    uint32_t count;    /* of names, never 0 outside names.c */
    struct list names; /* struct entry, in_node */
};

/* Entries are dialled by kind, so that the one never waits for the other. */
enum kind {
    KIND_VOUCHED, /* a link led there, or the program says so, or the file */
    KIND_HEARSAY, /* unproven gossip */
    KINDS
};

struct schedule {
    struct entry **slots; /* binary heap by next_dial, with room for `cap` of the book */
    size_t count;
};

/* Who told us, shared by all that it told. */
struct source {
    struct map_node by_text;
    uint32_t refs;     /* entries that name it */
    uint32_t unproven; /* of these, counted ones; at most ADDRBOOK_GOSSIP_SOURCE */
    uint64_t served;   /* book->served when a name of it was last dialled as hearsay */
    char text[];
};

struct entry {
    struct map_node by_id, by_identity;
    struct list in_node;
    struct node *node; /* NULL until a link showed who answers here */
    struct source *source;
    char *peer;       /* the URL that is dialled; its identity is `identity` */
    char *error_text; /* or NULL: then the text of `error` */
    int error;        /* the last one, or 0 */
    uint32_t id;      /* never 0 */
    size_t slot;      /* in the schedule of its kind; UNSCHEDULED while linked or dialing */
    uint64_t next_dial,
        pull_after;        /* monotonic; gossip pulls next_dial forward from pull_after on */
    uint64_t polite_until; /* next_dial waits for the other side's dial; 0: for nobody's */
    struct addrbook_policy policy;        /* no field is 0 but `persistent` */
    struct addrbook_policy config_policy; /* what the configuration said, if `named` */
    uint32_t attempts, failures;          /* failures: consecutive, of dials; 0 once linked */
    uint64_t backoff_ns; /* the limit the last pause was drawn below; 0: none yet */
    uint64_t last_success, banned_until, added; /* wall clock; last_success 0: never reached */
    enum weft_origin origin;
    bool in_config; /* the configuration names it; origin is CONFIGURED or OPERATOR then */
    bool named;     /* it did so in this run, not only in one that the file tells of */
    bool dialing;
    bool reached; /* by this name, the link that stands now */
    bool counted; /* as unproven gossip: it is KIND_HEARSAY */
    bool bare;    /* `peer` is an address and no more */
    char identity[];
};

/* A bounded set of addresses, each until a time. */
struct marks {
    struct map map;
    struct list order; /* oldest first */
};

struct addrbook {
    struct url self;
    char self_identity[URL_MAX + 1];
    uint8_t node_id[NODE_ID_SIZE];
    struct prng *prng;
    bool dials_all, dirty;
    struct map by_id, by_identity, nodes, sources;
    struct schedule schedules[KINDS];
    struct entry **scratch; /* for sorting and choosing; room for `cap` entries, and cap >= count */
    size_t cap;
    uint32_t last_id;
    uint32_t out[KINDS]; /* entries that are dialing, at most ADDRBOOK_DIALS_MAX when reserved */
    uint64_t served;     /* names dialled as hearsay */
    uint32_t unproven;   /* counted entries, at most ADDRBOOK_GOSSIP_TOTAL */
    uint64_t linked_at;  /* when the latest link was made; monotonic, 0: none was */
    struct marks own;
    struct marks departed;   /* names that are not dialled before that time */
    struct marks tombstones; /* names that gossip does not bring back before that time */
};

/* ---- book.c ---- */

extern const struct addrbook_policy default_policy;

/* Parse and reduce to the identity. Errors: WEFT_EURL. */
int identify(const char *text, struct url *ret_url, char ret_identity[URL_MAX + 1]);

bool is_own(const struct addrbook *book, const char *identity);

struct entry *entry_by_id(const struct addrbook *book, uint32_t id);
struct entry *entry_by_identity(const struct addrbook *book, const char *identity);
/* By a URL of its address. Errors: WEFT_EURL, WEFT_ENOTFOUND. */
int entry_lookup(const struct addrbook *book, const char *text, struct entry **ret_entry);

/* A new entry that is not scheduled. The identity must be new. A full book first gives up the entry
 * it can best spare, so no pointer to another entry survives this call. Unproven gossip is counted
 * against its source. Errors: WEFT_ENOMEM, WEFT_ELIMIT. */
int entry_new(struct addrbook *book, const char *peer, const char *identity,
              enum weft_origin origin, const char *source, struct moment now,
              struct entry **ret_entry);
/* Take it out of everything; a reservation ends with it. */
void entry_remove(struct addrbook *book, struct entry *e);

/* Nobody vouches for it any more as unproven: it was linked or configured. */
void entry_proven(struct addrbook *book, struct entry *e);

/* The URL to dial, same address. Out of memory keeps the old text. */
void entry_set_peer(struct addrbook *book, struct entry *e, const char *peer);
void entry_set_error(struct addrbook *book, struct entry *e, int error, const char *text);
const char *entry_last_error(const struct entry *e);

static inline enum kind kind_of(const struct entry *e)
{
    return e->counted ? KIND_HEARSAY : KIND_VOUCHED;
}

static inline bool origin_configured(enum weft_origin origin)
{
    return origin == WEFT_ORIGIN_CONFIGURED || origin == WEFT_ORIGIN_OPERATOR;
}

/* Did the configuration, the program or an operator name it? */
static inline bool entry_configured(const struct entry *e)
{
    return origin_configured(e->origin);
}

static inline bool entry_linked(const struct entry *e)
{
    return e->node && e->node->linked;
}

void entry_view(const struct entry *e, struct addrbook_view *ret_view);

/* Sorted by peer; valid until the book changes. */
struct entry **entries_sorted(const struct addrbook *book);

/* ---- names.c ---- */

struct node *node_find(const struct addrbook *book, const uint8_t *id);

/* The node with that id, made if need be; NULL when out of memory. id NULL: one in no map. A new
 * node has no name yet: attach one, or node_release it. */
struct node *node_get(struct addrbook *book, const uint8_t *id);
void node_release(struct addrbook *book, struct node *node); /* frees it if it has no name */

/* Make `e` a name of `node`, and of no other. */
void name_attach(struct addrbook *book, struct node *node, struct entry *e);
void name_detach(struct addrbook *book, struct entry *e);

/* Give up the stalest names over NODE_NAMES_MAX, but neither of the two. */
void names_trim(struct addrbook *book, struct node *node, const struct entry *keep,
                const struct entry *also, struct moment now);

/* Of this entry or of another name of its node. */
bool entry_banned(const struct entry *e, uint64_t wall_ns);
uint64_t entry_banned_until(const struct entry *e);

/* Is it or another name of its node persistent? */
bool entry_kept(const struct entry *e);

/* ---- marks.c ---- */

void marks_init(struct marks *marks);
void marks_fini(struct marks *marks);
/* Out of memory marks nothing: the worst is a dial that finds out again. */
void marks_put(struct marks *marks, const char *identity, uint64_t until);
uint64_t marks_until(const struct marks *marks, const char *identity); /* 0: not marked */
void marks_drop(struct marks *marks, const char *identity);

/* ---- schedule.c ---- */

/* Set or move when `e` is due, for nobody's sake. Never fails: entry_new made the room. */
void schedule_at(struct addrbook *book, struct entry *e, uint64_t when);
void schedule_drop(struct addrbook *book, struct entry *e); /* harmless if it is not scheduled */
struct entry *schedule_first(const struct addrbook *book, enum kind kind); /* or NULL */

/* now + pause, ending below NEVER. */
uint64_t after(uint64_t now, uint64_t pause);

/* ---- hear.c ---- */

/* Is it ours to dial at once, and not the other side's? */
bool dials_first(const struct addrbook *book, const struct entry *e);

/* From when on may a name that is heard be dialled? Now, or when the hold since its departure is
 * over. */
uint64_t held_until(const struct addrbook *book, const struct entry *e, uint64_t now);

/* Is no further unproven name taken from that source? */
bool gossip_full(const struct addrbook *book, const char *source);

/* ---- file.c, for repair.c (the form of the file is drawn in file.c) ---- */

#define FILE_MAGIC "WEFTBOOK"
#define FILE_TRAILER "WEFTEND."
#define FILE_MAGIC_SIZE 8u
#define FILE_VERSION 1u
#define FILE_VERSION_NEWER 15u /* a later weft may have written these; above it is damage */
#define FILE_HEADER_SIZE (FILE_MAGIC_SIZE + 4u + NODE_ID_SIZE)
#define FILE_TRAILER_SIZE (FILE_MAGIC_SIZE + 4u + 4u)
#define FILE_RECORD_HEADER 8u
#define FILE_RECORD_MAX 4096u /* bytes of one AddrbookEntry; ours stay under 1,200 */

uint32_t file_checksum(const uint8_t *data, size_t size);
/* Says so in file->where. Returns WEFT_EVERSION. */
int file_other_version(struct addrbook_file *file, uint32_t version);

/* ---- dial.c ---- */

/* Has it failed as often as it may? */
bool entry_given_up(const struct entry *e);

/* End the reservation, if there is one. */
void release_dial(struct addrbook *book, struct entry *e);

#endif
