"""Writes the completion of weft and weftd for bash and zsh, from what they say by --help. Run by meson:

    completion.py bash|zsh OUT WEFT WEFTD

What an option's argument or an operand is, the help text tells by its name: URL and PEER are completed from
the sockets that routers listen on here and the URLs in configuration files, FILE, F and DIR from files; where
the text lists words ("error, warn, info or debug", or a line for each), from these."""

import re
import shlex
import sys

import helptext

FILES = {"FILE", "F", "DIR", "FILE.proto", "BOOK.json", "OUT", "INTO", "FROM"}
URLS = {"URL", "PEER", "PEER_URL", "FQN"}


def choices(option):
    """The words an option takes, where its text lists them."""
    lines = re.findall(r"(?:^|\n)([a-z0-9-]+):\s", option.text)
    if len(lines) > 1:
        return lines
    if re.fullmatch(r"[a-z]+(\|[a-z]+)+", option.arg):
        return option.arg.split("|")
    word = r"[a-z]+(?: \(default\))?"
    listed = re.match(rf"(?:{word}, )*{word},? or {word}(?=[^\w]|$)", option.text) if option.arg else None
    return re.findall(r"[a-z]+", re.sub(r"\(default\)|\bor\b", "", listed[0])) if listed else []


def kind(names):
    """What names in capitals stand for: some of "url", "file"."""
    names = set(re.split(r"[^\w.]+", names)) if isinstance(names, str) else names
    return [word for word, known in (("url", URLS), ("file", FILES)) if names & known]


class Command:
    def __init__(self, path, help, children=()):
        self.path, self.help = path, help
        self.children = dict(children)  # {word: summary}
        self.options = help.options
        self.operands = kind(help.operands())


def commands(weft, weftd):
    """Every command that has a help text, by its path: "weft", "weft pub", "weft addrbook dump"."""
    top = helptext.of([weft])
    found = [Command("weft", top, top.words() + [("help", "the options of a command"), ("version", "the version")])]
    for word, _ in top.words():
        help = helptext.of([weft, word])
        found.append(Command(f"weft {word}", help, help.words()))
        for verb, _ in help.words():
            own = helptext.of([weft, word, verb])
            found.append(Command(f"weft {word} {verb}", own))
    return found + [Command("weftd", helptext.of([weftd]))]


# ---- bash -----------------------------------------------------------------------------------------

BASH = r"""# Completion of weft and weftd in bash, made of their --help.

# URLs of nodes: sockets that are listened on here, and what configuration files name. Others may have named
# them, and compgen expands what it is given: only characters that mean nothing to a shell get there.
_weft_urls() {
    {
        awk '$4 == "00010000" && $8 ~ /weft/ { print "unix://" $8 }' /proc/net/unix
        grep -ohsE '(tcp|unix)://[^] ,}"'\'']+' /etc/weft/*.yaml ./*.yaml | sed 's|//0\.0\.0\.0:|//127.0.0.1:|'
    } 2>/dev/null | grep -x '[][A-Za-z0-9_.,:/@%+=-]*' | sort -u
}

# What there is to complete after the words of $1: children, options, operands.
_weft_command() {
    children="" options="" operands=""
    case $1 in
@COMMANDS@
    *) return 1 ;;
    esac
}

# What option $2 of command $1 takes: nothing where it takes none, else "word" and the words, "url", "file", "any".
_weft_argument() {
    case "$1 $2" in
@ARGUMENTS@
    esac
}

_weft_complete() {
    local kind
    for kind in $1; do
        case $kind in
        url) COMPREPLY+=($(compgen -W "$(_weft_urls)" -- "$cur")) ;;
        file) compopt -o filenames; COMPREPLY+=($(compgen -f -- "$cur")) ;;
        any | word) ;;
        *) COMPREPLY+=($(compgen -W "$kind" -- "$cur")) ;;
        esac
    done
    __ltrim_colon_completions "$cur"
}

_weft() {
    local cur prev words cword IFS=$' \t\n' at=1 path takes children options operands
    _get_comp_words_by_ref -n =: cur prev words cword || return
    COMPREPLY=()
    path=${words[0]##*/}
    _weft_command "$path" || return
    while [ $at -lt "$cword" ]; do
        case ${words[at]} in
        -*=*) ;;
        -*) [ -z "$(_weft_argument "$path" "${words[at]}")" ] || at=$((at + 1)) ;;
        *) case " $children " in
            *" ${words[at]} "*)
                path+=" ${words[at]}"
                _weft_command "$path" || children="" ;;
            esac ;;
        esac
        at=$((at + 1))
    done
    case $cur in
    --*=*)
        takes=$(_weft_argument "$path" "${cur%%=*}")
        cur=${cur#*=}
        _weft_complete "$takes"
        return ;;
    esac
    case $prev in
    -*)
        takes=$(_weft_argument "$path" "$prev")
        if [ -n "$takes" ]; then
            _weft_complete "$takes"
            return
        fi ;;
    esac
    case $cur in
    -*) _weft_complete "$options" ;;
    *)
        [ "$path" != "weft help" ] || children=$_weft_all
        _weft_complete "${children:-$operands}" ;;
    esac
}

_weft_all="@ALL@"
complete -F _weft weft weftd
"""


