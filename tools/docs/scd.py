"""Writes scdoc(5), which Debian's scdoc makes man pages of. Text goes through esc, where it is not markup."""

import re
import subprocess

MANUAL = {1: "User commands", 3: "Programming with weft", 5: "File formats", 7: "Concepts", 8: "System administration"}


def esc(text):
    """Text as it is: nothing of it is markup."""
    text = re.sub(r"([\\_*`~])", r"\\\1", text)
    return re.sub(r"^([-#|.\[\]])", r"\\\1", text, flags=re.M)


def bold(text):
    return f"*{esc(text)}*"


def emph(text):
    return f"_{esc(text)}_"


def title(name, section, version):
    return f'{name}({section}) "weft {version}" "{MANUAL[section]}"\n'


def heading(name):
    return f"\n# {name}\n\n"


def code(lines):
    """Lines as they are; scdoc takes a backslash away also here."""
    return "```\n" + "\n".join(line.rstrip().replace("\\", "\\\\") for line in lines) + "\n```\n\n"


def items(pairs):
    """A list of terms, marked up already, and their meanings."""
    parts = []
    for term, text in pairs:
        lines = [line.strip() for line in text.split("\n")]
        mark = "- " if len(lines) > 1 else ""
        parts.append(f"{term}\n" + "".join(f"\t{mark}{line}\n" for line in lines if line) + "\n")
    return "".join(parts)


def page(text):
    """The man page of an scdoc source."""
    done = subprocess.run(["scdoc"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"scdoc: {done.stderr.strip()}\n{text[:400]}")
    return tidy(done.stdout)


def tidy(roff):
    """Without the paragraphs in which scdoc puts nothing, which mandoc complains of."""
    lines = [line for line in roff.split("\n") if line]
    kept = []
    for line, after in zip(lines, lines[1:] + [".RE"]):
        before = kept[-1] if kept else ""
        idle = before == ".P" or before == "" or re.match(r"\.(S[HS]|TH|RS) ", before) or re.match(r"\.(P|S[HS] .*|R[SE].*)$", after)
        if before == ".RE" and not line.startswith("."):
            kept.append(".P")
        if line != ".P" or not idle:
            kept.append(line)
    return "\n".join(kept) + "\n"
