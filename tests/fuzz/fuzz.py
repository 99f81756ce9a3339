#!/usr/bin/env python3
"""Runs the fuzz targets that ./dev has built:

    fuzz.py BUILD                          list the targets
    fuzz.py BUILD TARGET SECONDS [--afl]   fuzz; findings go to tests/fuzz/regressions/TARGET/
    fuzz.py BUILD TARGET --replay FILE…    run inputs once, with what goes wrong
    fuzz.py BUILD session --shrink FILE    write FILE.min, with the records alone that it takes to fail
    fuzz.py BUILD --smoke SECONDS          every target for so long, two at a time; for CI

What libFuzzer keeps goes below BUILD/corpus/, so that the next run goes on from there. The exit code is 1 if
anything was found."""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TARGETS = {
    "frame": "frames and headers, however the stream is cut",
    "codec": "the messages' decoders, and back",
    "route": "routes, patterns and paths beside a naive model",
    "url": "peer URLs, and their parts replaced",
    "config": "weftd's configuration file, and back",
    "book": "the address book's file, and the book it fills",
    "recording": "recordings of traffic, and back",
    "typed": "messages by their types: wire, text, JSON, descriptors",
    "session": "a whole mesh: handshakes, frames, cuts, time, lost memory",
}
LIMITS = {"frame": 4096, "codec": 4096, "route": 1536, "url": 768, "config": 4096, "book": 8192, "recording": 4096,
          "typed": 4096, "session": 6000}
# A session has so many features that keeping count of the rare ones takes as long as running it.
OPTIONS = {"session": ["-entropic=0", "-len_control=100"]}
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:abort_on_error=1:handle_abort=1:symbolize=1:"
                    "malloc_context_size=12",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:abort_on_error=1",
}
AFL_ENVIRONMENT = {
    "ASAN_OPTIONS": "abort_on_error=1:symbolize=0:detect_leaks=0",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:symbolize=0",
    "AFL_NO_UI": "1", "AFL_SKIP_CPUFREQ": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1", "AFL_NO_AFFINITY": "1",
}


def executable(build, target):
    return os.path.join(build, "tests", "fuzz", "fuzz_" + target)


def kept(target):
    """The folders of the repository that hold inputs of a target."""
    folders = [os.path.join(HERE, kind, target) for kind in ("corpus", "regressions")]
    return [f for f in folders if os.path.isdir(f)]


def dictionary(target):
    path = os.path.join(HERE, "dict", target + ".dict")
    return path if os.path.exists(path) else None


class Run:
    """What came of one target: its findings, and the figures of libFuzzer's last words."""

    def __init__(self, target, code, log, seconds, found):
        self.target, self.code, self.seconds, self.found = target, code, seconds, found
        self.log = log
        status = re.findall(r"cov: (\d+) ft: (\d+)(?: corp: (\d+))?", log)
        self.edges, self.features, self.corpus = status[-1] if status else ("0", "0", "0")
        done = re.search(r"number_of_executed_units: (\d+)", log)
        self.executions = int(done.group(1)) if done else 0

    def __str__(self):
        rate = self.executions / self.seconds if self.seconds else 0
        return (f"{self.target:<8} {self.executions:>10,} executions in {self.seconds:.0f} s ({rate:,.0f} a second), "
                f"{self.edges} edges, {self.features} features, corpus of {self.corpus or 0}, "
                f"{len(self.found)} findings")


def new_files(folder, before):
    names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    return sorted(os.path.join(folder, n) for n in names - before)


def libfuzzer(build, target, seconds, findings, echo):
    corpus = os.path.join(build, "corpus", target)
    os.makedirs(corpus, exist_ok=True)
    os.makedirs(findings, exist_ok=True)
    before = set(os.listdir(findings))
    command = [executable(build, target), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
               f"-max_len={LIMITS[target]}", "-print_final_stats=1", "-use_value_profile=0",
               f"-artifact_prefix={findings}{os.sep}", *OPTIONS.get(target, [])]
    if dictionary(target):
        command.append("-dict=" + dictionary(target))
    started = time.monotonic()
    log = []
    with subprocess.Popen(command + [corpus] + kept(target), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **ENVIRONMENT}, text=True, errors="replace") as process:
        for line in process.stdout:
            log.append(line)
            if echo and not re.match(r"#\d+\s+(NEW|REDUCE|RELOAD)|\"", line):
                print("    " + line, end="", flush=True)
    return Run(target, process.returncode, "".join(log), time.monotonic() - started, new_files(findings, before))


