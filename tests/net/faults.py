"""Runs the tests of real faults, each in network, mount and process namespaces of its own, and shows what
they saw:

    faults.py BUILD [NAME…]          all, or those whose names hold one of NAME
    faults.py BUILD --quick          without those that take minutes: what CI runs
    faults.py BUILD --jobs N         so many at a time (default 10: they mostly wait)
    faults.py --list                 their names, with what each is about

Exit codes: 0 all passed, 1 one failed, 77 nothing could be run, because namespaces are not allowed here or
unshare, ip or nft is missing; a line "faults: skipped: …" says which."""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)
import world  # noqa: E402  (found by the line above)

TIME_LIMIT = 400  # seconds for one test, its waits included: their deadlines are shorter
COLUMNS = [("detected", 9), ("recovered", 9), ("sent", 7), ("unheard", 7), ("lost", 6), ("counted", 7)]


def tests():
    """{name: test}, the name without class: those of all files beside this one, long ones first."""
    found = {}

    def walk(suite):
        for item in suite:
            if isinstance(item, unittest.TestSuite):
                walk(item)
            else:
                name = item.id().split(".")[-1][len("test_"):]
                assert name not in found, f"two tests are called {name}"
                found[name] = item
    walk(unittest.defaultTestLoader.discover(FOLDER, pattern="test_*.py"))
    return dict(sorted(found.items(), key=lambda pair: not long(pair[1])))


def long(test):
    return getattr(getattr(test, test._testMethodName), "long", False)


def about(test):
    return " ".join((test._testMethodDoc or "").split())


def inside(build, name):
    """In the namespaces: this program is the router, and the only one that knows of it."""
    world.run("mount", "-t", "tmpfs", "tmpfs", "/run")
    tempfile.tempdir = "/run"  # it goes with the mount
    world.run("ip", "link", "set", "lo", "up")
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
        file.write("1")
    world.harness.BUILD = build
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(unittest.TestSuite([tests()[name]]))
    if result.skipped:
        print("\nskipped: " + result.skipped[0][1], flush=True)
    return 0 if result.wasSuccessful() else 1


def outside(command, build, name):
    started = time.monotonic()
    argv = command + [sys.executable, os.path.abspath(__file__), build, "--inside", name]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=TIME_LIMIT,
                              env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, check=False)
        code, output = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired as late:
        code, output = 1, (late.stdout or b"").decode(errors="replace") + f"not within {TIME_LIMIT} s\n"
    return name, code, output, time.monotonic() - started


def last(output, word):
    lines = [line[len(word):] for line in output.splitlines() if line.startswith(word)]
    return lines[-1].strip() if lines else ""


def row(name, code, output, took):
    figures = json.loads(last(output, "figures: ") or "{}")
    skipped = last(output, "skipped: ")
    cells = [f"{name:<26} {'FAILED' if code else 'skipped' if skipped else 'ok':<7} {took:5.0f} s"]
    for key, width in COLUMNS:
        value = figures.get(key, "")
        text = f"{value:.2f} s" if isinstance(value, float) else str(value)
        cells.append(f"{text:>{width}}")
    return "  ".join(cells + [skipped or figures.get("note", "")]).rstrip()


def table(command, build, names, jobs):
    heads = [f"{key:>{width}}" for key, width in COLUMNS]
    print("  ".join([f"{'fault':<26} {'':<7} {'took':>7}"] + heads + ["seen"]), flush=True)
    failed = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(outside, command, build, name) for name in names]
        for each in concurrent.futures.as_completed(running):
            name, code, output, took = each.result()
            print(row(name, code, output, took), flush=True)
            if code:
                failed.append((name, output))
    for name, output in failed:
        print(f"\n---- {name} failed:\n{output}")
    print(f"faults: {len(names) - len(failed)} passed, {len(failed)} failed. lost: queued to links and not"
          " delivered; counted: told to be dropped, by either side; unheard: sent while nobody was interested")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", nargs="?")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--inside")
    options = parser.parse_intermixed_args()
    if options.inside:
        return inside(options.build, options.inside)
    known = tests()
    if options.list:
        for name, test in known.items():
            print(f"{name:<26} {about(test)}")
        return 0
    if not options.build:
        parser.error("the folder of a build is missing")
    chosen = [name for name, test in known.items()
              if (not options.names or any(part in name for part in options.names))
              and not (options.quick and long(test))]
    if not chosen:
        parser.error(f"no test is called so; there are: {' '.join(known)}")
    command, reason = world.enter()
    if not command:
        print(f"faults: skipped: {reason}", flush=True)
        return 77
    return table(command, os.path.abspath(options.build), chosen, options.jobs)


if __name__ == "__main__":
    sys.exit(main())
