"""The report of a run: ``index.html`` beside its tables, figures and notebook pages.

Rows of the paper's Tables 1 and 2 with the paper's number beside each, confusion matrices
(Figures 4 and 5), the executed notebooks as pages, and what everything was made with.
Nothing in it asks the network for anything: it opens from a disk years later.
"""

import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import nbformat
import pandas as pd

from fer3d import config, files, labels, paths
from fer3d.errors import InputError
from fer3d.evaluation import metrics, paper, plots
from fer3d.workbook import refresh

TEMPLATE = "report.html"
_PAGE = """
{%- extends "lab/index.html.j2" -%}
{%- block html_head_js %}{% endblock -%}
{%- block html_head_js_mathjax %}{% endblock -%}
{%- block html_head_js_mermaidjs %}{% endblock -%}
{%- block body_header -%}
<body class="jp-Notebook" data-jp-theme-light="true" data-jp-theme-name="JupyterLab Light">
<nav style="margin: 1em 0"><a href="../index.html">← the report</a></nav>
<main>
{%- endblock -%}
"""
"""nbconvert's page without its scripts, which it would load from the network."""


@dataclass(frozen=True)
class Result:
    """One row of a table: a database and a variant, with its trainings' predictions pooled."""

    database: str
    variant: str
    cross: bool
    folders: tuple[Path, ...]
    figures: dict[str, Any]
    """See `metrics.evaluate`."""
    over_folds: dict[str, Any]
    """See `metrics.over_folds`."""
    made_of: dict[str, Any]
    """What the first of the trainings was made of: profile and data."""
    left_out: dict[str, int]
    """Test clips of a class that no training database has."""
    stale: tuple[str, ...]
    """Folds that lie there and don't count, since they were made of something else than the newest."""

    @property
    def data(self) -> str:
        """The database as a person reads it, with the word stand-in where it is one."""
        return next(iter(self.made_of["data"]))

    @property
    def trained_on(self) -> str:
        return ", ".join(list(self.made_of["data"])[1:])

    @property
    def is_standin(self) -> bool:
        return any("stand-in" in name for name in self.made_of["data"])

    @property
    def paper(self) -> paper.Rate | None:
        return (paper.TABLE2 if self.cross else paper.TABLE1).get(self.database, {}).get(self.variant)

    @property
    def folds(self) -> str:
        """What was held out: whole database, or how many of the folds."""
        if self.cross:
            return "whole database"
        return f"{len(self.folders)} of {self.made_of['profile']['folds']} folds"

    @property
    def stem(self) -> str:
        """Name of the row's figure."""
        return f"table{1 + self.cross}-{self.database}-{self.variant}"

    @property
    def alt(self) -> str:
        """The confusion matrix in words."""
        hits = sum(row[k] for k, row in enumerate(self.figures["confusion"]))
        parts = [
            f"{name} {row[k]} of {sum(row)}"
            for k, (name, row) in enumerate(zip(self.figures["labels"], self.figures["confusion"], strict=True))
            if sum(row)
        ]
        return f"{self.data}, {self.variant}: {hits} of {self.figures['n']} clips recognised; {', '.join(parts)}"

    def command(self, run: Path) -> str:
        """What to type, from the run's folder, for the same figures."""
        return shlex.join(["fer3d", "evaluate", *(str(folder.relative_to(run)) for folder in self.folders)])


@dataclass(frozen=True)
class Page:
    """An executed notebook as HTML."""

    title: str
    path: Path
    about: str
    """Which training or database it is of; empty for the general ones."""


def write(run: Path) -> Path:
    """Write the report of a run and return its ``index.html``.

    Raises:
        InputError: a folder without a finished training.
    """
    found = list(results(run))
    if not found:
        wanted = "a folder of make reproduce, where trainings lie by database, variant and fold"
        raise InputError(
            f"{run} without a finished training below it", wanted, f"fer3d report {paths.reports() / 'runs' / 'laptop'}"
        )
    for result in found:
        _draw(result, run)
    for name, cross in (("table1", False), ("table2", True)):
        files.write_csv(run / "tables" / f"{name}.csv", table([result for result in found if result.cross is cross]))
    pages = [_convert(notebook, run) for notebook in _notebooks(run)]
    shell = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    shell.filters["percent"] = lambda share: f"{100 * share:.1f}"
    info = files.read_json(found[0].folders[0] / "model.json")
    made_with = {"fer3d": info["fer3d"], **info["made_with"]}
    data = {name: told for result in found for name, told in result.made_of["data"].items()}
    text = shell.get_template(TEMPLATE).render(run=run, results=found, data=data, pages=pages, made_with=made_with)
    files.write_text(run / "index.html", text)
    return run / "index.html"


