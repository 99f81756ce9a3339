"""Ten nodes for as long as you like:

    soak.py BUILD MINUTES [--seed N] [--save]
    soak.py BUILD --self-test

plan.py says who takes part. The soak goes in rounds. In a round all of them send, interests and intents are opened and
closed, and some nodes leave, are killed and come back, all drawn from the seed. At the end of a round everybody stops
sending, and when all that was sent has arrived (ledger.py says what must have), the mesh must be whole and every table as
it was; then memory, descriptors and threads are measured. In the end the nodes are left alone for a moment, to see that they
do nothing, and told to leave; and the curves of all that lived as long as the soak must be flat (judge.py).

The samples go to BUILD/soak.tsv. With --save the curves and the figures go to docs/soak.svg and docs/soak.md. The exit
code is 0 if everything held. --self-test lets nodes misbehave in each of the ways that are looked for; all of it must be
found."""

import argparse
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time

import judge
import plan
import report
from crew import PATIENCE, Runner, Wrong, harness, processor_ns, resources
from ledger import Ledger

ROUTE_CHANGES = 12  # a second
IDLE_SECONDS = 4
IDLE_SHARE = 0.03  # of one processor

# What --self-test plants in whom, and how it must show. What is wrong with messages ends the soak at once, so it comes alone.
PLANTS = [
    {"p1": ("loss", r"missing in between|the (first|last) should be|not complete")},
    {"l0": ("twice", "twice, or out of order")},
    {"p0": ("heap", "p0: heap in small blocks"), "p1": ("descriptors", "p1: descriptors"), "p2": ("spin", "p2 spends")},
]
SELF_TEST_MINUTES = 0.3


