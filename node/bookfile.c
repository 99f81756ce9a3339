/* The node's address book on disk (bookdisk.c).
 *
 * Locked from open to the save at the end. Saved at once where there was none, every two minutes
 * when it changed, and at exit. A file that is corrupt is set aside as FILE.corrupt-TIME and what
 * is sound in it is written in its place before anything else can fail; the node goes on from that,
 * or, where nothing is sound, from its configuration, and says so.
 *
 * Where FILE.lock cannot be made because the folder is read-only or missing, the node goes without:
 * what cannot be written needs no keeping apart, and the save that fails is told. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/bookdisk.h"
#include "node/node.h"

/* What is wrong, or what was kept, in a sentence without an end. */
#define WHERE_SIZE 512

/* ---- Reading, for anybody ---- */

static int read_book(const char *path, struct addrbook_file *ret_file,
                     struct addrbook_damage *ret_damage, char where[WHERE_SIZE])
{
    struct addrbook_file file = {0};
    struct buf data;
    buf_init(&data, BOOK_MAX);
    int rc = disk_read(path, &data);
    if (rc == 0) {
        rc = ret_damage ? addrbook_repair(data.data, data.len, &file, ret_damage)
                        : addrbook_decode(data.data, data.len, &file);
        if (rc == 0)
            *ret_file = file;
        else
            snprintf(where, WHERE_SIZE, "%s", file.where[0] ? file.where : weft_strerror(rc));
    }
    buf_fini(&data);
    return rc;
}

static weft_addrbook *to_book(struct addrbook_file *file)
{
    weft_addrbook *book = book_from_records(file->records, file->count);
    if (book)
        memcpy(book->node_id, file->node_id, sizeof(book->node_id));
    addrbook_file_fini(file);
    return book;
}

int weft_addrbook_load(const char *path, weft_addrbook **ret_book)
{
    struct addrbook_file file = {0};
    char where[WHERE_SIZE];
    if (!path || !ret_book)
        return WEFT_EINVAL;
    int rc = read_book(path, &file, NULL, where);
    weft_addrbook *book = rc == 0 ? to_book(&file) : NULL;
    if (book)
        *ret_book = book;
    return rc < 0 ? rc : book ? 0 : WEFT_ENOMEM;
}

static weft_addrbook_damage to_public(const struct addrbook_damage *d)
{
    weft_addrbook_damage out = {
        .size = d->size,
        .kept = d->kept,
        .expected = d->expected,
        .lost = d->lost,
        .n_places = d->n_places,
        .owner_lost = !d->owner_known,
    };
    for (size_t i = 0; i < d->n_places && i < ADDRBOOK_PLACES; i++) {
        out.places[i].from = d->places[i].from;
        out.places[i].to = d->places[i].to;
    }
    return out;
}

int weft_addrbook_repair(const char *path, weft_addrbook **ret_book,
                         weft_addrbook_damage *ret_damage, char **ret_error_text)
{
    struct addrbook_file file = {0};
    struct addrbook_damage damage;
    char where[WHERE_SIZE] = "", text[2 * WHERE_SIZE];
    if (!path || !ret_book || !ret_damage)
        return WEFT_EINVAL;
    int rc = read_book(path, &file, &damage, where);
    weft_addrbook *book = rc == 0 ? to_book(&file) : NULL;
    if (book) {
        *ret_book = book;
        *ret_damage = to_public(&damage);
        return 0;
    }
    rc = rc < 0 ? rc : WEFT_ENOMEM;
    snprintf(text, sizeof(text), "address book %.400s: %s", path,
             where[0]             ? where
             : rc == WEFT_ENOTSUP ? "not a regular file"
                                  : weft_strerror(rc));
    if (ret_error_text)
        *ret_error_text = mem_strdup(text);
    return rc;
}

static size_t put_place(char *buf, size_t size, unsigned long long from, unsigned long long to,
                        bool first)
{
    const char *sep = first ? ": " : ", ";
    if (from == to)
        return (size_t)snprintf(buf, size, "%sbyte %llu, where something is missing", sep, from);
    return (size_t)snprintf(buf, size, "%sbytes %llu to %llu", sep, from, to - 1);
}

int weft_addrbook_damage_text(const weft_addrbook_damage *d, char *buf, size_t size)
{
    char text[1024];
    size_t n = (size_t)snprintf(text, sizeof(text), "%llu ", (unsigned long long)d->kept);
    if (d->n_places && d->expected)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "of %llu ",
                              (unsigned long long)d->expected);
    n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
                          (d->expected ? d->expected : d->kept) == 1 ? "entry" : "entries",
                          d->n_places ? " kept" : "");
    if (d->n_places)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ", %llu bytes lost%s, damaged at",
                              (unsigned long long)d->lost,
                              d->owner_lost ? ", the owner's node id, too" : "");
    for (uint64_t i = 0; i < d->n_places && i < WEFT_DAMAGE_PLACES; i++)
        n += put_place(text + n, sizeof(text) - n, d->places[i].from, d->places[i].to, i == 0);
    if (d->n_places > WEFT_DAMAGE_PLACES)
        snprintf(text + n, sizeof(text) - n, " and %llu more places",
                 (unsigned long long)(d->n_places - WEFT_DAMAGE_PLACES));
    return snprintf(buf, size, "%s", text);
}

/* ---- Opening ---- */

