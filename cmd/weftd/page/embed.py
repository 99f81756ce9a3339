"""The page's files as a C source, for http.c: embed.py OUT FILE…"""

import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def literal(data):
    """C string literals, a line of the file each. Octal, since it ends after three digits."""
    lines = data.splitlines(keepends=True) or [b""]
    text = ("".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in line) for line in lines)
    return "\n".join(f'    "{line}"' for line in text)


def main():
    out, files = sys.argv[1], sys.argv[2:]
    rows = []
    with open(out, "w", encoding="ascii") as c:
        c.write('/* Made by embed.py. */\n#include "page.h"\n\n')
        for i, name in enumerate(files):
            with open(name, "rb") as file:
                data = file.read()
            base = os.path.basename(name)
            path = "/" if base == "index.html" else "/" + base
            c.write(f"static const char file_{i}[] =\n{literal(data)};\n\n")
            rows.append(f'    {{"{path}", "{TYPES[os.path.splitext(base)[1]]}", file_{i}, sizeof(file_{i}) - 1}},\n')
        c.write("const struct page_file page_files[] = {\n" + "".join(rows) + "};\n")
        c.write(f"const size_t page_file_count = {len(files)};\n")


main()
