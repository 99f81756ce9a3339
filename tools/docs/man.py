"""Writes all man pages of weft: man1 and man8 from what the programs say by --help, man3 from the headers,
man5 and man7 from docs/man. Run by meson:

    man.py OUT VERSION WEFT WEFTD SOURCE      writes the folders OUT/man1 to man8 anew"""

import glob
import os
import re
import shutil
import sys

import api
import commands
import scd


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(folder, name, section, text):
    os.makedirs(os.path.join(folder, f"man{section}"), exist_ok=True)
    with open(os.path.join(folder, f"man{section}", f"{name}.{section}"), "w", encoding="utf-8") as file:
        file.write(text)


def main(out, version, weft, weftd, source):
    texts = {}
    for path in glob.glob(os.path.join(source, "docs/man/*.scd")):
        name, section = re.fullmatch(r"(.+)\.(\d)\.scd", os.path.basename(path)).groups()
        texts[name, int(section)] = read(path)
    used = set()

    def extra(name, section):
        used.add((name, section))
        return texts.get((name, section), "")

    made = commands.pages(weft, weftd, extra, version)
    functions, links = api.pages(sorted(glob.glob(os.path.join(source, "include/weft/*.h")), reverse=True), version)
    made.update(functions)
    for key, text in texts.items():
        if key in used:
            continue
        if key in made or not text.startswith("# "):
            raise SystemExit(f"man: docs/man/{key[0]}.{key[1]}.scd adds to no page, and is none itself")
        made[key] = scd.title(*key, version) + "\n" + text
    for folder in glob.glob(os.path.join(out, "man[0-9]")):
        shutil.rmtree(folder)
    for (name, section), text in made.items():
        write(out, name, section, scd.page(text))
    for (name, section), to in links.items():
        write(out, name, section, f".so man{section}/{to}.{section}\n")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
