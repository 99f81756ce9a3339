"""When is a curve flat?

The samples of one process are taken at quiet points: all are linked, the same routes are open, nothing is under way. The
first fifth of them (at least two) is warm-up. Over the rest,

- the *rise*, which is the slope of Theil and Sen (the median of the slopes between any two samples, so that a few odd ones
  do not matter) times the length, must not pass the slack, and
- the highest of the last third must not pass the highest of the first third by more than the slack.

The slack is a share of the first third's median, and at least a number of units. For descriptors and threads it is below one:
they must not grow at all. What leaks is
mostly small, and the heap in small blocks moves least. `python3 judge.py` tries the rule on curves whose answer is known."""

import dataclasses
import random
import statistics


@dataclasses.dataclass(frozen=True)
class Rule:
    what: str
    unit: str
    share: float
    least: float


SMALL = Rule("heap in small blocks", "KiB", 0.02, 32)
# Chunks of outboxes, rows of queues and read buffers that a node keeps for the next burst are bounded, but not always as many.
LARGE = Rule("heap in large blocks", "KiB", 0.05, 1536)
RESIDENT = Rule("resident memory", "KiB", 0.10, 4096)
DESCRIPTORS = Rule("descriptors", "", 0, 0.5)
THREADS = Rule("threads", "", 0, 0.5)

WARM_UP = 5  # one of so many samples
FEWEST = 6  # samples after it


def after_warm_up(samples):
    return samples[max(2, len(samples) // WARM_UP):]


def rise(samples):
    slopes = [(b - a) / (j - i) for i, a in enumerate(samples) for j, b in enumerate(samples) if j > i]
    return statistics.median(slopes) * (len(samples) - 1)


def judge(rule, samples):
    """What is wrong with this curve, or None."""
    samples = after_warm_up(samples)
    if len(samples) < FEWEST:
        return f"{rule.what}: only {len(samples)} samples after the warm-up, too few to judge"
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    slack = max(rule.least, rule.share * statistics.median(first))
    for name, grown in (("rises by", rise(samples)), ("is at its highest higher by", max(last) - max(first))):
        if grown > slack:
            return (f"{rule.what} {name} {grown:.0f} {rule.unit}, more than {slack:.1f}: "
                    f"from {statistics.median(first):.0f} to {statistics.median(last):.0f} {rule.unit}")
    return None


def main():
    """Noise and steps of a pool pass; a leak of any shape does not."""
    draw = random.Random(1)
    noise = [1000 + draw.uniform(-15, 15) for _ in range(60)]
    warming = [1000 - 500 / (i + 1) + draw.uniform(-5, 5) for i in range(60)]
    leak = [value + 2 * i for i, value in enumerate(noise)]
    late = [value + max(0, i - 45) * 8 for i, value in enumerate(noise)]
    step = [value + (100 if i > 30 else 0) for i, value in enumerate(noise)]
    cases = [(SMALL, noise, True), (SMALL, warming, True), (SMALL, leak, False), (SMALL, late, False),
             (SMALL, step, False), (SMALL, noise[:5], False), (DESCRIPTORS, [20] * 40, True),
             (DESCRIPTORS, [20] * 39 + [21], False), (DESCRIPTORS, [20 + i // 20 for i in range(40)], False)]
    failed = [number for number, (rule, samples, flat) in enumerate(cases) if (judge(rule, samples) is None) != flat]
    print(f"[====] Synthesis: Tested: {len(cases)} | Passing: {len(cases) - len(failed)} | Failing: {len(failed)} | Crashing: 0")
    for number in failed:
        print(f"case {number}: {judge(cases[number][0], cases[number][1])}")
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
