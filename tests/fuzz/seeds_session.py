"""Seeds of the session target: scenes in the records of session.h, one thing that may happen in each."""

OPS = ("CONNECT OPENED SHAKE DECLS PEERS BOOK DIGEST PING PONG GOODBYE RESULT GREET MESSAGE RAW TYPE DAMAGE CUT TIME "
       "WALL OPEN CLOSE DIAL FORGET BAN ASK SELF LOSE STARVE RESTART QUERY ANSWER INQUIRE REPLY").split()
SECOND, TEN_MS = (30, 0), (23, 0)  # of TIME
INTENTS, WANTS = 1, 3
P1, P2, BASE, LEAF, CLIENT, P1_AGAIN, ITSELF, ANY_HOST, UNIX_LEAF = range(9)


def do(op, slot=0, a=0, b=0, c=0, d=0, data=b""):
    return bytes([OPS.index(op), slot, a, b, c, d, len(data)]) + data


def wait(seconds):
    return b"".join(do("TIME", a=SECOND[0]) for _ in range(seconds))


def come(who, slot=0, **how):
    return do("CONNECT", slot, who) + do("SHAKE", slot, **how)


def dial(who, slot=0, **how):
    return do("DIAL", a=who) + do("OPENED", slot) + do("SHAKE", slot, **how)


def decls(slot, kind, *routes):
    return do("DECLS", slot, kind, data=b"".join(bytes([r, 0, i + 1, 0]) for i, r in enumerate(routes)))


def scenes():
    routes = do("OPEN", a=1, b=2) + do("OPEN", b=5) + do("OPEN", b=0)
    yield b"", come(P1)
    yield b"", routes + come(P1, d=1) + decls(0, INTENTS, 0, 3, 4) + decls(0, WANTS, 2, 5, 14) + do("DIGEST")
    yield b"", come(P1) + routes + do("DIGEST", a=1) + do("DIGEST", a=2) + wait(3) + do("PONG") + do("PING", data=b"x")
    yield b"", dial(P2) + routes + decls(0, INTENTS, 1) + do("CUT") + wait(2) + do("OPENED") + do("SHAKE")
    yield b"", dial(BASE) + routes + decls(0, INTENTS, 16) + decls(0, 2, 2) + do("PONG")
    yield b"", come(BASE) + routes + decls(0, 0, 16) + wait(12)
    yield b"", come(LEAF) + come(P1, 1) + decls(0, INTENTS, 8, 24) + decls(0, WANTS, 0, 5) + decls(1, INTENTS, 0, 3)
    yield b"", come(CLIENT) + come(UNIX_LEAF, 1) + decls(0, INTENTS, 18) + decls(1, WANTS, 18, 21)
    yield b"", come(P1) + come(P1, 1) + do("DIGEST", 1) + do("GOODBYE", 0, 2) + come(P1_AGAIN, 2) + wait(6)
    yield b"", come(P2) + dial(P2, 1) + decls(0, INTENTS, 1) + do("DIGEST", 1) + do("GOODBYE", 0, 2)
    yield b"", come(P1) + come(P1, 1, b=0x13) + come(P1, 2, c=2)
    yield b"", dial(ITSELF) + come(ITSELF, 1) + come(ANY_HOST, 2)
    yield b"", come(P1) + do("PEERS", data=bytes(range(24))) + do("PEERS", b=31) + wait(4) + do("OPENED", a=1) * 4
    yield b"", come(P1) + do("BOOK", a=1) + do("ASK", a=1) + do("BOOK", data=b"\0\1\2") + do("ASK") + do("PONG")
    yield b"", (come(P1) + do("INQUIRE", a=31, c=1, data=b"log") + do("ANSWER", b=1, c=3, d=2) + do("ANSWER", a=1) +
                do("ANSWER", c=2, d=9, data=b"done") + do("INQUIRE", b=5) + do("RESULT", a=7, d=1, data=b"no"))
    yield b"", (come(P1) + do("QUERY", a=4) + do("QUERY", a=2) + do("QUERY", a=3, d=2, data=b"add") + do("QUERY", a=1) +
                do("REPLY", a=1, b=1, c=9) + do("REPLY", a=2, b=1) + do("REPLY", b=1) + do("QUERY", a=3, b=1, c=7) * 5)
    yield b"", come(P1, b=0x3b) + do("QUERY") + do("INQUIRE") + dial(BASE, 1) + do("QUERY", 1) + do("INQUIRE", 1)
    yield b"", come(P1) + do("INQUIRE") + wait(4) + do("PING", data=b"x") + wait(8) + do("INQUIRE") + do("CUT")
    yield b"", come(P1) + dial(P2, 1) + do("RESTART", a=1) + wait(1) + do("OPENED") + do("SHAKE") + do("RESTART", b=1)
    yield b"", do("CONNECT", b=0xf0) * 8 + wait(6)
    yield b"", do("STARVE", b=20) + come(P1) + routes + decls(0, INTENTS, 0, 3) + do("STARVE", b=3, c=8) + come(P2, 1)
    yield b"", come(P1) + do("LOSE", a=1) + routes + come(P1) + do("DAMAGE", a=99, b=1) + decls(0, INTENTS, 0)
    yield b"", come(P1) + do("WALL", a=188) + wait(2) + do("BAN", a=P1, b=9) + do("FORGET", a=P1) + do("SELF", a=17)
    yield b"", come(P1) + decls(0, INTENTS, 0) + do("MESSAGE", a=1, b=1, data=b"m") + do("MESSAGE", data=b"m")
    yield b"", come(P1) + do("TYPE", a=61) + do("TYPE", a=200) + do("RAW", data=b"GET / HTTP/1.1\r\n\r\n")
    yield b"", do("GREET", a=1) + come(P1, a=1) + do("GREET", a=2) + do("RESULT", a=4, data=b"no")
    yield b"\x06", routes + dial(P1) + decls(0, INTENTS, 0) + wait(12)  # a client
    yield b"\x07", routes + dial(P1) + decls(0, INTENTS, 0, 1, 2) + decls(0, WANTS, 2) + do("CUT") + wait(3)  # a leaf
    yield b"\0\x0b", come(P1) + come(P2, 1) + come(BASE, 2)  # named, base peers taken, unspecified host
    yield b"\0\0\0\1", come(P1) + come(P2, 1)  # one peer at most
    yield b"\0\0\0\0\1", routes + come(P1) + decls(0, INTENTS, *range(100, 160))  # few routes


def seeds():
    for config, records in scenes():
        yield config.ljust(8, b"\0") + records
