/* Who the other side is, and what each side is called on a link (docs/protocol.md section 4).
 *
 * A node tells its name as it knows it; the other side tells it back as it sees it, an unspecified
 * host replaced by the address the connection comes from, or by the host that was dialled:
 *
 *     initiator 10.0.0.7                                responder 10.0.0.2
 *     me tcp://0.0.0.0:7400/arm              ───▶       peer tcp://10.0.0.7:7400/arm
 *     its own name from now on               ◀───       you  tcp://10.0.0.7:7400/arm
 *
 * Two rules make both sides accept the same names. What may differ is the host, where the claimed
 * one is unspecified and the port is not 0 (a client has port 0: there is nothing to dial), and the
 * path of a leaf that claims none: it gets its router's. Everything else must come back as it was
 * said. And a name counts as the same in its claimed and its observed form, so that a node that
 * keeps to its configured `advertise` is not refused for it.
 *
 * Failure: a name that does not parse, that comes back altered, or that belongs to a node we do not
 * link to. The sentences name both nodes, since both sides read them. */
#include "handshake/internal.h"

#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

#include "proto/route.h"

/* Text of the other side for people: cut to size, nothing that moves a cursor. */
static void copy_printable(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
    for (char *p = out; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
}

static int parse_name(struct handshake *h, const char *field, const char *text, struct url *ret_url)
{
    size_t len = text ? strlen(text) : 0;
    if (url_parse(text ? text : "", len, ret_url, NULL) == 0)
        return 0;
    char raw[160], why[160];
    url_explain(text ? text : "", len, raw, sizeof(raw));
    copy_printable(why, sizeof(why), raw);
    return handshake_refuse(h, WEFT_EURL, "HANDSHAKE field '%s': %s", field, why);
}

static bool same_name(const struct url *a, const struct url *b)
{
    return url_same_address(a, b) && strcmp(a->path, b->path) == 0;
}

static bool host_is_open(const struct url *url)
{
    return url_host_unspecified(url) && url->port != 0;
}

/* May the other side call us `you`, who are `own`? */
static bool may_be_called(const struct handshake *h, const struct url *own, const struct url *you)
{
    if (strcmp(own->scheme, you->scheme) != 0)
        return false;
    if (!url_same_address(own, you) && !(host_is_open(own) && own->port == you->port))
        return false;
    if (strcmp(own->path, you->path) == 0)
        return true;
    return h->self->role == ROLE_LEAF && own->path[0] == '\0';
}

/* Where the other side is, as this side sees it; "" where the transport has no hosts. */
static const char *observed_host(const struct handshake *h)
{
    if (h->initiator && h->dialled.host[0] && !url_host_unspecified(&h->dialled))
        return h->dialled.host;
    return h->remote_host;
}

/* Turn the name the other side claims into the one this side sees. */
static int as_seen(struct handshake *h, enum role role, struct url *name)
{
    int rc = 0;
    if (host_is_open(name) && observed_host(h)[0])
        rc = url_set_host(name, observed_host(h));
    if (rc == 0 && role == ROLE_LEAF && name->path[0] == '\0' && h->self->path[0])
        rc = url_set_path(name, h->self->path);
    if (rc < 0)
        return handshake_refuse(h, WEFT_EURL, "'%.100s' becomes too long as seen from here",
                                name->text);
    return 0;
}

static int check_self(struct handshake *h, const struct handshake_msg *msg, const struct url *peer)
{
    if (!msg->node_id || memcmp(msg->node_id, h->self->node_id, sizeof(h->node_id)) != 0)
        return 0;
    if (msg->incarnation == h->self->incarnation)
        return handshake_refuse(h, WEFT_ESELF,
                                "'%.100s' is this node itself: remove it from its own peers",
                                peer->text);
    return handshake_refuse(
        h, WEFT_EDENIED,
        "'%.80s' and '%.80s' have the same node id: one address book was copied "
        "from the other; remove it on one of them",
        peer->text, h->me.text);
}

static int check_network(struct handshake *h, const struct handshake_msg *msg,
                         const struct url *peer)
{
    const char *theirs = msg->network ? msg->network : "";
    if (strcmp(theirs, h->self->network) == 0)
        return 0;
    char network[sizeof(h->network)];
    copy_printable(network, sizeof(network), theirs);
    return handshake_refuse(h, WEFT_ENETWORK,
                            "'%.50s' is in network \"%.30s\", '%.50s' in \"%.30s\": give both the "
                            "same 'network', or do not link them",
                            h->me.text, h->self->network, peer->text, network);
}

/* Only who dialled can be a client or a leaf, and a leaf lives below its router. */
static int check_role(struct handshake *h, const struct handshake_msg *msg, const struct url *peer)
{
    if ((unsigned)msg->role > ROLE_LEAF)
        return handshake_refuse(h, WEFT_EPROTO, "'%.100s' has role %u, which is unknown here",
                                peer->text, (unsigned)msg->role);
    if (h->initiator && msg->role != ROLE_PEER)
        return handshake_refuse(h, WEFT_EPROTO,
                                "'%.100s' was dialled but says it is a %s, which only dials",
                                peer->text, msg->role == ROLE_LEAF ? "leaf" : "client");
    const char *above = h->self->path;
    if (msg->role == ROLE_LEAF &&
        !path_covers(above, strlen(above), peer->path, strlen(peer->path)))
        return handshake_refuse(h, WEFT_EDENIED,
                                "leaf path '%.70s' is not below '%.70s', the path of its router: "
                                "choose one below it or none",
                                peer->path, above);
    return 0;
}

/* The scheme of the connection: the responder knows it from what the other side says it dialled. */
static void connection_scheme(const struct handshake *h, const struct handshake_msg *msg, char *out,
                              size_t size)
{
    struct url you;
    const char *scheme = h->me.scheme;
    if (h->initiator)
        scheme = h->dialled.scheme;
    else if (msg->you && url_parse(msg->you, strlen(msg->you), &you, NULL) == 0)
        scheme = you.scheme;
    snprintf(out, size, "%s", scheme);
}

static int check_base(struct handshake *h, const struct handshake_msg *msg, const struct url *peer)
{
    char scheme[sizeof(peer->scheme)];
    connection_scheme(h, msg, scheme, sizeof(scheme));
    if (strcmp(peer->scheme, scheme) != 0)
        return handshake_refuse(h, WEFT_EURL,
                                "HANDSHAKE field 'me': expected a name that begins with '%s://', "
                                "as the connection does, got '%.100s'",
                                scheme, peer->text);
    if (h->self->network[0] && !h->self->allow_base)
        return handshake_refuse(h, WEFT_EDENIED,
                                "'%.60s' speaks the base protocol, and '%.60s' is in network "
                                "\"%.40s\": set 'allow_base' there to link them",
                                peer->text, h->me.text, h->self->network);
    return 0;
}

static int check_peer(struct handshake *h, const struct handshake_msg *msg, const struct url *peer)
{
    int rc;
    if (msg->version == 0)
        return check_base(h, msg, peer);
    if ((rc = check_self(h, msg, peer)) < 0 || (rc = check_network(h, msg, peer)) < 0)
        return rc;
    return check_role(h, msg, peer);
}

/* A responder calls us by our name; an initiator only says what it dialled, which may be any name
 * of ours. A base peer is not held to it: what fits is taken. */
static int consume_you(struct handshake *h, const struct handshake_msg *msg, struct url *ret_me)
{
    bool base = msg->version == 0;
    struct url you;
    if (base && (!msg->you || url_parse(msg->you, strlen(msg->you), &you, NULL) < 0))
        return 0;
    int rc = base ? 0 : parse_name(h, "you", msg->you, &you);
    if (rc < 0)
        return rc;
    bool fits = may_be_called(h, &h->me, &you);
    if (!fits && !base && h->initiator)
        return handshake_refuse(h, WEFT_EPROTO, "HANDSHAKE calls '%.90s' by another name: '%.90s'",
                                h->me.text, you.text);
    if (fits && (base || h->initiator) && !h->self->advertised)
        *ret_me = you;
    return 0;
}

static uint32_t agreed_max_frame(uint32_t ours, uint32_t theirs)
{
    uint64_t max = min_u64(ours ? ours : FRAME_MAX_DEFAULT, theirs ? theirs : FRAME_MAX_DEFAULT);
    return (uint32_t)max_u64(min_u64(max, FRAME_MAX_LIMIT), FRAME_MAX_HANDSHAKE);
}

static void take_abilities(struct handshake *h, const struct handshake_msg *msg)
{
    h->base = msg->version == 0;
    h->max_frame = agreed_max_frame(h->self->max_frame, h->base ? 0 : msg->max_frame);
    if (h->base)
        return;
    h->has_node_id = msg->node_id != NULL;
    if (msg->node_id)
        memcpy(h->node_id, msg->node_id, sizeof(h->node_id));
    h->incarnation = msg->incarnation;
    h->features = h->self->features & msg->features;
    h->role = msg->role;
    copy_printable(h->agent, sizeof(h->agent), msg->agent);
    copy_printable(h->network, sizeof(h->network), msg->network);
}

int identity_consume(struct handshake *h, const struct handshake_msg *msg)
{
    struct url peer, me = h->me;
    int rc = parse_name(h, "me", msg->me, &peer);
    if (rc < 0)
        return rc;
    if ((rc = as_seen(h, msg->version ? msg->role : ROLE_PEER, &peer)) < 0)
        return rc;
    if ((rc = check_peer(h, msg, &peer)) < 0 || (rc = consume_you(h, msg, &me)) < 0)
        return rc;
    h->me = me;
    h->peer = peer;
    take_abilities(h, msg);
    return 0;
}

/* Is `you` our name, as agreed or as we claimed it? The responder hears it here first, and who
 * keeps to its advertised name has not kept the observed one: there any name it may have will do.
 */
static bool confirms_me(const struct handshake *h, const struct url *you)
{
    struct url own;
    if (same_name(&h->me, you))
        return true;
    if (!h->initiator || h->self->advertised)
        return may_be_called(h, &h->me, you);
    return url_parse(h->self->me, strlen(h->self->me), &own, NULL) == 0 && same_name(&own, you);
}

int identity_confirm(struct handshake *h, const struct handshake_msg *msg)
{
    struct url peer, you;
    int rc;
    if ((rc = parse_name(h, "me", msg->me, &peer)) < 0 ||
        (rc = parse_name(h, "you", msg->you, &you)) < 0 || (rc = as_seen(h, h->role, &peer)) < 0)
        return rc;
    if (!same_name(&peer, &h->peer))
        return handshake_refuse(h, WEFT_EPROTO,
                                "HANDSHAKE FINAL: 'me' is '%.80s', agreed was '%.80s'", peer.text,
                                h->peer.text);
    if (!confirms_me(h, &you))
        return handshake_refuse(h, WEFT_EPROTO,
                                "HANDSHAKE FINAL: 'you' is '%.80s', agreed was '%.80s'", you.text,
                                h->me.text);
    if (!h->initiator && !h->self->advertised)
        h->me = you;
    return 0;
}
