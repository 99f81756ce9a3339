"""What was sent beside what was heard.

A *stream* is one intent from opening to withdrawal; an *ear* is one interest. At each quiet point every stream that an
ear covers is looked at. `First` is the number of the first message it heard since the last quiet point, `next` one more than
that of the last.

1. Nothing comes twice, out of order or damaged. The nodes see to that themselves (hear.c).
2. Nothing is missing between first and last: no gap, whoever sends or hears, however long it lives. (Through a router that
   was ended meanwhile there may be gaps. An ear that drops its oldest has as many gaps as it says it dropped. An ear that
   takes the place of one just closed may hear what was still under way to that one, and then nothing until its own
   interest has come to the publisher.)
3. Where both were there at the last quiet point, the first is the first that was sent since, and a stream opened since
   begins with 0.
4. A stream that is open at a quiet point has come to every ear that is open then up to its last message. One that was
   withdrawn, or whose node left in order, had come up to its last message wherever it had begun to come. One of a node
   that was killed ends anywhere.
5. No ear hears what it does not cover."""

import dataclasses

import plan


@dataclasses.dataclass
class Stream:
    number: int
    runner: object
    life: int
    route: str
    opened: int  # in which round
    start: int = 0  # its next number at the last quiet point
    sent: int = 0
    ended: str = ""  # "", "closed", "left", "killed"


@dataclasses.dataclass
class Ear:
    number: int
    runner: object
    life: int
    route: str
    mode: str
    opened: int
    heard: dict = dataclasses.field(default_factory=dict)  # stream: (first, next, count)
    dropped: int = 0
    dropped_before: int = 0
    ended: str = ""


