"""Man pages of the library, in scdoc, from the comments of include/weft/*.h.

A header is read as units: what stands between empty lines outside of braces, a comment and the declarations
it is about. Each unit that declares something becomes a page, called after its first function or type, and
the others of the unit are links to it. `/* ---- Title --- */` begins a group. From a comment are taken
[any] or [loop] (who may call it) and "Errors: …"; both get sections of their own. A function without a
comment is an error: the page would be empty."""

import os
import re
import textwrap

import helptext
from scd import bold, code, emph, esc, heading, items, title

GROUP = re.compile(r"/\* -{4,} (.*?) -+ \*/")
FUNCTION = re.compile(r"^(?:WEFT_API|static inline) [^;{]*?\b(weft_\w+)\(", re.M)
TYPE = re.compile(r"^(?:typedef )?(?:struct|enum) (weft_\w+) \{", re.M)
OPAQUE = re.compile(r"^(?:typedef )?struct (weft_\w+)(?: \w+)?;", re.M)
USERS = {}  # {type: the first function that takes or gives it, its _init and _free left out}
THREAD = re.compile(r"\s*\[((?:any|loop)[^\]]*)\]")


def prose(comment):
    """A comment's text, its lines joined; an empty line begins a paragraph, indented ones stay as they are."""
    lines = [line if i == 0 else re.sub(r"^\s*\*? ?", "", line) if line.lstrip().startswith("*") else line.lstrip()
             for i, line in enumerate(re.sub(r"^/\*+ ?|\s*\*/$", "", comment.strip()).split("\n"))]
    text = ""
    for line in lines:
        after_prose = text and not text.endswith("\n")
        if line.startswith("  "):
            text += ("\n" if after_prose else "") + line + "\n"
        elif line.strip():
            text += (" " if after_prose else "") + line.strip()
        else:
            text += ("\n" if after_prose else "") + "\n"
    return text.strip()


def marked(text):
    """What `prose` made, as scdoc."""
    out = ""
    for lines in helptext.blocks_of(text.split("\n")):
        listed = helptext.items_of(lines) if lines[0].startswith(" ") else None
        if listed:
            out += items((bold(term), esc(about)) for term, about in listed)
        elif lines[0].startswith(" "):
            out += code(textwrap.dedent("\n".join(lines)).split("\n"))
        else:
            out += esc(" ".join(lines)) + "\n\n"
    return out


def units(text):
    """[(group, [line…])…] of a header."""
    text = re.sub(r"^#ifdef __cplusplus$.*?^#endif$", "", text, flags=re.S | re.M)  # its brace has no end here
    group, unit, depth, found = "", [], 0, []
    inside = False  # a comment
    for line in text.split("\n") + [""]:
        title_line = GROUP.match(line)
        if title_line:
            group = re.sub(r" \(.*", "", title_line[1])
            continue
        if not line.strip() and depth == 0 and not inside:
            if unit:
                found.append((group, unit))
            unit = []
            continue
        unit.append(line)
        bare = re.sub(r"/\*.*?\*/", "", line)
        inside = ("/*" in bare or inside) and "*/" not in bare
        if not inside:
            depth += bare.count("{") - bare.count("}")
    return found


def first_sentence(text):
    """For NAME: what it does, in one line."""
    text = re.sub(r" \([^)]*\)", "", text.replace("\n", " ").replace(", e.g. ", ": "))
    text = re.split(r"[.;:?](?:\s|$)|, which |, and ", text)[0]
    return text[0].lower() + text[1:] if re.match(r"[A-Z][a-z ]", text) else text


class Unit:
    """What one page is about."""

    def __init__(self, header, group, lines):
        self.header, self.group = header, group
        text = "\n".join(lines)
        comment = re.match(r"/\*.*?\*/\n?", text, re.S)
        self.comment = prose(comment[0]) if comment else ""
        self.text = text[comment.end():] if comment else text
        self.functions = FUNCTION.findall(self.text)
        self.types = TYPE.findall(self.text)
        self.names = self.functions + self.types
        self.name = self.names[0] if self.names else None

    def about(self):
        if self.comment:
            return first_sentence(THREAD.sub("", self.comment))
        inner = re.search(r"\n/\*.*?\*/", self.text, re.S)  # of the function behind a type
        if inner:
            return first_sentence(THREAD.sub("", prose(inner[0])))
        return f"a type of {USERS[self.name]}" if self.name in USERS else "a type of weft"


