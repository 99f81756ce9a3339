/* The address book core: which peers there are, and when to dial which (docs/protocol.md section
 * 6).
 *
 *     configured ─┐                                  ┌─ next_dial ─▶ the owner dials
 *     gossip ─────┼─▶ entries, one an address ─▶ queue ┤
 *     linked ─────┘      by next-dial time    ▲      └─ deadline
 *                                             └── dial_failed, unlinked
 *
 * An entry is IDLE (waiting for its time), DIALING (reserved: handed out and not yet reported
 * back), LINKED, or resting (banned, given up, departed). No I/O, no clock, no entropy: time comes
 * with the call, chance from the prng given at the start; the owner reads and writes the file. All
 * schedules use the monotonic clock, stored times the wall clock.
 *
 * Entries that name the same address are one; entries that turned out to be the same node (node id)
 * are linked together, so that a second name of a linked peer is not dialled. */
#ifndef ADDRBOOK_ADDRBOOK_H
#define ADDRBOOK_ADDRBOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/prng.h"
#include "base/util.h"

#include <weft/weft.h> /* enum weft_origin */

struct addrbook;
struct addrbook_view;

#define ADDRBOOK_DIALS_MAX 8        /* at a time, of names with proof; and as many of others */
#define ADDRBOOK_ENTRIES_MAX 16384  /* beyond it the stalest that nobody needs goes */
#define ADDRBOOK_GOSSIP_MESSAGE 250 /* names taken from one PEERS */
#define ADDRBOOK_GOSSIP_SOURCE 1024 /* unproven names of one source */
#define ADDRBOOK_GOSSIP_TOTAL 4096  /* unproven names in all */
#define ADDRBOOK_JITTER_FLOOR_NS (100 * NS_PER_MS)
#define ADDRBOOK_STABLE_NS (30 * NS_PER_SEC) /* a link this old resets the backoff */
#define ADDRBOOK_POLITE_NS                                                                         \
    (1 * NS_PER_SEC) /* the larger FQN waits this long for the smaller's dial */
#define ADDRBOOK_FORMING_NS                                                                        \
    (500 * NS_PER_MS) /* and then as long as links come, each sooner than this after the last */
#define ADDRBOOK_POLITE_MAX_NS (5 * NS_PER_SEC) /* but no longer than this in all */
/* Who has departed is not dialled for so long: for 10 s others may still hold a dead link to it,
 * and tell its name in good faith. */
#define ADDRBOOK_HOLD_NS (15 * NS_PER_SEC)
/* Who was forgotten is not heard of for so long. */
#define ADDRBOOK_TOMBSTONE_NS (600 * NS_PER_SEC)
#define ADDRBOOK_DORMANT_NS                                                                        \
    (600 * NS_PER_SEC) /* a given-up peer that was once reached is tried so often */

struct addrbook_config {
    const char *self;       /* our FQN: never an entry, and decides who dials first */
    const uint8_t *node_id; /* 16 bytes; kept in the file */
    struct prng *prng;      /* borrowed for the book's life */
    bool dials_all; /* a client or leaf: nobody dials it, so it dials all it hears of at once */
};

/* Errors: WEFT_ENOMEM, WEFT_EURL (self). */
int addrbook_new(const struct addrbook_config *config, struct addrbook **ret_book);
void addrbook_free(struct addrbook *book); /* NULL is ignored */

/* Our FQN changed (port bound, observed address agreed). An entry with our own address is dropped.
 * Errors: WEFT_EURL, WEFT_ENOMEM. */
int addrbook_set_self(struct addrbook *book, const char *self);

/* An address that turned out to be ours: drop it and never take it again (of the last 4,096 such).
 */
void addrbook_add_own(struct addrbook *book, const char *url);
/* One that was ours, and by now may be another node's. */
void addrbook_drop_own(struct addrbook *book, const char *url);

/* ---- What the book hears ---- */

struct addrbook_policy { /* of a configured peer; zero fields mean the defaults of section 3 */
    bool persistent;
    uint32_t max_attempts;
    uint64_t default_backoff_ns, max_backoff_ns;
    float multiplier;
};

