"""An idle node without peers stays under 6 MiB resident:  idle.py BUILD"""

import re
import sys

import harness

LIMIT_KIB = 6 * 1024


class Idle(harness.Case):
    def test_resident_memory(self):
        router = self.router("lab.a")
        with open(f"/proc/{router.proc.pid}/status", encoding="utf-8") as status:
            resident = int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))
        print(f"{resident} KiB resident", flush=True)
        self.assertLess(resident, LIMIT_KIB)


if __name__ == "__main__":
    harness.main()
