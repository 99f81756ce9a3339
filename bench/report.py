"""Writes RESULTS.md, and the README's section between its two markers, from the same figures."""

import os
import re

from figures import error_of, figures, first_value, judge, lost_share, ratio, spread, untold
from measure import FAILURES
from plan import PEERS, WEFT

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

METHOD = """\
Every run is one program start: `weft bench NAME` for weft, `bench-peers SYSTEM NAME` for the others, through
their own public APIs. One harness measures all of them: the same loops, the same checks of number and order, the same
clock. What that costs a message, and when a rate begins and ends, is in [README.md](README.md).
A round measures every point once with every system, cases and systems in an order shuffled anew, and all rounds
are done before anything is counted. So whatever else the machine does meets all systems alike.

The absolute figures belong to this machine. *Ratios* are what carries over: each is taken between two runs
of the same round, moments apart, and the median of the rounds' ratios is given; it need not be the
ratio of the medians. A goal is reached where that median reaches it and, where messages are sent, weft lost none.

Loss is counted by the subscriber. A rate is what arrived, not what was sent; a system that lost messages has the
share beside its figure, and is not faster for it.
"""


# ---- Numbers for people -----------------------------------------------------------------------

def scaled(value, steps):
    for size, unit in steps:
        if abs(value) >= size:
            return f"{digits(value / size)} {unit}".rstrip()
    return f"{digits(value / steps[-1][0])} {steps[-1][1]}".rstrip()


