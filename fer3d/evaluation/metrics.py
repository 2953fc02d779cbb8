"""What a set of predictions is worth: rates, intervals, confusion, paired comparison.

Section 4.2 of the paper reports the recognition rate (share of clips recognised) as mean
and deviation over five folds. Beside it stand here the mean recall of the classes (UAR),
the rate of a constant answer, and intervals that treat the subject, not the clip, as what
was drawn at random. All figures come from pooled predictions.

A table of predictions has one row a clip: clip, subject, database, label, prediction,
and ``p_<emotion>`` for each learned class in label order.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fer3d import files, labels
from fer3d.data.splits import subjects_of
from fer3d.errors import InputError

COLUMNS = ("clip", "subject", "database", "label", "prediction")
RESAMPLES = 5000
_MOST_BYTES = 2**30


def predictions_table(manifest: pd.DataFrame, classes: Sequence[str], probabilities: np.ndarray) -> pd.DataFrame:
    """The table of predictions for N clips of a manifest from (N, K) probabilities in label order."""
    table = manifest[["clip", "subject", "database", "label"]].reset_index(drop=True)
    table["prediction"] = np.asarray(classes)[probabilities.argmax(axis=1)]
    return pd.concat([table, pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes])], axis=1)


def classes_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """The learned classes in label order, from the table's ``p_`` columns."""
    return tuple(str(name).removeprefix("p_") for name in predictions.columns if str(name).startswith("p_"))


def read_predictions(run: Path) -> pd.DataFrame:
    """A run's ``predictions.csv``, checked; an `InputError` for a missing, oversized or garbled one."""
    path = run / "predictions.csv" if run.is_dir() else run
    wanted, then = "a finished run of fer3d train", "the folder given to fer3d train --out"
    try:
        files.check_size(path, _MOST_BYTES, then)
        table = pd.read_csv(path, dtype=dict.fromkeys(COLUMNS, str), keep_default_na=False, na_values={})
    except OSError as error:
        raise InputError(f"no readable {path}", wanted, then) from error
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}, which is not a table ({error})", wanted, then) from error
    classes = classes_of(table)
    if list(table.columns) != [*COLUMNS, *(f"p_{name}" for name in classes)] or table.empty:
        raise InputError(f"{path} without the columns of predictions or without a row", wanted, then)
    if not classes or classes != labels.ordered(classes):
        raise InputError(f"{path} with classes {', '.join(classes) or 'missing'}", "emotions in label order", then)
    if foreign := set(table["prediction"]).union(table["label"]) - set(classes):
        raise InputError(f"{path} with label {sorted(foreign)[0]!r}", f"one of {', '.join(classes)}", then)
    probabilities = table[[f"p_{name}" for name in classes]].apply(pd.to_numeric, errors="coerce").to_numpy()
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and (probabilities <= 1.001).all()):
        raise InputError(f"{path} with a probability that is none", "numbers from 0 to 1", then)
    return table


