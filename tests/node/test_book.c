/* Address-book files: who may write them, what a save keeps, what a damaged one still gives, and
 * books as they are edited. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/addrbook.h>

#include "fixture.h"

#define A "tcp://10.0.0.1:7400/robot.arm"
#define B "tcp://robot.lan:7400/robot.base"
#define C "unix:///run/weft.sock/robot.eye"

static char folder[64], file[128], lock_file[160];

static void set_up(void)
{
    fx_mkdir(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/book", folder);
    snprintf(lock_file, sizeof(lock_file), "%s.lock", file);
}

static weft_book_lock *lock_it(const char *path)
{
    weft_book_lock *lock = NULL;
    char *text = NULL;
    int rc = weft_addrbook_lock(path, &lock, &text);
    if (rc != 0)
        FAIL("%s: %s", weft_strerror(rc), text);
    return lock;
}

static void expect_busy(const char *path, const char *who)
{
    weft_book_lock *lock = NULL;
    char *text = NULL;
    CHECK_EQ(weft_addrbook_lock(path, &lock, &text), WEFT_EBUSY);
    CHECK(text != NULL && lock == NULL);
    if (!strstr(text, path) || !strstr(text, who) || !strstr(text, "end it first"))
        FAIL("says \"%s\"", text);
    weft_free(text);
}

static weft_addrbook *book_of(const char *const *peers)
{
    weft_addrbook *book;
    CHECK_EQ(weft_addrbook_new(&book), 0);
    for (size_t i = 0; peers[i]; i++) {
        weft_addrbook_entry e = {.peer = peers[i], .origin = WEFT_ORIGIN_CONFIGURED, .added = 7};
        CHECK_EQ(weft_addrbook_put(book, &e), 1);
    }
    return book;
}

static void save_as(const char *path, const char *const *peers)
{
    weft_book_lock *lock = lock_it(path);
    weft_addrbook *book = book_of(peers);
    CHECK_EQ(weft_addrbook_save(lock, book), 0);
    weft_addrbook_free(book);
    weft_addrbook_unlock(lock);
}

static const char *const three[] = {A, B, C, NULL};

static weft_node *open_node(struct events *events)
{
    weft_options o = fx_options("inproc://booked/a");
    o.addrbook = file;
    o.on_event = events ? events_take : NULL;
    o.user = events;
    return fx_open_options(&o);
}

/* ---- The lock ---- */

TEST(book, one_holds_it_at_a_time)
{
    set_up();
    char self[32];
    snprintf(self, sizeof(self), "process %ld", (long)getpid());
    weft_book_lock *lock = lock_it(file);
    expect_busy(file, self);
    weft_addrbook_unlock(lock);
    CHECK(access(lock_file, F_OK) != 0);
    weft_addrbook_unlock(lock_it(file));
    fx_rmdir(folder);
}

TEST(book, a_link_and_another_spelling_are_the_same_file)
{
    set_up();
    char alias[160], spelt[160], dangling[160];
    snprintf(alias, sizeof(alias), "%s/alias", folder);
    snprintf(dangling, sizeof(dangling), "%s/new-alias", folder);
    snprintf(spelt, sizeof(spelt), "%s/../%s/./book", folder, strrchr(folder, '/') + 1);
    CHECK_EQ(symlink("book", alias), 0);
    CHECK_EQ(symlink(file, dangling), 0);
    weft_book_lock *lock = lock_it(alias); /* leads to no file yet */
    expect_busy(file, "process");
    expect_busy(spelt, "process");
    expect_busy(dangling, "process");
    weft_addrbook_unlock(lock);
    fx_rmdir(folder);
}

TEST(book, two_nodes_cannot_share_one)
{
    set_up();
    weft_node *node = open_node(NULL), *second = NULL;
    weft_options o = fx_options("inproc://booked/b");
    char *text = NULL;
    o.addrbook = file;
    CHECK_EQ(weft_node_open_explain(&o, &second, &text), WEFT_EBUSY);
    if (!text || !strstr(text, file) || !strstr(text, "in use by process") ||
        !strstr(text, "a file of its own"))
        FAIL("says \"%s\"", text);
    weft_free(text);
    expect_busy(file, "process");
    weft_node_close(node);
    CHECK(access(lock_file, F_OK) != 0);
    node = open_node(NULL);
    weft_node_close(node);
    fx_rmdir(folder);
}

