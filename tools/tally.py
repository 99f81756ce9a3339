"""Adds up a meson test log:  tally.py TESTLOG FAILURES

Prints "PASSED FAILED", counting the single tests each program reports in its line
"Synthesis: Tested: …", and writes the output of the programs that failed to FAILURES. A program
without that line counts as one test; one that failed though its line does not say so counts one
failure more (a leak found at exit, a crash, a timeout)."""

import json
import re
import sys

SYNTHESIS = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")


def count(test):
    output = test.get("stdout", "") + "\n" + test.get("stderr", "")
    good = test["result"] in ("OK", "EXPECTEDFAIL", "SKIP")
    passed = failed = 0
    lines = SYNTHESIS.findall(re.sub(r"\x1b\[[0-9;]*m", "", output))
    for _, passing, failing, crashing in lines:
        passed += int(passing)
        failed += int(failing) + int(crashing)
    if not lines and test["result"] != "SKIP":
        passed = int(good)
    if not good and not failed:
        failed = 1
    return passed, failed, output


def main():
    passed = failed = 0
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log, \
            open(sys.argv[2], "w", encoding="utf-8") as failures:
        for line in log:
            test = json.loads(line)
            good, bad, output = count(test)
            passed, failed = passed + good, failed + bad
            if bad:
                failures.write(f"---- {test['name']}: {test['result']}\n{output.rstrip()}\n")
    if not passed + failed:
        sys.exit(f"{sys.argv[1]}: no test ran")
    print(passed, failed)


main()
