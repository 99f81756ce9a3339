"""Three machines on one: network, mount and host-name namespaces on a bridge, in which packages are installed
for real without this system's noticing. The program that uses this runs in namespaces of its own already
(tests/net/world.py, enter): with it everything is gone again.

    prepare()                          /usr, /etc and /var become overlays of themselves
    base = Machine("base", "10.0.0.1")
    base.run("weft version")           (exit code, output)
    base.spawn("weft sub …")           a harness.Proc

All machines share /usr, so that what is installed on one is installed on all; /etc/weft, /var/lib/weft,
/run and the folder the commands run in are each one's own. Where no systemd runs, systemctl and journalctl
are stand-ins (systemctl.py) that start what the installed unit says, as the user it says; sudo, where it is
missing and we are root, is one that runs the command."""

import os
import shutil
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "net"))
import world  # noqa: E402  (found by the line above)

PLACE = "/mnt"  # a tmpfs: overlays here, and on each machine the folder its commands run in
HOME = PLACE + "/home"
TOOLS = PLACE + "/tools"


def enter():
    """As world.enter; apt and overlays need more than a user's own namespaces give."""
    if os.geteuid() != 0:
        return None, "packages are installed, if only into overlays: it takes root"
    if os.path.abspath(FOLDER).startswith((PLACE + "/", "/run/")):
        return None, f"the tree lies below {PLACE} or /run, which are hidden meanwhile"
    command, reason = world.enter()
    if command:
        done = subprocess.run(command + ["sh", "-ec", f"mount -t tmpfs tmpfs {PLACE} && mkdir {PLACE}/u {PLACE}/w && mount -t "
                                         f"overlay overlay -o lowerdir=/usr,upperdir={PLACE}/u,workdir={PLACE}/w /usr"],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            return None, f"overlays are not allowed here: {done.stderr.strip()}"
    return command, reason


def prepare():
    world.run("mount", "-t", "tmpfs", "tmpfs", PLACE)
    for top in ("usr", "etc", "var"):
        upper, work = f"{PLACE}/{top}.upper", f"{PLACE}/{top}.work"
        os.makedirs(upper)
        os.makedirs(work)
        world.run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/{top},upperdir={upper},workdir={work}", f"/{top}")
    world.run("mount", "-t", "tmpfs", "tmpfs", "/run")
    os.makedirs("/run/lock", exist_ok=True)
    world.run("ip", "link", "set", "lo", "up")
    world.run("ip", "link", "add", "lan", "type", "bridge")
    world.run("ip", "link", "set", "lan", "up")


def stand_ins(folder):
    """Returns what to tell of them."""
    told = []
    if not os.path.isdir("/run/systemd/system"):
        for name in ("systemctl", "journalctl"):
            shutil.copy(os.path.join(FOLDER, "systemctl.py"), os.path.join(folder, name))
            os.chmod(os.path.join(folder, name), 0o755)
        told.append("no systemd runs here: systemctl and journalctl are stand-ins that obey the installed unit")
    if not shutil.which("sudo"):
        with open(os.path.join(folder, "sudo"), "w", encoding="ascii") as file:
            file.write('#!/bin/sh\nexec "$@"\n')
        os.chmod(os.path.join(folder, "sudo"), 0o755)
        told.append("there is no sudo: we are root, and it is a stand-in")
    return told


class Machine:
    def __init__(self, name, address, files=()):
        self.name, self.address = name, address
        world.run("ip", "netns", "add", name)
        world.run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        world.run("ip", "link", "set", f"to-{name}", "master", "lan", "up")
        for args in (["addr", "add", f"{address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                     ["link", "set", "lo", "up"]):
            world.run("ip", "-n", name, *args)
        self.holder = subprocess.Popen(
            ["ip", "netns", "exec", name, "unshare", "--mount", "--uts", "sh", "-ec",
             f"hostname {name}; echo there; exec sleep infinity"], stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "there\n":
            raise AssertionError(f"{name}: no namespaces")
        self.enter = ["nsenter", "-t", str(self.holder.pid), "--mount", "--net", "--uts", "--"]
        self.must(f"mount -t tmpfs tmpfs /run && mkdir -p /run/lock && cp -a {TOOLS} /run/tools && "
                  f"mount -t tmpfs tmpfs {PLACE} && mkdir {HOME} && cp -a /run/tools {TOOLS}", cwd="/")
        for path in files:
            shutil.copy(path, f"/proc/{self.holder.pid}/root{HOME}")

    def own(self, folder):
        """From here on this folder is the machine's alone, with what is in it now."""
        self.must(f"mkdir -p {folder} /run/own && cp -a {folder}/. /run/own/ && mount -t tmpfs -o mode=755 tmpfs {folder} && "
                  f"cp -a /run/own/. {folder}/ && rm -rf /run/own", cwd="/")

    def environment(self):
        return {**os.environ, "PATH": f"{TOOLS}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": HOME, "USER": "root",
                "LC_ALL": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive", "COLUMNS": "100"}

    def argv(self, script, cwd=None):
        """bash that runs the script where the one before has left off, or in `cwd`."""
        go = f"cd {cwd}" if cwd else f"cd $(cat /run/cwd 2>/dev/null || echo {HOME})\ntrap 'pwd >/run/cwd' EXIT"
        return self.enter + ["bash", "-c", f"{go}\nset -eo pipefail\n{script}"]

    def run(self, script, cwd=None, timeout=60):
        """Its exit code and what it said; 124 if it does not end."""
        argv = ["timeout", str(timeout), *self.argv(script, cwd)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", env=self.environment(), check=False)
        return done.returncode, done.stdout

    def must(self, script, cwd=None):
        code, said = self.run(script, cwd)
        if code:
            raise AssertionError(f"{self.name}: {script}: {said}")

    def write(self, name, text):
        """A file of the machine's, as its administrator would write it."""
        with subprocess.Popen(self.argv(f"mkdir -p $(dirname {name}); cat >{name}"), stdin=subprocess.PIPE, text=True,
                              env=self.environment()) as cat:
            cat.communicate(text)
        if cat.returncode:
            raise AssertionError(f"{self.name}: {name} cannot be written")
