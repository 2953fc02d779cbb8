"""The rows of Tables 1 and 2: what the finished trainings of a run found, folds pooled, beside the paper's rate."""

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer3d import files, labels
from fer3d.errors import InputError
from fer3d.evaluation import metrics, paper
from fer3d.workbook import models


@dataclass(frozen=True)
class Row:
    """One row of a table: a database and a model, with the predictions of its trainings pooled."""

    database: str
    model: str
    """One of `models.TITLES`."""
    cross: bool
    """Whether the database was held out whole (Table 2), not fold by fold (Table 1)."""
    folders: tuple[Path, ...]
    """The folders of the trainings with seed 0."""
    by_seed: dict[int, tuple[Path, ...]]
    """The folders of all trainings of the same settings and data."""
    metrics: dict[str, Any]
    """See `metrics.evaluate`."""
    among_labelled: float
    """The accuracy where only the classes of the tested clips are predicted: see `metrics.among_labelled`."""
    over_folds: dict[str, Any]
    """See `metrics.over_folds`."""
    made_of: dict[str, Any]
    """The settings and the data of the trainings, from ``model.json``."""
    left_out: dict[str, int]
    """How many test clips are of a class that no training database has, by class."""
    stale_folds: tuple[str, ...]
    """Folds left out because their settings or data differ from those of the newest."""

    @property
    def data(self) -> str:
        """The printed name of the database, followed by "(synthetic)" where it is a stand-in."""
        return next(iter(self.made_of["data"]))

    @property
    def trained_on(self) -> str:
        """The printed names of the training databases; empty where the training clips are the other folds."""
        return ", ".join(list(self.made_of["data"])[1:])

    @property
    def is_standin(self) -> bool:
        """Whether any of the data is synthetic."""
        return any(name.endswith(labels.SYNTHETIC) for name in self.made_of["data"])

    @property
    def paper_rate(self) -> paper.Rate | None:
        """The paper's recognition rate; None where it has none."""
        return paper.printed(self.database, self.model, self.cross)

    @property
    def title(self) -> str:
        """The model's printed name."""
        return models.TITLES[self.model]

    @property
    def in_paper(self) -> bool:
        """Whether the database is one of the paper's."""
        return self.database in labels.PAPER

    @property
    def held_out(self) -> str:
        """What was held out: the whole database, or how many of the folds."""
        if self.cross:
            return "whole database"
        return f"{len(self.folders)} of {self.made_of['folds']} folds"

    @property
    def figure_name(self) -> str:
        """The file name, without suffix, of the row's confusion matrix."""
        return f"table{1 + self.cross}-{self.database}-{self.model}"

    @property
    def is_baseline(self) -> bool:
        """Whether the row needs no network."""
        return self.model in models.CLASSICAL

    @property
    def alt_text(self) -> str:
        """The confusion matrix's diagonal in words."""
        matrix = np.asarray(self.metrics["confusion"])
        rows = zip(self.metrics["labels"], matrix.diagonal(), matrix.sum(1), strict=True)
        parts = ", ".join(f"{name} {right} of {n}" for name, right, n in rows if n)
        total = f"{matrix.trace()} of {self.metrics['n']} clips predicted correctly"
        return f"{self.data}, {self.title}: {total}; {parts}"

    def command(self, run: Path) -> str:
        """The command, typed in the run's folder, that prints the same numbers."""
        return shlex.join(["fer3d", "evaluate", *(str(folder.relative_to(run)) for folder in self.folders)])


def rows_of(run: Path) -> Iterator[Row]:
    """The rows of a run: its finished trainings, folds pooled, in the order of the paper's tables."""
    for cross, database, model in itertools.product((False, True), labels.TITLES, models.TITLES):
        found = finished(run, database, model, cross)
        if 0 in found:
            yield _row(database, model, cross, found)


def finished(run: Path, database: str, model: str, cross: bool) -> dict[int, list[Path]]:
    """The folders of a row's finished trainings in order, by their seed."""
    wanted = re.compile(r"(cross|fold\d+)(-seed(\d+))?")
    found: dict[int, list[Path]] = {}
    for folder in sorted(marker.parent for marker in (run / database / model).glob("*/metrics.json")):
        name = wanted.fullmatch(folder.name)
        if name and (name[1] == "cross") is cross:
            found.setdefault(int(name[3] or 0), []).append(folder)
    return found


def _row(database: str, model: str, cross: bool, finished: dict[int, list[Path]]) -> Row:
    made = {folder: _made_of(folder) for folders in finished.values() for folder in folders}
    made_of = made[max(finished[0], key=lambda folder: (folder / "model.json").stat().st_mtime)]
    alike = {
        seed: tuple(f for f in folders if _but_seed(made[f]) == _but_seed(made_of))
        for seed, folders in finished.items()
    }
    folders = alike[0]
    tables = [metrics.read_predictions(folder) for folder in folders]
    pooled = metrics.pool(tables)
    among = metrics.among_labelled(pooled)
    return Row(
        database=database,
        model=model,
        cross=cross,
        folders=folders,
        by_seed={seed: found for seed, found in alike.items() if found},
        metrics=metrics.evaluate(pooled),
        among_labelled=float((among["prediction"] == among["label"]).mean()),
        over_folds=metrics.over_folds(tables),
        made_of=made_of,
        left_out=_left_out(folders[0]),
        stale_folds=tuple(folder.name for folder in finished[0] if folder not in folders),
    )


def _made_of(folder: Path) -> dict[str, Any]:
    """What a training was made of: program, profile, number of folds, data by printed name, the tested one first."""
    info = files.read_json(folder / "model.json")
    try:
        sources = [info["data"]["test"], *info["data"]["train"]]
        data = {info["titles"][source["database"]]: source for source in sources}
        folds = info["data"]["split"].get("folds")
        return {"fer3d": info["fer3d"], "profile": info["profile"], "data": data, "folds": folds}
    except (KeyError, TypeError, AttributeError) as error:
        raise _foreign(folder) from error


def _left_out(folder: Path) -> dict[str, int]:
    try:
        return dict(files.read_json(folder / "metrics.json")["left_out"])
    except (KeyError, TypeError) as error:
        raise _foreign(folder) from error


def _foreign(folder: Path) -> InputError:
    return InputError(f"{folder} is no training of this version of fer3d", "a run without it")


def _but_seed(made_of: dict[str, Any]) -> dict[str, Any]:
    profile = made_of["profile"]
    return {**made_of, "profile": {**profile, "training": {**profile["training"], "seed": None}}}


def rates_table(found: list[Row]) -> pd.DataFrame:
    """One row per result; rates in per cent as in the paper."""
    rows = []
    for result in found:
        rates = {name: result.metrics[name] for name in ("accuracy", "uar", "majority")}
        rates["low"], rates["high"] = result.metrics["interval"]
        row = {name: getattr(result, name) for name in ("database", "data", "model", "trained_on", "held_out")}
        row["trained_on"] = row["trained_on"] or "other folds"
        row |= {name: result.metrics[name] for name in ("n", "subjects")}
        row |= {name: round(100 * rate, 3) for name, rate in rates.items()}  # a reader may round again
        if result.cross:
            row["among_labelled"] = round(100 * result.among_labelled, 3)
        mean, std = (result.over_folds[name] for name in ("mean", "std"))
        row |= {"fold_mean": round(100 * mean, 2), "fold_std": None if std is None else round(100 * std, 2)}
        printed = result.paper_rate
        row |= {"paper": printed and printed.mean, "paper_std": printed and printed.std}
        rows.append(row | {"in_paper": result.in_paper})
    return pd.DataFrame(rows)
