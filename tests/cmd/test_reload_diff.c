/* What a new configuration changes: from two texts to a list of changes. */
#include "../check.h"

#include <string.h>

#include "../../cmd/weftd/reload.h"

#define SELF "self: tcp://127.0.0.1:7400/lab.a\n"

static struct config parse(const char *text)
{
    struct config config;
    struct problems problems = {0};
    config_init(&config);
    config_parse(&config, text, strlen(text), &problems);
    if (problems.total)
        FAIL("%s: %s", text, problems.list[0].text);
    return config;
}

/* The changes as a dry run tells them, a line each. */
static const char *diff(const char *from, const char *to)
{
    static char lines[16384];
    char text[CHANGE_TEXT];
    struct config old = parse(from), new = parse(to);
    struct changes changes;
    size_t len = 0;
    config_diff(&old, &new, &changes);
    lines[0] = '\0';
    for (size_t i = 0; i < changes.count && len < sizeof(lines); i++)
        len += (size_t)snprintf(lines + len, sizeof(lines) - len, "%s\n",
                                change_text(&changes.list[i], true, text));
    changes_fini(&changes);
    config_fini(&old);
    config_fini(&new);
    return lines;
}

TEST(diff, nothing)
{
    CHECK_STR(diff(SELF, SELF "# a comment\nlog: info\nrole: peer\n"), "");
    CHECK_STR(diff(SELF "peers: [tcp://h:1/b]\n", SELF "peers: [{url: tcp://h:1/b}]\n"), "");
    CHECK_STR(diff(SELF "linger: 1s\n", SELF "linger: 1000ms\n"), "");
    CHECK_STR(diff(SELF "peers: [tcp://h:1/b, tcp://h:1/c]\n",
                   SELF "peers: [tcp://h:1/c, tcp://h:1/b]\n"),
              "");
}

TEST(diff, peers)
{
    CHECK_STR(diff(SELF "peers: [tcp://h:1/b, tcp://h:1/c]\n",
                   SELF "peers: [tcp://h:1/c, tcp://h:1/d]\n"),
              "would drop tcp://h:1/b and any link to it\n"
              "would dial tcp://h:1/d, for ever, pauses from 1s to 1m growing by 1.5\n");
    CHECK_STR(
        diff(SELF "peers: [tcp://h:1/b]\n",
             SELF "peers: [{url: tcp://h:1/b, persistent: false, max_attempts: 3}]\n"),
        "would change the schedule of tcp://h:1/b: gives up after 3 failures, pauses from 1s to "
        "1m growing by 1.5 (was: for ever, pauses from 1s to 1m growing by 1.5)\n");
    CHECK_STR(diff(SELF "peers: [{url: tcp://h:1/b, multiplier: 2}]\n",
                   SELF "peers: [{url: tcp://h:1/b, multiplier: 2.0}]\n"),
              "");
}

/* The attempts of a peer that is never given up mean nothing. */
TEST(diff, attempts_of_a_persistent_peer)
{
    CHECK_STR(diff(SELF "peers: [{url: tcp://h:1/b, max_attempts: 3}]\n",
                   SELF "peers: [{url: tcp://h:1/b, max_attempts: 4}]\n"),
              "");
}

TEST(diff, a_peer_listed_twice_counts_as_its_last)
{
    CHECK_STR(diff(SELF "peers: [tcp://h:1/b]\n",
                   SELF "peers: [{url: tcp://h:1/b, backoff: 2s}, tcp://h:1/b]\n"),
              "");
    CHECK_STR(diff(SELF "peers: [tcp://h:1/b, tcp://h:1/b]\n", SELF),
              "would drop tcp://h:1/b and any link to it\n");
    CHECK_STR(diff(SELF, SELF "peers: [tcp://h:1/b, tcp://h:1/b]\n"),
              "would dial tcp://h:1/b, for ever, pauses from 1s to 1m growing by 1.5\n");
}

TEST(diff, settings_that_are_applied)
{
    CHECK_STR(diff(SELF, SELF "limits: {max_frame: 8MiB, peers: 9, routes: 10, outbox: 1MiB}\n"
                              "log: {level: debug, format: json}\n"),
              "would change limits.max_frame: 8MiB (was: 4MiB)\n"
              "would change limits.peers: 9 (was: 1024)\n"
              "would change limits.routes: 10 (was: 1000000)\n"
              "would change limits.outbox: 1MiB (was: 16MiB)\n"
              "would change log.level: debug (was: info)\n"
              "would change log.format: json (was: auto)\n");
}

