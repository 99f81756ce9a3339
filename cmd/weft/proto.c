/* protoc translates the .proto files into descriptors, once; cmd/typed/ does the rest by these, so
 * a message costs no process.
 *
 * What protoc has to say on a file goes to standard error as it is, with file, line and column. */
#include "proto.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/escape.h"
#include "../common/memory.h"

#define SET_MAX ((size_t)64 * 1024 * 1024) /* of descriptors */
#define READ_SIZE ((size_t)64 * 1024)

int proto_option(struct proto *proto, const struct command *command, int option, int option_proto)
{
    struct names *names = option == option_proto ? &proto->files : &proto->dirs;
    if (names_add(names, optarg))
        return EXIT_OK;
    return usage_error(command, "more than %d times %s", NAMES_MAX,
                       option == option_proto ? "--proto" : "-I");
}

/* ---- protoc ------------------------------------------------------------------------------------
 */

/* protoc wants every file below a directory that it was given: without -I, each file's own. */
static void arguments(const struct proto *proto, struct names *ret_args)
{
    names_add(ret_args, "protoc");
    names_add(ret_args, "--include_imports");
    names_add(ret_args, "--descriptor_set_out=/dev/stdout");
    for (size_t i = 0; i < proto->dirs.count; i++) {
        names_add(ret_args, "-I");
        names_add(ret_args, proto->dirs.items[i]);
    }
    for (size_t i = 0; proto->dirs.count == 0 && i < proto->files.count; i++) {
        const char *file = proto->files.items[i], *slash = strrchr(file, '/');
        char *dir = slash ? xcopy(file, (size_t)(slash - file) + (slash == file)) : xcopy(".", 1);
        names_add(ret_args, "-I");
        names_add(ret_args, dir);
        xfree(dir);
    }
    for (size_t i = 0; i < proto->files.count; i++)
        names_add(ret_args, proto->files.items[i]);
}

static int start(const struct proto *proto, pid_t *ret_pid, int *ret_fd)
{
    posix_spawn_file_actions_t actions;
    struct names args = {0};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return failure("cannot start protoc: %s", strerror(errno));
    arguments(proto, &args);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int rc = posix_spawnp(ret_pid, "protoc", &actions, NULL, args.items, environ);
    posix_spawn_file_actions_destroy(&actions);
    names_fini(&args);
    close(ends[1]);
    if (rc == 0) {
        *ret_fd = ends[0];
        return EXIT_OK;
    }
    close(ends[0]);
    if (rc == ENOENT)
        return failure("--proto needs protoc, which is not there; install it: "
                       "apt install protobuf-compiler");
    return failure("cannot start protoc: %s", strerror(rc));
}

/* All of it, or more than SET_MAX. */
static bool read_all(int fd, struct typed_buffer *b)
{
    while (b->size <= SET_MAX) {
        if (b->size == b->allocated) {
            b->allocated = 2 * b->allocated + READ_SIZE;
            b->data = xresize(b->data, b->allocated);
        }
        ssize_t n = read(fd, b->data + b->size, b->allocated - b->size);
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        b->size += n > 0 ? (size_t)n : 0;
    }
    return true; /* the rest is not wanted */
}

int proto_load(struct proto *proto)
{
    struct typed_buffer set = {0};
    char error[TYPED_ERROR];
    pid_t pid = 0;
    int fd = -1, status = 0, code = start(proto, &pid, &fd);
    if (code != EXIT_OK)
        return code;
    bool whole = read_all(fd, &set);
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (set.size > SET_MAX) /* it failed at writing the rest */
        code = failure("%s and what it imports make more than %zu MiB of descriptors; give only "
                       "the files with the types of the routes",
                       proto->files.items[0], SET_MAX >> 20);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        code = failure("protoc does not take %s%s; see what it says above", proto->files.items[0],
                       proto->files.count > 1 ? " and the other files" : "");
    else if (!whole)
        code = failure("cannot read what protoc made of %s", proto->files.items[0]);
    else if (!typed_schema_load(&proto->schema, set.data, set.size, error) ||
             !typed_schema_link(&proto->schema, error))
        code = failure("%s", error);
    xfree(set.data);
    return code;
}

/* ---- Types of routes ---------------------------------------------------------------------------
 */

/* TYPE of TYPE@PATH; the caller frees it with xfree. NULL: a hashed route. */
static char *type_name(const char *route)
{
    const char *at = strchr(route, '@');
    if (!at || weft_route_check(route, NULL) == WEFT_ROUTE_HASHED)
        return NULL;
    return xcopy(route, (size_t)(at - route));
}

const struct typed_message *proto_type(const struct proto *proto, const char *route)
{
    char *name = type_name(route);
    const struct typed_message *type = name ? typed_find(&proto->schema, name) : NULL;
    xfree(name);
    return type;
}

int proto_check(const struct proto *proto, const char *route)
{
    char *name = type_name(route);
    int code = EXIT_OK;
    if (!name) {
        code = failure("%s is hashed and does not tell its type; give the plain route", route);
    } else if (!strchr(name, '*') && !typed_find(&proto->schema, name)) {
        const char *near = typed_near(&proto->schema, name);
        code = failure("%s has no message %s%s%s%s", proto->files.items[0], name,
                       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    xfree(name);
    return code;
}

/* ---- Messages ----------------------------------------------------------------------------------
 */

bool proto_encode(struct proto *proto, const struct typed_message *type, const char *text,
                  size_t size, struct typed_buffer *ret_buffer, char error[TYPED_ERROR])
{
    size_t blank = 0;
    while (blank < size && strchr(" \t\r\n", text[blank]) && text[blank])
        blank++;
    bool json = blank < size && text[blank] == '{';
    struct typed_object *object =
        (json ? typed_parse_json : typed_parse_text)(&proto->pool, type, text, size, error);
    bool ok = object && typed_encode(object, ret_buffer, error);
    typed_pool_empty(&proto->pool);
    return ok;
}

struct typed_object *proto_decode(struct proto *proto, const weft_msg *msg, char error[TYPED_ERROR])
{
    const struct typed_message *type = proto_type(proto, weft_msg_route(msg));
    struct typed_object *object = NULL;
    typed_pool_empty(&proto->pool);
    if (type)
        object = typed_decode(&proto->pool, type, weft_msg_data(msg), weft_msg_size(msg), error);
    else
        snprintf(error, TYPED_ERROR, "the type of its route is not in the files");
    proto->undecoded += !object;
    return object;
}

void proto_fini(struct proto *proto)
{
    names_fini(&proto->files);
    names_fini(&proto->dirs);
    typed_schema_fini(&proto->schema);
    typed_pool_empty(&proto->pool);
}