def declarations(text):
    """The unit without comments and the library's macros, types left to `members`."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"^(?:typedef )?(struct|enum) (weft_\w+) \{.*?^\}.*?$",
                  lambda m: f"{m[1]} {m[2]} {{ … }};", text, flags=re.S | re.M)
    text = text.replace("WEFT_API ", "")
    out = []
    for line in re.sub(r"\n\s+", " ", text).split("\n"):
        if line.strip():
            out += textwrap.wrap(line.strip(), 72, subsequent_indent="    ")
    return out


def members(body):
    """[(declaration, comment)…] of the inside of a struct or enum."""
    parts = re.findall(r"/\*.*?\*/|[^/]+?(?=/\*|$)", body, re.S)
    found, before = [], ""
    for part in parts:
        if part.startswith("/*"):
            text = prose(part)
            if found and fresh_line and "\n" not in fresh_line:
                found[-1] = (found[-1][0], (found[-1][1] + " " + text).strip())
            else:
                before = text
            fresh_line = ""
            continue
        pieces = re.split(r"[;,](?![^(]*\))", part)
        for piece in pieces[:-1]:
            declared = " ".join(piece.split())
            if declared:
                found.append((declared, before))
                before = ""
        rest = " ".join(pieces[-1].split())
        if rest:
            found.append((rest, before))
            before = ""
        fresh_line = pieces[-1] if not rest else " "
    return found


def fields(unit):
    text = ""
    for match in re.finditer(r"^(?:typedef )?(struct|enum) (weft_\w+) \{(.*?)^\}", unit.text, re.S | re.M):
        listed = [(bold(name), esc(about)) for name, about in members(match[3])]
        text += f"\n## {match[1]} {esc(match[2])}\n\n" + items(listed)
    return heading("MEMBERS") + text if text else ""


def errors_of(comment, table):
    """The section ERRORS: the comment's own words, and what each code means."""
    found = re.search(r"\bErrors?:\s*(.*)$", comment, re.S)
    if not found:
        return comment, ""
    names = list(dict.fromkeys(re.findall(r"WEFT_(E[A-Z]+)\b", found[1])))
    unknown = [name for name in names if name not in table]
    if unknown:
        raise SystemExit(f"api: no such error: {' '.join(unknown)}")
    listed = items((bold(f"WEFT_{name}"), esc(table[name])) for name in names)
    return comment[:found.start()].strip(), heading("ERRORS") + esc(found[1].strip()) + "\n\n" + listed


def described(comment, table):
    """DESCRIPTION, THREADS and ERRORS of a comment."""
    threads = THREAD.search(comment)
    comment, errors = errors_of(THREAD.sub("", comment), table)
    text = heading("DESCRIPTION") + marked(comment) if comment else ""
    if threads:
        text += heading("THREADS") + emph(threads[1].replace("\n", " ")) + ". See _Threads_ in *weft*(3).\n"
    return text + errors


def inner_comments(text):
    """Comments between declarations: [(name of what follows, text)…]."""
    outside = re.sub(r"^(?:typedef )?(?:struct|enum) weft_\w+ \{.*?^\}.*?$", "", text, flags=re.S | re.M)
    return [(FUNCTION.search(outside, m.end()), prose(m[0])) for m in re.finditer(r"^/\*.*?\*/", outside, re.S | re.M)]


