"""Who takes part in the soak, what each publishes and hears, and which interest covers which route.

    r0  weftd, tcp and unix: the address everybody knows        l0  a leaf of r0
    r1  weftd, tcp and unix: ended and killed in turn           l1  a leaf of r1
    p0  peer, tcp      p1  peer, tcp and unix                   c2  a leaf of r0 that leaves, or is killed
    p2  peer, unix     c0  peer, tcp: leaves in order           c1  peer, unix: killed by kill -9

All but r1, c0, c1 and c2 live as long as the soak."""

import base64
import dataclasses
import hashlib


@dataclasses.dataclass(frozen=True)
class Member:
    name: str
    path: str
    tcp: bool = False
    unix: bool = False
    router: str = ""  # of a leaf
    ends: tuple = ()  # how it is ended: "order", "kill"
    weftd: bool = False


MEMBERS = [
    Member("r0", "soak.r0", tcp=True, unix=True, weftd=True),
    Member("r1", "soak.r1", tcp=True, unix=True, weftd=True, ends=("order", "kill")),
    Member("p0", "soak.p0", tcp=True),
    Member("p1", "soak.p1", tcp=True, unix=True),
    Member("p2", "soak.p2", unix=True),
    Member("l0", "soak.r0.l0", router="r0"),
    Member("l1", "soak.r1.l1", router="r1"),
    Member("c0", "soak.c0", tcp=True, ends=("order",)),
    Member("c1", "soak.c1", unix=True, ends=("kill",)),
    Member("c2", "soak.r0.c2", router="r0", ends=("order", "kill")),
]
SEED = "r0"
COUNTER = "p0"  # publishes one route to each of those below, whose messages are counted on both sides
COUNTED = ("c0", "c1")
ENDED_ROUTERS = [m.name for m in MEMBERS if m.weftd and m.ends]
PROGRAMS = [m for m in MEMBERS if not m.weftd]
PEERS = [m for m in MEMBERS if not m.router]


def links(member):
    """How many links it has in the whole mesh."""
    if member.router:
        return 1
    return len(PEERS) - 1 + sum(m.router == member.name for m in MEMBERS)


def hashed(route, prefix):
    digest = base64.b64encode(hashlib.sha1(route.encode()).digest()).decode().rstrip("=")
    return f"{prefix}#{digest}"


def count_route(name):
    return f"types.Count@soak.{COUNTER}.to.{name}"


def secret(member, name):
    return hashed(f"types.Secret@{member.path}.{name}", member.path)


def publishes(member):
    """(route, profile, comes and goes) of each intent."""
    path = member.path
    fixed = [(f"types.Fan@{path}.fan", "small"), (f"types.Mid@{path}.mid", "medium"),
             (f"types.Big@{path}.big", "large"), (f"types.Burst@{path}.burst", "burst"),
             (secret(member, "kept"), "small")]
    if member.name == COUNTER:
        fixed += [(count_route(name), "small") for name in COUNTED]
    moving = [(f"types.Small@{path}.a", "small"), (f"types.Small@{path}.deep.b", "small"),
              (f"types.Mid@{path}.c", "medium"), (secret(member, "moving"), "small")]
    return [(*item, False) for item in fixed] + [(*item, True) for item in moving]


def hears(member):
    """(route, mode, comes and goes) of each interest."""
    place = PROGRAMS.index(member)

    def other(distance):
        return PROGRAMS[(place + distance) % len(PROGRAMS)]

    fixed = [("types.Fan@soak.**", "callback"), (f"types.Mid@{other(1).path}.mid", "queue"),
             (f"types.Mid@{other(3).path}.mid", "callback"), (f"types.Big@{other(2).path}.big", "callback"),
             (f"types.Big@{other(5).path}.big", "queue"), (f"types.Burst@{other(1).path}.burst", "queue"),
             (secret(other(3), "kept"), "callback")]
    if not member.ends:
        fixed.append((f"types.Burst@{other(4).path}.burst", "slow"))
    if member.name in COUNTED:
        fixed.append((count_route(member.name), "tally"))
    moving = [(f"*@{other(1).path}.*", "queue"), (f"types.Small@{other(2).path}.a", "callback"),
              ("types.Small@soak.**.b", "queue"), (secret(other(1), "moving"), "queue"),
              (f"types.Mid@{other(4).path}.c", "callback"), (f"types.Small@{other(7).path}.a", "queue")]
    return [(*item, False) for item in fixed] + [(*item, True) for item in moving]


def segments_covered(pattern, path):
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(segments_covered(pattern[1:], path[i:]) for i in range(len(path) + 1))
    return bool(path) and pattern[0] in ("*", path[0]) and segments_covered(pattern[1:], path[1:])


def covers(interest, route):
    """docs/protocol.md section 1, written down once more."""
    if "#" in interest or "#" in route:
        return interest == route
    (kind, pattern), (type_name, path) = interest.split("@"), route.split("@")
    return kind in ("*", type_name) and segments_covered(pattern.split("."), path.split("."))
