"""OpenMetrics as weftd writes it, taken apart strictly: a small part of the standard, which is all it uses."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9.e+-]+)")
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse(text):
    """{family: (type, help)} and {(name, ((label, value), …)): value}. ValueError for anything not in order."""
    if not text.endswith("# EOF\n"):
        raise ValueError("does not end with # EOF")
    families, samples, current = {}, {}, None
    for line in text.split("\n")[:-2]:
        if line.startswith("# HELP "):
            current, about = line[7:].split(" ", 1)
            if current in families or not about:
                raise ValueError(f"a second or empty help: {line}")
            families[current] = (None, about)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            if name != current or kind not in ("gauge", "counter") or families[name][0]:
                raise ValueError(f"a type out of order: {line}")
            families[name] = (kind, families[name][1])
        else:
            key, value = _sample(line, current, families)
            if key in samples:
                raise ValueError(f"a series twice: {line}")
            samples[key] = value
    return families, samples


def _sample(line, family, families):
    match = SAMPLE.fullmatch(line)
    if not match or family is None:
        raise ValueError(f"not a sample: {line!r}")
    suffix = "_total" if families[family][0] == "counter" else ""
    if match[1] != family + suffix:
        raise ValueError(f"a sample outside of its family {family}: {line}")
    labels = tuple((name, re.sub(r"\\.", lambda e: ESCAPES[e[0]], value))
                   for name, value in re.findall(LABEL, match[2] or ""))
    return (match[1], labels), float(match[match.lastindex])


def values(samples, name, **labels):
    """The values of a metric's series that have these labels."""
    return [value for (key, pairs), value in samples.items()
            if key == name and labels.items() <= dict(pairs).items()]