def pool(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Predictions of several runs (folds, databases) as one table.

    Raises:
        InputError: no run, runs that learned different classes, or a clip predicted twice.
    """
    if not tables:
        raise InputError("no run", "at least one", "fer3d evaluate RUN...")
    for table in tables[1:]:
        if classes_of(table) != classes_of(tables[0]):
            raise InputError(
                f"runs of label sets ({', '.join(classes_of(tables[0]))}) and ({', '.join(classes_of(table))})",
                "one label set",
                "evaluating them apart",
            )
    pooled = pd.concat(tables, ignore_index=True)
    twice = pooled.loc[pooled.duplicated(["database", "clip"]), "clip"]
    if len(twice):
        raise InputError(
            f"{len(twice)} clips predicted by two runs ({twice.iloc[0]})", "each clip once", "different folds"
        )
    return pooled


def evaluate(predictions: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """The figures of one table of predictions, JSON-ready.

    ``n`` clips of ``subjects`` subjects; ``accuracy``, the recognition rate; ``uar``, the
    mean recall over the classes that occur; ``majority``, the accuracy of always answering
    the commonest class of these very clips; ``interval`` and ``uar_interval``, 95 %
    bootstrap over subjects (5000 resamples, percentiles); ``labels`` and ``confusion``,
    counts of clips with the true class in rows. Rates are shares from 0 to 1.
    """
    classes = classes_of(predictions)
    confusion = confusion_matrix(predictions["label"], predictions["prediction"], labels=list(classes))
    hits, clips = _by_subject(predictions)
    return {
        "n": len(predictions),
        "subjects": len(clips),
        "accuracy": float(_accuracy(hits, clips)),
        "uar": float(_uar(hits, clips)),
        "majority": float(confusion.sum(axis=1).max() / confusion.sum()),
        "interval": _interval(_accuracy, [hits, clips], (0.0, 1.0), seed),
        "uar_interval": _interval(_uar, [hits, clips], (0.0, 1.0), seed),
        "labels": list(classes),
        "confusion": confusion.tolist(),
    }


def compare(first: pd.DataFrame, second: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """Accuracy of ``first`` less that of ``second`` on the same clips, with its paired interval over subjects.

    Raises:
        InputError: the two tables hold different clips or different true labels.
    """
    keys = ["database", "clip", "label"]
    if sorted(map(tuple, first[keys].to_numpy())) != sorted(map(tuple, second[keys].to_numpy())):
        raise InputError("predictions for different clips", "the same clips in both", "runs of the same fold")
    (hits, clips), (other_hits, _) = _by_subject(first), _by_subject(second)

    def difference(hits: np.ndarray, other: np.ndarray, clips: np.ndarray) -> np.ndarray:
        return _accuracy(hits, clips) - _accuracy(other, clips)

    return {
        "n": len(first),
        "difference": float(difference(hits, other_hits, clips)),
        "interval": _interval(difference, [hits, other_hits, clips], (-1.0, 1.0), seed),
    }


def over_folds(tables: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """Mean and deviation of the folds' accuracies, as the paper prints them (deviation of a sample, n - 1)."""
    rates = [float((table["prediction"] == table["label"]).mean()) for table in tables]
    return {"folds": rates, "mean": float(np.mean(rates)), "std": float(np.std(rates, ddof=1)) if rates[1:] else None}


def linear_baseline(
    manifest: pd.DataFrame, landmarks: np.ndarray, classes: Sequence[str], train: np.ndarray, test: np.ndarray
) -> pd.DataFrame:
    """Predictions of logistic regression on how far the points moved: the bar for a network.

    Args:
        manifest: N rows; ``landmarks``: (N, T, 66, 2) pixels; ``train`` and ``test``: row numbers.
        classes: the learned classes in label order.

    The features are the last frame's `geometry.displacement`.
    """
    import torch  # two seconds, which nothing else here needs

    from fer3d.model.geometry import displacement

    moved = displacement(torch.tensor(landmarks[:, (0, -1)]))[:, -1].flatten(1).numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(moved[train], manifest["label"].iloc[train])
    probabilities = np.zeros((len(test), len(classes)))
    probabilities[:, [list(classes).index(name) for name in model.classes_]] = model.predict_proba(moved[test])
    return predictions_table(manifest.iloc[test], classes, probabilities)


def _by_subject(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Recognised clips and all clips, each (subjects, K) by true class, in one order of subjects."""
    classes = list(classes_of(predictions))
    people, truth = subjects_of(predictions), pd.Categorical(predictions["label"], classes)
    right = (predictions["prediction"] == predictions["label"]).astype(int)
    clips = pd.crosstab(people, truth, dropna=False)
    hits = pd.crosstab(people, truth, right, aggfunc="sum", dropna=False).fillna(0)
    return hits.to_numpy(), clips.to_numpy()


def _accuracy(hits: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Share of clips recognised from counts (..., subjects, K)."""
    return hits.sum(axis=(-2, -1)) / clips.sum(axis=(-2, -1))


def _uar(hits: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Mean recall over the classes that occur from counts (..., subjects, K)."""
    of_class = clips.sum(axis=-2)
    recall = hits.sum(axis=-2) / np.maximum(of_class, 1)
    return recall.sum(axis=-1) / (of_class > 0).sum(axis=-1)


def _interval(statistic: Any, counts: list[np.ndarray], widest: tuple[float, float], seed: int) -> list[float]:
    """95 % bootstrap interval over subjects; with a single subject nothing is known but the widest."""
    if len(counts[0]) < 2:
        return list(widest)

    def of_subjects(chosen: np.ndarray, axis: int) -> np.ndarray:
        return statistic(*(table[chosen.astype(int)] for table in counts))

    result = bootstrap(
        (np.arange(len(counts[0])),),
        of_subjects,
        n_resamples=RESAMPLES,
        batch=500,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = result.confidence_interval
    return [float(low), float(high)]
