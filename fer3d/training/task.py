"""What one training learns from and is tested on: a fold of one store, or whole stores against another database."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from fer3d import __version__, files, labels, program
from fer3d.config import Profile
from fer3d.data import splits
from fer3d.data.store import Store, digest
from fer3d.errors import InputError
from fer3d.model import weights
from fer3d.training.batches import Clips
from fer3d.training.run import learned_by, read_config, run_folder


@dataclass(frozen=True)
class Task:
    """The clips of one training and of its test."""

    classes: tuple[str, ...]
    train: Clips
    test_store: Store
    test_rows: np.ndarray
    """The rows of the test store's manifest that are tested."""
    data: dict[str, Any]
    """Databases, fingerprints, counts and split, for the run's config."""
    left_out: dict[str, int]
    """Clips of the test store whose class no training database has, by class."""

    @classmethod
    def build(cls, stores: Sequence[Store], profile: Profile, fold: int, test: Store | None) -> Self:
        """The held-out fold of one store, or all of the stores against the test store."""
        _check_alike([*stores, *([test] if test else [])], profile)
        left_out: dict[str, int] = {}
        split: dict[str, Any]
        if test is not None:
            if len({store.metadata["fingerprint"] for store in stores}) < len(stores):
                raise InputError("a store to train on is given twice: expected each once")
            classes, tested, left_out = splits.cross_split([store.manifest for store in stores], test.manifest)
            learned, test_store = [(store, np.arange(len(store))) for store in stores], test
            split = {"kind": "cross-database"}
        elif len(stores) == 1:
            test_store = stores[0]
            manifest, published = test_store.manifest, profile.published_folds
            classes = labels.classes_of(test_store.database, test_store.labels)
            folds = splits.number_of_folds(manifest, profile.folds, published)
            _check_folds(test_store, folds)
            rows, tested = splits.fold_split(manifest, fold, folds, published)
            learned, split = [(test_store, rows)], {"kind": "fold", "fold": fold, "folds": folds}
        else:
            raise InputError(f"{len(stores)} stores to train on need another one to test on", "--test STORE")
        if len(classes) < 2:
            raise InputError(f"all clips are of the class {classes[0]}: training needs clips of two classes or more")
        # Another release of scikit-learn may draw other folds from the same call, so the test clips are recorded.
        split["test_clips"] = files.fingerprint(sorted(test_store.manifest["clip"].iloc[tested]))
        data = {"train": [_source(store) for store in stores], "test": _source(test_store), "split": split}
        return cls(classes, Clips(learned, classes), test_store, tested, data, left_out)

    def config(self, profile: Profile, pretrained: Path | str | None) -> dict[str, Any]:
        """All that the result depends on, JSON-ready: the run's config (see `run`)."""
        start = self._start(pretrained) if pretrained else None
        settings = replace(profile, clips=self.test_store.settings).as_dict()
        for name in ("pretraining", "finetuning", "standins"):  # the fingerprints of run and stores stand for them
            del settings[name]
        config = {
            "fer3d": f"{__version__}+{program.digest('fer3d.training.train')}",
            "profile": settings,
            "labels": self.classes,
            "data": {**self.data, "pretrained": start},
        }
        return json.loads(json.dumps(config))

    def _start(self, pretrained: Path | str) -> dict[str, Any]:
        """The run to start from: its identity, its weights, and all that it and the runs before it have learned.

        Raises:
            InputError: they have learned clips that are tested here; or the run is not finished.
        """
        start, stored = read_config(pretrained), run_folder(pretrained) / "model.safetensors"
        learned, tested = learned_by(start), self.data["test"]["fingerprint"]
        if any(each["fingerprint"] == tested and each["split"] != self.data["split"] for each in learned):
            raise InputError(
                f"{pretrained} has learned clips that are tested here", "a run with the same fold held out"
            )
        if not stored.exists():
            raise weights.unfinished(stored)
        return {"run": files.fingerprint(start), "weights": digest(stored), "learned": learned}

    @property
    def counts(self) -> dict[str, Any]:
        """What ``metrics.json`` says of the clips, beside the metrics."""
        present = set(self.train.targets.tolist())
        never_seen = [name for k, name in enumerate(self.classes) if k not in present]
        return {"train_clips": len(self.train), "left_out": self.left_out, "never_seen": never_seen}


def _source(store: Store) -> dict[str, Any]:
    counts = {name: store.metadata.get(name, 0) for name in ("clips", "padded", "rejected", "skipped")}
    return {"database": store.database, "fingerprint": store.metadata["fingerprint"], **counts}


def _check_folds(store: Store, folds: int) -> None:
    """An `InputError` where there is only one fold, that is, no clip to train on or none to test."""
    if folds >= 2:
        return
    people = splits.subjects_of(store.manifest).unique()
    only = f"of one subject, {people[0]}" if len(people) == 1 else "in one fold"
    why = f"; left out: {store.why_rejected}" if store.why_rejected else ""
    raise InputError(
        f"all clips are {only}: folds need two or more{why}",
        f"{store.path / 'rejected.csv'}, which lists what is left out and why" if why else "--test STORE",
    )


def _check_alike(stores: Sequence[Store], profile: Profile) -> None:
    """An `InputError` for stores of another size than the profile's, or cut in different ways."""
    for store in stores:
        if store.settings.size != profile.clips.size:
            raise InputError(
                f"the clips of {store.path} have {store.settings.size} pixels, those of profile {profile.name} "
                f"{profile.clips.size}",
                f"fer3d prepare --profile {profile.name} --set clips.size={profile.clips.size}",
            )
        if unlike := sorted(store.settings.as_dict().items() - stores[0].settings.as_dict().items()):
            setting = ", ".join(f"{name} = {value}" for name, value in unlike)
            raise InputError(f"only {store.path} was prepared with {setting}", "preparing all stores alike")