static void tell(weft_node *node, int error, const char *text)
{
    weft_event event = {.type = WEFT_EVENT_ADDRBOOK, .error = error, .text = text};
    node_record(node, WEFT_LOG_WARN, &event, "%s", text);
    node_event(node, &event);
}

/* The book's path behind its links, or as it was given. */
static const char *book_path(const weft_node *node)
{
    return node->book_lock ? node->book_lock->path : node->addrbook_file;
}

static int lock_book(weft_node *node, char *text)
{
    char why[TEXT_SIZE] = "";
    int rc = disk_lock(node->addrbook_file, &node->book_lock, why, sizeof(why));
    bool other = rc == WEFT_EACCESS && strstr(why, "belongs to another");
    if (rc == WEFT_EBUSY)
        snprintf(text, TEXT_SIZE, "%.900s; end that one, or give this node a file of its own", why);
    else if (rc < 0)
        snprintf(text, TEXT_SIZE, "%s", why);
    if (rc == WEFT_EBUSY || rc == WEFT_ENOTSUP || rc == WEFT_ENOMEM || rc == WEFT_EMFILE || other)
        return rc;
    if (rc < 0 && rc != WEFT_EACCESS && rc != WEFT_ENOTFOUND)
        node_log(node, WEFT_LOG_WARN, "%s; going on without the lock", why);
    text[0] = '\0';
    return 0;
}

static void set_aside(weft_node *node, int error, const char *where)
{
    const char *path = book_path(node);
    char aside[DISK_PATH], text[4096 + 512];
    int rc = disk_set_aside(path, aside);
    if (rc == 0 && unlink(path) < 0 && errno != ENOENT)
        rc = -errno;
    if (rc < 0)
        snprintf(text, sizeof(text), "address book %.1024s: %s; it could not be set aside: %s",
                 path, where, strerror(-rc));
    else
        snprintf(text, sizeof(text),
                 "address book %.1024s: %s; set aside as %.1024s, starting from the configuration",
                 path, where, aside);
    tell(node, error, text);
}

/* Put what was kept in the place of the damaged file. */
static int write_kept(const char *path, struct addrbook_file *file)
{
    struct buf data;
    buf_init(&data, BOOK_MAX);
    int rc = addrbook_encode_records(file->node_id, file->records, file->count, &data);
    rc = rc < 0 ? -ENOMEM : disk_replace(path, &data);
    buf_fini(&data);
    return rc;
}

static void keep_sound(weft_node *node, struct addrbook_file *file,
                       const struct addrbook_damage *damage)
{
    const char *path = book_path(node);
    char aside[DISK_PATH], where[WHERE_SIZE], text[4096 + 1024];
    weft_addrbook_damage public = to_public(damage);
    weft_addrbook_damage_text(&public, where, sizeof(where));
    int rc = disk_set_aside(path, aside);
    if (rc < 0)
        snprintf(text, sizeof(text),
                 "address book %.1024s is damaged: %s; the file could not be set aside: %s", path,
                 where, strerror(-rc));
    else
        snprintf(text, sizeof(text),
                 "address book %.1024s is damaged: %s; the damaged file is set aside as %.1024s",
                 path, where, aside);
    tell(node, WEFT_ECORRUPT, text);
    if (rc == 0)
        rc = write_kept(path, file);
    node->save_failed = rc < 0; /* then it is tried with the next save, and told if it fails */
}

int bookfile_load(weft_node *node, struct addrbook_file *ret_file, bool *ret_found, char *text)
{
    char where[WHERE_SIZE] = "";
    struct addrbook_damage damage;
    *ret_found = false;
    if (!node->addrbook_file)
        return 0;
    int rc = lock_book(node, text);
    if (rc < 0)
        return rc;
    rc = read_book(book_path(node), ret_file, &damage, where);
    if (rc == 0 && !damage.owner_known)
        rc = node_random(ret_file->node_id, sizeof(ret_file->node_id));
    if (rc == 0)
        *ret_found = true;
    if (rc == 0 && damage.n_places)
        keep_sound(node, ret_file, &damage);
    else if (rc == WEFT_ECORRUPT || rc == WEFT_EVERSION || rc == WEFT_ELIMIT)
        set_aside(node, rc, where[0] ? where : weft_strerror(rc));
    else if (rc < 0 && rc != WEFT_ENOTFOUND) {
        snprintf(text, TEXT_SIZE, "address book %.900s: %s; make it readable, or name another file",
                 node->addrbook_file, weft_strerror(rc));
        return rc;
    }
    return 0;
}

void bookfile_close(weft_node *node)
{
    disk_unlock(node->book_lock);
    node->book_lock = NULL;
}

/* ---- Saving ---- */

void bookfile_save(weft_node *node)
{
    struct addrbook *book = mesh_addrbook(node->mesh);
    if (!node->addrbook_file || (!addrbook_dirty(book) && !node->save_failed))
        return;
    struct buf data;
    buf_init(&data, BOOK_MAX);
    int rc = addrbook_encode(book, &data);
    if (rc == 0) {
        rc = disk_replace(book_path(node), &data);
        node->save_failed = rc < 0;
        if (rc < 0) {
            char text[4096 + 128];
            snprintf(text, sizeof(text),
                     "address book %.4000s could not be saved: %s; the old file is kept%s",
                     node->addrbook_file, strerror(-rc),
                     node->leaving ? "" : " and saving is tried again");
            tell(node, transport_error(rc), text);
        }
    }
    buf_fini(&data);
}
