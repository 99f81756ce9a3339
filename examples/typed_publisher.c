/* Publishes demo.Pose (pose.proto): a robot that drives in a circle. The message's type is part of
 * the route, and its fingerprint is compared when publisher and subscriber meet.
 *
 *     typed_publisher [--count N] SELF [PEER]...  typed_publisher tcp://0.0.0.0:7400/demo.robot */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weft/protobuf.h>

#include "pose.pb-c.h"

static int drive(weft_node *node, unsigned long count)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    Demo__Pose pose = DEMO__POSE__INIT;
    weft_intent *intent;
    int rc = weft_publish_pb(node, &demo__pose__descriptor, "demo.robot.pose", NULL, &intent);
    if (rc < 0)
        return rc;
    rc = weft_intent_wait(intent, -1);
    for (unsigned long n = 0; rc == 0 && (count == 0 || n < count); n++) {
        pose.theta = 0.1 * (double)n;
        pose.x = cos(pose.theta);
        pose.y = sin(pose.theta);
        rc = weft_send_pb(intent, &pose.base);
        if (rc == WEFT_EDROPPED) /* a subscriber is too slow: it misses one, the others do not */
            rc = 0;
        nanosleep(&pause, NULL);
    }
    weft_intent_close(intent);
    return rc;
}

int main(int argc, char **argv)
{
    int first = argc > 2 && strcmp(argv[1], "--count") == 0 ? 3 : 1;
    if (first >= argc) {
        fprintf(stderr, "usage: typed_publisher [--count N] SELF [PEER]...\n");
        return EXIT_FAILURE;
    }

    weft_options o;
    weft_options_init(&o);
    o.self = argv[first];
    o.peers = (const char *const *)&argv[first + 1]; /* argv ends with a NULL, as peers must */

    weft_node *node;
    int rc = weft_node_open(&o, &node);
    if (rc == 0) {
        printf("listening on %s\n", weft_node_url(node));
        fflush(stdout);
        rc = drive(node, first == 3 ? strtoul(argv[2], NULL, 10) : 0);
        weft_node_close(node); /* waits until what was sent has left */
    }
    if (rc < 0)
        fprintf(stderr, "typed_publisher: %s: %s\n", o.self, weft_strerror(rc));
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
