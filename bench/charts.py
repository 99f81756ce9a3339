"""One SVG for each table, drawn by gnuplot from files written here. bars.gp and lines.gp say how they look."""

import os
import subprocess
import tempfile

from figures import figures, lost_share, spread
from plan import WEFT
from report import number, percent

HERE = os.path.dirname(os.path.abspath(__file__))
# How an axis shows a unit: what it is called, how many of it are one on the axis, the format of its ticks.
AXES = {"rate": (None, 1, "SI"), "bytes_rate": ("bytes a second", 1, "SI"), "ns": ("microseconds", 1e3, "%g"),
        "seconds": ("seconds", 1, "%g")}
GAP = 0.6  # rows, between groups of bars


class ChartError(Exception):
    pass


def gnuplot(script, settings):
    """Runs a script of ours with these variables set first."""
    lines = [f"{name} = {quoted(value)}" for name, value in settings.items()]
    argv = ["gnuplot", "-e", "; ".join(lines), os.path.join(HERE, script)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ChartError(f"gnuplot: {error.strerror}") from error
    if done.returncode or done.stderr.strip():
        raise ChartError(f"gnuplot: {done.stderr.strip()}")


def quoted(value):
    """As gnuplot reads it; None is its NaN."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "NaN" if value is None else str(value)


def write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines("\t".join(str(value) for value in row) + "\n" for row in rows)


def axis(metric, logarithmic):
    """Name, divisor and format of ticks."""
    name, divisor, ticks = AXES.get(metric.unit, (None, 1, "%g"))
    if ticks == "SI":
        ticks = "%.0s%c" if logarithmic else "%.1s%c"
    return name or metric.label, divisor, ticks


def bar_row(results, table, case, metric, variant):
    """Columns as bars.gp wants them but the first; None where nothing was measured."""
    found = spread(figures(results, table, case, variant, metric.key))
    if found is None:
        return None
    several = sum(m.chart for m in table.metrics) > 1
    parts = ([case.label] if len(table.cases) > 1 else []) + ([metric.label] if several else []) + [variant]
    lost = lost_share(results, table, case, variant)
    text = number(found.median, metric.unit) + (f", {percent(lost)} lost" if lost else "")
    divisor = axis(metric, False)[1]
    return [found.median / divisor, found.low / divisor, found.high / divisor, ", ".join(parts), text,
            int(variant in (WEFT, table.subject))]


def bar_rows(results, table):
    """Bars from the top down, with a gap between one case or metric and the next."""
    rows, place = [], 0.0
    for case in table.cases:
        for metric in table.metrics:
            group = [bar_row(results, table, case, metric, variant) for variant in case.runs if metric.chart]
            for row in filter(None, group):
                place += 1
                rows.append([place] + row)
            place += GAP if len(group) > 1 and place else 0
    return rows, rows[-1][0] if rows else 0


def bars(results, table, out, folder):
    rows, height = bar_rows(results, table)
    if not rows:
        return False
    data = os.path.join(folder, table.name + ".tsv")
    write(data, rows)
    metric = next(m for m in table.metrics if m.chart)
    low, high = min(row[2] for row in rows), max(row[3] for row in rows)
    logarithmic = table.log and low > 0
    name, divisor, ticks = axis(metric, logarithmic)
    goal = next((g.bound / divisor for g in table.goals if g.versus is None and g.metric == metric.key), None)
    high = max(high, goal or 0)
    gnuplot("bars.gp", {
        "data": data, "out": out, "head": table.title, "rows": height, "logscale": int(logarithmic),
        "unit": name + (", dashed: the goal" if goal else ""), "ticks": ticks, "goal": goal,
        # Room at the right for the figures beside the bars.
        "least": low / 3 if logarithmic else 0, "most": high * (high / low) ** 0.4 * 1.5 if logarithmic else high * 1.3})
    return True


def lines(results, table, out, folder):
    metric = table.metrics[0]
    name, divisor, ticks = axis(metric, True)
    settings = {"out": out, "head": table.title, "xname": table.x_label, "yname": name, "ticks": ticks,
                "xticks": ", ".join(f'"{case.x}" {case.x}' for case in table.cases)}
    series = []
    for variant in table.cases[0].runs:
        found = [(case.x, spread(figures(results, table, case, variant, metric.key))) for case in table.cases]
        rows = [[x, s.median / divisor, s.low / divisor, s.high / divisor] for x, s in found if s and s.low > 0]
        if not rows:
            continue
        series.append(rows)
        path = os.path.join(folder, f"{table.name}-{len(series)}.tsv")
        write(path, rows)
        lost = max(lost_share(results, table, case, variant) for case in table.cases)
        settings[f"file_{len(series)}"] = path
        settings[f"name_{len(series)}"] = variant + (f" (lost up to {percent(lost)})" if lost else "")
    if series:
        settings["least"] = min(row[2] for rows in series for row in rows) / 1.5
        settings["most"] = max(row[3] for rows in series for row in rows) * 1.5
        gnuplot("lines.gp", settings | {"series": len(series)})
    return bool(series)


def draw(results, tables, out):
    """All charts into the folder `out`. A table of which nothing was measured has none, and an old one goes."""
    os.makedirs(out, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for table in tables:
            path = os.path.join(out, table.name + ".svg")
            kind = lines if table.chart == "lines" else bars
            if not kind(results, table, path, folder) and os.path.exists(path):
                os.unlink(path)