class Ledger:
    def __init__(self):
        self.streams, self.ears, self.numbers = {}, {}, 0
        self.round = 0
        self.cut = set()  # members whose way to the others was cut in this round
        self.born = {}  # (member, life): the round it began in
        self.pairs = self.missing = self.dropped = self.inherited = 0

    def number(self):
        self.numbers += 1
        return self.numbers

    def open_stream(self, runner, route):
        stream = Stream(self.number(), runner, runner.life, route, self.round)
        self.streams[stream.number] = stream
        return stream

    def open_ear(self, runner, route, mode):
        ear = Ear(self.number(), runner, runner.life, route, mode, self.round)
        self.ears[ear.number] = ear
        return ear

    def take(self, lines):
        """The lines of a node that are about streams and ears."""
        for line in lines:
            word, *numbers = line.split()
            if word in ("sent", "closed"):
                stream = self.streams[int(numbers[0])]
                stream.sent = int(numbers[1])
                stream.ended = "closed" if word == "closed" else stream.ended
            elif word == "got":
                number, stream, first, following, count = map(int, numbers)
                self.ears[number].heard[stream] = (first, following, count)
            elif word == "dropped":
                self.ears[int(numbers[0])].dropped = int(numbers[1])
            elif word == "deaf":
                self.ears[int(numbers[0])].ended = "closed"

    def end_life(self, runner, how):
        for thing in (*self.streams.values(), *self.ears.values()):
            if thing.runner is runner and thing.life == runner.life and not thing.ended:
                thing.ended = "killed" if how == "kill" else "left"

    # ---- Judging ----

    def covered(self):
        for ear in self.ears.values():
            for stream in self.streams.values():
                if plan.covers(ear.route, stream.route):
                    yield ear, stream

    def is_cut(self, ear, stream):
        return ear.runner is not stream.runner and bool({ear.runner.name, stream.runner.name} & self.cut)

    def firm(self, ear, stream):
        """Were both nodes and the ear there at the last quiet point, when all was whole?"""
        old = all(self.born[(thing.runner.name, thing.life)] < self.round for thing in (ear, stream))
        return old and ear.opened < self.round and not self.is_cut(ear, stream)

    def waiting(self):
        """Pairs that are open and not complete, for whom a quiet point waits."""
        found = []
        for ear, stream in self.covered():
            if ear.ended or stream.ended:
                continue
            heard = ear.heard.get(stream.number)
            if heard is None or heard[1] < stream.sent:
                found.append((ear, stream))
        return found

    def tell(self, ear, stream, text):
        heard = ear.heard.get(stream.number)
        span = f"heard {heard[0]} to {heard[1] - 1}, {heard[2]} messages" if heard else "heard nothing"
        return (f"{stream.route} (stream {stream.number} of {stream.runner.name}, {stream.start} to {stream.sent - 1}"
                f"{', ' + stream.ended if stream.ended else ''}) at {ear.runner.name} ({ear.mode} {ear.number}, {ear.route}"
                f"{', ' + ear.ended if ear.ended else ''}): {text}; {span}")

    def heir(self, ear, stream):
        """Did it take the place of an ear that was closed in this round?"""
        return ear.opened == self.round and any(
            other.ended == "closed" and other.number < ear.number and (other.runner, other.life) == (ear.runner, ear.life)
            and plan.covers(other.route, stream.route) for other in self.ears.values())

    def judge_pair(self, ear, stream):
        """What is wrong with it, if anything."""
        heard = ear.heard.get(stream.number)
        firm, sent = self.firm(ear, stream), stream.sent > stream.start
        must_end = stream.ended != "killed" and not ear.ended and not self.is_cut(ear, stream)
        if heard is None:
            open_pair = not stream.ended and not ear.ended
            return "never came" if must_end and sent and (firm or open_pair) else None
        first, following, count = heard
        missing = following - first - count
        if self.is_cut(ear, stream):
            self.missing += missing
            return None
        if ear.mode != "slow" and missing and self.heir(ear, stream):
            self.inherited += 1
        elif ear.mode != "slow" and missing:
            return f"{missing} missing in between"
        if ear.mode != "slow" and firm and first != stream.start:
            return f"the first should be {stream.start}"
        if must_end and following != stream.sent:
            return f"the last should be {stream.sent - 1}"
        return None

    def judge_slow(self, ear):
        """It heard or dropped each message, if all its streams were there from the start of the round."""
        pairs = [stream for other, stream in self.covered() if other is ear]
        lost = 0
        for stream in pairs:
            if not self.firm(ear, stream) or stream.ended == "killed":
                return None
            first, following, count = ear.heard.get(stream.number, (0, stream.start, 0))
            lost += following - stream.start - count
        dropped = ear.dropped - ear.dropped_before
        self.dropped += dropped
        if lost != dropped:
            return f"{ear.route} at {ear.runner.name}: {lost} missing, {dropped} counted as dropped by its queue"
        return None

    def uninvited(self):
        """What an ear heard that it does not cover, or that was withdrawn before the last quiet point."""
        for ear in self.ears.values():
            for number in ear.heard:
                stream = self.streams.get(number)
                if stream is None or not plan.covers(ear.route, stream.route):
                    yield f"{ear.route} at {ear.runner.name} heard stream {number}, {stream.route if stream else 'of an earlier round'}"

    def judge(self):
        """Everything that is wrong at this quiet point."""
        wrong = list(self.uninvited())
        for ear, stream in self.covered():
            if ear.ended == "killed" or (ear.ended == "left" and not ear.heard):
                continue
            self.pairs += stream.number in ear.heard
            text = self.judge_pair(ear, stream)
            if text:
                wrong.append(self.tell(ear, stream, text))
        wrong += filter(None, (self.judge_slow(ear) for ear in self.ears.values()
                               if ear.mode == "slow" and not ear.ended))
        return wrong

    def turn_page(self):
        """The next round begins: what has ended is forgotten, and what was heard."""
        self.streams = {s.number: s for s in self.streams.values() if not s.ended}
        self.ears = {e.number: e for e in self.ears.values() if not e.ended}
        for stream in self.streams.values():
            stream.start = stream.sent
        for ear in self.ears.values():
            ear.heard, ear.dropped_before = {}, ear.dropped
        self.cut.clear()
        self.round += 1
