"""What the soak writes down: samples, a summary, and with --save the curves and the page in docs/."""

import os
import statistics
import subprocess
import sys
import tempfile

import judge
import plan

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(HERE, "..", "..", "docs")
sys.path.insert(0, os.path.join(HERE, "..", "..", "bench"))
import machine  # noqa: E402  (found by the line above)

COLUMNS = ("seconds", "node", "life", "state", "pss", "rss", "small", "large", "descriptors", "threads", "rate")


def write_samples(soak, path):
    with open(path, "w", encoding="utf-8") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for row in soak.samples:
            file.write("\t".join(str(row[column]) for column in COLUMNS) + "\n")


def span(soak, name, key):
    values = judge.after_warm_up(soak.curve(name, key))
    return (min(values), max(values)) if values else (0, 0)


def summary(soak):
    f, lines = soak.figures, []
    lines.append(f"{soak.now():.0f} s, {f['rounds']} rounds: {f['messages']} messages ({f['bytes'] / 1e9:.2f} GB) received, "
                 f"{f['route changes']} route changes, {f['left in order']} nodes left in order, {f['killed']} killed")
    lines.append(f"{soak.ledger.pairs} streams compared with what was heard of them; across a router while it was gone "
                 f"{soak.ledger.missing} messages are missing; queues that drop dropped {soak.ledger.dropped}")
    for name, (sent, received, dropped) in soak.counted.items():
        lines.append(f"sent to {name}: {sent}, received in all its lives {received}, counted as lost {dropped}")
    for member in plan.MEMBERS:
        if not member.ends:
            (a, b), (c, d), (e, g) = (span(soak, member.name, key) for key in ("pss", "small", "descriptors"))
            heap = "" if member.weftd else f"heap in small blocks {c} to {d} KiB, "
            lines.append(f"{member.name}: PSS {a} to {b} KiB, {heap}descriptors {e} to {g}")
    if "idle" in f:
        lines.append(f"idle: at most {f['idle']:.2%} of a processor")
    return "\n".join(lines)


# ---- docs/soak.svg and docs/soak.md --------------------------------------------------------------


def write_curves(soak, folder):
    """The routers first, which do not tell of their heap."""
    names = [member.name for member in plan.MEMBERS if not member.ends]
    for name in names:
        with open(os.path.join(folder, name + ".tsv"), "w", encoding="utf-8") as file:
            file.writelines(f"{row['seconds']}\t{row['pss'] / 1024:.3f}\t{row['small']}\t{row['descriptors']}\n"
                            for row in soak.samples if row["node"] == name and row["state"] == "quiet")
    with open(os.path.join(folder, "rate.tsv"), "w", encoding="utf-8") as file:
        file.writelines(f"{row['seconds']}\t{row['rate']}\n" for row in soak.samples
                        if row["node"] == names[0] and row["state"] == "load" and row["rate"])
    return names


def draw(soak):
    with tempfile.TemporaryDirectory() as folder:
        names = write_curves(soak, folder)
        settings = f"out = '{os.path.join(DOCS, 'soak.svg')}'; folder = '{folder}'; names = '{' '.join(names)}'"
        done = subprocess.run(["gnuplot", "-e", settings, os.path.join(HERE, "curves.gp")], capture_output=True, text=True,
                              check=False)
    if done.returncode or done.stderr.strip():
        raise SystemExit(f"gnuplot: {done.stderr.strip()}")


def table(soak):
    yield "| node | resident (PSS), KiB | heap in small blocks, KiB | in large blocks, KiB | descriptors | threads |"
    yield "|---|---|---|---|---|---|"
    for member in plan.MEMBERS:
        if member.ends:
            continue
        cells = []
        for key in ("pss", "small", "large", "descriptors", "threads"):
            values = judge.after_warm_up(soak.curve(member.name, key))
            third = max(1, len(values) // 3)
            first, last = (f"{statistics.median(part):.0f}" for part in (values[:third], values[-third:]))
            cells.append("" if not values[0] else first if first == last else f"{first} → {last}")
        yield f"| {member.name} | " + " | ".join(cells) + " |"


def save(soak, minutes):
    draw(soak)
    f, about = soak.figures, machine.describe()
    counts = [f"- To {name}, which {how}: {sent:,} messages sent over all its lives, {received:,} received, "
              f"{sent - received} missing, {dropped} counted as lost by the sender."
              for (name, (sent, received, dropped)), how in zip(soak.counted.items(), ("leaves in order", "is killed"))]
    lines = [
        "# Soak", "",
        f"`./dev soak {minutes:g} --seed {soak.seed} --save` wrote this page. What takes part, what is done to it and what must hold "
        "is in [tests/soak](../tests/soak/soak.py).", "",
        "![Memory, descriptors and messages a second over time](soak.svg)", "",
        f"On {about['cores']} cores of {about['processor']}, {about['kernel']}, {about['system']}, {about['compiler']}, "
        f"{about['date']}, revision {about['revision']}, seed {soak.seed}.", "",
        f"- {soak.now() / 60:.1f} minutes, {f['rounds']} rounds: {f['messages']:,} messages ({f['bytes'] / 1e9:.1f} GB) received "
        f"by ten nodes, {f['route changes']:,} intents and interests opened or closed, {f['left in order']} nodes left in order, "
        f"{f['killed']} were killed, and all came back.",
        f"- At the {f['rounds'] + 1} quiet points {soak.ledger.pairs:,} pairs of stream and interest were compared. None had a message "
        "twice, out of order or damaged; none missed one but across a router that was ended, from its end until its leaf was "
        f"linked again: {soak.ledger.missing:,} messages.", *counts,
        "- What was under way to a node when it left or died, nobody wanted any more; the sender counts what was not yet "
        "acknowledged.",
        f"- Queues that drop their oldest dropped {soak.ledger.dropped:,} messages, which is what is missing there.",
        "- At each quiet point all links stood and all tables were as at the first.",
        f"- Left alone, the busiest node took {f['idle']:.2%} of a processor.", "",
        *table(soak), "",
        "The medians of the first and of the last third of the samples, which are taken at the quiet points, where nothing is under "
        "way; the first fifth is warm-up. Large blocks are what a node keeps for the next burst, up to a bound. When a curve is flat "
        "is written down in [judge.py](../tests/soak/judge.py); weftd does not tell of its heap.", ""]
    with open(os.path.join(DOCS, "soak.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