/* Replace zero and senseless fields by the defaults. */
struct addrbook_policy addrbook_policy_complete(const struct addrbook_policy *policy);

/* A configured peer: due at once. If the address is known, the entry is upgraded to configured.
 * Errors: WEFT_EURL (not dialable, too), WEFT_ESELF, WEFT_ELIMIT, WEFT_ENOMEM. */
int addrbook_add_configured(struct addrbook *book, const char *url,
                            const struct addrbook_policy *policy, struct moment now);

/* Who says that a peer is to be there. */
enum addrbook_by {
    ADDRBOOK_BY_PROGRAM, /* as addrbook_add_configured: it stays until it is forgotten */
    ADDRBOOK_BY_CONFIG,  /* the program's configuration, which may name it no more one day */
    ADDRBOOK_BY_OPERATOR /* a command: it stays whatever the configuration says */
};

/* The same for any of them; the entry keeps who said so, an operator above all. */
int addrbook_add_named(struct addrbook *book, const char *url, enum addrbook_by by,
                       const struct addrbook_policy *policy, struct moment now);

/* The configuration names it no more: remove it and the other names of its node, but what an
 * operator added, pinned or banned, and what else is configured, and keep tombstones. Returns 1 if
 * an operator added it, too: then nothing else is changed. Errors: WEFT_EURL, WEFT_ENOTFOUND. */
int addrbook_unconfigure(struct addrbook *book, const char *url, struct moment now);

/* All that the configuration names has been added by now. Of what an earlier one named, and the
 * file remembers, let one entry go: it becomes a name like those that peers told of, unless an
 * operator added it. False: there is none left. *ret_view is the entry as it is then. One at a
 * time, since who is told of it may change the book. */
bool addrbook_let_go(struct addrbook *book, struct addrbook_view *ret_view);

/* A name from a PEERS message of `source` (its FQN). `remote` is true unless the source's
 * connection comes from this host: then names that lead to a place on our own host (loopback, unix,
 * inproc) are refused. New: due at once if our FQN is the smaller string, else after
 * ADDRBOOK_POLITE_NS, and later while the mesh forms: as long as links come, the smaller may still
 * be busy with others. Departed: likewise, but not before ADDRBOOK_HOLD_NS after that. Known and
 * waiting in backoff: pulled forward likewise, at most once in 5 s. Returns 1 if it is new, 0 if it
 * was known. Errors: WEFT_EURL, WEFT_EDENIED (unspecified address, one on our own host from
 * off-host, not dialable), WEFT_ESELF, WEFT_ELIMIT, WEFT_EFORGOTTEN (tombstone of a forgotten
 * peer), WEFT_ENOMEM. */
int addrbook_add_gossip(struct addrbook *book, const char *url, const char *source, bool remote,
                        struct moment now);

/* A peer announced its own departure: drop the entry and the other names of its node, and dial
 * none of them for ADDRBOOK_HOLD_NS when others tell it, unless we dial all we hear of: who comes
 * back cannot dial us then. What is configured stays and is dialled on; what is banned stays
 * banned.
 */
void addrbook_departed(struct addrbook *book, const char *url, struct moment now);

/* A peer was told to forget us: the same, but for any book, and with tombstones. */
void addrbook_unwanted(struct addrbook *book, const char *url, struct moment now);

/* ---- Dialling ---- */

struct addrbook_dial {
    uint32_t entry;  /* id, valid until the entry is removed, which ends the reservation */
    const char *url; /* borrowed until the next call */
};

/* Reserve the next entry that is due: of those that a link has proven or the program configured, if
 * fewer than ADDRBOOK_DIALS_MAX are out; else, likewise, of those merely heard of, and then of the
 * source that waits longest. So no gossip keeps a peer waiting, nor one source another. False: none
 * now. */
bool addrbook_next_dial(struct addrbook *book, struct moment now, struct addrbook_dial *ret_dial);

/* When addrbook_next_dial may next have something; NEVER if nothing waits or all dials are out. */
uint64_t addrbook_deadline(const struct addrbook *book);

