"""Counts instructions a message under callgrind:  instr.py BUILD [--save]

The programs beside this file do fixed work; BUILD holds them (a release build with -Dinstr=true). Each case is a
line with what it was in baseline.json and the difference in per cent, for people to look at: a greater
number is no failure. It fails, with exit code 1, if something could not be measured. --save writes
baseline.json anew, which belongs into the commit that changes the numbers for a good reason.

Counts depend on the compiler and, by the variant of memcpy it chooses, on the processor, so they are
compared with care where these differ, which is said."""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "baseline.json")
PROGRAMS = ["instr-frames", "instr-node"]
TIMEOUT = 120  # seconds for a program that takes a few


class Failed(Exception):
    pass


def output(*argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def built_with():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.M)
    return {"compiler": output(os.environ.get("CC", "gcc"), "--version"),
            "processor": processor.group(1) if processor else os.uname().machine}


def dumps(folder):
    """Instructions by the name each dump was asked for with."""
    found = {}
    for path in glob.glob(os.path.join(folder, "out.*")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
        total = re.search(r"^totals: (\d+)", text, re.M)
        if name and total:
            found[name.group(1)] = int(total.group(1))
    return found


def count(program):
    """Instructions a message for each case of a program, in its order."""
    with tempfile.TemporaryDirectory() as folder:
        argv = ["valgrind", "--tool=callgrind", "--collect-atstart=no",
                f"--callgrind-out-file={os.path.join(folder, 'out')}", program]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        except OSError as error:
            raise Failed(f"valgrind: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{os.path.basename(program)}: not done after {TIMEOUT} s") from error
        if done.returncode:
            raise Failed(f"{os.path.basename(program)}: {done.stderr.strip()}")
        instructions = dumps(folder)
    cases = {}
    for line in done.stdout.splitlines():
        name, messages = line.split("\t")
        if not instructions.get(name):
            raise Failed(f"{os.path.basename(program)}: nothing was counted for \"{name}\"")
        cases[name] = round(instructions[name] / int(messages), 1)
    if not cases:
        raise Failed(f"{os.path.basename(program)}: it ran no case")
    return cases


def load():
    try:
        with open(BASELINE, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"counts": {}}


def save(counts, here):
    with open(BASELINE, "w", encoding="utf-8") as file:
        json.dump(here | {"counts": counts}, file, indent=2)
        file.write("\n")


def show(counts, baseline, here):
    print(f"{'instructions a message':44} {'now':>9} {'before':>9}   difference")
    for name in counts | baseline["counts"]:
        now, before = counts.get(name), baseline["counts"].get(name)
        if now is None:
            print(f"{name:44} {'–':>9} {before:9.1f}   no longer there")
        elif before is None:
            print(f"{name:44} {now:9.1f} {'–':>9}   new")
        else:
            print(f"{name:44} {now:9.1f} {before:9.1f}   {100 * (now - before) / before:+.1f} %")
    for what, value in here.items():
        if baseline.get(what, value) != value:
            print(f"the {what} was another one: {baseline[what]}, now {value}")


def main():
    args = sys.argv[1:]
    saving = "--save" in args
    args = [arg for arg in args if arg != "--save"]
    if len(args) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    counts = {}
    try:
        for program in PROGRAMS:
            counts |= count(os.path.join(args[0], "bench", "instr", program))
    except Failed as error:
        print(f"instr: {error}", file=sys.stderr)
        return 1
    here = built_with()
    show(counts, load(), here)
    if saving:
        save(counts, here)
    return 0


sys.exit(main())