def bash_command(command):
    options = [name for option in command.options for name in (option.short, option.long) if name]
    return (f"    {shlex.quote(command.path)})\n        children={shlex.quote(' '.join(command.children))}"
            f" operands={shlex.quote(' '.join(command.operands))}\n        options={shlex.quote(' '.join(options))} ;;")


def bash_argument(command, option):
    takes = " ".join(["word", *choices(option)] if choices(option) else kind(option.arg) or ["any"])
    names = " | ".join(shlex.quote(f"{command.path} {name}") for name in (option.short, option.long) if name)
    return f"    {names}) echo {shlex.quote(takes)} ;;"


def bash(found):
    every = [child for child in found[0].children if child not in ("help", "version")]
    text = BASH.replace("@COMMANDS@", "\n".join(map(bash_command, found)) +
                        "\n    'weft help' | 'weft version') ;;")
    text = text.replace("@ARGUMENTS@", "\n".join(bash_argument(command, option) for command in found
                                                 for option in command.options if option.arg))
    return text.replace("@ALL@", " ".join(every))


# ---- zsh ------------------------------------------------------------------------------------------

ZSH = r"""#compdef weft weftd
# Completion of weft and weftd in zsh, made of their --help.

# URLs of nodes: sockets that are listened on here, and what configuration files name.
_weft_urls() {
    local -a urls
    urls=(${(f)"$({
        awk '$4 == "00010000" && $8 ~ /weft/ { print "unix://" $8 }' /proc/net/unix
        grep -ohsE '(tcp|unix)://[^] ,}"'\'']+' /etc/weft/*.yaml(N) ./*.yaml(N) /dev/null |
            sed 's|//0\.0\.0\.0:|//127.0.0.1:|'
    } 2>/dev/null | sort -u)"})
    _wanted urls expl URL compadd -a urls
}

_weft_urls_or_files() {
    _alternative 'urls:URL:_weft_urls' 'files:file:_files'
}

@FUNCTIONS@

case $service in
weftd) _weftd_weftd "$@" ;;
*) _weft_weft "$@" ;;
esac
"""


def zsh_text(text):
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"([\[\]:\\])", r"\\\1", text if len(text) <= 70 else text[:67].rstrip() + "…")


def zsh_action(kinds):
    return {(): " ", ("url",): "_weft_urls", ("file",): "_files"}.get(tuple(kinds), "_weft_urls_or_files")


def zsh_option(option):
    specs = []
    for name in (option.short, option.long):
        if name:
            spec = f"*{name}{'=' if option.arg and name.startswith('--') else ''}[{zsh_text(option.text)}]"
            if option.arg:
                words = choices(option)
                action = f"({' '.join(words)})" if words else zsh_action(kind(option.arg))
                spec += f":{zsh_text(option.arg)}:{action}"
            specs.append(shlex.quote(spec))
    return specs


def zsh_name(path):
    return "_weftd_weftd" if path == "weftd" else "_weft_" + path.replace(" ", "_").replace("-", "_")


def zsh_function(command, paths, every):
    name = zsh_name(command.path)
    specs = [spec for option in command.options for spec in zsh_option(option)]
    if not command.children:
        specs.append(shlex.quote(f"*:argument:{zsh_action(command.operands)}"))
        return f"{name}() {{\n    _arguments -s -S " + " \\\n        ".join(specs) + "\n}"
    listed = " ".join(shlex.quote(f"{word}:{text}") for word, text in command.children.items())
    cases = [f"        {word}) {zsh_name(f'{command.path} {word}')} ;;" for word in command.children
             if f"{command.path} {word}" in paths]
    if command.path == "weft":
        cases.append(f"        help) _arguments '*:command:({' '.join(every)})' ;;")
    cases.append(f"        *) _arguments -s -S {' '.join(specs)} {shlex.quote('*:argument:' + zsh_action(command.operands))} ;;")
    return (f"{name}() {{\n    local curcontext=$curcontext state line\n    typeset -A opt_args\n"
            f"    _arguments -C -S {' '.join(specs)} '1:command:->command' '*::argument:->rest'\n"
            f"    case $state in\n    command)\n        local -a children\n        children=({listed})\n"
            f"        _describe -t commands command children ;;\n    rest)\n        case $words[1] in\n" +
            "\n".join(cases) + "\n        esac ;;\n    esac\n}")


def zsh(found):
    paths = {command.path for command in found}
    every = [child for child in found[0].children if child not in ("help", "version")]
    return ZSH.replace("@FUNCTIONS@", "\n\n".join(zsh_function(command, paths, every) for command in found))


def main(shell, out, weft, weftd):
    text = {"bash": bash, "zsh": zsh}[shell](commands(weft, weftd))
    with open(out, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[1] not in ("bash", "zsh"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
