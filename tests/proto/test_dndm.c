/* Frames captured from a running dndm: they decode to the values that the capture's text gives, and
 * encode to the same bytes. DNDM_FRAMES names the file. */
#include "tests/check.h"

#include <weft/weft.h>

#include "base/util.h"
#include "proto/codec.h"

#define FRAME_ROOM 4096

/* Value of `name(n)=…` in the text, without quotes; "" if the field is not there. */
static void field(const char *text, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name), n = 0;
    out[0] = '\0';
    for (const char *p = text; (p = strstr(p, name)); p += name_len) {
        if (p > text && p[-1] != '{' && p[-1] != ' ')
            continue;
        p = strstr(p, ")=") + 2;
        const char *end = *p == '\'' ? strchr(++p, '\'') : p + strcspn(p, " }");
        for (; p < end && n + 1 < size; p++)
            out[n++] = *p;
        out[n] = '\0';
        return;
    }
}

static uint64_t number(const char *text, const char *name)
{
    char value[64];
    field(text, name, value, sizeof(value));
    return strtoull(value, NULL, 10);
}

static void same_text(const char *text, const char *name, const char *got)
{
    char value[256];
    field(text, name, value, sizeof(value));
    CHECK_STR(got, value);
}

static void check_control(const char *msg, const struct control *c)
{
    switch (c->type) {
    case MSG_HANDSHAKE:
        same_text(msg, "me(", c->handshake.me);
        same_text(msg, "you(", c->handshake.you);
        CHECK_EQ(c->handshake.stage, number(msg, "stage("));
        CHECK_EQ(c->handshake.version, 0);
        break;
    case MSG_PEERS:
        CHECK_EQ(c->peers.count, strstr(msg, "ids(") ? 1 : 0);
        if (c->peers.count)
            same_text(msg, "ids(", c->peers.ids[0]);
        CHECK(!c->peers.remove);
        break;
    case MSG_INTENT:
    case MSG_INTEREST:
        same_text(msg, "route(", c->decls.items[0].route);
        CHECK_EQ(c->decls.items[0].ttl_ns, number(msg, "ttl("));
        CHECK_EQ(c->decls.items[0].registered, number(msg, "register("));
        break;
    case MSG_PING:
    case MSG_PONG:
        CHECK_EQ(c->ping.receive_timestamp, number(msg, "receive_timestamp("));
        CHECK_EQ(c->ping.ping_timestamp, number(msg, "ping_timestamp("));
        CHECK_EQ(c->ping.payload_len, 1024);
        break;
    case MSG_RESULT:
        CHECK_EQ(c->result.nonce, number(msg, "nonce("));
        CHECK_EQ(c->result.error, number(msg, "error("));
        same_text(msg, "description(", c->result.description);
        break;
    default:
        FAIL("unexpected type %u", c->type);
    }
}

static void check_header(const char *hdr, const struct header *h)
{
    char route[256];
    field(hdr, "route(", route, sizeof(route));
    CHECK_EQ(h->timestamp, number(hdr, "timestamp("));
    CHECK_EQ(h->type, number(hdr, "type("));
    CHECK_EQ(h->want_result, number(hdr, "want_result("));
    CHECK_EQ(h->route_len, strlen(route));
    if (h->route_len)
        CHECK_MEM(h->route, route, h->route_len);
}

/* One captured frame and its line of text. */
static void check_frame(char *text, const uint8_t *data, size_t size)
{
    struct frame f;
    struct header h;
    struct buf out;
    CHECK_EQ(frame_scan(data, size, FRAME_MAX_HANDSHAKE, &f), 1);
    CHECK_EQ(f.size, size);
    CHECK_EQ(header_decode(f.header, f.header_size, &h), 0);
    char *msg = strstr(text, " msg{");
    CHECK(msg != NULL);
    *msg++ = '\0'; /* so that fields of one part are not found in the other */
    check_header(strstr(text, "hdr{"), &h);

    buf_init(&out, FRAME_ROOM);
    if (h.type == MSG_MESSAGE) {
        uint8_t head[FRAME_ROOM];
        size_t n = frame_put_standard(head, &h, f.body_size);
        CHECK(buf_put(&out, head, n) && buf_put(&out, f.body, f.body_size));
    } else {
        struct control c;
        CHECK_EQ(codec_decode(h.type, f.body, f.body_size, &c), 0);
        check_control(msg, &c);
        CHECK_EQ(codec_encode(&out, &h, &c), 0);
        control_fini(&c);
    }
    CHECK_EQ(out.len, size);
    CHECK_MEM(out.data, data, size);
    buf_fini(&out);
}

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (hex += strspn(hex, " "); hex[0] && hex[0] != '\n'; hex += 2, n++) {
        char digits[3] = {hex[0], hex[1], '\0'};
        CHECK(n < FRAME_ROOM);
        out[n] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return n;
}

TEST(dndm, captured_frames)
{
    const char *file = getenv("DNDM_FRAMES");
    FILE *in = fopen(file ? file : "tests/proto/dndm-frames.txt", "r");
    CHECK(in != NULL);
    char text[4 * FRAME_ROOM], hex[4 * FRAME_ROOM];
    uint8_t data[FRAME_ROOM];
    unsigned seen = 0, frames = 0;
    while (fgets(text, sizeof(text), in)) {
        if (text[0] == '#' || text[0] == '\n')
            continue;
        CHECK(fgets(hex, sizeof(hex), in) != NULL);
        size_t size = from_hex(hex, data);
        check_frame(text, data, size);
        seen |= text[0] == 'H' ? 1 : strncmp(text, "PI", 2) == 0 ? 2 : text[0] == 'M' ? 4 : 0;
        frames++;
    }
    fclose(in);
    CHECK_EQ(seen, 7);
    CHECK(frames >= 9);
}