/* An open that fails keeps nobody out. */
TEST(book, a_failed_open_gives_the_lock_back)
{
    set_up();
    weft_node *other = fx_open("inproc://taken/a", NULL, NULL), *node;
    weft_options o = fx_options("inproc://taken/b");
    o.addrbook = file;
    CHECK_EQ(weft_node_open(&o, &node), WEFT_EADDRINUSE);
    weft_addrbook_unlock(lock_it(file));
    weft_node_close(other);
    fx_rmdir(folder);
}

/* The lock goes with its process, though the file stays. */
TEST(book, a_killed_process_holds_nothing)
{
    set_up();
    int ready[2];
    char byte, who[32];
    CHECK_EQ(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should a check fail */
        open_node(NULL);
        if (write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    CHECK(child > 0);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    snprintf(who, sizeof(who), "process %ld", (long)child);
    expect_busy(file, who);
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK_EQ(access(lock_file, F_OK), 0);
    weft_node *node = open_node(NULL);
    weft_node_close(node);
    CHECK(access(lock_file, F_OK) != 0);
    close(ready[0]);
    close(ready[1]);
    fx_rmdir(folder);
}

TEST(book, where_no_lock_can_be)
{
    set_up();
    weft_book_lock *lock = NULL;
    char *text = NULL, nowhere[160];
    snprintf(nowhere, sizeof(nowhere), "%s/none/book", folder);
    CHECK_EQ(weft_addrbook_lock(nowhere, &lock, &text), WEFT_ENOTFOUND);
    CHECK(strstr(text, nowhere));
    weft_free(text);
    CHECK_EQ(weft_addrbook_lock(folder, &lock, &text), WEFT_ENOTSUP);
    CHECK(strstr(text, "not a regular file"));
    weft_free(text);
    fx_rmdir(folder);
}

/* ---- Saving ---- */

TEST(book, what_is_saved_is_loaded)
{
    set_up();
    weft_addrbook *book, *loaded;
    weft_addrbook_entry e = {
        .peer = "tcp://[fe80::1%eth0]:7400/r\xc3\xb6hre.1?k=v",
        .max_attempts = 3,
        .default_backoff_ns = 1000001,
        .max_backoff_ns = 7000000003,
        .multiplier = 1.37f,
        .attempts = 4,
        .failed_attempts = 2,
        .last_success = 1700000000123456789,
        .backoff_ns = 999,
        .persistent = true,
        .node_id = "0123456789abcde",
        .source = "tcp://teller:1/t",
        .origin = WEFT_ORIGIN_GOSSIP,
        .last_error = "na\xc3\xafve \"quote\"\n\x01",
        .banned_until = UINT64_MAX,
        .added = 5,
        .linked = true,
        .next_dial_ns = 8,
    };
    CHECK_EQ(weft_addrbook_new(&book), 0);
    CHECK_EQ(weft_addrbook_put(book, &e), 1);
    weft_book_lock *lock = lock_it(file);
    CHECK_EQ(weft_addrbook_save(lock, book), 0);
    CHECK_EQ(weft_addrbook_load(file, &loaded), 0);
    CHECK_EQ(loaded->count, 1);
    const weft_addrbook_entry *l = &loaded->entries[0];
    CHECK_STR(l->peer, e.peer);
    CHECK_STR(l->source, e.source);
    CHECK_STR(l->last_error, e.last_error);
    CHECK_MEM(l->node_id, e.node_id, 16);
    CHECK(l->multiplier == e.multiplier && l->persistent && !l->linked && !l->next_dial_ns);
    CHECK_EQ(l->max_attempts, e.max_attempts);
    CHECK_EQ(l->default_backoff_ns, e.default_backoff_ns);
    CHECK_EQ(l->max_backoff_ns, e.max_backoff_ns);
    CHECK_EQ(l->attempts, e.attempts);
    CHECK_EQ(l->failed_attempts, e.failed_attempts);
    CHECK_EQ(l->last_success, e.last_success);
    CHECK_EQ(l->backoff_ns, e.backoff_ns);
    CHECK_EQ(l->banned_until, e.banned_until);
    CHECK_EQ(l->origin, e.origin);
    CHECK_EQ(l->added, e.added);
    static const uint8_t none[16];
    CHECK(memcmp(loaded->node_id, none, 16) != 0); /* a new book has an owner */
    weft_addrbook_free(loaded);
    weft_addrbook_free(book);
    weft_addrbook_unlock(lock);
    fx_rmdir(folder);
}

TEST(book, a_link_stays_a_link_and_the_mode_stays)
{
    set_up();
    char alias[160];
    struct stat st;
    snprintf(alias, sizeof(alias), "%s/alias", folder);
    save_as(file, three);
    CHECK_EQ(stat(file, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(chmod(file, 0640), 0);
    CHECK_EQ(symlink(file, alias), 0);
    static const char *const one[] = {A, NULL};
    save_as(alias, one);
    CHECK_EQ(lstat(alias, &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(lstat(file, &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_mode & 0777, 0640);
    weft_addrbook *book;
    CHECK_EQ(weft_addrbook_load(file, &book), 0);
    CHECK_EQ(book->count, 1);
    weft_addrbook_free(book);
    fx_rmdir(folder);
}

/* As systemd's filter @privileged does. */
static void forbid_fchown(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchown, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    CHECK(fchown(0, getuid(), getgid()) < 0 && errno == EPERM);
}

TEST(book, the_mode_stays_in_a_sandbox)
{
    struct stat st;
    set_up();
    save_as(file, three);
    CHECK_EQ(chmod(file, 0640), 0);
    forbid_fchown();
    save_as(file, three);
    CHECK_EQ(stat(file, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0640);
    fx_rmdir(folder);
}

TEST(book, what_cannot_be_saved_leaves_the_file)
{
    set_up();
    save_as(file, three);
    weft_book_lock *lock = lock_it(file);
    weft_addrbook *book = book_of(three);
    char *long_text = malloc(5001);
    CHECK(long_text != NULL);
    memset(long_text, 'x', 5000);
    long_text[5000] = '\0';
    weft_addrbook_entry e = {.peer = A, .last_error = long_text};
    CHECK_EQ(weft_addrbook_put(book, &e), 0);
    CHECK_EQ(weft_addrbook_save(lock, book), WEFT_EINVAL);
    weft_addrbook_free(book);
    weft_addrbook_unlock(lock);
    CHECK_EQ(weft_addrbook_load(file, &book), 0);
    CHECK_EQ(book->count, 3);
    weft_addrbook_free(book);
    free(long_text);
    fx_rmdir(folder);
}

/* ---- Damage ---- */

static size_t flip(const char *path, size_t at)
{
    struct stat st;
    uint8_t byte;
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    CHECK_EQ(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x40;
    CHECK_EQ(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
    return (size_t)st.st_size;
}

TEST(book, repair_reads_what_is_sound)
{
    set_up();
    weft_addrbook *book;
    weft_addrbook_damage damage;
    char text[512], *why = NULL;
    save_as(file, three);
    CHECK_EQ(weft_addrbook_repair(file, &book, &damage, NULL), 0);
    CHECK_EQ(damage.n_places, 0);
    CHECK_EQ(damage.kept, 3);
    weft_addrbook_damage_text(&damage, text, sizeof(text));
    CHECK_STR(text, "3 entries");
    weft_addrbook_free(book);
    size_t size = flip(file, 40); /* within the first record */
    CHECK_EQ(weft_addrbook_repair(file, &book, &damage, NULL), 0);
    CHECK_EQ(book->count, 2);
    CHECK(!weft_addrbook_find(book, A) && weft_addrbook_find(book, B));
    CHECK_EQ(damage.size, size);
    CHECK_EQ(damage.kept, 2);
    CHECK_EQ(damage.expected, 3);
    CHECK_EQ(damage.n_places, 1);
    CHECK_EQ(damage.places[0].from, 28);
    weft_addrbook_damage_text(&damage, text, sizeof(text));
    CHECK(strstr(text, "2 of 3 entries kept, ") && strstr(text, "damaged at: bytes 28 to "));
    weft_addrbook_free(book);
    FILE *f = fopen(file, "w");
    CHECK(f && fputs("self: tcp://0.0.0.0:7400/x\n", f) >= 0 && fclose(f) == 0);
    CHECK_EQ(weft_addrbook_repair(file, &book, &damage, &why), WEFT_ECORRUPT);
    CHECK(strstr(why, file) && strstr(why, "byte 0: expected"));
    weft_free(why);
    fx_rmdir(folder);
}

/* All but one entry, under the same node id, in a sound file; the damaged one beside it. */
TEST(book, a_node_goes_on_with_what_is_sound)
{
    static struct events events;
    events_init(&events);
    set_up();
    save_as(file, three);
    weft_addrbook *before, *book;
    CHECK_EQ(weft_addrbook_load(file, &before), 0);
    flip(file, 40);
    weft_node *node = open_node(&events);
    struct seen s = events_wait(&events, WEFT_EVENT_ADDRBOOK, 1);
    CHECK_EQ(s.error, WEFT_ECORRUPT);
    char *aside = strstr(s.text, "set aside as ");
    if (!strstr(s.text, "2 of 3 entries kept") || !aside)
        FAIL("says \"%s\"", s.text);
    CHECK_EQ(access(aside + strlen("set aside as "), R_OK), 0);
    CHECK_EQ(weft_addrbook_load(file, &book), 0); /* already, were it killed now */
    CHECK_EQ(book->count, 2);
    CHECK_MEM(book->node_id, before->node_id, 16);
    weft_addrbook_free(book);
    CHECK_EQ(weft_node_addrbook(node, &book), 0);
    CHECK_EQ(book->count, 2);
    CHECK_MEM(book->node_id, before->node_id, 16);
    weft_addrbook_free(book);
    weft_node_close(node);
    weft_addrbook_free(before);
    fx_rmdir(folder);
}

/* ---- Editing ---- */

TEST(book, entries_are_known_by_their_address)
{
    weft_addrbook *book = book_of(three);
    CHECK_EQ(book->count, 3);
    CHECK(weft_addrbook_find(book, "tcp://10.0.0.1:7400/other"));
    CHECK(weft_addrbook_find(book, "tcp://ROBOT.lan:7400"));
    CHECK(weft_addrbook_find(book, "unix:///run/weft.sock/other"));
    CHECK(!weft_addrbook_find(book, "tcp://10.0.0.1:740/robot.arm"));
    CHECK(!weft_addrbook_find(book, "nonsense"));
    weft_addrbook_entry e = {.peer = "tcp://10.0.0.1:7400/z", .attempts = 9};
    CHECK_EQ(weft_addrbook_put(book, &e), 0);
    e.peer = "tcp://10.0.0.1:740/z";
    CHECK_EQ(weft_addrbook_put(book, &e), 1);
    e.peer = "tcp://Robot.LAN:7400/z";
    CHECK_EQ(weft_addrbook_put(book, &e), 0);
    CHECK_EQ(book->count, 4);
    for (size_t i = 1; i < book->count; i++)
        CHECK(strcmp(book->entries[i - 1].peer, book->entries[i].peer) < 0);
    const weft_addrbook_entry *put = weft_addrbook_find(book, A);
    CHECK_STR(put->peer, "tcp://10.0.0.1:7400/z");
    CHECK_EQ(put->attempts, 9);
    CHECK_EQ(put->max_attempts, 10); /* the defaults of a new entry */
    CHECK_EQ(put->max_backoff_ns, UINT64_C(60000000000));
    CHECK_STR(put->source, "");
    CHECK_EQ(weft_addrbook_remove(book, A), 0);
    CHECK_EQ(weft_addrbook_remove(book, A), WEFT_ENOTFOUND);
    CHECK_EQ(weft_addrbook_remove(book, "x"), WEFT_EURL);
    CHECK_EQ(book->count, 3);
    CHECK(weft_addrbook_find(book, "tcp://10.0.0.1:740/"));
    weft_addrbook_free(book);
}

TEST(book, what_is_no_peer_is_not_put)
{
    weft_addrbook *book = book_of(three);
    weft_addrbook_entry e = {.peer = "nonsense"};
    CHECK_EQ(weft_addrbook_put(book, &e), WEFT_EURL);
    e.peer = "tcp://0.0.0.0:7400/x";
    CHECK_EQ(weft_addrbook_put(book, &e), WEFT_EINVAL);
    e.peer = "carrier://pigeon/x";
    CHECK_EQ(weft_addrbook_put(book, &e), WEFT_ENOTSUP);
    e.peer = NULL;
    CHECK_EQ(weft_addrbook_put(book, &e), WEFT_EINVAL);
    CHECK_EQ(book->count, 3);
    weft_addrbook_free(book);
}
