"""What a program says about itself by --help, taken apart: man pages and completion are made of it.

    help = helptext.of(["build/cmd/weft", "pub"])
    help.usage      its lines, without "usage: "
    help.blocks     in order: ("text", paragraph), ("items", [(term, text)…]), ("code", [line…])
    help.options    [Option…], those of all its blocks
    help.exits      [(code, text)…], of the paragraph "Exit codes: 0 …; 1 …; 2 …."
    help.exits_more what follows them in their paragraph, or ""

A block is what stands between empty lines. Lines that are not indented are text; where each of the least
indented ones is a term, two spaces and its meaning, they are items; everything else is code. A help text
that holds no usage or no exit codes is an error: the pages would lack a section."""

import collections
import re
import subprocess

Option = collections.namedtuple("Option", "short long arg text")
OPTION = re.compile(r"^ +((?:-\w, )?--[\w-]+(?:[ =](?:[A-Z[][^ a-z]*|\S+(?=  |$)))?|-\w(?: [A-Z]\S*)?)(?: +(\S.*))?$")
ITEM = re.compile(r"^ +([^\s:#]\S*(?: \S+)*?) {2,}(?!#)(\S.*)$")
CHOICE = re.compile(r"[a-z0-9-]+:")  # on a line of its own below an option: a value and what it does


def of(argv, switch="--help"):
    done = subprocess.run([*argv, switch], capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout:
        raise SystemExit(f"helptext: {' '.join(argv)} {switch}: exit code {done.returncode}\n{done.stderr}")
    return Help(done.stdout, " ".join(argv))


def indent(line):
    return len(line) - len(line.lstrip(" "))


def items_of(lines):
    """The items of a block, or None where it is none. An option may have its meaning on the lines below."""
    left = min(map(indent, lines))
    items = []
    for line in lines:
        found = indent(line) <= left + 4 and (OPTION.match(line) or ITEM.match(line))
        if found:
            items.append([found[1], found[2] or ""])
        elif items and indent(line) > left + 4:
            between = "\n" if CHOICE.match(line.strip()) else " "
            items[-1][1] = (items[-1][1] + between + line.strip()).strip()
        else:
            return None
    return [(term, text) for term, text in items]


def blocks_of(lines):
    blocks, block = [], []
    for line in lines + [""]:
        fresh = block and (not line.strip() or (indent(line) == 0) != (indent(block[0]) == 0))
        if fresh:
            blocks.append(block)
            block = []
        if line.strip():
            block.append(line)
    return blocks


class Help:
    def __init__(self, text, name):
        lines = text.rstrip().split("\n")
        if not lines[0].startswith("usage: "):
            raise SystemExit(f"helptext: {name} --help does not begin with \"usage: \"")
        end = next((i for i, line in enumerate(lines) if i > 0 and not line.startswith(" ")), len(lines))
        self.name = name
        self.usage = [re.sub(r" {3,}.*", "", line.removeprefix("usage: ").strip()) for line in lines[:end]]
        self.blocks = []
        for block in blocks_of(lines[end:]):
            self.blocks.append(self._block(block))
        self.options = merged([option for kind, items in self.blocks if kind == "items"
                               for option in map(option_of, items) if option])
        self.exits, self.exits_more = self._exits()

    @staticmethod
    def _block(lines):
        if indent(lines[0]) == 0:
            return "text", " ".join(line.strip() for line in lines)
        items = items_of(lines)
        if items:
            return "items", items
        left = min(map(indent, lines))
        return "code", [line[left:] for line in lines]

    def _exits(self):
        for kind, text in self.blocks:
            if kind == "text" and "Exit codes:" in text:
                codes, _, more = text[text.index("Exit codes:") + len("Exit codes:"):].partition(". ")
                found = re.findall(r"(?:^|[;,]) *(\d+):? +(.+?)(?=[;,] +\d+:? |\.?$)", codes)
                return found, more
        raise SystemExit(f"helptext: {self.name} --help has no \"Exit codes:\"")

    def words(self):
        """Subcommands: items that are a word in lower case, with their meaning."""
        return [(term.split()[0], text) for kind, items in self.blocks if kind == "items"
                for term, text in items if re.fullmatch(r"[a-z][a-z-]*", term.split()[0])]

    def operands(self):
        """Words of the usage in capitals that are no option's argument: {"ROUTE", "FILE", "URL"}."""
        usage = re.sub(r"--?[\w-]+[ =][A-Z][A-Z_:]*", "", " ".join(self.usage))
        return set(re.findall(r"\b[A-Z]+\b", usage))


def option_of(item):
    """An Option of an item such as "-P, --peer URL", or None if it is something else."""
    found = re.match(r"(?:(-\w), )?(--[\w-]+)(?:[ =](\S.*))?$", item[0]) or re.match(r"(-\w)()(?: (\S.*))?$", item[0])
    return Option(found[1] or "", found[2], found[3] or "", item[1]) if found else None


def merged(options):
    """An option that has a line for each of its values, "--mode recv", stands once, with "recv|thread"."""
    found = {}
    for option in options:
        name = option.long or option.short
        before = found.get(name)
        found[name] = option if not before or not option.arg else before._replace(arg=f"{before.arg}|{option.arg}")
    return list(found.values())
