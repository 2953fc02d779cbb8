"""Where notebooks 05 and 06 find the predictions that they examine; they train nothing themselves.

The finished trainings of the run come first, then the shipped weights. The first source that has any of the jobs gives
them all, so that no table mixes two sources.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fer3d import config
from fer3d.data import splits
from fer3d.data.store import Store
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.training.inference import predict, stream_logits
from fer3d.training.run import SHIPPED, is_finished, load_model
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


def trained(jobs: Sequence[Job], profile: str, run: Path) -> dict[Job, Result]:
    """The finished trainings of the run, if they have the current settings and data."""
    done = [job for job in jobs if (job.folder(run) / "metrics.json").exists()]
    stores, found = _stores(done, profile), {}
    for job in done:
        tested, learned = stores[job.database], [stores[name] for name in job.trained_on]
        settings, pretrained = pipeline.settings_of(job, profile)
        task = Task.build(learned or [tested], settings, job.fold, tested if learned else None)
        folder = job.folder(run)
        with contextlib.suppress(InputError):  # it holds a training of other data or settings
            if is_finished(folder, task.config(settings, pretrained)):
                found[job] = Result(metrics.read_predictions(folder), folder, f"trainings of the run {run.name}")
    return found


def shipped(jobs: Sequence[Job], profile: str) -> dict[Job, Result]:
    """The shipped weights on the jobs' test clips. They have learned from rendered people that are in no database."""
    model = load_model(SHIPPED[0])
    if config.profile(profile).clips.size != model.network.size:
        return {}
    suitable = [job for job in jobs if job.model == model.network.settings.variant]
    stores, found = _stores(suitable, profile), {}
    for database in dict.fromkeys(job.database for job in suitable):
        store = stores[database]
        known = np.isin(store.labels, model.network.classes)
        tested = {job: _held_out(job, profile, stores) & known for job in suitable if job.database == database}
        rows = np.flatnonzero(np.any([*tested.values()], axis=0))  # all jobs' clips at once
        if len(rows):
            predictions = predict(model, store, rows)
            for job, held_out in tested.items():
                if held_out.any():
                    own = predictions[held_out[rows]].reset_index(drop=True)
                    found[job] = Result(own, SHIPPED[0], f"shipped weights {SHIPPED[0]!r}")
    return found


def by_stream(weights: Path | str, tested: pd.DataFrame, store: Store) -> dict[str, float]:
    """The accuracy, 0 to 1, of parts of a network alone: of the ``pictures``, and of its ``landmark streams`` if any.

    Args:
        weights: what `load_model` needs.
        tested: predictions of the network for clips of the store, of which the clips and labels count.
        store: where they lie.
    """
    model = load_model(weights)
    row_of = pd.Series(store.manifest.index, index=store.manifest["clip"])
    streams = stream_logits(model, store, row_of[tested["clip"]].to_numpy())
    alone = {"pictures": streams[0]}
    if len(streams) > 1:
        alone["landmark streams"] = model.network.combine(torch.cat([torch.zeros_like(streams[:1]), streams[1:]]))
    classes = np.array(model.network.classes)
    return {part: float((classes[logits.argmax(1)] == tested["label"]).mean()) for part, logits in alone.items()}


def _stores(jobs: Sequence[Job], profile: str) -> dict[str, Store]:
    """The stores of the jobs, each brought up to date once."""
    names = dict.fromkeys(name for job in jobs for name in (job.database, *job.trained_on))
    return {name: pipeline.store(name, profile) for name in names}


def _held_out(job: Job, profile: str, stores: Mapping[str, Store]) -> np.ndarray:
    """Which clips of its database the job tests on, (N,) bool."""
    store = stores[job.database]
    if job.trained_on:  # the clips that a training of this job would be tested on
        learned = [stores[name].manifest for name in job.trained_on]
        _, rows, _ = splits.cross_split(learned, store.manifest)
    else:
        folds = splits.number_of_folds(store.manifest, config.profile(profile).folds)
        _, rows = splits.fold_split(store.manifest, job.fold, folds)
    return np.isin(np.arange(len(store)), rows)


def find(jobs: Sequence[Job], profile: str, run: Path) -> dict[Job, Result]:
    """The results of the first source that has any of the jobs, of as many as it has.

    Args:
        jobs: trainings of the grid.
        profile: the size of data and network.
        run: the run's folder, where finished trainings lie.

    Raises:
        InputError: no source has one of them.
    """
    if found := trained(jobs, profile, run) or shipped(jobs, profile):
        return found
    names = ", ".join(dict.fromkeys(pipeline.title(job.database) for job in jobs))
    raise InputError(f"{run} holds no finished training on {names}", f"make tables PROFILE={profile} RUN={run.name}")
