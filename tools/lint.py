"""The repository's own rules, those no compiler checks.

    lint.py                            check the whole tree; prints file:line: what, exits with 1
    lint.py --sources COMPILE_COMMANDS OUT
                                       list our own C sources in it, for clang-tidy, and write them to OUT, each
                                       once for each set of macros it is compiled with

A rule that finds no file to look at fails: it would otherwise hold for ever after a rename."""

import functools
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORES = ["base", "proto", "router", "addrbook", "handshake", "mesh"]
LIBRARY = CORES + ["transport", "node"]
PROGRAMS = ["cmd", "examples"]
OURS = LIBRARY + PROGRAMS + ["include", "tests", "tools", "bench"]

# A floor may include itself and what has a smaller number. The same number: side by side.
FLOOR = {"base": 0, "proto": 1, "router": 2, "addrbook": 2, "handshake": 2, "mesh": 3, "transport": 4,
         "node": 5}

FUZZ_INPUTS = {"tests/fuzz/corpus", "tests/fuzz/regressions"}  # bytes, whatever they look like

FUNCTION_LINES = 80
FILE_LINES = 600

UNSAFE = r"strcpy|stpcpy|strcat|strncat|sprintf|vsprintf|gets|atoi|atol|atoll|atof|strtok|alloca"
LIBC_HEAP = r"malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|posix_memalign"
OUTSIDE = (r"uv_\w+|clock_gettime|gettimeofday|time|getrandom|getentropy|rand|random|srand|socket|open|"
           r"fopen|printf|fprintf|puts|perror|usleep|nanosleep|pthread_create")
OUTSIDE_HEADERS = {"uv.h", "time.h", "sys/time.h", "sys/socket.h", "sys/random.h", "unistd.h", "fcntl.h",
                   "netdb.h", "pthread.h", "signal.h", "weft/uv.h"}
UNFINISHED = r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b"
MACHINE_PATH = r"(?<![\w.$}])/(?:work|home|root|Users)/\w"
REGISTRY = r"\b(?:pypi\.org|npmjs\.(?:org|com)|crates\.io|rubygems\.org|proxy\.golang\.org|conan\.io|vcpkg\.io)"

problems = []
looked_at = {}


def complain(path, line, text):
    problems.append((path, line, text))


def look(rule, path):
    looked_at.setdefault(rule, set()).add(path)


def all_files():
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if not f.startswith(("build", ".git", "__pycache__"))
                      and os.path.relpath(os.path.join(folder, f), ROOT) not in FUZZ_INPUTS]
        for name in set(names) - {".git"}:
            yield os.path.relpath(os.path.join(folder, name), ROOT)


@functools.lru_cache(maxsize=None)
def text_of(path):
    try:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        return None  # not a text


