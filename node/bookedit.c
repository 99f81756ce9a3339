/* Address books in memory and in files, for those who edit them (include/weft/addrbook.h).
 *
 * A book is the public structure itself: entries sorted by peer, each string a block of its own, as
 * book_from_records makes it. Two entries are the same if their addresses are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/bookdisk.h"
#include "node/node.h"

#define FREE_TEXT(s) mem_free((char *)(uintptr_t)(s))
#define NODE_ID 16

static const uint8_t no_id[NODE_ID];

/* ---- Files ---- */

int weft_addrbook_lock(const char *file, weft_book_lock **ret_lock, char **ret_error_text)
{
    char text[TEXT_SIZE] = "", whole[TEXT_SIZE + 128];
    if (!file || !ret_lock)
        return WEFT_EINVAL;
    int rc = disk_lock(file, ret_lock, text, sizeof(text));
    if (rc == 0 || !ret_error_text)
        return rc;
    snprintf(whole, sizeof(whole), "%s%s", text[0] ? text : weft_strerror(rc),
             rc == WEFT_EBUSY ? "; if that is a node, ask it by its URL, or end it first" : "");
    *ret_error_text = mem_strdup(whole);
    return rc;
}

void weft_addrbook_unlock(weft_book_lock *lock)
{
    disk_unlock(lock);
}

/* What is true of a live node alone is in no file. */
static struct book_record to_file(const weft_addrbook_entry *e)
{
    struct book_record r = record_from_entry(e);
    r.linked = r.dialing = false;
    r.next_dial_ns = 0;
    return r;
}

static int encode(const weft_addrbook *book, struct buf *out)
{
    uint8_t node_id[NODE_ID];
    memcpy(node_id, book->node_id, NODE_ID);
    int rc = memcmp(node_id, no_id, NODE_ID) ? 0 : node_random(node_id, NODE_ID);
    if (rc < 0)
        return rc;
    struct book_record *records = mem_alloc((book->count + 1) * sizeof(*records));
    if (!records)
        return WEFT_ENOMEM;
    for (size_t i = 0; i < book->count; i++)
        records[i] = to_file(&book->entries[i]);
    rc = addrbook_encode_records(node_id, records, book->count, out);
    mem_free(records);
    return rc;
}

/* Replacing another's file would make it ours, and its node could not read it any more. */
static bool is_anothers(const char *path)
{
    struct stat st;
    return geteuid() != 0 && stat(path, &st) == 0 && st.st_uid != geteuid();
}

int weft_addrbook_save(weft_book_lock *lock, const weft_addrbook *book)
{
    if (!lock || !book)
        return WEFT_EINVAL;
    if (is_anothers(lock->path))
        return WEFT_EACCESS;
    struct buf data;
    buf_init(&data, BOOK_MAX);
    int rc = encode(book, &data);
    if (rc == 0) {
        rc = disk_replace(lock->path, &data);
        rc = rc < 0 ? transport_error(rc) : 0;
    }
    buf_fini(&data);
    return rc;
}

int weft_addrbook_set_aside(weft_book_lock *lock, char **ret_path)
{
    char aside[DISK_PATH];
    if (!lock || !ret_path)
        return WEFT_EINVAL;
    int rc = disk_set_aside(lock->path, aside);
    if (rc < 0)
        return rc == -ENOENT ? WEFT_ENOTFOUND : transport_error(rc);
    char *path = mem_strdup(aside);
    if (!path)
        return WEFT_ENOMEM;
    *ret_path = path;
    return 0;
}

/* ---- Books ---- */

int weft_addrbook_new(weft_addrbook **ret_book)
{
    weft_addrbook *book = book_from_records(NULL, 0);
    if (!book)
        return WEFT_ENOMEM;
    *ret_book = book;
    return 0;
}

