"""Pre-training on rendered people: weights to start from, where a database has a few hundred clips.

A named option, and a departure: the paper trains from scratch on each database. The result is a run like any
other, of a store that `rendered_store` renders; `train(..., pretrained=run)` starts from its weights.
"""

import dataclasses
from pathlib import Path
from typing import Any

from fer3d import files, paths
from fer3d.config import Profile
from fer3d.data.store import open_store
from fer3d.errors import InputError
from fer3d.standins import rendered_store
from fer3d.training.run import check_folder, is_begun, read_config
from fer3d.training.train import train

_HELD_OUT = 20
"""One person in so many is held out, to test what was learned."""


def pretrain(out: Path | str, profile: Profile, workers: int | None = None) -> dict[str, Any]:
    """Render people into the run folder ``out`` and train on them; returns the contents of its ``metrics.json``.

    The same call resumes an interrupted pre-training, and returns the result of a finished one.
    ``profile`` gives the people, the network and its input. Raises `InputError` as `train` does.
    """
    settings, store = profile.pretraining, paths.rendered_people(Path(out))
    _check(Path(out), store, rendered_store.source_of(settings, profile.clips))  # before people are rendered
    rendered_store.write(store, settings, profile.clips, workers)
    recipe = dataclasses.replace(
        profile.training, epochs=settings.epochs, batch_size=settings.batch_size, lr=settings.lr, seed=settings.seed
    )
    folds = min(_HELD_OUT, settings.people)
    return train([open_store(store)], out, dataclasses.replace(profile, training=recipe, folds=folds))


def _check(out: Path, store: Path, source: str) -> None:
    """An `InputError` where no run can be begun in the folder, or it holds another run or other people."""
    check_folder(out)
    if not is_begun(out):
        return
    learned = {each["database"] for each in read_config(out)["data"]["train"]}
    stored = files.read_json(store / "prepared.json") if (store / "prepared.json").exists() else {}
    if learned != {rendered_store.DATABASE} or stored.get("source_fingerprint", source) != source:
        raise InputError(f"{out} holds another run, of other people or settings", "another --out")