/* A reserved dial ended without a link: count, back off with full jitter, or give up. `error` is
 * WEFT_E…, `text` a sentence or NULL. WEFT_EDUPLICATE is no failure: the other link stands, wait
 * for it (where the owner knows which link stands, it rather reports addrbook_linked with this
 * entry, so that the address is known as one more name of that peer); WEFT_ESELF drops the entry
 * for good. An unknown id, or one that is not out, is ignored. */
void addrbook_dial_failed(struct addrbook *book, uint32_t entry, int error, const char *text,
                          struct moment now);

/* A link stands: `entry` is the reservation it came from, or 0 if the peer dialled us. `url` is the
 * agreed FQN, which gets an entry if it has none and is dialable (origin inbound, or observed where
 * we dialled another name of the peer); node_id may be NULL. All entries of that address or node
 * become LINKED. Saying so again of a standing link is harmless. Errors: WEFT_ENOMEM, WEFT_ELIMIT
 * (the book goes on without the new entry; the dialled one is tried again later). */
int addrbook_linked(struct addrbook *book, uint32_t entry, const char *url, const uint8_t *node_id,
                    struct moment now);

/* That link ended, with the node_id it was reported with; `stable` after ADDRBOOK_STABLE_NS or
 * more, which resets the backoff. The entry is due after a jittered pause: at most default_backoff
 * at first, growing with repeated losses. Of several names of the node one is due so, the others 10
 * to 20 s later. */
void addrbook_unlinked(struct addrbook *book, const char *url, const uint8_t *node_id, int error,
                       const char *text, bool stable, struct moment now);

/* ---- The operator ---- */

/* Remove it and all names of its node, configured or not, and keep tombstones. Errors: WEFT_EURL,
 * WEFT_ENOTFOUND. */
int addrbook_forget(struct addrbook *book, const char *url, struct moment now);

/* An operator takes back what an operator added. Where the configuration names it, too, it is
 * dialled as that says again, nothing else happens, and 1 is returned; else it is addrbook_forget's
 * matter, and 0. Errors: WEFT_EURL, WEFT_ENOTFOUND. */
int addrbook_disown(struct addrbook *book, const char *url, struct moment now);

/* Never dial it or another name of its node, and let addrbook_banned say so, until the wall-clock
 * time. 0 lifts it. Ending a standing link is the owner's part. Errors: WEFT_EURL, WEFT_ENOTFOUND.
 */
int addrbook_ban(struct addrbook *book, const char *url, uint64_t until_wall_ns, struct moment now);
bool addrbook_banned(const struct addrbook *book, const char *url, const uint8_t *node_id,
                     struct moment now);

/* The same of a URL that need not be in the book: it gets an entry. until is not 0. Errors:
 * WEFT_EURL (not dialable, too), WEFT_ESELF, WEFT_ELIMIT, WEFT_ENOMEM. */
int addrbook_add_banned(struct addrbook *book, const char *url, uint64_t until_wall_ns,
                        struct moment now);

/* Keep it and dial it for ever (on), or give it up as others (off). One that rests because it was
 * given up is due at once when it is pinned. Errors: WEFT_EURL, WEFT_ENOTFOUND. */
int addrbook_pin(struct addrbook *book, const char *url, bool on, struct moment now);

/* ---- Looking ---- */

struct addrbook_view {
    uint32_t id;
    const char *peer, *source, *last_error; /* never NULL */
    struct addrbook_policy policy;
    uint32_t attempts, failed_attempts;
    uint64_t last_success, backoff_ns, banned_until, added; /* times: wall clock */
    uint64_t next_dial;     /* monotonic; NEVER while not scheduled; banned: when it is looked at */
    const uint8_t *node_id; /* or NULL */
    enum weft_origin origin;
    bool configured; /* by the configuration, the program or an operator */
    bool in_config;  /* the configuration names it, or named it when the file was written */
    bool linked, dialing;
    bool kept;                  /* it or another name of its node is persistent */
    bool given_up;              /* too many dials failed: it is tried seldom */
    uint64_t node_banned_until; /* the latest of all names of its node; wall clock */
};