class Soak:
    def __init__(self, folder, seed, minutes, plants):
        self.folder, self.seed = folder, seed
        self.draw = random.Random(seed)
        self.length = minutes * 60
        self.round_length = min(10.0, max(2.0, self.length / 15))
        ports = {}
        while len(set(ports.values())) < len(plan.MEMBERS):
            ports = {member.name: harness.free_port() for member in plan.MEMBERS}
        self.runners = {m.name: Runner(m, folder, ports, plants.get(m.name, ("none",))[0]) for m in plan.MEMBERS}
        self.ledger = Ledger()
        self.open = {}  # runner: {route: number} of what comes and goes
        self.samples = []
        self.figures = {"route changes": 0, "left in order": 0, "killed": 0, "messages": 0, "bytes": 0, "rounds": 0}
        self.counted = {}
        self.baseline = None
        self.messages = {}  # runner: (messages, bytes) as it told last
        self.looked = (0.0, 0)
        self.wrong = []
        self.started = time.monotonic()

    def now(self):
        return time.monotonic() - self.started

    # ---- Members ----

    def programs(self):
        return [runner for runner in self.runners.values() if runner.alive and not runner.member.weftd]

    def peers_of(self, member):
        if member.router:
            return [self.runners[member.router].unix()]
        if member.name == plan.SEED:
            return []
        seed = self.runners[plan.SEED]
        return [seed.tcp() if member.tcp and not member.unix else seed.unix()]

    def start(self, name):
        runner = self.runners[name]
        runner.start(self.peers_of(runner.member), self.draw.getrandbits(63))
        self.ledger.born[(name, runner.life)] = self.ledger.round
        if runner.member.weftd:
            return
        self.messages[name] = (0, 0)
        self.open[runner] = {}
        for route, mode, _ in plan.hears(runner.member):
            self.hear(runner, route, mode)
        for route, profile, _ in plan.publishes(runner.member):
            self.publish(runner, route, profile)

    def end(self, name, how):
        runner = self.runners[name]
        if not runner.member.weftd:
            self.count(runner)
            self.ledger.take(runner.news())
        said = runner.end(how)
        if not runner.member.weftd and how != "kill":
            self.ledger.take(said)
        self.ledger.end_life(runner, how)
        if runner.member.weftd:
            self.ledger.cut |= {m.name for m in plan.MEMBERS if m.router == name}
        self.figures["killed" if how == "kill" else "left in order"] += 1

    def publish(self, runner, route, profile):
        stream = self.ledger.open_stream(runner, route)
        runner.ask(f"open {stream.number} {route} {profile}")
        self.open[runner][("intent", route)] = stream.number

    def hear(self, runner, route, mode):
        ear = self.ledger.open_ear(runner, route, mode)
        runner.ask(f"hear {ear.number} {route} {mode}")
        self.open[runner][("interest", route)] = ear.number

    def count(self, runner):
        """Adds up what it received since the last look, in this life."""
        stat = runner.stat()
        before = self.messages[runner.name]
        self.figures["messages"] += stat["messages"] - before[0]
        self.figures["bytes"] += stat["bytes"] - before[1]
        self.messages[runner.name] = (stat["messages"], stat["bytes"])
        return stat

    # ---- Churn ----

    def moving(self, runner):
        return ([("intent", *item) for item in plan.publishes(runner.member) if item[2]] +
                [("interest", *item) for item in plan.hears(runner.member) if item[2]])

    def change_route(self, runner, kind, route, how):
        number = self.open[runner].pop((kind, route), None)
        if number is not None:
            self.ledger.take(runner.ask(f"{'close' if kind == 'intent' else 'deaf'} {number}"))
        elif kind == "intent":
            self.publish(runner, route, how)
        else:
            self.hear(runner, route, how)
        self.figures["route changes"] += 1

    def any_route(self):
        runner = self.draw.choice(self.programs())
        self.change_route(runner, *self.draw.choice(self.moving(runner))[:3])

    def open_all(self):
        """So that every quiet point looks the same."""
        for runner in self.programs():
            for kind, route, how, _ in self.moving(runner):
                if (kind, route) not in self.open[runner]:
                    self.change_route(runner, kind, route, how)

    def schedule(self):
        """(time, what) of a round: two nodes go and come back in its first three quarters, while routes change."""
        length = self.round_length
        steps = [(self.draw.uniform(0, length), self.any_route) for _ in range(int(ROUTE_CHANGES * length))]
        for member in self.draw.sample([m for m in plan.MEMBERS if m.ends], 2):
            how, at = self.draw.choice(member.ends), self.draw.uniform(0, length / 2)
            steps.append((at, lambda name=member.name, how=how: self.end(name, how)))
            steps.append((at + self.draw.uniform(0.05, length / 4), lambda name=member.name: self.come_back(name)))
        steps += [(second, self.sample_load) for second in range(1, int(length))]
        return sorted(steps, key=lambda step: step[0])

    def come_back(self, name):
        self.start(name)
        if not self.runners[name].member.weftd:
            self.runners[name].ask("go")

    def churn(self):
        self.look()
        began = time.monotonic()
        for runner in self.programs():
            runner.ask("go")
        for at, step in self.schedule():
            time.sleep(max(0.0, began + at - time.monotonic()))
            step()
        time.sleep(max(0.0, began + self.round_length - time.monotonic()))
        self.open_all()

    # ---- Quiet points ----

    def settle(self):
        """Until every open stream has come to every ear; who was late for a message gets another."""
        for runner in self.programs():
            self.ledger.take(runner.ask("hush"))
        deadline, patience = time.monotonic() + PATIENCE, 0.02
        while True:
            if patience > 0.3 or patience == 0.02:
                for runner in self.programs():
                    self.ledger.take(runner.ask("mark"))
                patience = 0.02
            time.sleep(patience)
            patience *= 2
            for runner in self.programs():
                self.ledger.take(runner.ask("report"))
            waiting = self.ledger.waiting()
            if not waiting:
                return
            if time.monotonic() > deadline:
                some = [self.ledger.tell(ear, stream, "is not complete") for ear, stream in waiting[:10]]
                raise Wrong(f"{len(waiting)} streams did not arrive within {PATIENCE} s:\n  " + "\n  ".join(some))

    def tables(self):
        """What each node knows; the same at each quiet point, when nothing is under way."""
        found = {}
        for runner in self.programs():
            stat = self.count(runner)
            found[runner.name] = (stat["peers"], stat["intents"], stat["interests"], stat["waiting"])
        asked = self.runners["p0"]
        for router in (m for m in plan.MEMBERS if m.weftd):
            url = self.runners[router.name].tcp()
            linked = [line.split()[1] for line in asked.ask(f"book {url}", may_fail=True) if line.startswith("book ")]
            found[router.name] = (int(linked[0]) if linked else 0,)
        return found

    def whole(self, found):
        wanted = {m.name: plan.links(m) for m in plan.PROGRAMS}
        wanted |= {m.name: len(plan.PEERS) - 1 for m in plan.MEMBERS if m.weftd}  # a book knows no leaves
        links = {name: values[0] for name, values in found.items()}
        return links == wanted and all(values[3] == 0 for values in found.values() if len(values) > 3)

    def check_tables(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.tables()
            good = self.whole(found) and found == (self.baseline or found)
            if good:
                self.baseline = found
                return
            if time.monotonic() > deadline:
                raise Wrong("the mesh is not whole, or a table differs from the first quiet point's "
                            f"(links, intents, interests, bytes waiting):\n  now {found}\n  then {self.baseline}")
            time.sleep(0.1)

    def check_counts(self):
        """What was sent to a node that comes and goes has arrived in one of its lives, or is counted as lost."""
        sender = self.runners[plan.COUNTER]
        for name in plan.COUNTED:
            runner = self.runners[name]
            line = next(line for line in sender.ask(f"route {plan.count_route(name)}") if line.startswith("route"))
            sent, dropped, _ = map(int, line.split()[1:])
            self.counted[name] = (sent, runner.tallied + runner.tally(), dropped)

    def quiet_point(self):
        self.settle()
        self.wrong += self.ledger.judge()
        self.check_tables()
        self.check_counts()
        for runner in self.runners.values():
            self.sample(runner, "quiet", 0)
            self.ledger.take(runner.news())
            runner.trim()
        for runner in self.programs():
            runner.ask("forget")
        self.ledger.turn_page()
        self.look_for_complaints()

    def look_for_complaints(self):
        for runner in self.runners.values():
            self.wrong += runner.complaints
            runner.complaints = []
        if self.wrong:
            raise Wrong(f"{len(self.wrong)} things are wrong:\n  " + "\n  ".join(self.wrong[:20]))

    # ---- Samples ----

    def sample(self, runner, state, rate):
        stat = {"small": 0, "large": 0} if runner.member.weftd else runner.stat()
        row = {"seconds": round(self.now(), 1), "node": runner.name, "life": runner.life, "state": state,
               **resources(runner.proc.pid), "small": stat["small"] // 1024, "large": stat["large"] // 1024,
               "rate": round(rate)}
        self.samples.append(row)

    def look(self):
        """Messages a second since the last look."""
        for runner in self.programs():
            self.count(runner)
        before, self.looked = self.looked, (self.now(), self.figures["messages"])
        return (self.looked[1] - before[1]) / (self.looked[0] - before[0])

    def sample_load(self):
        rate = self.look()
        for runner in self.runners.values():
            if runner.alive:
                self.sample(runner, "load", rate)

    def curve(self, name, key):
        return [row[key] for row in self.samples if row["node"] == name and row["state"] == "quiet"]

    def check_curves(self):
        for member in plan.MEMBERS:
            if member.ends:
                continue
            rules = [("descriptors", judge.DESCRIPTORS), ("threads", judge.THREADS), ("pss", judge.RESIDENT)]
            if not member.weftd:
                rules += [("small", judge.SMALL), ("large", judge.LARGE)]
            for key, rule in rules:
                text = judge.judge(rule, self.curve(member.name, key))
                if text:
                    self.wrong.append(f"{member.name}: {text}")

    def check_idle(self):
        """Nobody sends: nobody has anything to do but to ask a silent peer for a sign of life."""
        before = {runner: processor_ns(runner.proc.pid) for runner in self.runners.values()}
        began = time.monotonic()
        time.sleep(IDLE_SECONDS)
        took = time.monotonic() - began
        for runner, ns in before.items():
            share = (processor_ns(runner.proc.pid) - ns) / 1e9 / took
            self.figures["idle"] = max(self.figures.get("idle", 0), share)
            if share > IDLE_SHARE:
                self.wrong.append(f"{runner.name} spends {share:.1%} of a processor on nothing")

    # ---- All of it ----

    def run(self):
        for member in plan.MEMBERS:
            self.start(member.name)
        self.quiet_point()
        while self.now() < self.length:
            self.churn()
            self.quiet_point()
            self.figures["rounds"] += 1
            if sys.stdout.isatty():
                self.progress()
        self.check_idle()
        self.check_curves()
        self.finish()
        self.look_for_complaints()

    def progress(self):
        print(f"\r{self.now():6.0f} s, {self.figures['messages']} messages, {self.figures['route changes']} route changes",
              end="", flush=True)

    def finish(self):
        """All leave in order, leaves first."""
        for runner in self.runners.values():
            runner.parting = True
        for name in sorted(self.runners, key=lambda name: not self.runners[name].member.router):
            self.runners[name].end("order")

    def clean_up(self):
        for runner in self.runners.values():
            if runner.alive:
                runner.proc.process.kill()
                runner.proc.process.wait()


def arguments():
    parser = argparse.ArgumentParser(usage="./dev soak MINUTES [--seed N] [--save]")
    parser.add_argument("build")
    parser.add_argument("minutes", type=float, nargs="?")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    given = parser.parse_args()
    if not given.self_test and not (given.minutes and given.minutes > 0):
        parser.error("for how many MINUTES?")
    return given


def interrupted(*_):
    raise KeyboardInterrupt


def soak_for(minutes, seed, plants):
    """Returns the soak, and what it failed with or None. Nothing of it is left running."""
    folder = tempfile.mkdtemp(prefix="weft-soak-")
    soak = Soak(folder, seed, minutes, plants)
    print(f"soak: {minutes:g} min, seed {seed}", flush=True)
    failed = None
    try:
        soak.run()
    except (Wrong, AssertionError) as wrong:
        failed = str(wrong)
    except KeyboardInterrupt:
        failed = "interrupted"
    finally:
        soak.clean_up()
        shutil.rmtree(folder, ignore_errors=True)
    return soak, failed


def self_test(seed):
    code = 0
    for plants in PLANTS:
        _, failed = soak_for(SELF_TEST_MINUTES, seed, plants)
        for name, (fault, shown) in plants.items():
            found = re.search(shown, failed or "")
            print(f"{fault} planted in {name}: {'found' if found else 'NOT FOUND'}", flush=True)
            code |= not found
        if code or failed == "interrupted":
            print(failed)
            return 1
    return code


def main():
    given = arguments()
    harness.BUILD = os.path.abspath(given.build)
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    if given.self_test:
        return self_test(given.seed)
    soak, failed = soak_for(given.minutes, given.seed, {})
    report.write_samples(soak, os.path.join(given.build, "soak.tsv"))
    print(report.summary(soak))
    if failed:
        print(f"FAILED after {soak.now():.0f} s, seed {given.seed}: {failed}")
    elif given.save:
        report.save(soak, given.minutes)
    return 130 if failed == "interrupted" else int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
