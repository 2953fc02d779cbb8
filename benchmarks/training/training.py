"""Training at a profile's size: clips a second, and where a step's time goes.

    python -m benchmarks.training.training [--profile laptop] [--variant 3d+landmarks] [--steps 20]

Threads follow OMP_NUM_THREADS. The clips are random: the time does not depend on what they show.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from benchmarks.common import random_store, report
from fer3d import config, labels
from fer3d.data.store import Store
from fer3d.model.network import Network, grids
from fer3d.training import loop
from fer3d.training.augment import draw, move_landmarks, move_pictures, moves
from fer3d.training.batches import Clips, network_input, normalise_clips, to_device
from fer3d.training.devices import best_device, best_precision

spent: dict[str, float] = {}


@contextmanager
def phase(name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    spent[name] = spent.get(name, 0) + time.perf_counter() - started


def steps(store: Store, profile: config.Profile, number: int) -> None:
    """The body of the training loop, each part timed."""
    settings, classes = profile.training, labels.CLASSES["ckplus"]
    clips = Clips([(store, np.arange(len(store)))], classes)
    device = best_device()
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=best_precision(device) == "bf16")
    network = Network(profile.network, classes, profile.clips.size)
    network.to(device=device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    sgd = loop.optimiser(network, settings)
    generator = torch.Generator().manual_seed(0)
    for step in range(number + 3):
        if step == 3:
            spent.clear()  # the first steps choose kernels
        chosen = np.arange(step * settings.batch_size, (step + 1) * settings.batch_size) % len(clips)
        with phase("read and upload"):
            frames, landmarks, targets = clips.batch(chosen, device)
            together = torch.stack(frames)  # on the CPU the first use reads them: here by itself, so that it is timed
        with phase("normalise"):
            pictures = normalise_clips(together, settings.clip_norm)
        with phase("augment"), autocast:
            places = moves(draw(len(chosen), generator), network.size, settings)
            pictures = network_input(move_pictures(pictures, to_device(places.theta, device)))
            landmarks = move_landmarks(landmarks, places, network.size, settings)
        with phase("forward"), autocast:
            loss = functional.cross_entropy(network(pictures, landmarks), targets)
        with phase("backward"):
            sgd.zero_grad()
            loss.backward()
        with phase("optimiser"):
            sgd.step()
    with torch.no_grad(), phase("filters (part of forward)"):
        for _ in range(number):
            for grid in grids(network.size, network.settings.stem_strides)[:2]:
                network.filter(landmarks, grid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="laptop", choices=config.PROFILES)
    parser.add_argument("--variant", default="3d+landmarks", choices=config.VARIANTS)
    parser.add_argument("--steps", default=20, type=int)
    chosen = parser.parse_args()
    profile = config.profile(chosen.profile)
    profile = dataclasses.replace(profile, network=dataclasses.replace(profile.network, variant=chosen.variant))
    with tempfile.TemporaryDirectory() as folder:
        store = random_store(Path(folder, "store"), profile.clips, 4 * profile.training.batch_size)
        steps(store, profile, chosen.steps)
    filters = spent.pop("filters (part of forward)")
    total = sum(spent.values())
    rate = chosen.steps * profile.training.batch_size / total
    parts = {**spent, "filters (part of forward)": filters}
    rows = [
        {"part": name, "ms a step": 1000 * seconds / chosen.steps, "%": 100 * seconds / total}
        for name, seconds in parts.items()
    ]
    about = {
        "profile": profile.name,
        "variant": chosen.variant,
        "device": best_device().type,
        "precision": best_precision(best_device()),
        "threads": torch.get_num_threads(),
        "batch": profile.training.batch_size,
        "clips/s": round(rate, 1),
    }
    report("training steps", pd.DataFrame(rows), about)


if __name__ == "__main__":
    main()