/* The origin in a record that was read; one of a later version, or none, counts as gossip, which is
 * trusted least. */
enum weft_origin addrbook_origin(uint32_t origin);

/* Call fn for every entry, sorted by peer. fn must not change the book. */
void addrbook_each(const struct addrbook *book,
                   void (*fn)(void *ctx, const struct addrbook_view *view), void *ctx);
/* All entries as they are told to others now, sorted by peer; free the array with mem_free. Its
 * strings are the book's, good until it changes. NULL: out of memory. */
struct book_record *addrbook_records(const struct addrbook *book, struct moment now,
                                     size_t *ret_count);
size_t addrbook_count(const struct addrbook *book);
/* False if there is none. By address. */
bool addrbook_find(const struct addrbook *book, const char *url, struct addrbook_view *ret_view);

/* ---- The file (docs/internals/addrbook.md) ----
 *
 * magic "WEFTBOOK", version, node id, then records (length, CRC-32, AddrbookEntry), then a trailer
 * with the count and the CRC-32 of everything before. */

/* Anything changed since the last addrbook_encode that was worth saving? True of a new book, whose
 * node id is on no disk; attempts alone are not worth it. */
bool addrbook_dirty(const struct addrbook *book);

/* Append the file's bytes and clear dirty. Errors: WEFT_ENOMEM, WEFT_ELIMIT (buffer); dirty stays.
 */
int addrbook_encode(struct addrbook *book, struct buf *out);

/* What a file holds, checked as a whole before anything is used. */
struct addrbook_file {
    uint8_t node_id[16];
    struct book_record *records; /* proto/codec.h */
    size_t count;
    char where[96];        /* on error: what is wrong, and at which byte */
    struct control *owned; /* one a record, of the decoder */
};

/* Errors: WEFT_ECORRUPT (ret_file->where says where), WEFT_EVERSION, WEFT_ENOMEM. On error only
 * `where` is set. */
int addrbook_decode(const uint8_t *data, size_t size, struct addrbook_file *ret_file);
void addrbook_file_fini(struct addrbook_file *file);

/* A file of such records, sorted here by peer, without a book: nothing of them is judged or
 * changed. Errors: WEFT_ENOMEM, WEFT_ELIMIT (buffer), WEFT_EINVAL (a record of more than 4096
 * bytes). On failure the buffer is as long as before. */
int addrbook_encode_records(const uint8_t *node_id, struct book_record *records, size_t count,
                            struct buf *out);

/* What was wrong with a file that addrbook_repair read. */
#define ADDRBOOK_PLACES 8
struct addrbook_damage {
    size_t size;     /* of the file */
    size_t kept;     /* records */
    size_t expected; /* records there were by the trailer, if that is sound; else 0 */
    size_t lost;     /* bytes that were skipped */
    size_t n_places; /* damaged stretches; 0: the file is sound. The first of them: */
    struct {
        size_t from, to; /* bytes; to: the first one after it. Equal: something is missing there */
    } places[ADDRBOOK_PLACES];
    bool owner_known; /* the header, which holds the node id, is not known to be damaged */
};

/* Take out of a damaged file what is sound: every record whose length, sum and content are right,
 * wherever it lies. The node id is zeros if the header is lost. A sound file is read as by
 * addrbook_decode. Errors: WEFT_ECORRUPT (no address book: neither header nor any record),
 * WEFT_EVERSION, WEFT_ENOMEM; where is set as by addrbook_decode. */
int addrbook_repair(const uint8_t *data, size_t size, struct addrbook_file *ret_file,
                    struct addrbook_damage *ret_damage);

/* Take the records of a file into the book, due with jitter over the first second, those with
 * the smaller FQN ADDRBOOK_POLITE_NS later (so that a restarted fleet does not storm). Known
 * entries keep their policy and schedule and gain the file's history. Records that are not valid,
 * or beyond a limit, are skipped. Errors: WEFT_ENOMEM. */
int addrbook_merge(struct addrbook *book, const struct addrbook_file *file, struct moment now);

#endif
