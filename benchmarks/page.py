"""The tables of docs/performance.md, written from measured lines.

    python -m benchmarks.page [reports/bench.jsonl]

A benchmark prints one JSON line per table (`common.report`), and `make bench` collects them in reports/bench.jsonl. The
committed ones are in benchmarks/results/performance.jsonl; those of the given file replace the ones of the same
benchmark and command there. The page holds the tables of a benchmark between ``<!-- table: NAME -->`` and
``<!-- end -->``; all else on the page is written by hand.
"""

import argparse
import datetime
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fer3d import files, paths

PAGE = paths.ROOT / "docs" / "performance.md"
LINES = paths.BENCHMARK_RESULTS / "performance.jsonl"
_PLACE = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

Line = dict[str, Any]


def read(path: Path) -> list[Line]:
    """The lines of a file; none where it is missing."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def merged(old: Iterable[Line], new: Iterable[Line]) -> list[Line]:
    """All lines, sorted; of those of one benchmark and command the last."""
    lines = {(line["benchmark"], line["command"]): line for line in (*old, *new)}
    return [lines[key] for key in sorted(lines)]


def filled(page: str, lines: Iterable[Line]) -> str:
    """The page with the tables of the lines in their places; a `SystemExit` for a line without a place."""
    tables: dict[str, list[str]] = {}
    for line in lines:
        tables.setdefault(line["benchmark"], []).append(table(line))
    if homeless := tables.keys() - {name for _, name, _ in _PLACE.findall(page)}:
        raise SystemExit(f"{PAGE.name} has no place for {', '.join(sorted(homeless))}: expected <!-- table: NAME -->")

    def content(name: str) -> str:
        return "\n".join(tables.get(name, [f"**{name}**: not measured yet.\n"]))

    return _PLACE.sub(lambda found: f"{found[1]}\n{content(found[2])}\n{found[3]}", page)


def table(line: Line) -> str:
    """A line as Markdown: the command, where and when it was measured, and the rows."""
    about = "; ".join(f"{name} {value}" for name, value in line["about"].items())
    machine, day = line["machine"], datetime.date.fromisoformat(line["date"])
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['bf16']}, PyTorch {machine['torch']}"
    columns = list(line["rows"][0])
    rows = [columns, ["---"] * len(columns), *([_cell(row.get(name)) for name in columns] for row in line["rows"])]
    told = f"**{line['benchmark']}**: `{line['command']}`, {day.day} {day:%B %Y}, {where}; {about}:\n\n"
    return told + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(value: object) -> str:
    """Numbers to three digits."""
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lines", type=Path, nargs="*", help="new lines, which replace those of the same command")
    lines = merged(read(LINES), (line for path in parser.parse_args().lines for line in read(path)))
    page = filled(PAGE.read_text(), lines)
    files.write_text(LINES, "".join(json.dumps(line) + "\n" for line in lines))
    files.write_text(PAGE, page)


if __name__ == "__main__":
    main()
