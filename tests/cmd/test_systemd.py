"""weftd under a real systemd, booted in namespaces of its own: the unit with all its hardening, its user, reloading,
the journal, and what becomes of a wrong configuration. Where that cannot be booted (not root, no systemd, no
namespaces) it says so and is skipped."""

import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

HERE = os.path.dirname(os.path.abspath(__file__))
DIST = os.path.join(HERE, "..", "..", "dist")
SOCKET = "unix:///run/weft/weftd.sock/"

# A line "== NAME" before each step.
PROBE = f"""
step() {{ echo "== $1"; }}
show() {{ systemctl show weftd --property=ActiveState,StatusText,ExecMainStatus,NRestarts,MainPID; }}
echo 'http: {{listen: [127.0.0.1:7480]}}' >>/etc/weft/weftd.yaml
step start; systemctl start weftd; echo "exit $?"; show
step files; stat -c '%A %U %G %n' /run/weft /run/weft/weftd.sock /var/lib/weft /var/lib/weft/addrbook
step ping; weft ping --count 1 {SOCKET}
step stranger; setpriv --reuid=nobody --regid=nogroup --clear-groups weft ping --count 1 {SOCKET}
step group; setpriv --reuid=nobody --regid=weft --clear-groups weft ping --count 1 {SOCKET}
step http
for path in healthz metrics; do
    python3 -c "import urllib.request as r; print(r.urlopen('http://127.0.0.1:7480/$path').read().decode())"
done
step reload
echo 'peers: [tcp://127.0.0.1:1/nobody]' >>/etc/weft/weftd.yaml
systemctl reload weftd; echo "exit $?"; show
weft reload {SOCKET} --dry-run
step journal
journalctl --sync
journalctl -u weftd -o json
step mode
chmod 640 /var/lib/weft/addrbook
before=$(stat -c %i /var/lib/weft/addrbook)
systemctl stop weftd
[ "$before" != "$(stat -c %i /var/lib/weft/addrbook)" ] && echo saved
stat -c '%A %U %G' /var/lib/weft/addrbook
systemctl start weftd
step killed
systemctl kill --signal=KILL weftd
until weft ping --count 1 {SOCKET} >/dev/null 2>&1; do :; done; show
step wrong
echo 'selv: x' >>/etc/weft/weftd.yaml
systemctl reload weftd; show
systemctl restart weftd; echo "exit $?"; show
step end
"""


class Systemd(harness.Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("systemd is booted as root alone")
        for name in ("unshare", "systemctl", "pivot_root", "setpriv", "ip"):
            if not shutil.which(name, path=os.environ["PATH"] + ":/sbin:/usr/sbin"):
                self.skipTest(f"no {name} here")
        if harness.sanitized("weftd"):
            self.skipTest("the unit's limits are not made for sanitizers")

    def install(self):
        """A folder with what is installed, to be laid over the root."""
        files = os.path.join(self.folder, "files")
        for source, target in (
                (harness.program("weftd"), "usr/bin/weftd"), (harness.program("weft"), "usr/bin/weft"),
                (os.path.join(harness.BUILD, "node", "libweft.so.0"), "usr/lib/weft-test/libweft.so.0"),
                (os.path.join(DIST, "weftd.yaml"), "etc/weft/weftd.yaml"),
                (os.path.join(DIST, "systemd/weft.sysusers"), "usr/lib/sysusers.d/weft.conf")):
            target = os.path.join(files, target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(source, target)
        with open(os.path.join(DIST, "systemd/weftd.service.in"), encoding="utf-8") as file:
            unit = file.read().replace("@bindir@", "/usr/bin").replace("@sysconfdir@", "/etc")
        unit = unit.replace("[Service]\n", "[Service]\nEnvironment=LD_LIBRARY_PATH=/usr/lib/weft-test\n")
        os.makedirs(os.path.join(files, "etc/systemd/system"))
        with open(os.path.join(files, "etc/systemd/system/weftd.service"), "w", encoding="utf-8") as file:
            file.write(unit)
        return files

    def boot(self):
        """The steps of the probe and what each printed."""
        out, probe = os.path.join(self.folder, "out"), os.path.join(self.folder, "probe")
        os.mkdir(out)
        with open(probe, "w", encoding="utf-8") as file:
            file.write("export LD_LIBRARY_PATH=/usr/lib/weft-test\n" + PROBE)
        argv = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup", "--kill-child",
                os.path.join(HERE, "boot_systemd.sh"), self.install(), probe, out]
        try:
            said = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False).stderr
        except subprocess.TimeoutExpired:
            said = "it hangs"
        path = os.path.join(out, "probe")
        if not os.path.exists(path):
            self.skipTest(f"systemd cannot be booted here: {said.strip()}")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.startswith("booted"), text)
        self.text = text
        return dict(re.findall(r"(?ms)^== (\w+)\n(.*?)(?=^== |\Z)", text))

    def test_a_day_in_the_life(self):
        steps = self.boot()
        self.assertIn("end", steps, self.text)
        self.assertIn("exit 0", steps["start"], self.text)
        self.assertIn("ActiveState=active", steps["start"])
        self.assertIn(f"StatusText={SOCKET}, 0 peers", steps["start"])
        self.assertEqual(steps["files"].splitlines(), [
            "drwxr-x--- weft weft /run/weft", "srwxrwx--- weft weft /run/weft/weftd.sock",
            "drwxr-x--- weft weft /var/lib/weft", "-rw------- weft weft /var/lib/weft/addrbook"])
        self.assertIn("1 answered", steps["ping"])
        self.assertIn("ermission denied", steps["stranger"])
        self.assertIn("1 answered", steps["group"])
        self.assertRegex(steps["http"], r"(?m)^process_resident_memory_bytes \d{5,}")
        self.reloaded(steps)
        self.journal([json.loads(line) for line in steps["journal"].splitlines() if line.startswith("{")])
        self.assertEqual(steps["mode"].splitlines(), ["saved", "-rw-r----- weft weft"], "what an administrator allows stays")
        self.assertIn("NRestarts=1", steps["killed"])
        before, after = steps["wrong"].split("exit 1\n")
        self.assertIn("ActiveState=active", before, "a wrong file does not end what runs")
        self.assertIn("ActiveState=failed", after)
        self.assertIn("ExecMainStatus=3", after)

    def reloaded(self, steps):
        self.assertIn("exit 0", steps["reload"], self.text)
        self.assertIn("nothing is different", steps["reload"])
        pid = r"MainPID=(\d+)"
        self.assertEqual(re.search(pid, steps["start"]).group(1), re.search(pid, steps["reload"]).group(1))

    def journal(self, entries):
        ours = [entry for entry in entries if "WEFT_EVENT" in entry]
        up = [entry for entry in ours if entry["WEFT_EVENT"] == "peer_up"]
        self.assertTrue(up, self.text)
        self.assertEqual((up[0]["PRIORITY"], up[0]["SYSLOG_IDENTIFIER"]), ("6", "weftd"))
        reload, = [entry["MESSAGE"] for entry in ours if entry["WEFT_EVENT"] == "reload"]
        self.assertEqual(reload, "reload: dials tcp://127.0.0.1:1/nobody, for ever, pauses from 1s to 1m growing by 1.5")
        said = [entry["MESSAGE"] for entry in entries]
        self.assertEqual(len([text for text in said if "reload: dials" in text]), 1, "nothing is logged twice")


if __name__ == "__main__":
    if not os.path.exists("/lib/systemd/systemd"):
        print("no systemd here; skipped")
        sys.exit(77)
    harness.main()