/* Where a peer stands, or would stand. */
static size_t place_of(const weft_addrbook *book, const char *peer)
{
    size_t from = 0, to = book->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strcmp(book->entries[middle].peer, peer) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool has_address(const weft_addrbook_entry *e, const struct url *wanted)
{
    struct url url;
    return url_parse(e->peer, strlen(e->peer), &url, NULL) == 0 && url_same_address(wanted, &url);
}

/* All URLs of an address begin with it, and so stand one behind the other, among those of addresses
 * that are longer; but for host names in capital letters, for which all are looked at. */
weft_addrbook_entry *weft_addrbook_find(const weft_addrbook *book, const char *url)
{
    struct url wanted;
    char address[URL_MAX + 1];
    if (!book || !url || url_parse(url, strlen(url), &wanted, NULL) < 0)
        return NULL;
    size_t len = url_identity(&wanted, address);
    for (size_t i = place_of(book, address);
         i < book->count && strncmp(book->entries[i].peer, address, len) == 0; i++)
        if (has_address(&book->entries[i], &wanted))
            return &book->entries[i];
    bool spelt = strpbrk(wanted.host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    for (size_t i = 0; spelt && i < book->count; i++)
        if (strncasecmp(book->entries[i].peer, address, len) == 0 &&
            has_address(&book->entries[i], &wanted))
            return &book->entries[i];
    return NULL;
}

static void free_entry(weft_addrbook_entry *e)
{
    FREE_TEXT(e->peer);
    FREE_TEXT(e->source);
    FREE_TEXT(e->last_error);
}

static bool copy_entry(const weft_addrbook_entry *e, weft_addrbook_entry *out)
{
    weft_addrbook_entry copy = *e;
    copy.peer = mem_strdup(e->peer);
    copy.source = mem_strdup(e->source ? e->source : "");
    copy.last_error = mem_strdup(e->last_error ? e->last_error : "");
    if (!copy.peer || !copy.source || !copy.last_error) {
        free_entry(&copy);
        return false;
    }
    struct addrbook_policy policy = addrbook_policy_complete(&(struct addrbook_policy){
        .max_attempts = e->max_attempts,
        .default_backoff_ns = e->default_backoff_ns,
        .max_backoff_ns = e->max_backoff_ns,
        .multiplier = e->multiplier,
    });
    copy.max_attempts = policy.max_attempts;
    copy.default_backoff_ns = policy.default_backoff_ns;
    copy.max_backoff_ns = policy.max_backoff_ns;
    copy.multiplier = policy.multiplier;
    *out = copy;
    return true;
}

static void take_out(weft_addrbook *book, weft_addrbook_entry *e)
{
    free_entry(e);
    size_t at = (size_t)(e - book->entries);
    book->count--;
    memmove(e, e + 1, (book->count - at) * sizeof(*e));
}

int weft_addrbook_put(weft_addrbook *book, const weft_addrbook_entry *entry)
{
    struct url url;
    weft_addrbook_entry copy;
    if (!book || !entry || !entry->peer)
        return WEFT_EINVAL;
    int rc = weft_url_check(entry->peer, NULL);
    if (rc < 0)
        return rc;
    if (url_parse(entry->peer, strlen(entry->peer), &url, NULL) < 0)
        return WEFT_EURL;
    if (!url_dialable(&url))
        return WEFT_EINVAL;
    weft_addrbook_entry *known = weft_addrbook_find(book, entry->peer);
    if (!known) {
        weft_addrbook_entry *grown = mem_realloc(book->entries, (book->count + 2) * sizeof(*grown));
        if (!grown)
            return WEFT_ENOMEM;
        book->entries = grown;
    }
    if (!copy_entry(entry, &copy))
        return WEFT_ENOMEM;
    if (known)
        take_out(book, known);
    size_t at = place_of(book, copy.peer);
    memmove(book->entries + at + 1, book->entries + at,
            (book->count - at) * sizeof(*book->entries));
    book->entries[at] = copy;
    book->count++;
    return known ? 0 : 1;
}

int weft_addrbook_remove(weft_addrbook *book, const char *url)
{
    if (!book || !url || weft_url_check(url, NULL) == WEFT_EURL)
        return WEFT_EURL;
    weft_addrbook_entry *e = weft_addrbook_find(book, url);
    if (!e)
        return WEFT_ENOTFOUND;
    take_out(book, e);
    return 0;
}
