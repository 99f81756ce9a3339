"""The benchmark:  run.py BUILD [--quick] [--only NAME…] [--rounds N] [--seed N]
                run.py --report

Measures what plan.py names with the programs of BUILD (a release build with -Dbench=true), weft beside its
peers, in interleaved rounds, and writes RESULTS.md, results.json, a chart for each table in charts/, and the
README's section between its markers. --quick and --only give no whole picture: what they find goes to the
folder bench-results of BUILD instead. --report writes the documents anew from results.json, for example after
notes.md was edited, and measures nothing.

Exits with 0 when everything was measured, 1 when a system failed somewhere (the report is written all the
same, and says so), 2 for wrong options, 130 when interrupted. Servers and programs it started are gone then."""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import charts  # noqa: E402
import machine  # noqa: E402
import report  # noqa: E402
from brokers import Brokers  # noqa: E402
from figures import judge  # noqa: E402
from measure import ROUNDS, Programs, Results, measure  # noqa: E402
from plan import tables as all_tables  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
README = os.path.join(os.path.dirname(HERE), "README.md")
WANTED_ROUNDS, QUICK_ROUNDS = 7, 2
SECONDS = 660  # for all rounds: building and packages have to fit into a quarter of an hour, too


def parse():
    parser = argparse.ArgumentParser(prog="dev bench", description="Measure weft beside its peers.")
    parser.add_argument("build", nargs="?", help="a release build with -Dbench=true")
    parser.add_argument("--quick", action="store_true", help=f"short runs, {QUICK_ROUNDS} rounds: a first look")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these tables alone: "
                        + ", ".join(table.name for table in all_tables(False)))
    parser.add_argument("--rounds", type=int, help=f"rounds; default {WANTED_ROUNDS}, or {ROUNDS} on a slow machine")
    parser.add_argument("--seed", type=int, help="of the order; default: another each time")
    parser.add_argument("--report", action="store_true", help="write the documents anew from bench/results.json")
    options = parser.parse_args()
    names = [table.name for table in all_tables(False)]
    unknown = [name for name in options.only or () if name not in names]
    if unknown:
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(names)}")
    if not options.report and not options.build:
        parser.error("which build?")
    if options.rounds is not None and options.rounds < 1:
        parser.error("at least one round")
    return options


def measure_all(options, tables):
    """Returns the results and what the report says of how they came about."""
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else WANTED_ROUNDS)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    meta = {"seed": seed, "quick": options.quick, "machine": machine.describe()}
    print(f"up to {rounds} rounds, order from seed {seed}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        brokers = Brokers(folder)
        programs = Programs(options.build, brokers)
        try:
            results = measure(programs, tables, rounds, random.Random(seed),
                              float("inf") if options.rounds else SECONDS)
        finally:
            programs.end()
            brokers.stop()
    meta["minutes"] = (time.monotonic() - started) / 60
    return results, meta


def write_documents(results, tables, meta, folder, whole):
    with open(os.path.join(HERE, "notes.md"), encoding="utf-8") as file:
        notes = file.read() if whole else ""
    report.write(os.path.join(folder, "RESULTS.md"), report.results_text(results, tables, meta, notes, "charts"))
    if whole:
        with open(README, encoding="utf-8") as file:
            text = file.read()
        report.write(README, report.between_markers(text, report.readme_text(results, tables, meta)))
    charts.draw(results, tables, os.path.join(folder, "charts"))


def save(results, meta, folder):
    report.write(os.path.join(folder, "results.json"),
                 json.dumps({"meta": meta} | results.as_json(), separators=(",", ":")).replace("],[[", "],\n[[") + "\n")


def load():
    with open(os.path.join(HERE, "results.json"), encoding="utf-8") as file:
        data = json.load(file)
    return Results.from_json(data), data["meta"]


def conclude(results, tables, folder):
    goals = [(table, goal, judge(results, table, goal)) for table in tables for goal in table.goals]
    for table, goal, verdict in goals:
        metric = next(m for m in table.metrics if m.key == goal.metric)
        print(f"{table.name:11} {goal.case:9} {metric.label:22} "
              f"{report.measured(goal, verdict, metric.unit):18} {report.goal_text(goal, metric.unit):16} "
              f"{report.mark(verdict).strip('*')}")
    print(f"{sum(v.reached for _, _, v in goals)} of {len(goals)} goals reached; "
          f"see {os.path.relpath(os.path.join(folder, 'RESULTS.md'))}")
    failed = sum(bool(errors) for errors in results.errors.values())
    if failed:
        print(f"{failed} points failed in some round, as the report says", file=sys.stderr)
    return bool(failed)


def main():
    options = parse()
    tables = [table for table in all_tables(options.quick) if table.name in (options.only or [table.name])]
    whole = not (options.quick or options.only)
    folder = HERE if whole or options.report else os.path.join(options.build, "bench-results")
    os.makedirs(folder, exist_ok=True)
    if options.report:
        results, meta = load()
        write_documents(results, tables, meta, folder, True)
        return 0
    results, meta = measure_all(options, tables)
    save(results, meta, folder)
    write_documents(results, tables, meta, folder, whole)
    return conclude(results, tables, folder)


def ended(_number, _frame):
    raise KeyboardInterrupt


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, ended)
try:
    sys.exit(main())
except KeyboardInterrupt:
    print("interrupted; nothing was written", file=sys.stderr)
    sys.exit(130)
except (OSError, charts.ChartError, ValueError) as error:
    sys.exit(f"bench: {error}")