def code_of(text):
    """The text with comments and literals blanked, line by line as before."""
    literal = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(literal, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def module(path):
    return path.split(os.sep)[0]


def each_match(pattern, text):
    for match in re.finditer(pattern, text):
        yield text.count("\n", 0, match.start()) + 1, match.group().strip()


def calls(names):
    """A call or a bare mention as a function pointer of one of the names; not of a member."""
    return rf"(?<![\w.>])(?:{names})\b(?=\s*\()"


# ---- Rules for C ------------------------------------------------------------------------------

def unsafe_calls(path, text, code):
    look("unsafe calls", path)
    for line, name in each_match(calls(UNSAFE), code):
        complain(path, line, f"{name} is banned: use the bounded functions of base/str.h or snprintf")


def heap(path, text, code):
    if module(path) not in LIBRARY or path == os.path.join("base", "mem.c"):
        return
    look("heap", path)
    for line, name in each_match(calls(LIBC_HEAP), code):
        complain(path, line, f"{name} goes past the application's allocator: use mem_* of base/mem.h")


def pure_cores(path, text, code):
    if module(path) not in CORES:
        return
    look("pure cores", path)
    for line, name in each_match(calls(OUTSIDE) + r"|\buv_\w+", code):
        complain(path, line, f"{name}: the cores do no I/O, read no clock and no entropy, print nothing")


def included(text):
    for match in re.finditer(r'^\s*#\s*include\s+(["<])([^">]+)[">]', text, re.M):
        yield text.count("\n", 0, match.start()) + 1, match.group(1) == '"', match.group(2)


def include_in_library(path, line, quoted, name):
    here = module(path)
    if here in CORES and name in OUTSIDE_HEADERS:
        complain(path, line, f"<{name}> in a core")
    if name == "uthash.h" and here != "base":
        complain(path, line, "uthash is wrapped once, in base/map.h")
    if name.startswith("protobuf-c/") and here != "proto":
        complain(path, line, "only proto/ knows protobuf-c")
    there = name.split("/")[0]
    if quoted and there in FLOOR and there != here and FLOOR[there] >= FLOOR[here]:
        complain(path, line, f"{here}/ includes {name}, which does not lie below it")
    if quoted and there in PROGRAMS + ["tests", "bench"]:
        complain(path, line, f"{here}/ includes {name}")


def includes(path, text, code):
    here = module(path)
    if here in FLOOR:
        look("floors", path)
    elif here in PROGRAMS:
        look("programs use the public API", path)
    elif here == "include":
        look("public headers stand alone", path)
    for line, quoted, name in included(text):
        if here in FLOOR:
            include_in_library(path, line, quoted, name)
        elif here in PROGRAMS and quoted and name.split("/")[0] in FLOOR:
            complain(path, line, f"{name}: programs see the public API alone, <weft/…>")
        elif here == "include" and quoted:
            complain(path, line, f"{name}: public headers include <weft/…> and system headers alone")


def sizes(path, text, code):
    look("sizes", path)
    lines = code.split("\n")
    if len(lines) - 1 > FILE_LINES:
        complain(path, FILE_LINES, f"{len(lines) - 1} lines; the limit for a file is {FILE_LINES}")
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start:
            if number - start > FUNCTION_LINES:
                complain(path, start, f"a function of {number - start} lines; the limit is {FUNCTION_LINES}")
            start = None


# ---- Rules for every text -----------------------------------------------------------------------

def texts(path, text):
    look("texts", path)
    for line, word in each_match(UNFINISHED, text):
        complain(path, line, f"{word}: finish it, or file an issue")
    for line, _ in each_match(MACHINE_PATH, text):
        complain(path, line, "an absolute path of somebody's machine")
    for line, host in each_match(REGISTRY, text):
        complain(path, line, f"{host}: everything weft needs comes from Debian's packages")
    if "\r" in text:
        complain(path, 1, "carriage returns")
    if text and not text.endswith("\n"):
        complain(path, text.count("\n") + 1, "no newline at the end")


def tabs(path, text):
    look("tabs", path)
    for line, _ in each_match("\t", text):
        complain(path, line, "a tab")


def promises(path, text):
    """Each row of a table in docs/faults.md names tests, as `file:name`, which exist."""
    if path != os.path.join("docs", "faults.md"):
        return
    for number, row in enumerate(text.split("\n"), 1):
        if not row.startswith("|") or re.match(r"\|(?: fault |[-| :]+$)", row):
            continue
        look("promises", path)
        tests = re.findall(r"`(tests/[\w./-]+):(\w+)`", row)
        if not tests:
            complain(path, number, "a promise without a test: name one as `tests/…/file:name`")
        for file, name in tests:
            source = text_of(file) if os.path.isfile(os.path.join(ROOT, file)) else None
            if source is None:
                complain(path, number, f"{file}: no such file")
            elif not re.search(rf"\b{name}\b", source):
                complain(path, number, f"{file} has no test {name}")


C_RULES = [unsafe_calls, heap, pure_cores, includes, sizes]
RULES = ["unsafe calls", "heap", "pure cores", "floors", "programs use the public API",
         "public headers stand alone", "sizes", "texts", "tabs", "promises"]


def lint():
    for path in sorted(all_files()):
        text = text_of(path)
        if text is None:
            continue
        texts(path, text)
        promises(path, text)
        if path.endswith((".c", ".h", ".py", ".build", ".yaml", ".proto", ".sh")):
            tabs(path, text)
        if path.endswith((".c", ".h")) and module(path) in OURS:
            code = code_of(text)
            for rule in C_RULES:
                rule(path, text, code)
    for path, line, text in problems:
        print(f"{path}:{line}: {text}")
    idle = [rule for rule in RULES if not looked_at.get(rule)]
    for rule in idle:
        print(f"lint: the rule \"{rule}\" found nothing to look at")
    idle_cores = [m for m in LIBRARY if not any(module(p) == m for p in looked_at.get("floors", ()))]
    for name in idle_cores:
        print(f"lint: {name}/ holds no C file")
    count = len(looked_at.get("sizes", ()))
    print(f"lint: {count} C files, {len(looked_at.get('texts', ()))} texts, {len(problems)} problems")
    return bool(problems or idle or idle_cores)


@functools.lru_cache(maxsize=None)
def looked_into(path):
    """The words of a file, and the files of ours that it includes itself."""
    folders = (os.path.dirname(path), "", "include")
    paths = {os.path.normpath(os.path.join(folder, name))
             for _, _, name in included(text_of(path)) for folder in folders}
    return set(re.findall(r"\w+", text_of(path))), [p for p in paths if os.path.exists(os.path.join(ROOT, p))]


def words_of(path, seen):
    """Those of a file and of all that it includes."""
    if path in seen:
        return set()
    seen.add(path)
    words, includes = looked_into(path)
    return words.union(*(words_of(p, seen) for p in includes))


def macros(path, command):
    """Those a file is compiled with and names. How tests are run concerns tests alone."""
    named = words_of(path, set())
    given = {(name, value) for name, value in re.findall(r"[ \"']-[DU](\w+)(\S*)", command) if name in named}
    return frozenset((n, v) for n, v in given if n != "WEFT_TEST_PLAIN" or module(path) == "tests")


def sources(commands, out):
    """clang-tidy looks at a file once for each entry, and what many programs share has as many."""
    with open(commands, encoding="utf-8") as file:
        entries = json.load(file)
    found = {}
    for entry in entries:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        if path.endswith(".c") and module(path) in OURS:
            found.setdefault((path, macros(path, entry["command"])), entry)
    if not found:
        sys.exit(f"lint: {commands} names none of our sources")
    with open(out, "w", encoding="utf-8") as file:
        json.dump(list(found.values()), file)
    print("\n".join(sorted({path for path, _ in found})))
    return 0


if len(sys.argv) == 4 and sys.argv[1] == "--sources":
    sys.exit(sources(sys.argv[2], sys.argv[3]))
if len(sys.argv) != 1:
    sys.exit(__doc__)
sys.exit(lint())