TEST(diff, settings_that_take_a_restart)
{
    CHECK_STR(diff(SELF, "self: tcp://127.0.0.1:7400/lab.b\n"
                         "advertise: tcp://h:7400/lab.b\n"
                         "listen: [unix:///run/a.sock/b, unix:///run/b.sock/b]\n"
                         "network: lab\nallow_base: true\naddrbook: /var/lib/book\nlinger: 2s\n"
                         "access: {info: any, control: none}\npid_file: /run/pid\n"),
              "would need a restart: self: tcp://127.0.0.1:7400/lab.b (is: "
              "tcp://127.0.0.1:7400/lab.a)\n"
              "would need a restart: advertise: tcp://h:7400/lab.b (is: nothing)\n"
              "would need a restart: listen: [unix:///run/a.sock/b, unix:///run/b.sock/b] (is: "
              "nothing)\n"
              "would need a restart: network: lab (is: nothing)\n"
              "would need a restart: allow_base: true (is: false)\n"
              "would need a restart: addrbook: /var/lib/book (is: nothing)\n"
              "would need a restart: linger: 2s (is: 1s)\n"
              "would need a restart: access.info: any (is: local)\n"
              "would need a restart: access.control: none (is: unix)\n"
              "would need a restart: pid_file: /run/pid (is: nothing)\n");
    CHECK_STR(diff(SELF, SELF "http: {listen: [0.0.0.0:7480], names: [robot.lan], remote: true}\n"),
              "would need a restart: http.listen: [0.0.0.0:7480] (is: nothing)\n"
              "would need a restart: http.names: [robot.lan] (is: nothing)\n"
              "would need a restart: http.remote: true (is: false)\n");
    CHECK_STR(diff("peers: [unix:///a.sock/b]\npath: x\n", "peers: [unix:///a.sock/b]\npath: y\n"),
              "would need a restart: path: y (is: x)\n");
    CHECK_STR(diff("peers: [unix:///a.sock/b]\n", "role: client\npeers: [unix:///a.sock/b]\n"),
              "would need a restart: role: client (is: leaf)\n");
}

TEST(diff, a_long_list_is_cut)
{
    char text[8192] = SELF "listen: [unix:///run/0.sock/b";
    size_t len = strlen(text);
    for (int i = 1; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, ", unix:///run/%d.sock/b", i);
    snprintf(text + len, sizeof(text) - len, "]\n");
    CHECK(strstr(diff(SELF, text), "needs") == NULL);
    CHECK(strstr(diff(SELF, text), "would need a restart: listen: [unix:///run/0.sock/b, ") !=
          NULL);
    CHECK(strstr(diff(SELF, text), "...]") != NULL);
}

/* What could not be dropped is dropped by the next reload; what was, is not told again. */
TEST(diff, what_could_not_be_dropped_is_tried_again)
{
    static const char before[] = SELF "peers: [tcp://h:1/b, {url: tcp://h:1/c, backoff: 2s}]\n";
    struct config running = parse(before), next = parse(SELF), again = parse(SELF);
    struct config back = parse(before);
    struct changes changes;
    char text[CHANGE_TEXT];
    config_diff(&running, &next, &changes);
    CHECK_EQ(changes.count, 2);
    changes.list[1].error = WEFT_ENOMEM;
    CHECK_STR(change_text(&changes.list[1], false, text),
              "dropped tcp://h:1/c and any link to it; it failed: out of memory");
    config_adopt(&running, &next, &changes);
    changes_fini(&changes);
    config_fini(&next);
    config_diff(&running, &back, &changes); /* that one is still there, as it was */
    CHECK_EQ(changes.count, 1);
    CHECK_STR(change_text(&changes.list[0], true, text),
              "would dial tcp://h:1/b, for ever, pauses from 1s to 1m growing by 1.5");
    changes_fini(&changes);
    config_diff(&running, &again, &changes);
    CHECK_EQ(changes.count, 1);
    CHECK_STR(change_text(&changes.list[0], true, text),
              "would drop tcp://h:1/c and any link to it");
    config_adopt(&running, &again, &changes);
    changes_fini(&changes);
    CHECK_EQ(running.peer_count, 0);
    config_fini(&again);
    config_fini(&back);
    config_fini(&running);
}

/* What was applied is not told again; what failed or takes a restart is. */
TEST(diff, adopting)
{
    static const char before[] = SELF "peers: [tcp://h:1/b]\n";
    static const char after[] = "self: tcp://127.0.0.1:7400/lab.z\n"
                                "peers: [tcp://h:1/c, tcp://h:1/d]\nlog: debug\n"
                                "limits: {peers: 9}\n";
    struct config running = parse(before), next = parse(after), again = parse(after);
    struct changes changes;
    char text[CHANGE_TEXT];
    config_diff(&running, &next, &changes);
    CHECK_EQ(changes.count, 6);
    for (size_t i = 0; i < changes.count; i++)
        if (changes.list[i].peer && strcmp(changes.list[i].peer, "tcp://h:1/c") == 0)
            changes.list[i].error = WEFT_ENOMEM;
    CHECK_STR(change_text(&changes.list[1], false, text),
              "dials tcp://h:1/c, for ever, pauses from 1s to 1m growing by 1.5; it failed: out of "
              "memory");
    config_adopt(&running, &next, &changes);
    changes_fini(&changes);
    config_fini(&next);
    config_diff(&running, &again, &changes);
    CHECK_EQ(changes.count, 2);
    CHECK_STR(change_text(&changes.list[0], false, text),
              "dials tcp://h:1/c, for ever, pauses from 1s to 1m growing by 1.5");
    CHECK_EQ(changes.list[1].kind, CHANGE_RESTART);
    CHECK_STR(changes.list[1].setting, "self");
    changes_fini(&changes);
    config_fini(&again);
    config_fini(&running);
}
