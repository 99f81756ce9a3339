"""docs/guide.md as steps that can be run. A comment before each fenced block says what becomes of it:

    <!-- on base -->               run there, line by line as a whole; it must succeed
    <!-- on base, arm, eye -->     on each of these
    <!-- on base: fails -->        it must fail
    <!-- on base: until -->        run again and again until what it says fits the text that follows
    <!-- on eye: stays -->         goes on running, as in a second terminal
    <!-- on eye: terminal -->      run at a terminal until it shows the text that follows, and then told q
    <!-- shows eye -->             a text that what stays there comes to say
    <!-- stop eye -->              (without a block) Ctrl-C for what stays there
    <!-- file on base: NAME -->    written into that file
    <!-- not run: REASON -->       only shown; the reason is printed by the test

A block of `text` right behind a command is what it says. Its lines are looked for in order; numbers, times,
units and ids may differ, and other lines may stand between. A block of sh, c, yaml, proto or text that no
comment speaks of is an error."""

import collections
import re

Step = collections.namedtuple("Step", "line kind machines how body shows")
LANGUAGES = {"sh", "c", "yaml", "proto", "text", "make"}
MARK = re.compile(r"<!-- (.*?) -->$")


class Wrong(Exception):
    pass


def blocks(text):
    """Fences and comments, in order: (line, "mark", text) and (line, language, [line…])."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        mark = MARK.match(line)
        if mark:
            yield at + 1, "mark", mark[1]
        elif line.startswith("```"):
            end = next(i for i in range(at + 1, len(lines)) if lines[i] == "```")
            yield at + 1, line[3:].strip(), lines[at + 1:end]
            at = end
        elif line.strip():
            yield at + 1, "prose", line
        at += 1


def step_of(line, mark, body):
    found = re.fullmatch(r"on ([\w, ]+?)(?:: (fails|until|stays|terminal))?", mark)
    if found:
        return Step(line, "run", found[1].split(", "), found[2] or "", "\n".join(body), None)
    found = re.fullmatch(r"file on ([\w, ]+): (\S+)", mark)
    if found:
        return Step(line, "file", found[1].split(", "), found[2], "\n".join(body) + "\n", None)
    found = re.fullmatch(r"shows (\w+)", mark)
    if found:
        return Step(line, "shows", [found[1]], "", "", body)
    found = re.fullmatch(r"not run: (.+)", mark)
    if found:
        return Step(line, "not run", [], found[1], "\n".join(body), None)
    raise Wrong(f"line {line}: '{mark}' is not understood")


def steps(text):
    found, mark, fresh = [], None, False
    for line, kind, body in blocks(text):
        if kind == "mark":
            stop = re.fullmatch(r"stop (\w+)", body)
            if stop:
                found.append(Step(line, "stop", [stop[1]], "", "", None))
            else:
                mark = body
            fresh = False
        elif kind == "prose":
            fresh = False
        elif kind == "text" and not mark:
            if not fresh:
                raise Wrong(f"line {line}: a text that no command says")
            found[-1] = found[-1]._replace(shows=body)
            fresh = False
        elif kind in LANGUAGES:
            if not mark:
                raise Wrong(f"line {line}: what becomes of this block? Put a comment before it")
            found.append(step_of(line, mark, body))
            mark, fresh = None, True
        else:
            raise Wrong(f"line {line}: a block of '{kind}'")
    if mark:
        raise Wrong(f"'{mark}' stands before no block")
    return found


# ---- What is shown, and what was said -------------------------------------------------------------

def shape(line):
    """A line without what differs from run to run: numbers with their units, times, ids, widths of columns."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    words = []
    for word in line.split():
        if "://" not in word:
            word = re.sub(r"\d{4}-\d\d-\d\d[T ]?[\d:.]*Z?", "#", word)
            word = re.sub(r"\b[0-9a-f]{8,}\b", "#", word)
            word = re.sub(r"(?:^-)?\d+(?:[.,:]\d+)*", "#", word)
            word = re.sub(r"^([^\w#]*)#(?:ns|µs|us|ms|s|B|KiB|MiB|kB|M|k|K|m|min|h|d|%)?(?:/s)?\b", r"\1#", word)
            word = re.sub(r"[─━-]{3,}", "---", word)
        words.append(word)
    text = " ".join(words)
    return re.sub(r"# (?:ns|µs|us|ms|s|B|KiB|MiB|kB|min|h|d|%|seconds?|minutes?)(?:/s)?(?=[\s,;.)]|$)", "#", text)


def missing(shown, said):
    """The first line of `shown` that `said` has not, in order; None if it has them all."""
    lines = iter([shape(line) for line in said.split("\n")])
    for line in shown:
        if line.strip() in ("", "…"):
            continue
        wanted = shape(line)
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in wanted.split("…"))) if "…" in wanted else None
        for have in lines:
            if pattern.search(have) if pattern else have == wanted:
                break
        else:
            return line
    return None