def results(run: Path) -> Iterator[Result]:
    """The finished trainings of a run, folds pooled, in the order of the paper's tables."""
    for cross in (False, True):
        for database in labels.TITLES:
            for variant in config.VARIANTS:
                pattern = "cross" if cross else "fold*"
                markers = sorted((run / database / variant).glob(f"{pattern}/metrics.json"))
                if markers:
                    yield _result(database, variant, cross, [marker.parent for marker in markers])


def _result(database: str, variant: str, cross: bool, there: list[Path]) -> Result:
    made = {folder: _made_of(folder) for folder in there}
    made_of = made[max(there, key=lambda folder: (folder / "model.json").stat().st_mtime)]
    folders = tuple(folder for folder in there if made[folder] == made_of)
    tables = [metrics.read_predictions(folder) for folder in folders]
    left_out = files.read_json(folders[0] / "metrics.json")["left_out"]
    return Result(
        database,
        variant,
        cross,
        folders,
        metrics.evaluate(metrics.pool(tables)),
        metrics.over_folds(tables),
        made_of,
        left_out,
        tuple(folder.name for folder in there if folder not in folders),
    )


def _made_of(folder: Path) -> dict[str, Any]:
    """What a training was made of: program, profile, and data by title, the tested database first."""
    info = files.read_json(folder / "model.json")
    sources = [info["data"]["test"], *info["data"]["train"]]
    data = {info["titles"][source["database"]]: source for source in sources}
    return {"fer3d": info["fer3d"], "profile": info["profile"], "data": data}


def table(found: list[Result]) -> pd.DataFrame:
    """One row a result; rates in per cent as in the paper."""
    rows = []
    for result in found:
        rates = {name: result.figures[name] for name in ("accuracy", "uar", "majority")}
        rates["low"], rates["high"] = result.figures["interval"]
        rows.append(
            {
                "database": result.database,
                "data": result.data,
                "variant": result.variant,
                "trained_on": result.trained_on or "other folds",
                "held_out": result.folds,
                "n": result.figures["n"],
                "subjects": result.figures["subjects"],
                **{name: round(100 * rate, 2) for name, rate in rates.items()},
                "paper": result.paper.mean if result.paper else None,
                "paper_std": result.paper.std if result.paper else None,
            }
        )
    return pd.DataFrame(rows)


def _draw(result: Result, run: Path) -> None:
    """The confusion matrix as a figure, with its numbers beside it."""
    names, matrix = result.figures["labels"], result.figures["confusion"]
    title = f"{result.data}: {result.variant}{', cross-database' if result.cross else ''}, n = {result.figures['n']}"
    numbers = pd.DataFrame(matrix, columns=names).assign(true=names)
    plots.save(plots.confusion(matrix, names, title), run / "figures" / result.stem, numbers)


def _notebooks(run: Path) -> list[Path]:
    """The executed notebooks of a run in reading order."""
    found = [
        path
        for path in run.rglob("0*_*.ipynb")
        if not path.stem.endswith(".failed") and ".ipynb_checkpoints" not in path.parts
    ]
    return sorted(found, key=lambda path: (path.name, path))


def _convert(notebook: Path, run: Path) -> Page:
    """An executed notebook as a page that needs no network."""
    from nbconvert import HTMLExporter

    content = refresh.still(nbformat.read(notebook, as_version=4))
    where = notebook.parent.relative_to(run)
    about = "" if where == Path("notebooks") else ", ".join(where.parts)
    page = run / "pages" / ("-".join([*where.parts, notebook.stem]).removeprefix("notebooks-") + ".html")
    headings = [line[2:].strip() for cell in content.cells for line in cell.source.splitlines() if line[:2] == "# "]
    title = headings[0] if headings else notebook.stem
    content.metadata["title"] = f"{title} · {about}" if about else title
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what nbconvert says of missing alternative text
        html, _ = HTMLExporter(raw_template=_PAGE).from_notebook_node(content)
    files.write_text(page, html)
    return Page(title, page.relative_to(run), about)
