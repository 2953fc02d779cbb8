"""More comparisons of the models of Tables 1 and 2, from the predictions that are published (seed 0).

    python -m benchmarks.evaluation.published [--csv FILE]

Each row compares two models, or tasks, on the same clips, paired, as the claims are tested (`fer3d.evaluation.
hypotheses`). In the rows "own classes" a prediction of a class that none of the compared clips has is replaced by the
most probable of those that they have, on both sides: then the classes that a database doesn't label, or of which the
others have no clip, make no difference.
"""

import argparse
from pathlib import Path

import pandas as pd

from fer3d import files, labels, paths
from fer3d.evaluation import hypotheses, metrics

PREDICTIONS = paths.PUBLISHED / "predictions"
PAIRS = (
    *(("linear", model) for model in ("2d", "3d", "3d+landmarks", "r3d_18")),
    ("3d", "r3d_18"),
    ("lbp_top", "2d"),
    ("lbp_top", "3d"),
)
"""Models that are compared on the same task."""
TASKS = ("3d+landmarks", "linear", "finetuned")
"""Models that are compared within and across databases."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, help="also write the table to this file")
    chosen = parser.parse_args()
    rows = []
    for task in (1, 2):
        for first, second in PAIRS:
            rows += compared((task, first), (task, second), f"{first} minus {second}")
    for model in TASKS:
        for own in (False, True):
            what = f"{model} within minus across{', own classes' * own}"
            rows += compared((1, model), (2, model), what, own)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    if chosen.csv:
        files.write_csv(chosen.csv, table)


def compared(one: tuple[int, str], other: tuple[int, str], what: str, own: bool = False) -> list[dict[str, object]]:
    """A row for all databases together and one for each; none where a model was not tested on the task."""
    task = "within and across" if one[0] != other[0] else ("within" if one[0] == 1 else "across")
    pairs = {name: pair for name in labels.PAPER if (pair := same_clips(name, one, other, own))}
    if not pairs:
        return []
    together = tuple(pd.concat(tables, ignore_index=True) for tables in zip(*pairs.values(), strict=True))
    rows = []
    for name, (first, second) in {"all": together, **pairs}.items():
        found = hypotheses.compare(first, second)
        low, high = found["interval"]
        row = {"task": task, "difference of": what, "database": name, "n": found["n"], "subjects": found["subjects"]}
        row |= {"points": 100 * found["difference"], "low": 100 * low, "high": 100 * high, "p": found["p"]}
        rows.append(row | {"found": hypotheses.finding(found)})
    return rows


def same_clips(
    database: str, one: tuple[int, str], other: tuple[int, str], own: bool
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """The predictions of both for the clips that both have."""
    places = [PREDICTIONS / f"table{table}-{database}-{model}.csv" for table, model in (one, other)]
    if not all(place.is_file() for place in places):
        return None
    first, second = (pd.read_csv(place, dtype={"clip": str, "subject": str}).assign(seed=0) for place in places)
    first, second = (each[each["clip"].isin(rest["clip"])] for each, rest in ((first, second), (second, first)))
    if own:
        first, second = metrics.among_labelled(first), metrics.among_labelled(second)
    columns = [*metrics.COLUMNS, "seed"]
    return first[columns], second[columns]


if __name__ == "__main__":
    main()