def afl(build, target, seconds, findings):
    if not shutil.which("afl-fuzz"):
        sys.exit("fuzz: afl-fuzz is not installed (Debian package afl++)")
    out = os.path.join(build, "out", target)
    seeds = os.path.join(build, "seeds", target)
    shutil.rmtree(seeds, ignore_errors=True)
    os.makedirs(seeds)
    for folder in kept(target):
        for name in os.listdir(folder):
            if os.path.getsize(os.path.join(folder, name)):
                shutil.copy(os.path.join(folder, name), seeds)
    crashes = os.path.join(out, "default", "crashes")
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    command = ["afl-fuzz", "-i", seeds, "-o", out, "-V", str(seconds), "-m", "none", "-t", "5000"]
    if dictionary(target):
        command += ["-x", dictionary(target)]
    started = time.monotonic()
    code = subprocess.call(command + ["--", executable(build, target)], env={**os.environ, **AFL_ENVIRONMENT})
    found = []
    os.makedirs(findings, exist_ok=True)
    for i, path in enumerate(p for p in new_files(crashes, set()) if "id:" in p):
        found.append(shutil.copy(path, os.path.join(findings, f"afl-{int(time.time())}-{i}")))
    run = Run(target, code, "", time.monotonic() - started, found)
    with open(os.path.join(out, "default", "fuzzer_stats"), encoding="utf-8") as file:
        stats = dict(re.findall(r"(\w+)\s*: (.*)", file.read()))
    run.executions, run.edges = int(stats["execs_done"]), stats["edges_found"]
    run.corpus = stats["corpus_count"]
    return run


def keep(target, path):
    """What was found becomes a regression input: a test of every build configured from now on."""
    folder = os.path.join(HERE, "regressions", target)
    os.makedirs(folder, exist_ok=True)
    return shutil.copy(path, folder)


def tell(run):
    for path in run.found:
        print(f"fuzz: FOUND {os.path.relpath(path)}\n"
              f"      replay it with: ./dev fuzz {run.target} --replay {os.path.relpath(path)}\n"
              "      mend the cause, give it a test beside its module, and commit the input with both")
    if run.code and not run.found:
        print(run.log[-4000:])
    print(run)
    return 1 if run.code or run.found else 0


def replay(build, target, files):
    environment = {**os.environ, **ENVIRONMENT, "WEFT_FUZZ_TRACE": "1"}
    return 1 if subprocess.call([executable(build, target), *files], env=environment) else 0


# ---- Shrinking a session: 8 bytes of configuration, then records with their size in the last of 7 bytes -----------

def records_of(data):
    records, at = [], 8
    while at < len(data):
        size = 7 + (data[at + 6] if at + 6 < len(data) else 0)
        records.append(data[at:at + size])
        at += size
    return records


def complaint(build, data):
    """The line that says what was violated; None if nothing was."""
    path = os.path.join(build, "shrinking")
    with open(path, "wb") as file:
        file.write(data)
    done = subprocess.run([executable(build, "session"), path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          env={**os.environ, **ENVIRONMENT, "ASAN_OPTIONS": "abort_on_error=1:symbolize=0"},
                          text=True, errors="replace", check=False)
    os.unlink(path)
    if done.returncode == 0:
        return None
    lines = re.findall(r"^(\S+\.[ch]:\d+): ", done.stderr, re.M) or re.findall(r"^SUMMARY.*", done.stderr, re.M)
    return lines[0] if lines else "?"


def shrink(build, path):
    with open(path, "rb") as file:
        data = file.read()
    wanted, config, records = complaint(build, data), data[:8], records_of(data)
    if not wanted:
        sys.exit("fuzz: nothing goes wrong with " + path)
    step = len(records) // 2
    while step:
        at = 0
        while at < len(records):
            fewer = records[:at] + records[at + step:]
            if complaint(build, config + b"".join(fewer)) == wanted:
                records = fewer
            else:
                at += step
        step //= 2
    with open(path + ".min", "wb") as file:
        file.write(config + b"".join(records))
    print(f"{path}.min: {len(records)} records; {wanted}")
    return 0


def smoke(build, seconds):
    """In CI nothing is written into the tree: what is found stays below the build."""
    def one(target):
        return libfuzzer(build, target, seconds, os.path.join(build, "findings", target), echo=False)
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        runs = list(pool.map(one, TARGETS))
    for run in runs:
        if run.found:
            print(run.log[-6000:])
    return max([tell(run) for run in runs])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("target", nargs="?", choices=list(TARGETS))
    parser.add_argument("seconds", nargs="?", type=int)
    parser.add_argument("--afl", action="store_true")
    parser.add_argument("--replay", nargs="+", metavar="FILE")
    parser.add_argument("--shrink", metavar="FILE")
    parser.add_argument("--smoke", type=int, metavar="SECONDS")
    args = parser.parse_args()
    if args.smoke:
        return smoke(args.build, args.smoke)
    if not args.target:
        for name, text in TARGETS.items():
            print(f"{name:<9} {text}")
        return 0
    if args.replay:
        return replay(args.build, args.target, args.replay)
    if args.shrink and args.target == "session":
        return shrink(args.build, args.shrink)
    if not args.seconds:
        parser.error("for how many SECONDS?")
    findings = os.path.join(args.build, "findings", args.target)
    if args.afl:
        run = afl(args.build, args.target, args.seconds, findings)
    else:
        run = libfuzzer(args.build, args.target, args.seconds, findings, echo=True)
    run.found = [keep(args.target, path) for path in run.found]
    return tell(run)


if __name__ == "__main__":
    sys.exit(main())
