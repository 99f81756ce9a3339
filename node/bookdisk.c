/* Address books on disk: reading one, replacing one, and who may write it.
 *
 * A book is written whole: to FILE.tmp, fsync, rename over FILE, fsync of the folder. A crash at
 * any instruction leaves the old book or the new one. Mode and owner of what was there are kept.
 *
 * Who writes a book holds FILE.lock locked (flock) and its process id in it, from before it reads
 * the book until it is done: two writers would each undo what the other wrote. The lock is on a
 * file of its own, since the rename puts another file in the book's place; it goes with the process
 * however that ends, and with the open file, so that two nodes of one process keep each other out,
 * too. What is left of FILE.lock after a kill is taken over. Its remover holds the lock; who opened
 * it meanwhile holds a file without a name, sees that and tries again.
 *
 * A symbolic link is followed once, when the lock is taken: lock, temporary file and rename belong
 * to the file it leads to. */
#include "node/bookdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"
#include "node/node.h"

#define LINKS_MAX 8 /* from one symbolic link to the next */

static int errno_error(int error)
{
    return transport_error(-error);
}

/* ---- Reading ---- */

int disk_read(const char *path, struct buf *out)
{
    if (disk_is_special(path))
        return WEFT_ENOTSUP;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? WEFT_ENOTFOUND : errno_error(errno);
    int rc = 0;
    for (ssize_t n = 1; rc == 0 && n;) {
        uint8_t *to = buf_reserve(out, 16384);
        n = to ? read(fd, to, 16384) : 0;
        if (!to)
            rc = out->error;
        else if (n < 0 && errno != EINTR)
            rc = errno_error(errno);
        out->len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    return rc;
}

bool disk_is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* ---- The lock ---- */

/* The folder of a path with a slash behind, or "". */
static void folder_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, size, "%.*s", slash ? (int)(slash - path + 1) : 0, path);
}

/* What the path leads to, whether there is a file yet or not. */
static int follow_links(const char *path, char out[DISK_PATH])
{
    char target[DISK_PATH], folder[DISK_PATH];
    if ((size_t)snprintf(out, DISK_PATH, "%s", path) >= DISK_PATH)
        return -ENAMETOOLONG;
    for (int i = 0; i < LINKS_MAX; i++) {
        ssize_t n = readlink(out, target, sizeof(target) - 1);
        if (n < 0)
            return 0;
        target[n] = '\0';
        folder_of(out, folder, sizeof(folder));
        if ((size_t)snprintf(out, DISK_PATH, "%s%s", target[0] == '/' ? "" : folder, target) >=
            DISK_PATH)
            return -ENAMETOOLONG;
    }
    return -ELOOP;
}

/* By its real folder: the program may change its own, and two spellings are one file. */
static int resolve(const char *path, char out[DISK_PATH])
{
    char followed[DISK_PATH], copy[DISK_PATH], folder[PATH_MAX];
    int rc = follow_links(path, followed);
    if (rc < 0)
        return rc;
    memcpy(copy, followed, sizeof(copy));
    if (!realpath(dirname(copy), folder))
        return -errno;
    const char *slash = strrchr(followed, '/');
    size_t n = (size_t)snprintf(out, DISK_PATH, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
                                slash ? slash + 1 : followed);
    return n + sizeof(".lock") > DISK_PATH ? -ENAMETOOLONG : 0;
}

/* The superuser edits books of others, who must be able to take the lock themselves later. */
static void give_to_owner(int fd, const char *path)
{
    char folder[DISK_PATH];
    struct stat st;
    folder_of(path, folder, sizeof(folder));
    if (geteuid() == 0 && (stat(path, &st) == 0 || stat(folder, &st) == 0) &&
        fchown(fd, st.st_uid, st.st_gid) < 0)
        return; /* a file system without owners */
}

static long read_holder(int fd)
{
    char text[24] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

/* Open and lock it. Negative errno; -EWOULDBLOCK: another holds it. */
static int take_lock(const char *lock_path, long *ret_holder)
{
    for (;;) {
        struct stat ours, named;
        int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int error = errno;
            *ret_holder = read_holder(fd);
            close(fd);
            return -error;
        }
        if (fstat(fd, &ours) == 0 && stat(lock_path, &named) == 0 && ours.st_ino == named.st_ino &&
            ours.st_dev == named.st_dev)
            return fd;
        close(fd); /* its former holder removed it meanwhile */
    }
}

