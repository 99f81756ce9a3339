/* The daemon's process id, in a file that is locked as long as it runs.
 *
 * Happy path: make the file, lock it, write the number; at the end remove it and let go. The lock
 * tells a file in use from one that was left behind by a daemon that was killed, whose number may
 * long be another process's.
 *
 * Failure modes. Another daemon holds the lock: its number is told. The file was removed between
 * our opening and locking it, as a daemon that ends does: it is opened anew. It holds something
 * else than a number: somebody's file, which is not touched. */
#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID_TEXT 32

static const char *remedy(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return "; make its folder, or name another file";
    case EACCES:
    case EROFS:
        return "; let this user write to its folder, or name another file";
    case ELOOP:
        return "; it is a symbolic link, which is not followed: name the file itself";
    default:
        return "; name another file";
    }
}

/* Is what was opened still what the path names? */
static bool same_file(int fd, const char *path)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

/* Reads what the file holds. False: it is neither empty nor a number. */
static bool read_pid(int fd, char pid[PID_TEXT])
{
    ssize_t n = pread(fd, pid, PID_TEXT - 1, 0);
    if (n < 0)
        return false;
    pid[n] = '\0';
    size_t digits = strspn(pid, "0123456789");
    bool number = pid[digits] == '\0' || (pid[digits] == '\n' && pid[digits + 1] == '\0');
    pid[digits] = '\0';
    return number && n < PID_TEXT - 1;
}

/* Open and lock. Returns the descriptor, or -1 after an explanation. */
static int lock_file(const char *path, char *text, size_t size)
{
    for (;;) {
        char pid[PID_TEXT];
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
        if (fd < 0) {
            snprintf(text, size, "pid_file: cannot write %s: %s%s", path, strerror(errno),
                     remedy(errno));
            return -1;
        }
        bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (locked && !same_file(fd, path)) {
            close(fd);
            continue;
        }
        bool number = read_pid(fd, pid);
        if (locked && number)
            return fd;
        if (number)
            snprintf(text, size,
                     "pid_file: %s is held by process %s, which runs; end that weftd first, or "
                     "give this one another file",
                     path, *pid ? pid : "(unknown)");
        else
            snprintf(text, size,
                     "pid_file: %s holds something else than a process id and is left as it is; "
                     "remove it, or name another file",
                     path);
        close(fd);
        return -1;
    }
}

int pidfile_open(struct pidfile *file, const char *path, char *text, size_t size)
{
    *file = (struct pidfile){.fd = -1};
    if (!path)
        return 0;
    int fd = lock_file(path, text, size);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        snprintf(text, size, "pid_file: cannot write %s: %s%s", path, strerror(errno),
                 remedy(errno));
        unlink(path);
        close(fd);
        return -1;
    }
    *file = (struct pidfile){path, fd};
    return 0;
}

void pidfile_close(struct pidfile *file)
{
    if (file->fd < 0)
        return;
    if (same_file(file->fd, file->path))
        unlink(file->path);
    close(file->fd);
    *file = (struct pidfile){.fd = -1};
}
