#!/usr/bin/python3
"""Stands in for systemctl and journalctl where no systemd runs, for tests/guide/run.py alone.

It does with the unit of one service what systemd would: makes its folders, starts it as its user with the
signals and the environment it expects, waits until it says READY=1, and keeps what it logs. Hardening is
not applied. What it does not know is an error."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

STATE = "/run/stand-in"
UNITS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
PATIENCE = 30  # seconds


def unit(name):
    """{key: [value…]} of NAME.service."""
    for folder in UNITS:
        try:
            with open(f"{folder}/{name}.service", encoding="utf-8") as file:
                text = re.sub(r"\\\n\s*", " ", file.read())
        except FileNotFoundError:
            continue
        found = {}
        for key, value in re.findall(r"^(\w+)=(.*)$", text, re.M):
            found.setdefault(key, []).append(value)
        return found
    sys.exit(f"Unit {name}.service could not be found.")


def pid_of(name):
    try:
        with open(f"{STATE}/{name}.pid", encoding="ascii") as file:
            pid = int(file.read())
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return None if file.read().rpartition(")")[2].split()[0] == "Z" else pid
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None


def folders(described, user):
    made = {}
    for key, top, variable in (("RuntimeDirectory", "/run", "RUNTIME_DIRECTORY"),
                               ("StateDirectory", "/var/lib", "STATE_DIRECTORY")):
        for name in " ".join(described.get(key, [])).split():
            path = f"{top}/{name}"
            mode = int(described.get(key + "Mode", ["0755"])[-1], 8)
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)
            if user:
                os.chown(path, user.pw_uid, user.pw_gid)
            made[variable] = path
    return made


def start(name):
    if pid_of(name):
        return
    described = unit(name)
    user = pwd.getpwnam(described["User"][-1]) if "User" in described else None
    os.makedirs(STATE, exist_ok=True)
    notify = f"{STATE}/{name}.notify"
    if os.path.exists(notify):
        os.unlink(notify)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(notify)
    os.chmod(notify, 0o777)
    environment = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8", "NOTIFY_SOCKET": notify, **folders(described, user)}
    groups = os.getgrouplist(user.pw_name, user.pw_gid) if user else None
    umask = int(described.get("UMask", ["0022"])[-1], 8)
    with open(f"{STATE}/{name}.log", "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            described["ExecStart"][-1].split(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            user=user and user.pw_uid, group=user and user.pw_gid, extra_groups=groups, umask=umask, cwd="/",
            start_new_session=True)
    with open(f"{STATE}/{name}.pid", "w", encoding="ascii") as file:
        file.write(str(process.pid))
    wait_ready(name, process, listener, described.get("Type", ["simple"])[-1] == "notify")


def wait_ready(name, process, listener, notifies):
    deadline = time.monotonic() + PATIENCE
    listener.settimeout(0.2)
    while notifies:
        try:
            if b"READY=1" in listener.recv(4096):
                break
        except TimeoutError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"Job for {name}.service failed. See \"journalctl -u {name}\".")


def stop(name):
    pid = pid_of(name)
    if not pid:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while pid_of(name) and time.monotonic() < deadline:
        time.sleep(0.02)
    for folder in " ".join(unit(name).get("RuntimeDirectory", [])).split():
        shutil.rmtree(f"/run/{folder}", ignore_errors=True)


def reload(name):
    described = unit(name)
    pid = pid_of(name) or sys.exit(f"{name}.service is not active, cannot reload.")
    for command in described["ExecReload"]:
        command = command.lstrip("-+!").replace("$MAINPID", str(pid))
        if subprocess.run(command.split(), check=False).returncode:
            sys.exit(f"Job for {name}.service failed.")


def status(name):
    described, pid = unit(name), pid_of(name)
    print(f"{name}.service - {described['Description'][-1]}")
    print(f"     Active: {'active (running)' if pid else 'inactive (dead)'}")
    sys.exit(0 if pid else 3)


def journal(argv):
    name = argv[argv.index("-u") + 1]
    lines = 20
    for at, word in enumerate(argv):
        if word == "-n":
            lines = int(argv[at + 1])
    with open(f"{STATE}/{name}.log", encoding="utf-8", errors="replace") as file:
        print("".join(file.readlines()[-lines:]), end="")


def main(argv):
    if os.path.basename(sys.argv[0]) == "journalctl":
        return journal(argv)
    words = [word for word in argv if not word.startswith("-")]
    if words == ["daemon-reload"]:
        return None
    verb, name = words[0], words[1].removesuffix(".service")
    known = {"start": [start], "stop": [stop], "restart": [stop, start], "reload": [reload], "status": [status],
             "enable": [start] if "--now" in argv else [unit], "disable": [stop] if "--now" in argv else [unit]}
    if verb not in known or len(words) != 2:
        sys.exit(f"systemctl: the stand-in does not know '{' '.join(argv)}'")
    for act in known[verb]:
        act(name)
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