def digits(value):
    """Three that count."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def number(value, unit):
    if unit == "rate":
        return scaled(value, ((1e6, "M"), (1e3, "k"), (1, "")))
    if unit == "bytes_rate":
        return scaled(value, ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")))
    if unit == "ns":
        return scaled(value, ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns")))
    suffix = {"seconds": " s", "bytes": " B", "kib": " KiB", "percent": " %"}.get(unit, "")
    return digits(value) + suffix


def percent(share):
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def goal_text(goal, unit):
    bound = f"{goal.bound:g} ×" if goal.versus else number(goal.bound, unit)
    return f"{'at least' if goal.least else 'under' if goal.below else 'at most'} {bound}"


def mark(verdict):
    if verdict.spread is None:
        return "**not told**" if verdict.untold else "**not measured**"
    if verdict.lost:
        return f"**no: {percent(verdict.lost)} lost**"
    return "yes" if verdict.reached else "**no**"


def measured(goal, verdict, unit):
    if verdict.spread is None:
        return "–"
    value = verdict.spread.median
    return f"{digits(value)} × {goal.versus}" if goal.versus else number(value, unit)


# ---- Tables -----------------------------------------------------------------------------------

def markdown(rows):
    """The first row is the head. Columns that are empty throughout are left out."""
    keep = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    lines = ["| " + " | ".join(row[i] for i in keep) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(keep)] + lines[1:])


def why_none(results, table, case, metric, variant):
    if untold(results, table, case, variant, metric.key):
        return "not told"
    return f"failed: {error_of(results, table, case, variant) or 'not measured'}"


def variant_row(results, table, case, metric, variant):
    found = spread(figures(results, table, case, variant, metric.key))
    goal = next((g for g in table.goals if g.case == case.label and g.metric == metric.key and
                 (g.versus == variant or g.versus is None and variant == table.subject)), None)
    row = [case.label, metric.label, f"**{variant}**" if variant == table.subject else variant]
    if found is None:
        row += [why_none(results, table, case, metric, variant), "", "", "", ""]
    else:
        lost = lost_share(results, table, case, variant)
        against = ratio(results, table, case, variant, metric.key) if variant != table.subject else None
        text = f"{digits(against.median)} ({digits(against.low)} to {digits(against.high)})" if against else ""
        row += [number(found.median, metric.unit), number(found.low, metric.unit), number(found.high, metric.unit),
                f"{percent(lost)}" if lost else "", text]
    verdict = goal and judge(results, table, goal)
    return row + ([goal_text(goal, metric.unit), mark(verdict)] if goal else ["", ""])


def table_rows(results, table):
    """What is the same in all rows is not repeated in each."""
    head = ["case", "measured", "system", "median", "min", "max", "lost", f"{table.subject} ÷ it (min to max)",
            "goal", "reached"]
    rows = [variant_row(results, table, case, metric, variant)
            for case in table.cases for metric in table.metrics for variant in case.runs]
    if len(table.metrics) == 1:
        head[3] = f"{table.metrics[0].label}: median"
    same = {0} & {len(table.cases) - 1} | {1} & {len(table.metrics)}
    return [[cell for i, cell in enumerate(row) if i not in same] for row in [head] + rows]


def table_part(results, table, charts):
    image = f"\n![{table.title}]({charts}/{table.name}.svg)\n"
    return f"## {table.title}\n\n{table.what}\n\n{markdown(table_rows(results, table))}\n{image}"


def goals_rows(results, tables):
    rows = [["what", "case", "measured", "goal", "found", "reached"]]
    for table in tables:
        units = {metric.key: metric for metric in table.metrics}
        for goal in table.goals:
            verdict, metric = judge(results, table, goal), units[goal.metric]
            text = goal_text(goal, metric.unit) + (f" {goal.versus}" if goal.versus else "")
            rows.append([table.title, goal.case, metric.label, text, measured(goal, verdict, metric.unit),
                         mark(verdict)])
    return rows


# ---- The systems ------------------------------------------------------------------------------

def systems_rows(results, tables):
    """Versions and settings in the words of the programs that measured them."""
    rows = [["system", "version", "setting"]]
    for name in [WEFT] + PEERS:
        version, settings = None, {}
        for table in tables:
            version = version or first_value(results, table, "version", name)
            for case in table.cases:
                for value in results.get((table.name, case.label, name)):
                    if value and value.get("setting"):
                        settings.setdefault(value["setting"], []).append(table.name)
        rows.append([name, version or "no run succeeded", settings_text(settings)])
    return rows


def settings_text(settings):
    """Sentences, each with the tables it holds for where there are several."""
    if len(settings) < 2:
        return "".join(settings)
    return "<br>".join(f"*{', '.join(dict.fromkeys(names))}*: {text}" for text, names in settings.items())


def errors_part(results):
    """By system and message, for one cause mostly shows in many places."""
    places = {}
    for (table, case, variant), errors in sorted(results.errors.items()):
        for error in dict.fromkeys(errors):
            places.setdefault((variant, error), []).append(f"{table} {case} ({errors.count(error)})")
    lines = [f"- {variant}: {error}, in {', '.join(where)}" for (variant, error), where in places.items()]
    if not lines:
        return ""
    return (f"## What failed\n\nIn brackets the number of runs; after {FAILURES} a system is not tried again.\n\n"
            + "\n".join(lines) + "\n")


# ---- The documents ----------------------------------------------------------------------------

def results_text(results, tables, meta, notes, charts):
    verdicts = [judge(results, table, goal) for table in tables for goal in table.goals]
    reached = sum(v.reached for v in verdicts)
    machine = markdown([["", ""]] + [[name, value] for name, value in meta["machine"].items()])
    parts = [
        "# Results\n\nWritten by `./dev bench`; edit [notes.md](notes.md), not this file. "
        f"{results.rounds} rounds{' (a quick look, with short runs)' if meta['quick'] else ''}, order shuffled "
        f"with seed {meta['seed']}, {meta['minutes']:.0f} minutes.\n\n"
        f"{reached} of {len(verdicts)} goals are reached.\n\n{markdown(goals_rows(results, tables))}\n",
        notes.strip() + "\n",
        f"## How it was measured\n\n{METHOD}",
        f"### The machine\n\n{machine}\n",
        f"### The systems\n\n{markdown(systems_rows(results, tables))}\n",
        errors_part(results),
    ] + [table_part(results, table, charts) for table in tables]
    return "\n".join(part for part in parts if part)


def as_fast(results, table, case, metric, peer):
    """How many times as fast as a peer weft is, in bold where it is the slower one."""
    found = ratio(results, table, case, peer, metric.key)
    if found is None:
        return "failed" if error_of(results, table, case, peer) else ""
    times = found.median if table.more else 1 / found.median
    text = f"{digits(times)} ×" if times >= 1 else f"**{digits(times)} ×**"
    lost = lost_share(results, table, case, peer)
    return text + (f" ({percent(lost)} lost)" if lost else "")


def readme_row(results, table, case, metric):
    ours = spread(figures(results, table, case, table.subject, metric.key))
    label = table.title.split(",")[0]
    label += f", {case.label}" if case.label not in label else ""
    label += f", {metric.label}" if len(table.metrics) > 1 else ""
    per_second = "/s" if metric.unit in ("rate", "bytes_rate") else ""
    return [label, number(ours.median, metric.unit) + per_second if ours else "failed"] + \
        [as_fast(results, table, case, metric, peer) for peer in PEERS]


def readme_text(results, tables, meta):
    rows = [["", "weft"] + [f"{peer}" for peer in PEERS]]
    for table in tables:
        if any(peer in case.runs for case in table.cases for peer in PEERS) and table.name != "fate":
            rows += [readme_row(results, table, case, metric)
                     for case in table.cases for metric in table.metrics if metric.chart]
    verdicts = [judge(results, table, goal) for table in tables for goal in table.goals]
    machine = meta["machine"]
    return (f"![{tables[0].title}](bench/charts/{tables[0].name}.svg)\n\n"
            "weft's own figure, and how many times as fast as each of the others it was in the same round "
            f"(median of {results.rounds}); in **bold** where it is the slower one:\n\n{markdown(rows)}\n\n"
            f"{machine['cores']} cores of {machine['processor']}, loopback. Bare TCP is no system to compare with but the "
            "limit: a length, the payload, large buffers. NATS, Redis and Mosquitto are servers; what goes through them "
            "passes one more process, which here has to share the cores. "
            f"{sum(v.reached for v in verdicts)} of the {len(verdicts)} goals weft has set itself are reached: "
            "[bench/RESULTS.md](bench/RESULTS.md) has them all, with every figure's spread, what was lost, and how each "
            "system was set up.\n")


def between_markers(text, part):
    """The README with the part between its markers replaced. Both markers must be there."""
    pattern = re.escape(BEGIN) + r"\n.*?" + re.escape(END)
    if not re.search(pattern, text, re.S):
        raise ValueError(f"README.md has no {BEGIN} … {END}")
    return re.sub(pattern, lambda _: f"{BEGIN}\n{part}{END}", text, count=1, flags=re.S)


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)

