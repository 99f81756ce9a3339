"""Man pages of the programs, in scdoc: what --help says, and below it what docs/man/NAME.SECTION.scd adds
(examples, files, more to say). A program's list of commands becomes a page for each."""

import re

import helptext
from scd import bold, code, emph, esc, heading, items, title


def see_also(names):
    return heading("SEE ALSO") + ", ".join(f"{bold(name)}({section})" for name, section in names) + "\n"


def term_of(term):
    """An item's term: what is typed in bold, what stands for something else underlined."""
    words = []
    for word in term.split(" "):
        bare = word.rstrip(",")
        mark = emph if re.fullmatch(r"\W*[A-Z][A-Z:|.]*\W*", bare) else bold
        words.append(mark(bare) + word[len(bare):])
    return " ".join(words)


def usage(lines):
    return "++\n".join(esc(line) for line in lines) + "\n"


def body(help, skip_items=()):
    """DESCRIPTION, OPTIONS and EXIT STATUS of a help text."""
    described, options = "", ""
    for kind, content in help.blocks:
        if kind == "text":
            prose = content.partition("Exit codes:")[0].strip()
            if prose:
                described += esc(prose) + "\n\n"
        elif kind == "code":
            described += code(content)
        else:
            listed = items((term_of(term), esc(text)) for term, text in content if (term, text) not in skip_items)
            if any(map(helptext.option_of, content)):
                options += listed
            else:
                described += listed
    text = heading("DESCRIPTION") + described
    if options:
        text += heading("OPTIONS") + options
    return text + heading("EXIT STATUS") + items((bold(n), esc(meaning)) for n, meaning in help.exits) + \
        (esc(help.exits_more) + "\n" if help.exits_more else "")


def page(name, section, summary, help, more, version, also):
    return (title(name, section, version) + heading("NAME") + f"{esc(name)} - {esc(summary)}\n" +
            heading("SYNOPSIS") + usage(help.usage) + body(help) + ("\n" + more if more else "") + see_also(also))


def verbs_of(program, name, help):
    """Subcommands of a command that have a help text of their own: [(words, summary, Help)…]."""
    found = []
    for word, summary in help.words():
        own = helptext.of([program, name, word])
        if own.usage != help.usage:
            found.append((word, summary, own))
    return found


def with_verbs(program, name, help):
    """What follows a command's own page where its subcommands have their own options."""
    text = ""
    for word, _, own in verbs_of(program, name, help):
        text += f"\n## {esc(f'weft {name} {word}')}\n\n" + usage(own.usage) + "\n"
        for kind, content in own.blocks:
            if kind == "text":
                text += esc(content) + "\n\n"
            elif kind == "code":
                text += code(content)
            elif kind == "items":
                text += items((term_of(term), esc(meaning)) for term, meaning in content if term != "-h, --help")
    return heading("COMMANDS") + text if text else ""


def pages(weft, weftd, extra, version):
    """{(name, section): scdoc text} of both programs. `extra(name, section)` is what docs/man/ adds."""
    top = helptext.of([weft])
    commands = top.words()
    if not commands:
        raise SystemExit("commands: 'weft --help' lists no commands")
    made = {}
    rest = [("weft", 7), ("weftd", 8)]
    for word, summary in commands:
        help = helptext.of([weft, word])
        more = with_verbs(weft, word, help) + extra(f"weft-{word}", 1)
        made[f"weft-{word}", 1] = page(f"weft-{word}", 1, summary, help, more, version, [("weft", 1)] + rest)
    also = [(f"weft-{word}", 1) for word, _ in sorted(commands)] + rest + [("weft", 3)]
    made["weft", 1] = page("weft", 1, "the command line of the weft mesh", top, extra("weft", 1), version, also)
    made["weftd", 8] = page("weftd", 8, "the router of the weft mesh", helptext.of([weftd]), extra("weftd", 8),
                            version, [("weft", 1), ("weftd.yaml", 5), ("weft-addrbook", 5), ("weft", 7)])
    return made
