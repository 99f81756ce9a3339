"""Completion in real shells: every command and option that --help tells is offered, and what an option takes."""

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"
BREAKS = "=:"  # characters readline splits words at, of those that stand in our command lines

# Each line of standard input is a file of shell variables; what there is to complete goes to standard output.
BASH_DRIVER = r"""
source %s
source %s
while IFS= read -r given; do
    eval "$given"
    COMPREPLY=()
    compopt() { :; }
    _weft
    printf '%%s\n' "${COMPREPLY[@]}" --end--
done
"""

# What compadd is told to add is printed instead.
ZSH_DRIVER = r"""
PS1=ready
fpath=(%s $fpath)
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' list-grouped false
zstyle ':completion:*' verbose no
done_here() { print -r -- '--end--' }
offer() { comppostfuncs=(done_here); zle complete-word }
zle -N offer
bindkey '^I' offer
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return $?
    fi
    typeset -a __hits
    builtin compadd -A __hits "$@"
    local hit
    for hit in $__hits; do print -r -- "<$hit>"; done
    return 0
}
"""


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


class Completion(harness.Case):
    def setUp(self):
        super().setUp()
        self.docs = os.path.join(harness.BUILD, "docs")
        weft, weftd = harness.program("weft"), harness.program("weftd")
        self.commands = {"weftd": output(weftd, "--help")}
        self.words = re.findall(r"^  ([a-z]+) {2,}\S", output(weft, "--help"), re.M)
        self.assertIn("pub", self.words)
        for word in self.words:
            help = self.commands[f"weft {word}"] = output(weft, word, "--help")
            for verb in re.findall(r"^  ([a-z]+) {2,}\S", help, re.M):
                self.commands[f"weft {word} {verb}"] = output(weft, word, verb, "--help")
        self.words += ["help", "version"]

    def options(self, command):
        """Those that stand in the help text of a command where an option stands."""
        help = self.commands[command]
        found = set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z][\w-]*)|^ {2,6}(-\w)\b", help, re.M))
        options = {name for names in found for name in names if name}
        self.assertTrue(options or re.search(r"^  [a-z]+ {2,}\S", help, re.M), f"{command} has no options")
        return options

    # ---- bash

    def bash(self, *lines):
        """What bash offers at the end of each line, as sets."""
        given = []
        for line in lines:
            words = [part for word in re.split(r"\s+", line) for part in
                     ([p for p in re.split(f"([{BREAKS}]+)", word) if p] or [""])]
            if line.endswith(tuple(BREAKS)):
                words.append("")
            given.append(f"COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)} COMP_CWORD={len(words) - 1} "
                         f"COMP_WORDS=({' '.join(map(shlex.quote, words))})")
        driver = BASH_DRIVER % (BASH_COMPLETION, os.path.join(self.docs, "weft"))
        done = subprocess.run(["bash", "--norc", "--noprofile", "-c", driver], input="\n".join(given) + "\n",
                              capture_output=True, text=True, cwd=self.folder, check=False)
        self.assertEqual(done.stderr, "")
        answers = [{word.strip() for word in part.split("\n") if word} for part in done.stdout.split("--end--\n")[:-1]]
        self.assertEqual(len(answers), len(lines))
        return answers if len(lines) > 1 else answers[0]

    def test_bash_offers_every_command_and_option(self):
        self.assertEqual(self.bash("weft "), set(self.words))
        self.assertEqual(self.bash("weft p"), {word for word in self.words if word.startswith("p")})
        offered = self.bash(*[f"{command} -" for command in self.commands])
        for command, offers in zip(self.commands, offered):
            self.assertEqual(self.options(command) - offers, set(), command)
        self.assertEqual(self.bash("weft help pi"), {"ping"})
        self.assertEqual(self.bash("weft nonsense "), set(self.words))

    def test_bash_offers_what_an_option_takes(self):
        open(os.path.join(self.folder, "book.bin"), "w", encoding="ascii").close()
        listed = self.bash("weft sub --format ", "weft sub --format=h", "weft sub T@a --format j", "weftd --log d",
                           "weftd -c bo", "weft pub T@a --file b", "weft addrbook dump b", "weft bench idl",
                           "weft bench idle --r", "weft sub --count ", "weft bench local --mode c")
        self.assertEqual(listed[0] & {"text", "hex", "raw", "json"}, {"text", "hex", "raw", "json"})
        self.assertEqual(listed[1:], [{"hex"}, {"json"}, {"debug"}, {"book.bin"}, {"book.bin"}, {"book.bin"}, {"idle"},
                                      {"--rate"}, set(), {"callback"}])

    def test_bash_knows_the_urls_of_this_host(self):
        """Sockets that are listened on, and what configuration files name; a colon does not confuse it."""
        socket = os.path.join(self.folder, "weft.sock")
        with open(os.path.join(self.folder, "lab.yaml"), "w", encoding="utf-8") as file:
            file.write("self: tcp://0.0.0.0:7411/lab.x\npeers: [\"tcp://10.9.8.7:7400/lab.b\", \"tcp://$(>struck)/x\"]\n")
        self.spawn("weftd", [harness.program("weftd"), "-l", f"unix://{socket}/lab.a"]).wait_line("listening")
        self.assertIn(f"//{socket}", self.bash("weft ping unix:"))
        self.assertEqual(self.bash("weft ping tcp://10.9"), {"//10.9.8.7:7400/lab.b"})
        self.assertIn("//127.0.0.1:7411/lab.x", self.bash("weft sub T@a -P tcp:"))
        self.assertNotIn("struck", os.listdir(self.folder), "what is named $(…) is not run")

    def test_bash_at_a_terminal(self):
        setup = f"PS1=ready; source {BASH_COMPLETION}; source {self.docs}/weft; bind 'set enable-bracketed-paste off'\n"
        fd = self.terminal(["bash", "--norc", "--noprofile", "-i"], setup)
        os.write(fd, b"weft pub --fil\t")
        self.read_until(fd, "weft pub --file ")

    # ---- zsh

    def terminal(self, argv, setup):
        """A shell at a terminal that has read its setup: the terminal's file descriptor."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.environ.update(TERM="dumb", HOME=self.folder)
            os.execvp(argv[0], argv)

        def end():
            os.close(fd)
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.addCleanup(end)
        os.write(fd, (setup + "\necho rea''dy-now\n").encode())
        self.read_until(fd, "ready-now")
        return fd

    def read_until(self, fd, text):
        said, deadline = "", time.monotonic() + harness.PATIENCE
        while text not in said:
            ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, f"no {text!r} in {said!r}")
            try:
                said += os.read(fd, 65536).decode(errors="replace")
            except OSError:
                self.fail(f"the shell ended: {said!r}")
        return said

    def zsh(self, *lines):
        """What zsh offers at the end of each line, as sets."""
        setup = os.path.join(self.folder, "setup.zsh")
        with open(setup, "w", encoding="utf-8") as file:
            file.write(ZSH_DRIVER % shlex.quote(self.docs))
        fd = self.terminal(["zsh", "-f", "-i"], f"source {setup}")
        answers = []
        for line in lines:
            os.write(fd, ("\x15" + line + "\t").encode())  # ^U: the line before goes
            answers.append(set(re.findall(r"<(.*?)>\r?\n", self.read_until(fd, "--end--"))))
        return answers if len(lines) > 1 else answers[0]

    def test_zsh_offers_every_command(self):
        self.assertEqual(self.zsh("weft "), set(self.words))

    def test_zsh_offers_every_option(self):
        leaves = [command for command in self.commands  # others have subcommands, whose options these are
                  if not any(other.startswith(command + " ") for other in self.commands)]
        self.assertGreater(len(leaves), 10)
        for command, offers in zip(leaves, self.zsh(*[f"{command} --" for command in leaves])):
            options = {option for option in self.options(command) if option.startswith("--")}
            self.assertEqual(options - offers, set(), command)

    def test_zsh_offers_what_an_option_takes(self):
        open(os.path.join(self.folder, "book.bin"), "w", encoding="ascii").close()
        levels, files, measures = self.zsh("weftd --log ", "weftd -c ", "weft bench ")
        self.assertEqual(levels, {"error", "warn", "info", "debug"})
        self.assertIn("book.bin", files)
        self.assertIn("idle", measures)


if __name__ == "__main__":
    harness.main()