def page(unit, near, table, version):
    name, rest = unit.name, unit.names[1:]
    text = title(name, 3, version) + heading("NAME")
    text += esc(", ".join([name, *rest])) + " - " + esc(unit.about()) + "\n"
    text += heading("SYNOPSIS") + f"*#include <weft/{unit.header}>*\n\n" + code(declarations(unit.text))
    comments = [unit.comment] if unit.comment else []
    for _, inner in inner_comments(unit.text):
        comments.append(inner)
    comment = "\n\n".join(comments)
    text += described(comment, table) + fields(unit)
    mentioned = [n for n in re.findall(r"\bweft_[a-z]\w*", comment) if n in near and n not in unit.names]
    also = sorted(set(mentioned) | set(near.get(name, [])))
    text += heading("SEE ALSO") + ", ".join([f"{bold(n)}(3)" for n in also] + ["*weft*(3)"]) + "\n"
    return text


def overview(headers, by_header, version):
    """weft(3): what the headers say at their top, and what is in them."""
    text = title("weft", 3, version) + heading("NAME") + "weft - publish/subscribe mesh without a broker\n"
    text += heading("SYNOPSIS") + "".join(f"*#include <weft/{h}>*\n\n" for h in headers)
    text += "*cc* ... $(*pkg-config* --cflags --libs weft)\n" + heading("DESCRIPTION")
    for header, source in headers.items():
        top = prose(re.match(r"/\*.*?\*/", source, re.S)[0])
        text += f"## <weft/{header}>\n\n{marked(top)}\n"
    text += heading("FUNCTIONS AND TYPES")
    for group, found in by_header.items():
        text += f"## {esc(group)}\n\n"
        text += items((", ".join(f"{bold(n)}(3)" for n in unit.names), esc(unit.about())) for unit in found)
    return text + heading("SEE ALSO") + "*weft*(1), *weft-routes*(7), *weft*(7), *weftd*(8)\n"


def error_page(table, version):
    text = title("weft_errors", 3, version) + heading("NAME") + "weft\\_errors - the errors of weft\n"
    text += heading("SYNOPSIS") + "*#include <weft/weft.h>*\n" + heading("DESCRIPTION")
    text += "A call that fails returns one of these, negative. *weft_strerror*(3) gives the text, *weft_err_name*(3) the name.\n\n"
    text += items((bold(f"WEFT_{name}"), esc(what)) for name, what in table.items())
    return text + heading("SEE ALSO") + "*weft_err_name*(3), *weft_strerror*(3), *weft*(3)\n"


def pages(paths, version):
    """({(name, 3): scdoc text}, {(link, 3): name}) of the headers."""
    headers = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            headers[os.path.basename(path)] = file.read().split("/* ---- Inline bodies")[0]
    for source in headers.values():
        for declared in re.findall(r"^(?:WEFT_API|static inline) [^;{]*;", source, re.S | re.M):
            function = FUNCTION.match(declared)[1]
            if not function.endswith(("_init", "_free")):
                for name in re.findall(r"\bweft_\w+", declared):
                    USERS.setdefault(name, function)
    table = dict(re.findall(r'X\((E\w+), -\d+, "([^"]*)"\)', headers["weft.h"]))
    found = {}
    for header, source in headers.items():
        for group, lines in units(source):
            unit = Unit(header, group or f"<weft/{header}>", lines)
            if unit.name and unit.text.strip():
                if not unit.comment and not unit.types and not inner_comments(unit.text):
                    raise SystemExit(f"api: {header}: {unit.name} has no comment")
                found.setdefault(unit.group, []).append(unit)
    if len(table) < 10 or sum(map(len, found.values())) < 20:
        raise SystemExit("api: the headers are not read as they are written")
    made = {("weft", 3): overview(headers, found, version), ("weft_errors", 3): error_page(table, version)}
    links = {}
    every = {name: [] for group in found.values() for unit in group for name in unit.names}
    for group in found.values():
        for i, unit in enumerate(group):
            every[unit.name] = [other.name for other in group[max(0, i - 2):i + 3] if other is not unit]
    for group in found.values():
        for unit in group:
            made[unit.name, 3] = page(unit, every, table, version)
            links.update({(name, 3): unit.name for name in unit.names[1:] if (name, 3) not in made})
    return made, links
