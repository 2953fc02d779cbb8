"""The paper's three claims, and whether a fine-tuned network does better than a classifier without one.

Each is tested on the trainings of a run: all databases, folds and seeds that are there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fer3d import labels
from fer3d.evaluation import hypotheses, metrics
from fer3d.workbook import models
from fer3d.workbook.rows import Row

ALL = "all"
"""In place of a database: the clips of all together, each with the same weight."""
DIFFER = "the databases differ"
"""In place of a finding on all databases together: some show the claim, and some its opposite."""


@dataclass(frozen=True)
class Claim:
    """One model, or task, that is said to do better than another on the same clips."""

    name: str
    first: tuple[str, bool]
    """The model that is said to be better, and whether across databases."""
    second: tuple[str, bool]


CLAIMS = (
    Claim("3D beats 2D", ("3d", False), ("2d", False)),
    Claim("the landmark product helps", ("3d+landmarks", False), ("3d", False)),
    Claim("cross-database is harder", ("3d+landmarks", False), ("3d+landmarks", True)),
    Claim("fine-tuning beats the linear classifier", (models.FINETUNED, False), ("linear", False)),
    Claim("fine-tuning beats the linear classifier across databases", (models.FINETUNED, True), ("linear", True)),
)


@dataclass(frozen=True)
class Tested:
    """A claim with what was found, in one database or in all."""

    claim: str
    database: str
    """A name of `labels.TITLES` or `ALL`."""
    data: str
    """Printed names, with how many folds are there."""
    result: dict[str, Any]
    """See `hypotheses.compare`."""
    found: str
    """See `hypotheses.finding`; of all databases together `DIFFER` where some show the claim and some its opposite."""

    @property
    def sentence(self) -> str:
        """The verdict."""
        return hypotheses.verdict(self.claim, self.found, self.result, self.data)


def test(rows: Iterable[Row]) -> list[Tested]:
    """Every claim that the rows allow, in all databases together first, then in each."""
    found = {(row.model, row.cross, row.database): row for row in rows}
    tested = []
    for claim in CLAIMS:
        pairs: dict[str, tuple[pd.DataFrame, pd.DataFrame]] = {}
        data: dict[str, tuple[str, str]] = {}
        for database in labels.TITLES:
            one, other = found.get((*claim.first, database)), found.get((*claim.second, database))
            if one and other and _tested_alike(one, other):
                first, second = predictions(one.by_seed), predictions(other.by_seed)
                if len(first[["clip", "seed"]].merge(second[["clip", "seed"]])):
                    pairs[database], data[database] = (first, second), _data(one, other)
        results = {database: hypotheses.compare(*pair) for database, pair in pairs.items()}
        found_in = {database: hypotheses.finding(result) for database, result in results.items()}
        if len(pairs) > 1:
            whole = [pd.concat(tables, ignore_index=True) for tables in zip(*pairs.values(), strict=True)]
            result = hypotheses.compare(*whole)
            differ = {"shown", hypotheses.OPPOSITE} <= {*found_in.values()}
            in_all = DIFFER if differ else hypotheses.finding(result)
            tested.append(Tested(claim.name, ALL, _printed(data.values()), result, in_all))
        for database, result in results.items():
            tested.append(Tested(claim.name, database, _printed([data[database]]), result, found_in[database]))
    return tested


def _tested_alike(one: Row, other: Row) -> bool:
    """Whether both rows were tested on the same state of the database, and networks trained by the same program."""
    same = one.made_of["fer3d"] == other.made_of["fer3d"] or one.is_baseline != other.is_baseline
    return same and bool(one.made_of["data"].get(one.data) == other.made_of["data"].get(one.data))


def _data(*rows: Row) -> tuple[str, str]:
    """The database's printed name, and how many folds the clips come from that both models were tested on."""
    within = [row for row in rows if not row.cross]
    if not within:
        return rows[0].data, rows[0].held_out
    shared = set.intersection(*({folder.name for folder in row.folders} for row in within))
    return within[0].data, f"{len(shared)} of {within[0].made_of['folds']} folds"


def _printed(data: Iterable[tuple[str, str]]) -> str:
    """Databases and folds in words; databases with as many folds stand together."""
    alike: dict[str, list[str]] = {}
    for name, folds in data:
        alike.setdefault(folds, []).append(name)
    return "; ".join(f"{_joined(names)}, {folds}{' each' * (len(names) > 1)}" for folds, names in alike.items())


def _joined(names: list[str]) -> str:
    """The names of databases; where all are synthetic, this is said once at the end."""
    if all(name.endswith(labels.SYNTHETIC) for name in names):
        return ", ".join(name.removesuffix(labels.SYNTHETIC) for name in names) + labels.SYNTHETIC
    return ", ".join(names)


def predictions(by_seed: dict[int, tuple[Path, ...]]) -> pd.DataFrame:
    """The predictions of all trainings of a row, with their seed."""
    columns = list(metrics.COLUMNS)
    tables = [
        metrics.pool([metrics.read_predictions(folder) for folder in folders])[columns].assign(seed=seed)
        for seed, folders in by_seed.items()
    ]
    return pd.concat(tables, ignore_index=True)


def table(tested: Iterable[Tested]) -> pd.DataFrame:
    """One row per claim and database; rates and differences in per cent."""
    rows = []
    for one in tested:
        result = one.result
        low, high = result["interval"]
        rates = {"first": result["first"], "second": result["second"], "difference": result["difference"]}
        rates |= {"low": low, "high": high}
        row = {"claim": one.claim, "database": one.database, "data": one.data}
        row |= {name: result[name] for name in ("n", "subjects", "seeds")}
        row |= {name: round(100 * rate, 2) for name, rate in rates.items()}
        rows.append(row | {"p": float(f"{result['p']:.3g}"), "found": one.found, "verdict": one.sentence})
    return pd.DataFrame(rows)
