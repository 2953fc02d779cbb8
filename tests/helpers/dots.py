"""Stores in which only the direction of a dot's motion tells the class, and a small training on them."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from fer3d import files, labels
from fer3d.config import ClipSettings, NetworkSettings, Profile, TrainingSettings
from fer3d.data.store import FLAWLESS, Store, array_specs, open_store
from fer3d.data.writer import writer

SIZE, FRAMES = 32, 4
PROFILE = Profile(
    name="test",
    clips=ClipSettings(size=SIZE, num_frames=FRAMES, min_found=FRAMES),
    network=NetworkSettings(width=0.125, stem_strides=(2, 2, 1), window=3, lstm_units=16),
    training=TrainingSettings(epochs=3, batch_size=8, lr=0.02, device="cpu"),
    folds=3,
)


def moving_dots(database="mmi", subjects=9, clips=4, size=SIZE, seed=0, names=None):
    """A store in which only the direction of a dot's motion tells the class."""
    rng = np.random.default_rng(seed)
    names = names or labels.CLASSES[database]
    N = subjects * clips
    kind = rng.integers(len(names), size=N)
    angle = 2 * np.pi * kind / len(names)
    way = np.stack([np.cos(angle), np.sin(angle)], -1)[:, None] * np.linspace(0, size / 4, FRAMES)[None, :, None]
    points = rng.uniform(0.4 * size, 0.6 * size, (N, 1, 2)) + way
    y, x = np.mgrid[:size, :size]
    distance = (x - points[..., 0, None, None]) ** 2 + (y - points[..., 1, None, None]) ** 2
    picture = 255 * np.exp(-distance / 8) * 0.8 + rng.uniform(0, 20, (N, FRAMES, size, size))
    manifest = pd.DataFrame(
        {
            "clip": [f"{database}-{i}" for i in range(N)],
            "database": database,
            "subject": [f"S{i // clips:03d}" for i in range(N)],
            "label": np.asarray(names)[kind],
            "frame_rate": 30.0,
        }
    )
    settings = ClipSettings(size=size, num_frames=FRAMES, min_found=FRAMES)
    arrays = {name: np.zeros((N, *shape), kind) for name, (kind, shape) in array_specs(settings).items()}
    arrays["frames"][:] = picture[..., None]
    arrays["landmarks"][:] = points[:, :, None]
    metadata = {"database": database, "settings": settings.as_dict(), "fingerprint": f"{database}-{seed}-{size}"}
    return Store(path=Path(), manifest=manifest, rejected=pd.DataFrame(), metadata=metadata, **arrays)


def written(store, path, **more):
    """The store on disk, as `fer3d prepare` leaves it, opened; ``more`` goes into its metadata."""
    rest = {**FLAWLESS, "sequence": "S"}
    rows = store.manifest.assign(**rest).to_dict("records")
    metadata = {"database": store.database, "source_fingerprint": "dots", "skipped": 0, **more}
    with writer(path, store.settings, metadata) as new:
        new.put(rows, {name: getattr(store, name) for name in array_specs(store.settings)})
    return open_store(path)


def with_training(**changes):
    """`PROFILE` with other training settings."""
    return dataclasses.replace(PROFILE, training=dataclasses.replace(PROFILE.training, **changes))


def with_network(**changes):
    """`PROFILE` with other network settings."""
    return dataclasses.replace(PROFILE, network=dataclasses.replace(PROFILE.network, **changes))


def results(run):
    """What a run leaves, without the times."""
    metrics = files.read_json(run / "metrics.json")
    log = pd.read_csv(run / "log.csv")
    return (
        (run / "model.safetensors").read_bytes(),
        (run / "predictions.csv").read_bytes(),
        log.drop(columns="seconds").to_csv(),
        {name: value for name, value in metrics.items() if name != "seconds"},
    )
