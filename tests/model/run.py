"""Explore every state of tests/model/pair.pml, in each configuration below, and show that it can fail.

    run.py [DIR]     work below DIR (build/model); prints a table, exits with 1 if anything is not as it should be

A configuration must have no error; a mutation, a rule of the protocol left out, must have one. And each function
that the model says it mirrors must be there in the code."""

import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODEL = os.path.join(HERE, "pair.pml")

CONFIGURATIONS = [
    ("both dial, slow messages, hasty redials", "-DNC=2 -DSLOW=2 -DHASTE=1"),
    ("both dial, one by a second name too", "-DNAMES0=1 -DNEVER_DOWN"),
    ("a connection lost at any step", "-DFAULTS=1"),
    ("a restart at any step", "-DRESTARTS=1"),
    ("one has leaves, and dials by a second name", "-DLEAVES -DNAMES0=1"),
    ("a base peer that dials too, a loss", "-DBASE -DBASEDIALS=1 -DDIALERS=1 -DFAULTS=1"),
    ("a base peer that dials too, a restart", "-DBASE -DBASEDIALS=1 -DDIALERS=1 -DRESTARTS=1"),
    ("messages over a handover", "-DNC=2 -DMESSAGES=2 -DLISTS"),
    ("messages over a handover, a DIGEST disagrees", "-DNC=2 -DMESSAGES=2 -DDISAGREE=1"),
]
MUTATIONS = [
    ("each side takes its own dial for the winner", "-DNC=2 -DBREAK_IDS"),
    ("what waits behind a loser is not looked at again", "-DNAMES0=1 -DNAMES1=1 -DBREAK_ORPHANS"),
    ("nobody steps back for the winner's winner", "-DNAMES0=1 -DNAMES1=1 -DBREAK_FOLLOW"),
    ("GOODBYE waits for a DIGEST for ever", "-DNC=2 -DMESSAGES=2 -DLISTS -DBREAK_HURRY"),
]


def mirrors():
    """Functions that the model names and the code does not have."""
    with open(MODEL, encoding="utf-8") as file:
        named = re.findall(r"mirrors (\w+), (\S+\.c)", file.read())
    if len(named) < 20:
        return ["the model names hardly any function"]
    lost = []
    for name, path in sorted(set(named)):
        try:
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                found = re.search(rf"^[a-z][\w \*]*\b{name}\(", file.read(), re.M)
        except FileNotFoundError:
            found = None
        if not found:
            lost.append(f"pair.pml mirrors {name} of {path}, which is not there")
    return lost


def explore(folder, options):
    """What pan printed."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    shutil.copy(MODEL, folder)
    subprocess.run(["spin", "-a", *options.split(), "pair.pml"], cwd=folder, check=True, capture_output=True)
    subprocess.run(["gcc", "-O1", "-w", "-DCOLLAPSE", "-DMEMLIM=4096", "-DVECTORSZ=2048", "-DNOFAIR", "-o", "pan",
                    "pan.c"], cwd=folder, check=True)
    return subprocess.run(["./pan", "-a", "-m300000"], cwd=folder, check=True, capture_output=True, text=True).stdout


def judge(out, broken):
    errors = int(re.search(r"errors: (\d+)", out).group(1))
    whole = "Search not completed" not in out and "max search depth too small" not in out
    return errors > 0 if broken else errors == 0 and whole


def run(folder, name, options, broken):
    started = time.monotonic()
    out = explore(folder, options)
    good = judge(out, broken)
    states = int(re.search(r"(\d+) states, stored", out).group(1))
    memory = float(re.search(r"([\d.]+)\s+total actual memory", out).group(1))
    verdict = ("caught" if broken else "holds") if good else ("NOT CAUGHT" if broken else "FAILS")
    print(f"{name:50} {states:9,} states {memory:5.0f} MB {time.monotonic() - started:5.1f} s  {verdict}", flush=True)
    if not good and not broken:
        print(f"    see it: cd {folder} && spin -t {options} pair.pml")
    return good


def main():
    folder = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build", "model"))
    lost = mirrors()
    print("\n".join(lost), end="\n" if lost else "")
    good = not lost
    for i, (name, options) in enumerate(CONFIGURATIONS + MUTATIONS):
        broken = i >= len(CONFIGURATIONS)
        good &= run(os.path.join(folder, str(i)), ("broken: " if broken else "") + name, options, broken)
    return 0 if good else 1


sys.exit(main())
