/* Address-book files: locked, read, and replaced as a whole. Private to node/. */
#ifndef NODE_BOOKDISK_H
#define NODE_BOOKDISK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#include <weft/addrbook.h>

#define DISK_PATH 4096
#define BOOK_MAX (64u << 20) /* bytes of a file */

struct weft_book_lock {
    int fd;
    char path[DISK_PATH]; /* of the book itself, absolute, behind all symbolic links */
    char lock_path[DISK_PATH];
};

/* As weft_addrbook_lock; `text` gets the sentence. disk_unlock(NULL) is harmless. */
int disk_lock(const char *file, weft_book_lock **ret_lock, char *text, size_t size);
void disk_unlock(weft_book_lock *lock);

/* Append what the file holds. Errors: WEFT_ENOTFOUND, WEFT_ENOTSUP (special), WEFT_EACCESS,
 * WEFT_EIO, WEFT_ELIMIT (buffer), WEFT_ENOMEM. */
int disk_read(const char *path, struct buf *out);

/* Reading a device or a pipe may wait for ever, and saving would put a file in its place. */
bool disk_is_special(const char *path);

/* Give it a further name, FILE.corrupt-TIME, so that replacing it keeps it; where the file system
 * has no hard links, rename it. 0 or a negative errno. */
int disk_set_aside(const char *path, char out[DISK_PATH]);

/* Put a file with this content in its place. 0 or a negative errno. */
int disk_replace(const char *path, const struct buf *data);

#endif
