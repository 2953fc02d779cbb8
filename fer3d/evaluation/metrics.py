"""Evaluation of predictions: accuracy, UAR, confidence intervals, confusion matrix, paired comparison.

Section 4.2 of the paper reports the recognition rate (accuracy) as mean and standard
deviation over five folds. This module adds the unweighted average recall (UAR), the
majority-class baseline, and intervals over subjects, not clips (`intervals`). All of them are
computed from pooled predictions.

A predictions table has one row per clip: clip, subject, database, label, prediction, and
``p_<emotion>`` for each learned class in label order.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer3d import files, labels
from fer3d.data.splits import subjects_of
from fer3d.errors import InputError
from fer3d.evaluation.intervals import difference_interval, rate_interval

COLUMNS = ("clip", "subject", "database", "label", "prediction")
MAX_BYTES = 2**30
"""Size of the largest ``predictions.csv`` that is read."""


def predictions_table(manifest: pd.DataFrame, classes: Sequence[str], probabilities: np.ndarray) -> pd.DataFrame:
    """The predictions table for the N clips of a manifest, from (N, K) probabilities in label order.

    Raises:
        InputError: a probability that is not a number, as a network gives that was trained with too high a rate.
    """
    if not np.isfinite(probabilities).all():
        broken = manifest["clip"].iloc[int(np.argmin(np.isfinite(probabilities).all(axis=1)))]
        raise InputError(
            f"the network's probabilities for clip {broken} are not numbers",
            "training with a smaller lr in another folder",
        )
    table = manifest[["clip", "subject", "database", "label"]].reset_index(drop=True)
    table["prediction"] = np.asarray(classes)[probabilities.argmax(axis=1)]
    return pd.concat([table, pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes])], axis=1)


def classes_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """The learned classes in label order, from the table's ``p_`` columns."""
    return tuple(str(name).removeprefix("p_") for name in predictions.columns if str(name).startswith("p_"))


def read_predictions(run: Path | str) -> pd.DataFrame:
    """Read and check a run's ``predictions.csv``.

    Args:
        run: the run's folder, or the file itself.

    Raises:
        InputError: the file is missing, too large or not a predictions table.
    """
    run = Path(run)
    path = run / "predictions.csv" if run.is_dir() else run
    hint = "the folder given to fer3d train --out"
    try:
        files.check_size(path, MAX_BYTES, hint)
        table = pd.read_csv(path, dtype=dict.fromkeys(COLUMNS, str), keep_default_na=False, na_values={})
    except PermissionError as error:
        raise files.unreadable(error, path) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: expected the folder of a finished run", hint) from error
    except ValueError as error:  # pandas' ParserError is one
        raise InputError(f"{path} is not a table: {error}", hint) from error
    classes = classes_of(table)
    columns = [f"p_{name}" for name in classes]
    if list(table.columns) != [*COLUMNS, *columns] or table.empty:
        raise InputError(f"{path} lacks rows or the columns {', '.join(COLUMNS)}, p_<emotion>", hint)
    if not classes or classes != labels.ordered(classes):
        raise InputError(f"{path} has classes {', '.join(classes) or '(none)'}: expected emotions in label order", hint)
    if foreign := set(table["prediction"]).union(table["label"]) - set(classes):
        raise InputError(f"{path} has label {min(foreign)!r}: expected one of {', '.join(classes)}", hint)
    probabilities = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy()
    if not ((probabilities >= 0) & (probabilities <= 1.001)).all():
        raise InputError(f"{path} has a probability that is not a number from 0 to 1", hint)
    return table


