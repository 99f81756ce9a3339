/* What an application does with an installed weft; built against it by ./dev test. */
#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

int main(void)
{
    weft_options o;
    weft_options_init(&o);
    o.self = "tcp://127.0.0.1:0/installed";
    weft_node *node;
    if (weft_node_open(&o, &node) < 0)
        return 1;
    weft_interest *in;
    weft_intent *out;
    weft_msg *msg;
    int rc = weft_subscribe(node, "T@installed.x", NULL, &in);
    if (rc == 0)
        rc = weft_publish(node, "T@installed.x", NULL, &out);
    if (rc == 0)
        rc = weft_intent_wait(out, 5000);
    if (rc == 0)
        rc = weft_send(out, "hello", 5);
    if (rc == 0)
        rc = weft_recv(in, &msg, 5000);
    if (rc == 0) {
        rc = weft_msg_size(msg) == 5 && memcmp(weft_msg_data(msg), "hello", 5) == 0 ? 0 : 1;
        weft_msg_unref(msg);
    }
    if (rc != 0)
        fprintf(stderr, "installed: %s\n", rc < 0 ? weft_strerror(rc) : "not the message sent");
    weft_node_close(node);
    return rc != 0;
}
