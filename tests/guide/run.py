"""Does all that docs/guide.md says, on three machines of one's own (machines.py), with the Debian packages:

    run.py FOLDER              the .deb files are in FOLDER; a line a step, and what went wrong
    run.py FOLDER --until N    no further than line N of the guide
    run.py FOLDER --show       with all that was said
    run.py --list              the steps, without running them

Exit codes: 0 all went as the guide says, 1 it did not, 77 it cannot be tried here: no namespaces, no overlays, not
root; a line "guide: skipped: …" says which."""

import argparse
import fcntl
import glob
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)
import guide  # noqa: E402  (found by the line above)
import machines  # noqa: E402
from machines import world  # noqa: E402

ROOT = os.path.join(FOLDER, "..", "..")
ADDRESSES = {"base": "10.0.0.1", "arm": "10.0.0.2", "eye": "10.0.0.3"}
PATIENCE = world.harness.PATIENCE * 2  # seconds, for what should come at once


class Wrong(Exception):
    pass


class Run:
    def __init__(self, show):
        self.machines, self.staying, self.shared, self.show = {}, {}, True, show

    def step(self, step):
        if step.kind == "not run":
            return f"not run: {step.how}"
        done = [getattr(self, "do_" + step.kind)(step, name) for name in step.machines]
        return "; ".join(dict.fromkeys(text for text in done if text))

    def do_file(self, step, name):
        self.machines[name].write(step.how, step.body)
        return f"{step.how} written"

    def do_run(self, step, name):
        machine = self.machines[name]
        if step.how == "terminal":
            return self.at_terminal(machine, step)
        if step.how == "stays":
            process = world.harness.Proc(f"on {name}", machine.argv(step.body), "/")
            self.staying.setdefault(name, []).append(process)
            if step.shows:
                self.await_shown(process, step)
            return "stays"
        if "sudo apt " in step.body and name != step.machines[0]:
            return f"/usr is shared: apt did its work on {step.machines[0]}"
        deadline = time.monotonic() + PATIENCE
        while True:
            code, said = machine.run(step.body)
            lacks = guide.missing(step.shows, said) if step.shows else None
            good = (code != 0) == (step.how == "fails") and lacks is None
            if good:
                if self.show and said:
                    print(said.rstrip(), flush=True)
                return None
            if step.how != "until" or time.monotonic() > deadline:
                why = f"it does not say: {lacks}" if lacks is not None else f"exit code {code}"
                raise Wrong(f"on {name}: {why}\n{said}")
            time.sleep(0.2)

    def at_terminal(self, machine, step):
        """A screen of 24 lines and 100 columns; what it shows is read without its colours and movements."""
        pid, fd = pty.fork()
        if pid == 0:
            argv = machine.argv(step.body)
            os.execvpe(argv[0], argv, {**machine.environment(), "TERM": "xterm"})
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        said, deadline = "", time.monotonic() + PATIENCE
        while True:
            ready, _, _ = select.select([fd], [], [], 0.2)
            if ready:
                said += os.read(fd, 65536).decode(errors="replace")
            lines = re.sub(r"\x1b\[[\d;?]*C", " ", said)  # the cursor goes right
            lines = re.sub(r"\x1b\[[\d;?]*m|\x1b[()]\w|\x0f", "", lines)  # colours
            lines = re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "\n", lines)  # it goes elsewhere
            lacks = guide.missing(step.shows or [], lines)
            if lacks is None:
                break
            if time.monotonic() > deadline:
                raise Wrong(f"it does not show: {lacks}\n{lines}")
        os.write(fd, b"q")
        while True:  # until it has gone: a terminal without a program reads as an error
            try:
                if not os.read(fd, 65536):
                    break
            except OSError:
                break
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            raise Wrong(f"exit code {code}\n{said}")
        return "left by q"

    def await_shown(self, process, step):
        deadline = time.monotonic() + PATIENCE
        while True:
            with process.changed:
                said = "\n".join(process.lines)
                lacks = guide.missing(step.shows, said)
                if lacks is None:
                    return
                if time.monotonic() > deadline or process.process.poll() is not None:
                    raise Wrong(f"it does not say: {lacks}\n{said}")
                process.changed.wait(0.2)

    def do_shows(self, step, name):
        self.await_shown(self.staying[name][-1], step)

    def do_stop(self, step, name):
        """As Ctrl-C: to the program, and bash with it."""
        process = self.staying[name].pop()
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout
        for pid in map(int, children.split() or [str(process.pid)]):
            os.kill(pid, signal.SIGINT)
        process.exit_code(PATIENCE)
        return "stopped"

    def settle(self):
        """Behind the installation: what each machine has for itself; and the service runs, as where systemd does."""
        for machine in self.machines.values():
            for folder in ("/etc/weft", "/var/lib/weft"):
                machine.own(folder)
            machine.must("systemctl start weftd")
        self.shared = False


def title(step):
    words = step.body.strip().split("\n")[0] if step.body.strip() else step.kind
    where = ", ".join(step.machines)
    return f"line {step.line:3d}  {where:<14} {words[:76]}"


def inside(packages, options):
    machines.prepare()
    os.makedirs(machines.TOOLS)
    for text in machines.stand_ins(machines.TOOLS):
        print(f"guide: {text}", flush=True)
    run = Run(options.show)
    debs = [deb for deb in glob.glob(os.path.join(packages, "*.deb")) if "-dbgsym" not in deb]
    for name, address in ADDRESSES.items():
        run.machines[name] = machines.Machine(name, address, debs)
    count = 0
    for step in guide.steps(read_guide()):
        if step.line > options.until:
            break
        started = time.monotonic()
        try:
            told = run.step(step)
        except (Wrong, AssertionError) as wrong:
            print(f"{title(step)}\n    FAILED {wrong}\n", flush=True)
            for name in step.machines:
                print(run.machines[name].run("journalctl -u weftd -n 30 2>/dev/null || true")[1])
            return 1
        count += step.kind != "not run"
        print(f"{title(step)}  {time.monotonic() - started:.1f} s{'  (' + told + ')' if told else ''}", flush=True)
        if run.shared and ".deb" in step.body and step.kind == "run":
            run.settle()
    print(f"guide: {count} steps went as docs/guide.md says", flush=True)
    return 0


def read_guide():
    with open(os.path.join(ROOT, "docs", "guide.md"), encoding="utf-8") as file:
        return file.read()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--until", type=int, default=1 << 30)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--inside", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(map(title, guide.steps(read_guide()))))
        return 0
    if not options.folder:
        parser.error("the folder of the packages is missing")
    folder = os.path.abspath(options.folder)
    if options.inside:
        # Whoever runs this in the background may have it ignored, and so would the programs that ^C is to end.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return inside(folder, options)
    guide.steps(read_guide())
    command, reason = machines.enter()
    if not command:
        print(f"guide: skipped: {reason}", flush=True)
        return 77
    return subprocess.run(command + [sys.executable, "-B", os.path.abspath(__file__), folder, "--inside", "--until",
                                     str(options.until)] + ["--show"] * options.show, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
