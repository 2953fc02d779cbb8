"""Where notebooks 05 and 06 find the predictions that they examine; they train nothing themselves.

A source gives the result of one job, or None. `SOURCES` are tried in order, and the first that has any of the jobs
gives them all, so that no table mixes two sources.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fer3d import config
from fer3d.data import splits
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.training.inference import predict
from fer3d.training.run import SHIPPED, TrainedModel, is_finished, load_model
from fer3d.training.task import Task
from fer3d.workbook import pipeline
from fer3d.workbook.pipeline import Job


@dataclass(frozen=True)
class Result:
    """Predictions for the clips that a job holds out."""

    predictions: pd.DataFrame
    """As `metrics.read_predictions` gives them."""
    weights: Path | str
    """What `load_model` needs for the network that made them."""
    made_by: str
    """The source, in words for a notebook."""


def trained(job: Job, profile: str, run: Path) -> Result | None:
    """A finished training of the run, with the settings and data of today."""
    folder = job.folder(run)
    if not (folder / "metrics.json").exists():
        return None
    tested, learned = pipeline.store(job.database, profile), [pipeline.store(name, profile) for name in job.trained_on]
    settings, pretrained = pipeline.settings_of(job, profile)
    task = Task.build(learned or [tested], settings, job.fold, tested if learned else None)
    try:
        if not is_finished(folder, task.config(settings, pretrained)):
            return None
    except InputError:  # it holds a training of other data or settings
        return None
    return Result(metrics.read_predictions(folder), folder, f"trainings of the run {run.name}")


def shipped(job: Job, profile: str, run: Path) -> Result | None:
    """The shipped weights on the job's test clips. They have learned from rendered people that are in no database."""
    model = _shipped()
    if job.model != model.network.settings.variant or config.profile(profile).clips.size != model.network.size:
        return None
    store = pipeline.store(job.database, profile)
    if job.trained_on:  # the clips that count are those of the training in whose place this is
        learned = [pipeline.store(name, profile).manifest for name in job.trained_on]
        _, rows, _ = splits.cross_split(learned, store.manifest)
    else:
        folds = splits.number_of_folds(store.manifest, config.profile(profile).folds)
        _, rows = splits.fold_split(store.manifest, job.fold, folds)
    known = rows[np.isin(store.labels[rows], model.network.classes)]
    return Result(predict(model, store, known), SHIPPED[0], f"shipped weights {SHIPPED[0]!r}") if len(known) else None


@functools.cache
def _shipped() -> TrainedModel:
    """Loaded once for all jobs."""
    return load_model(SHIPPED[0])


SOURCES: tuple[Callable[[Job, str, Path], Result | None], ...] = (trained, shipped)
"""Where results are looked for, in this order."""


def find(jobs: Sequence[Job], profile: str, run: Path) -> dict[Job, Result]:
    """The results of the first source that has any of the jobs, of as many as it has.

    Args:
        jobs: trainings of the grid.
        profile: the size of data and network.
        run: the run's folder, where finished trainings lie.

    Raises:
        InputError: no source has one of them.
    """
    for source in SOURCES:
        found = {job: result for job in jobs if (result := source(job, profile, run)) is not None}
        if found:
            return found
    names = ", ".join(dict.fromkeys(pipeline.title(job.database) for job in jobs))
    raise InputError(f"{run} holds no finished training on {names}", f"make tables PROFILE={profile} RUN={run.name}")
