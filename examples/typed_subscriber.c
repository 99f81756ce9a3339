/* Prints every demo.Pose (pose.proto) published below "demo".
 *
 *     typed_subscriber [--count N] PEER...      typed_subscriber tcp://127.0.0.1:7400/demo.robot */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/protobuf.h>

#include "pose.pb-c.h"

static int print_pose(const weft_msg *msg)
{
    ProtobufCMessage *unpacked;
    int rc = weft_msg_unpack(msg, &demo__pose__descriptor, &unpacked);
    if (rc < 0)
        return rc;
    const Demo__Pose *pose = (const Demo__Pose *)unpacked;
    printf("%s: x %+.3f y %+.3f theta %+.3f\n", weft_msg_route(msg), pose->x, pose->y, pose->theta);
    fflush(stdout);
    protobuf_c_message_free_unpacked(unpacked, NULL);
    return 0;
}

static int print_poses(weft_node *node, unsigned long count)
{
    weft_interest *interest;
    int rc = weft_subscribe_pb(node, &demo__pose__descriptor, "demo.**", NULL, &interest);
    if (rc < 0)
        return rc;
    for (unsigned long n = 1; rc == 0 && (count == 0 || n <= count); n++) {
        weft_msg *msg;
        rc = weft_recv(interest, &msg, -1);
        if (rc == 0) {
            rc = print_pose(msg);
            weft_msg_unref(msg);
        }
    }
    weft_interest_close(interest);
    return rc;
}

int main(int argc, char **argv)
{
    int first = argc > 2 && strcmp(argv[1], "--count") == 0 ? 3 : 1;
    if (first >= argc) {
        fprintf(stderr, "usage: typed_subscriber [--count N] PEER...\n");
        return EXIT_FAILURE;
    }

    weft_options o;
    weft_options_init(&o);
    o.peers = (const char *const *)&argv[first]; /* argv ends with a NULL, as peers must */

    weft_node *node;
    int rc = weft_node_open(&o, &node);
    if (rc == 0) {
        rc = print_poses(node, first == 3 ? strtoul(argv[2], NULL, 10) : 0);
        weft_node_close(node);
    }
    if (rc < 0)
        fprintf(stderr, "typed_subscriber: %s: %s\n", argv[first], weft_strerror(rc));
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