def pool(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate the predictions of several runs (folds, databases).

    Raises:
        InputError: no table, different classes, or a clip predicted twice.
    """
    if not tables:
        raise InputError("no run is given: expected at least one", "fer3d evaluate RUN...")
    expected = classes_of(tables[0])
    for table in tables[1:]:
        if (classes := classes_of(table)) != expected:
            raise InputError(
                f"the runs have different classes: {', '.join(expected)} and {', '.join(classes)}",
                "evaluating them separately",
            )
    pooled = pd.concat(tables, ignore_index=True)
    repeated = pooled.loc[pooled.duplicated(["database", "clip"]), "clip"]
    if len(repeated):
        raise InputError(
            f"{len(repeated)} clips are predicted by two runs, for example {repeated.iloc[0]}", "different folds"
        )
    return pooled


def among_labelled(predictions: pd.DataFrame) -> pd.DataFrame:
    """The table with predictions only of classes that some of its clips are labelled with.

    A prediction of another class becomes the most probable of these.

    Across databases a network also learns classes that the tested database doesn't label, such as neutral for CK+, and
    each such prediction is wrong. The paper counts them (Section 4.2.2); this table is for a comparison.
    """
    classes = [name for name in classes_of(predictions) if (predictions["label"] == name).any()]
    probabilities = predictions[[f"p_{name}" for name in classes]].to_numpy()
    nearest = pd.Series(np.asarray(classes)[probabilities.argmax(axis=1)], predictions.index)
    return predictions.assign(
        prediction=predictions["prediction"].where(predictions["prediction"].isin(classes), nearest)
    )


def evaluate(predictions: pd.DataFrame) -> dict[str, Any]:
    """Metrics of one predictions table, ready for JSON. Rates are shares from 0 to 1.

    Returns:
        ``n`` clips of ``subjects`` subjects; ``accuracy``, the paper's recognition rate;
        ``uar``, the mean recall over the classes that occur; ``majority``, the accuracy of
        always predicting the most frequent class of these clips; ``interval`` and
        ``uar_interval``, their 95 % intervals over subjects (`intervals.rate_interval`);
        ``labels``; ``confusion``, clips by true class (rows) and predicted class (columns).

    Raises:
        InputError: no predictions table, a class that has no column, or a clip that is there twice.
    """
    from sklearn.metrics import confusion_matrix  # takes a second, which reading predictions does without

    _check(predictions)
    classes, subjects = classes_of(predictions), subjects_of(predictions).to_numpy()
    confusion = confusion_matrix(predictions["label"], predictions["prediction"], labels=list(classes))
    hits = (predictions["prediction"] == predictions["label"]).to_numpy(float)
    accuracy, uar = rate_interval(hits, subjects), rate_interval(hits, subjects, predictions["label"].to_numpy(str))
    return {
        "n": len(predictions),
        "subjects": len(np.unique(subjects)),
        "accuracy": accuracy.estimate,
        "uar": uar.estimate,
        "majority": float(confusion.sum(axis=1).max() / confusion.sum()),
        "interval": [accuracy.low, accuracy.high],
        "uar_interval": [uar.low, uar.high],
        "labels": list(classes),
        "confusion": confusion.tolist(),
    }


def _check(predictions: pd.DataFrame) -> None:
    """An `InputError` for what can't be evaluated."""
    if predictions.empty or not set(COLUMNS) <= set(predictions):
        expected = f"expected the columns {', '.join(COLUMNS)} and p_<emotion>, as read_predictions returns"
        raise InputError(f"this table lacks rows or columns: {expected}")
    if foreign := set(predictions["label"]).union(predictions["prediction"]) - set(classes_of(predictions)):
        raise InputError(f"{', '.join(sorted(map(str, foreign)))}: expected a column p_<emotion> for each class")
    if repeated := predictions.duplicated([name for name in ("database", "clip", "seed") if name in predictions]).sum():
        raise InputError(f"{repeated} clips are in the table twice: each counts once")


def compare(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Any]:
    """Accuracy of ``first`` minus that of ``second`` on the same clips, with its paired interval.

    The interval is over subjects. Where both tables have a column ``seed`` with several values, it is over subjects
    and seeds; otherwise it holds for these two trainings, not for their recipes.

    Returns:
        ``n`` clips, ``seeds`` trainings of each, ``difference`` and ``interval``, shares from -1 to 1.

    Raises:
        InputError: the tables have different clips, or differ about a clip's subject, true label or seed.
    """
    keys = ["database", "clip", "subject", "label", *(["seed"] if "seed" in first and "seed" in second else [])]
    try:
        both = first.merge(second, on=keys, suffixes=("", "_other"), validate="one_to_one")
    except pd.errors.MergeError as error:
        raise InputError("a table has a clip twice", "one training each, or a column seed in both tables") from error
    if not len(both) == len(first) == len(second):
        raise InputError(
            "the two tables have different clips or seeds, or differ about a clip's subject or label: "
            "expected the same clips",
            "runs of the same fold and data",
        )
    hits, other_hits = (both[name] == both["label"] for name in ("prediction", "prediction_other"))
    values: np.ndarray = hits.to_numpy(float) - other_hits.to_numpy(float)
    seeds = both["seed"].to_numpy() if "seed" in keys else np.zeros(len(both))
    difference, low, high = difference_interval(values, subjects_of(both).to_numpy(), seeds)
    n, trainings = len(both.drop_duplicates(["database", "clip"])), len(np.unique(seeds))
    return {"n": n, "seeds": trainings, "difference": difference, "interval": [low, high]}


def over_folds(tables: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """Mean and sample standard deviation (n - 1) of the folds' accuracies, as the paper prints them."""
    rates = [float((table["prediction"] == table["label"]).mean()) for table in tables]
    return {"folds": rates, "mean": float(np.mean(rates)), "std": float(np.std(rates, ddof=1)) if rates[1:] else None}