static void write_holder(int fd)
{
    /* Only for the sentence that others read: the lock stands without it. */
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
        return;
}

static int busy(const char *file, long holder, char *text, size_t size)
{
    char who[48] = "another process";
    if (holder > 0)
        snprintf(who, sizeof(who), "process %ld%s", holder,
                 holder == (long)getpid() ? ", this one" : "");
    snprintf(text, size, "address book %.900s: in use by %s", file, who);
    return WEFT_EBUSY;
}

static int lock_failed(const char *file, const char *lock_path, int error, char *text, size_t size)
{
    if (error == EACCES && access(lock_path, F_OK) == 0)
        snprintf(text, size,
                 "address book %.400s: %.400s belongs to another user; remove it if no process has "
                 "the book",
                 file, lock_path);
    else
        snprintf(text, size, "address book %.900s: cannot be locked: %s", file, strerror(error));
    return error == ENOENT ? WEFT_ENOTFOUND : errno_error(error);
}

int disk_lock(const char *file, weft_book_lock **ret_lock, char *text, size_t size)
{
    char path[DISK_PATH], lock_path[DISK_PATH];
    long holder = 0;
    if (disk_is_special(file)) {
        snprintf(text, size, "address book %.900s: not a regular file; name another", file);
        return WEFT_ENOTSUP;
    }
    int rc = resolve(file, path);
    if (rc < 0)
        return lock_failed(file, file, -rc, text, size);
    snprintf(lock_path, sizeof(lock_path), "%.*s.lock", (int)(sizeof(lock_path) - 6), path);
    int fd = take_lock(lock_path, &holder);
    if (fd == -EWOULDBLOCK)
        return busy(file, holder, text, size);
    if (fd < 0)
        return lock_failed(file, lock_path, -fd, text, size);
    weft_book_lock *lock = mem_zalloc(sizeof(*lock));
    if (!lock) {
        unlink(lock_path);
        close(fd);
        return WEFT_ENOMEM;
    }
    lock->fd = fd;
    memcpy(lock->path, path, sizeof(path));
    memcpy(lock->lock_path, lock_path, sizeof(lock_path));
    write_holder(fd);
    give_to_owner(fd, path);
    *ret_lock = lock;
    return 0;
}

void disk_unlock(weft_book_lock *lock)
{
    if (!lock)
        return;
    unlink(lock->lock_path); /* before it is anybody else's */
    close(lock->fd);
    mem_free(lock);
}

int disk_set_aside(const char *path, char out[DISK_PATH])
{
    unsigned long long now = wall_ns() / NS_PER_SEC;
    for (unsigned i = 0; i < 1000; i++) {
        char more[16] = "";
        if (i)
            snprintf(more, sizeof(more), ".%u", i);
        if ((size_t)snprintf(out, DISK_PATH, "%s.corrupt-%llu%s", path, now, more) >= DISK_PATH)
            return -ENAMETOOLONG;
        if (link(path, out) == 0)
            return 0;
        if (errno == EEXIST)
            continue;
        return rename(path, out) < 0 ? -errno : 0; /* a file system without hard links */
    }
    return -EEXIST;
}

/* ---- Writing ---- */

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
    char copy[DISK_PATH];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return; /* the rename stands; only its survival of a power cut is not certain */
    fsync(fd);
    close(fd);
}

/* As it was, as far as we may: owner and group are the superuser's to give, who gives a new file,
 * too, to whose folder it is in. A service may be kept from fchown even where it changes nothing.
 */
static void keep_owner(int fd, const char *path)
{
    struct stat st, ours;
    if (stat(path, &st) < 0) {
        give_to_owner(fd, path);
        return;
    }
    bool same = fstat(fd, &ours) == 0 && ours.st_uid == st.st_uid && ours.st_gid == st.st_gid;
    if (!same && fchown(fd, st.st_uid, st.st_gid) < 0 && fchown(fd, (uid_t)-1, st.st_gid) < 0)
        st.st_mode &= 0700; /* not for a group that is another */
    if (fchmod(fd, st.st_mode & 0777) < 0)
        return; /* stays its owner's alone */
}

int disk_replace(const char *path, const struct buf *data)
{
    char temporary[DISK_PATH];
    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= sizeof(temporary))
        return -ENAMETOOLONG;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    keep_owner(fd, path);
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
