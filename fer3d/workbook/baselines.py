"""The rows of a table that need no network: `models.CLASSICAL`, for all splits of a database at once.

Each leaves a folder with ``model.json``, ``predictions.csv`` and, last, ``metrics.json``, as a training does.
"""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from fer3d import __version__, config, files, paths
from fer3d.data.store import Store
from fer3d.evaluation import baselines, metrics
from fer3d.training.task import Task
from fer3d.workbook import models, pipeline
from fer3d.workbook.pipeline import Job


def run(database: str, folds: Sequence[int], trained_on: Sequence[str], profile: str, folder: Path) -> None:
    """Fit and test the classical models on splits of a database; what was there before is replaced.

    Args:
        database: the tested one.
        folds: those of its folds that are tested.
        trained_on: the databases from which it is tested as a whole, too; none: it is not.
        profile: a name of `config.PROFILES`.
        folder: the run's folder.
    """
    stores = {name: pipeline.store(name, profile) for name in dict.fromkeys([database, *trained_on])}
    tested, settings = stores[database], config.profile(profile)
    splits: list[tuple[int, tuple[str, ...], list[Store], Task]]
    splits = [(fold, (), [tested], Task.build([tested], settings, fold, None)) for fold in folds]
    if trained_on:
        learned = [stores[name] for name in trained_on]
        splits.append((0, tuple(trained_on), learned, Task.build(learned, settings, 0, tested)))
    paths.baselines(folder, database).unlink(missing_ok=True)
    patterns = {name: _patterns(store) for name, store in stores.items()}
    made = {}
    bar = tqdm(splits, f"baselines of {database}", unit="split", disable=None, leave=False)
    for fold, sources, trained, task in bar:
        for model in models.CLASSICAL:
            job = Job(database, model, fold, sources)
            predictions = _predict(model, task, trained, patterns)
            _write(job.folder(folder), task, predictions, settings)
            made[f"{model}/{job.split}"] = files.fingerprint(predictions.to_csv())
    files.write_json(paths.baselines(folder, database), made)


def _patterns(store: Store) -> np.ndarray:
    """(N, F) the features of LBP-TOP of all clips."""
    shown = tqdm(range(len(store)), f"LBP-TOP of {store.database}", unit="clip", disable=None, leave=False)
    return np.stack([baselines.lbp_top(np.asarray(store.frames[row])) for row in shown])


def _predict(model: str, task: Task, learned: Sequence[Store], patterns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The predictions of a classical model for the test clips of a task."""
    parts = [(store, place.rows) for store, place in zip(learned, task.train.locations, strict=True)]
    parts.append((task.test_store, task.test_rows))
    manifest = pd.concat([store.manifest.iloc[rows] for store, rows in parts], ignore_index=True)
    rows = np.arange(len(manifest))
    train, test = rows[: len(task.train)], rows[len(task.train) :]
    if manifest["label"].iloc[train].nunique() == 1:  # there is nothing to tell apart
        model = "majority"
    if model == "linear":
        landmarks = np.concatenate([store.landmarks[rows] for store, rows in parts])
        return baselines.linear(manifest, landmarks, task.classes, train, test)
    if model == "lbp_top":
        features = np.concatenate([patterns[store.database][rows] for store, rows in parts])
        return baselines.linear_svm(manifest, features, task.classes, train, test)
    return baselines.majority(manifest, task.classes, train, test)


def _write(out: Path, task: Task, predictions: pd.DataFrame, profile: config.Profile) -> None:
    """Write the folder of one row. The digest in its config is that of `pipeline.baselines_program`."""
    made_with = {"python": platform.python_version()}
    made_with |= {name: version(name) for name in ("scikit-learn", "scikit-image", "numpy")}
    names = [task.data["test"]["database"], *(source["database"] for source in task.data["train"])]
    config_ = {**task.config(profile, None), "fer3d": f"{__version__}+{pipeline.baselines_program()}"}
    titles = {name: pipeline.title(name) for name in names}
    (out / "metrics.json").unlink(missing_ok=True)
    files.write_json(out / "model.json", {**config_, "titles": titles, "made_with": made_with})
    files.write_csv(out / "predictions.csv", predictions)
    files.write_json(out / "metrics.json", {**metrics.evaluate(predictions), **task.counts})
