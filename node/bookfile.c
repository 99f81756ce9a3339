/* The address book on disk.
 *
 * Saved at once where there was none, every two minutes when it changed, and at exit: the whole
 * book to FILE.tmp, fsync, rename over FILE, fsync of the folder. A crash at any instruction leaves
 * the old book or the new one. A file that is corrupt is renamed to FILE.corrupt-TIME and the node
 * starts from its configuration, saying so. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/node.h"

#define BOOK_MAX (64u << 20)

static int errno_error(int error)
{
    return transport_error(-error);
}

static int read_all(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *to = buf_reserve(out, 16384);
        if (!to)
            return out->error;
        ssize_t n = read(fd, to, 16384);
        if (n < 0 && errno != EINTR)
            return errno_error(errno);
        if (n == 0)
            return 0;
        out->len += n > 0 ? (size_t)n : 0;
    }
}

/* ret_where holds at least 96 bytes; set when the content is at fault. */
static int read_book(const char *path, struct addrbook_file *ret_file, char *ret_where)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? WEFT_ENOTFOUND : errno_error(errno);
    struct buf data;
    buf_init(&data, BOOK_MAX);
    int rc = read_all(fd, &data);
    close(fd);
    if (rc == 0) {
        struct addrbook_file file = {0};
        rc = addrbook_decode(data.data, data.len, &file);
        if (rc == 0)
            *ret_file = file;
        else
            snprintf(ret_where, 96, "%s", file.where);
    }
    buf_fini(&data);
    return rc;
}

int weft_addrbook_load(const char *path, weft_addrbook **ret_book)
{
    struct addrbook_file file = {0};
    char where[96];
    if (!path || !ret_book)
        return WEFT_EINVAL;
    int rc = read_book(path, &file, where);
    if (rc < 0)
        return rc;
    weft_addrbook *book = book_from_records(file.records, file.count);
    if (book) {
        memcpy(book->node_id, file.node_id, sizeof(book->node_id));
        *ret_book = book;
    }
    addrbook_file_fini(&file);
    return book ? 0 : WEFT_ENOMEM;
}

static void tell(weft_node *node, int error, const char *text)
{
    weft_event event = {.type = WEFT_EVENT_ADDRBOOK, .error = error, .text = text};
    node_record(node, WEFT_LOG_WARN, &event, "%s", text);
    node_event(node, &event);
}

static void set_aside(weft_node *node, const char *path, int error, const char *where)
{
    char aside[4096], text[4096 + 512];
    snprintf(aside, sizeof(aside), "%s.corrupt-%llu", path,
             (unsigned long long)(wall_ns() / NS_PER_SEC));
    if (rename(path, aside) < 0)
        snprintf(text, sizeof(text), "address book %.1024s: %s; it could not be set aside: %s",
                 path, where, strerror(errno));
    else
        snprintf(text, sizeof(text),
                 "address book %.1024s: %s; set aside as %.1024s, starting from the configuration",
                 path, where, aside);
    tell(node, error, text);
}

/* Reading a device or a pipe may wait for ever, and saving would put a file in its place. */
static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

int bookfile_load(weft_node *node, struct addrbook_file *ret_file, bool *ret_found)
{
    char where[96] = "";
    *ret_found = false;
    if (!node->addrbook_file)
        return 0;
    if (is_special(node->addrbook_file))
        return WEFT_ENOTSUP;
    int rc = read_book(node->addrbook_file, ret_file, where);
    if (rc == 0)
        *ret_found = true;
    else if (rc == WEFT_ECORRUPT || rc == WEFT_EVERSION || rc == WEFT_ELIMIT)
        set_aside(node, node->addrbook_file, rc, where[0] ? where : weft_strerror(rc));
    else if (rc != WEFT_ENOTFOUND)
        return rc;
    return 0;
}

/* ---- Saving ---- */

static int write_all(int fd, const struct buf *data)
{
    size_t done = 0;
    while (done < data->len) {
        ssize_t n = write(fd, data->data + done, data->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static void sync_folder(const char *path)
{
    char copy[4096];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return; /* the rename stands; only its survival of a power cut is not certain */
    fsync(fd);
    close(fd);
}

static int replace_file(const char *path, const struct buf *data)
{
    char temporary[4096];
    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= sizeof(temporary))
        return -ENAMETOOLONG;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int rc = write_all(fd, data);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(temporary, path) < 0)
        rc = -errno;
    if (rc < 0)
        unlink(temporary);
    else
        sync_folder(path);
    return rc;
}

void bookfile_save(weft_node *node)
{
    struct addrbook *book = mesh_addrbook(node->mesh);
    if (!node->addrbook_file || (!addrbook_dirty(book) && !node->save_failed))
        return;
    struct buf data;
    buf_init(&data, BOOK_MAX);
    int rc = addrbook_encode(book, &data);
    if (rc == 0) {
        rc = replace_file(node->addrbook_file, &data);
        node->save_failed = rc < 0;
        if (rc < 0) {
            char text[4096 + 128];
            snprintf(text, sizeof(text),
                     "address book %.4000s could not be saved: %s; the old file is kept%s",
                     node->addrbook_file, strerror(-rc),
                     node->leaving ? "" : " and saving is tried again");
            tell(node, errno_error(-rc), text);
        }
    }
    buf_fini(&data);
}
