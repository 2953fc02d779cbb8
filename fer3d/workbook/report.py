"""The report of a run: ``index.html`` beside its tables, figures and notebook pages.

It shows the rows of the paper's Tables 1 and 2 with the paper's number beside each, the confusion
matrices (Figures 4 and 5), the executed notebooks, and the versions and settings used. No page
loads anything from the network, so the report can be read offline.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fer3d import files, paths
from fer3d.errors import InputError
from fer3d.evaluation import paper, plots
from fer3d.workbook import claims, notebook_page
from fer3d.workbook.rows import Row, rates_table, rows_of


@dataclass(frozen=True)
class Chart:
    """The rates of one database in one table as a figure."""

    cross: bool
    data: str
    name: str
    """The file name, without suffix."""
    alt: str


def write(run: Path | str) -> Path:
    """Write the report of a run and return its ``index.html``.

    Args:
        run: a folder of ``make reproduce``, with trainings by database, variant and fold.

    Raises:
        InputError: no training in the folder is finished.
    """
    run = Path(run)
    found = list(rows_of(run))
    if not found:
        made = sorted(file.parents[3] for file in paths.run("").glob("*/*/*/*/metrics.json"))
        hint = f"fer3d report {made[0]}" if made else "fer3d reproduce, which makes one"
        raise InputError(f"{run} has no finished training in <database>/<variant>/<fold>", hint)
    for result in found:
        _draw_confusion(result, run)
    charts = [_draw_rates(rows, run) for rows in _by_database(found)]
    for name, cross in (("table1", False), ("table2", True)):
        files.write_csv(run / "tables" / f"{name}.csv", rates_table([row for row in found if row.cross is cross]))
    tested = claims.test(found)
    files.write_csv(run / "tables" / "hypotheses.csv", claims.table(tested))
    pages = [notebook_page.plan(notebook, run) for notebook in _executed_notebooks(run)]
    templates = notebook_page.environment()
    templates.filters["percent"] = _percent
    notebook_page.write(pages, run)
    info = files.read_json(found[0].folders[0] / "model.json")
    made_with = {"fer3d": info["fer3d"], **info["made_with"]}
    additions = [paper.others(name) for name in dict.fromkeys(r.database for r in found if not r.in_paper)]
    data = {name: counts for result in found for name, counts in result.made_of["data"].items()}
    text = templates.get_template("report.html").render(
        run=run,
        results=found,
        summary=summary(found),
        charts=charts,
        tested=tested,
        data=data,
        pages=pages,
        made_with=made_with,
        additions=additions,
    )
    files.write_text(run / "index.html", text)
    return run / "index.html"


def _draw_confusion(row: Row, run: Path) -> None:
    """Save the confusion matrix as a figure, with its numbers as a table."""
    names, matrix = row.metrics["labels"], row.metrics["confusion"]
    title = f"{row.data}: {row.title}{', cross-database' if row.cross else ''}, n = {row.metrics['n']}"
    numbers = pd.DataFrame(matrix, columns=names).assign(true=names)
    plots.save(plots.confusion(matrix, names, title), run / "figures" / row.figure_name, numbers)


def _by_database(found: list[Row]) -> list[list[Row]]:
    """The rows of each database in each table."""
    groups = itertools.groupby(found, key=lambda result: (result.cross, result.database))
    return [list(rows) for _, rows in groups]


def _draw_rates(rows: list[Row], run: Path) -> Chart:
    """Save the rates of a database's rows as a figure, with its numbers as a table."""
    first = rows[0]
    numbers = pd.DataFrame(
        {
            "name": [row.title for row in rows],
            **{key: [row.metrics[key] for row in rows] for key in ("n", "accuracy", "uar", "majority")},
            "low": [row.metrics["interval"][0] for row in rows],
            "high": [row.metrics["interval"][1] for row in rows],
            "paper": [row.paper_rate.mean / 100 if row.paper_rate else np.nan for row in rows],
        }
    )
    title = f"{first.data}: {'cross-database' if first.cross else 'subject-independent'}"
    name = f"rates-table{1 + first.cross}-{first.database}"
    plots.save(plots.rates(numbers, title), run / "figures" / name, numbers)
    shares = (
        f"{row.title} {_percent(row.metrics['accuracy'])} ({' to '.join(map(_percent, row.metrics['interval']))})"
        for row in rows
    )
    alt = f"Accuracy with its 95 % interval, in per cent: {'; '.join(shares)}"
    return Chart(first.cross, first.data, name, f"{title}. {alt}")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def summary(found: list[Row]) -> str:
    """One sentence on the paper's model, or on the last one of the tables that a run has."""
    parts: list[str] = []
    for cross in (False, True):
        rows = [result for result in found if result.cross is cross]
        chosen = "3d+landmarks" if any(row.model == "3d+landmarks" for row in rows) else rows[-1].model if rows else ""
        rows = [row for row in rows if row.model == chosen]
        if rows:
            rates = sorted(row.metrics["accuracy"] for row in rows)
            span = " to ".join(dict.fromkeys((_percent(rates[0]), _percent(rates[-1]))))
            above = f"{sum(row.metrics['interval'][0] > row.metrics['majority'] for row in rows)} of {len(rows)}"
            clips = f"the clips of {'a held-out database' if cross else 'held-out subjects'}"
            if parts:
                parts.append(f"of those of a held-out database, {rows[0].title} {span} % (above it in {above})")
            else:
                above = f"above the majority-class baseline in {above} databases"
                parts.append(f"Of {clips}, {rows[0].title} predicts {span} % correctly ({above})")
    return f"{', '.join(parts)}; above means the whole 95 % interval."


def _executed_notebooks(run: Path) -> list[Path]:
    """The executed notebooks of a run in reading order."""
    found = sorted(run.rglob("0*_*.ipynb"), key=lambda path: (path.name, path))
    return [path for path in found if not path.stem.endswith(".failed") and ".ipynb_checkpoints" not in path.parts]
