"""What the figures were measured on, taken before the first run."""

import os
import re
import subprocess
import time


def _file(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _first(pattern, text, otherwise):
    found = re.search(pattern, text, re.M)
    return found.group(1).strip() if found else otherwise


def _output(*argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def describe():
    cpuinfo = _file("/proc/cpuinfo")
    memory = _first(r"^MemTotal:\s*(\d+) kB", _file("/proc/meminfo"), "0")
    virtual = " (virtual machine)" if re.search(r"^flags.*\bhypervisor\b", cpuinfo, re.M) else ""
    return {
        "processor": _first(r"^model name\s*:\s*(.*)$", cpuinfo, os.uname().machine) + virtual,
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": f"{os.uname().sysname} {os.uname().release}",
        "system": _first(r'^PRETTY_NAME="?([^"\n]*)', _file("/etc/os-release"), "unknown"),
        "memory": f"{int(memory) / (1 << 20):.1f} GiB",
        "compiler": _output("gcc", "--version").split("\n")[0],
        "load at the start": f"{os.getloadavg()[0]:.2f} (1 min)",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "revision": _output("git", "rev-parse", "--short", "HEAD") or "unknown",
    }
