"""Runs the measurements, round by round, and keeps what each printed.

In a round every case is measured once with every variant, in an order shuffled anew each time, so that what
else the machine does meets all of them alike; ratios are taken inside a round. A variant that fails twice is
not tried again, and its error is what the report shows of it."""

import collections
import json
import os
import signal
import subprocess
import time

from brokers import BrokerError
from plan import BROKER, PROGRAM, WEFT

TIMEOUT = 30  # seconds for one run; the longest needs a fraction of it
FAILURES = 2
ROUNDS = 5  # at least, for figures that go into the report


class RunError(Exception):
    pass


class Programs:
    """Where `weft` and `bench-peers` of a build are, and how a run of them is made."""

    def __init__(self, build, brokers):
        self.build, self.brokers = build, brokers
        self.running = None

    def run(self, run):
        """One run's JSON object. Raises RunError with a sentence for the report."""
        out, err, code = self._finish(self._argv(run))
        if code:
            first = (err.strip().splitlines() or ["no message"])[0]
            raise RunError(f"{first} ({f'exit code {code}' if code > 0 else signal.Signals(-code).name})")
        try:
            result = json.loads(out)
        except ValueError as error:
            raise RunError(f"printed no JSON: {out.strip()[:80]!r}") from error
        if not isinstance(result, dict):
            raise RunError("printed no JSON object")
        return result

    def _argv(self, run):
        if run.system == WEFT:
            return [os.path.join(self.build, "cmd", "weft"), "bench", *run.args, "--json"]
        argv = [os.path.join(self.build, "bench", "bench-peers"), PROGRAM[run.system], *run.args, "--json"]
        if run.system in BROKER:
            try:
                argv += ["--port", str(self.brokers.port(BROKER[run.system]))]
            except BrokerError as error:
                raise RunError(str(error)) from error
        return argv

    def _finish(self, argv):
        try:
            # A group of its own: the subscribers it forks, even stopped ones, go with it. setpriv has the
            # kernel end it when we die without a chance to do so.
            self.running = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
        except OSError as error:
            raise RunError(f"{os.path.basename(argv[0])}: {error.strerror}") from error
        try:
            out, err = self.running.communicate(timeout=TIMEOUT)
            return out, err, self.running.returncode
        except subprocess.TimeoutExpired as error:
            raise RunError(f"not done after {TIMEOUT} s") from error
        finally:
            self.end()

    def end(self):
        """Nothing of the present run is left, however it ended."""
        if self.running is None:
            return
        process, self.running = self.running, None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # all gone already
        process.wait()
        process.stdout.close()
        process.stderr.close()


class Results:
    """What the rounds gave: for (table, case, variant) one object a round, None where it failed."""

    def __init__(self):
        self.rounds = 0
        self.values = collections.defaultdict(list)
        self.errors = collections.defaultdict(list)

    def add(self, key, value=None, error=None):
        """The value of this round; the rounds before in which there was none count as failed."""
        earlier = self.values[key]
        earlier += [None] * (self.rounds - 1 - len(earlier))
        if value:
            # Texts are the same in all rounds; the first that succeeded has them.
            had = next((other for other in earlier if other), {})
            value = {name: what for name, what in value.items() if not isinstance(what, str) or had.get(name) != what}
        earlier.append(value)
        if error:
            self.errors[key].append(error)

    def get(self, key):
        return self.values.get(key, [])

    def as_json(self):
        return {"rounds": self.rounds,
                "values": [[list(key), values] for key, values in self.values.items()],
                "errors": [[list(key), errors] for key, errors in self.errors.items()]}

    @classmethod
    def from_json(cls, data):
        results = cls()
        results.rounds = data["rounds"]
        results.values.update((tuple(key), values) for key, values in data["values"])
        results.errors.update((tuple(key), errors) for key, errors in data["errors"])
        return results


def short_number(value):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.3g}"


START = 0.2  # seconds, what a run takes besides the time it was told to send
UNTOLD = 2.0  # seconds, of runs that end when they are done


def planned(case):
    """Seconds that a case should take, all its variants together."""
    def one(run):
        return float(run.args[run.args.index("--seconds") + 1]) if "--seconds" in run.args else UNTOLD
    return sum(one(run) + START for run in case.runs.values())


class Progress:
    """A line for each case, with the time left: what is planned, as much slower as it has gone so far."""

    def __init__(self, cases, rounds):
        self.total, self.done = rounds * sum(planned(case) for _, case in cases), 0
        self.started = time.monotonic()

    def spent(self):
        return time.monotonic() - self.started

    def say(self, number, rounds, table, case, parts):
        self.done += planned(case)
        left = int(self.spent() * (self.total - self.done) / self.done)
        print(f"[{number}/{rounds}, {left // 60}:{left % 60:02} left] {table.name} {case.label}: {', '.join(parts)}",
              flush=True)


def one_case(programs, results, table, case, rng):
    """Every variant once. Returns what to say of each."""
    parts = []
    for variant in rng.sample(list(case.runs), len(case.runs)):
        key = (table.name, case.label, variant)
        if len(results.errors[key]) >= FAILURES:
            results.add(key)
            continue
        metric = table.metrics[0]
        try:
            value = programs.run(case.runs[variant])
            needed = [m.key for m in table.metrics if not m.untold]
            if any(not isinstance(value.get(key), (int, float)) for key in needed):
                raise RunError("its result lacks " + " or ".join(needed))
            results.add(key, value)
            lost = value.get("lost_others", value.get("lost", 0))
            parts.append(f"{variant} {short_number(value[metric.key])}" + (f" ({lost} lost)" if lost else ""))
        except RunError as error:
            results.add(key, error=str(error))
            parts.append(f"{variant} FAILED: {error}")
    return parts


def measure(programs, tables, rounds, rng, seconds):
    """So many rounds; above ROUNDS only as many as fit into so many seconds."""
    results = Results()
    cases = [(table, case) for table in tables for case in table.cases]
    progress = Progress(cases, rounds)
    for number in range(1, rounds + 1):
        if number > ROUNDS and progress.spent() * number / (number - 1) > seconds:
            print(f"{number - 1} rounds must do: this machine takes its time", flush=True)
            break
        results.rounds = number
        for table, case in rng.sample(cases, len(cases)):
            parts = one_case(programs, results, table, case, rng)
            progress.say(number, rounds, table, case, parts)
    return results
