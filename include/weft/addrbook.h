/* weft for those who edit address books on disk: `weft addrbook`, or an installer that hands a node
 * its first peers.
 *
 *     weft_addrbook_lock(file, &lock, &why)     WEFT_EBUSY while a node has it
 *     weft_addrbook_load(file, &book)           weft.h; WEFT_ENOTFOUND: weft_addrbook_new
 *     weft_addrbook_put(book, &entry) …
 *     weft_addrbook_save(lock, book)
 *     weft_addrbook_unlock(lock)
 *
 * A node holds its book from open to close and writes it whole: what another writes meanwhile would
 * be lost, so nobody can. A running node is steered by weft/admin.h. Conventions are those of
 * weft.h; a book is plain memory, used by one thread at a time. */
#ifndef WEFT_ADDRBOOK_H
#define WEFT_ADDRBOOK_H

#include <weft/weft.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Files --------------------------------------------------------------------------------- */

typedef struct weft_book_lock weft_book_lock;

/* Keep everybody else from writing this file, which need not exist, until weft_addrbook_unlock or
 * the end of the process. A symbolic link is followed. Beside the file stands FILE.lock meanwhile,
 * with the id of this process in it. On failure *ret_error_text (if given) is a sentence that names
 * the file, who holds it and the remedy, or NULL; free it with weft_free. [any]
 * Errors: WEFT_EBUSY (a node or another tool has it), WEFT_ENOTFOUND (no such folder),
 * WEFT_ENOTSUP (not a regular file), WEFT_EACCESS, WEFT_EIO, WEFT_ENOSPC, WEFT_EMFILE,
 * WEFT_ENOMEM. */
WEFT_API int weft_addrbook_lock(const char *file, weft_book_lock **ret_lock, char **ret_error_text);
/* NULL is ignored. [any] */
WEFT_API void weft_addrbook_unlock(weft_book_lock *lock);

/* Write the book to the locked file: to FILE.tmp, fsync, rename, so that a crash leaves the old
 * book or the new one. Mode and owner stay as they are; a new file is its owner's alone. A book
 * without node id gets one. Entries are written as they are, but for `linked`, `dialing` and
 * `next_dial_ns`. [any] Errors: WEFT_EACCESS (the folder, or the file is another user's),
 * WEFT_ENOSPC, WEFT_EIO, WEFT_EMFILE, WEFT_EINVAL (an entry without peer, or of more than 4096
 * bytes), WEFT_ELIMIT (64 MiB), WEFT_ENOMEM. */
WEFT_API int weft_addrbook_save(weft_book_lock *lock, const weft_addrbook *book);

/* Keep what the locked file holds now under a further name, FILE.corrupt-TIME, told in *ret_path
 * (free it with weft_free), so that the next save does not lose it. [any] Errors: WEFT_ENOTFOUND,
 * WEFT_EACCESS, WEFT_ENOSPC, WEFT_EIO, WEFT_ENOMEM. */
WEFT_API int weft_addrbook_set_aside(weft_book_lock *lock, char **ret_path);

#define WEFT_DAMAGE_PLACES 8

/* What weft_addrbook_repair found. */
typedef struct weft_addrbook_damage {
    uint64_t size;     /* bytes of the file */
    uint64_t kept;     /* entries */
    uint64_t expected; /* entries there were, as far as the file still says; 0: it does not */
    uint64_t lost;     /* bytes */
    uint64_t n_places; /* damaged stretches; 0: the file is sound. The first of them: */
    struct {
        uint64_t from, to; /* to: the first byte behind it. Equal: something is missing there */
    } places[WEFT_DAMAGE_PLACES];
    bool owner_lost; /* the node id of the book's owner is gone, and zeros in the book */
} weft_addrbook_damage;

/* Read an address-book file as far as its records are sound. Changes nothing. On failure
 * *ret_error_text (if given) is a sentence or NULL. [any] Errors: WEFT_ENOTFOUND, WEFT_ENOTSUP (not
 * a regular file), WEFT_EACCESS, WEFT_EIO, WEFT_ECORRUPT (no address book: neither its header nor
 * any entry), WEFT_EVERSION (a newer weft wrote it), WEFT_ELIMIT (64 MiB), WEFT_ENOMEM. */
WEFT_API int weft_addrbook_repair(const char *file, weft_addrbook **ret_book,
                                  weft_addrbook_damage *ret_damage, char **ret_error_text);

/* A sentence on the damage, "5 of 6 entries kept, 97 bytes lost: bytes 120 to 216 are damaged",
 * into buf, NUL-terminated. Returns its length. [any] */
WEFT_API int weft_addrbook_damage_text(const weft_addrbook_damage *damage, char *buf, size_t size);

/* ---- Books --------------------------------------------------------------------------------- */

/* An empty book; free it with weft_addrbook_free. Errors: WEFT_ENOMEM. [any] */
WEFT_API int weft_addrbook_new(weft_addrbook **ret_book);

/* The entry of that address (scheme and host with port, or socket; whatever the path), good until
 * the book changes; NULL if there is none or url is no peer URL. [any] */
WEFT_API weft_addrbook_entry *weft_addrbook_find(const weft_addrbook *book, const char *url);

/* Put a copy of an entry into the book, in the place of one of the same address. Fields that are 0
 * get the defaults of a new entry: max_attempts, the backoffs, multiplier. Texts may be NULL for
 * "", `peer` may not. The entry must not be one of the book, nor its texts. Returns 1 if it is new,
 * 0 if it replaced another. [any] Errors: WEFT_EURL, WEFT_ENOTSUP (scheme), WEFT_EINVAL (an address
 * that cannot be dialled, such as 0.0.0.0), WEFT_ENOMEM: the book is as before. */
WEFT_API int weft_addrbook_put(weft_addrbook *book, const weft_addrbook_entry *entry);

/* Take the entry of that address out. [any] Errors: WEFT_EURL, WEFT_ENOTFOUND. */
WEFT_API int weft_addrbook_remove(weft_addrbook *book, const char *url);

#ifdef __cplusplus
}
#endif

#endif
