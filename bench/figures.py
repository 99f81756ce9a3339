"""From the rounds' values to medians, ratios, loss, and goals reached or not."""

import statistics
from dataclasses import dataclass


@dataclass
class Spread:
    median: float
    low: float
    high: float


def spread(values):
    """Median, least and greatest; None without values."""
    values = [value for value in values if value is not None]
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def figures(results, table, case, variant, metric):
    """One number a round, None where there is none."""
    return [None if value is None else value.get(metric) for value in results.get((table.name, case.label, variant))]


def untold(results, table, case, variant, metric):
    """Whether there were results, and none of them had this figure."""
    values = [value for value in results.get((table.name, case.label, variant)) if value is not None]
    return bool(values) and all(value.get(metric) is None for value in values)


def ratio(results, table, case, versus, metric):
    """The subject against another variant: each round's ratio, and of these the median."""
    ours = figures(results, table, case, table.subject, metric)
    theirs = figures(results, table, case, versus, metric)
    return spread([a / b for a, b in zip(ours, theirs) if a is not None and b])


def lost_share(results, table, case, variant):
    """Messages lost of all that should have arrived, all rounds together; 0 where nothing counts them."""
    lost = total = 0
    for value in results.get((table.name, case.label, variant)):
        if value is None:
            continue
        missing = value.get("lost_others", value.get("lost", 0))
        lost += missing
        total += missing + value.get("received", 0)
    return lost / total if total else 0


def error_of(results, table, case, variant):
    """Why a variant has no figure in some round, or None."""
    errors = results.errors.get((table.name, case.label, variant))
    return errors[-1] if errors else None


@dataclass
class Verdict:
    spread: Spread  # of the figure or the ratio; None: could not be measured
    reached: bool
    lost: float
    untold: bool = False  # the runs succeeded, but did not tell the figure


def judge(results, table, goal):
    case = next(case for case in table.cases if case.label == goal.case)
    if goal.versus:
        found = ratio(results, table, case, goal.versus, goal.metric)
    else:
        found = spread(figures(results, table, case, table.subject, goal.metric))
    lost = lost_share(results, table, case, table.subject) if table.lossless else 0
    if found is None:
        return Verdict(None, False, lost, untold(results, table, case, table.subject, goal.metric))
    value = found.median
    kept = value >= goal.bound if goal.least else value < goal.bound if goal.below else value <= goal.bound
    return Verdict(found, kept and not lost, lost)


def first_value(results, table, key, variant=None):
    """A text every run of a variant (or of any) repeats, such as the version, or None."""
    for case in table.cases:
        for name in case.runs:
            if variant in (None, name):
                for value in results.get((table.name, case.label, name)):
                    if value and value.get(key):
                        return value[key]
    return None
