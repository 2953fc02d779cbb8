"""Pre-training for the shipped weights, sized so that rendering and training end in a given time on this machine.

    python -m benchmarks.training.pretrained --work DIR --out DIR [--render 190] [--train 240] [--limit 585]

A few people are rendered and trained on first, to measure how fast the machine is. The number of people and of epochs
follows; the command prints them, as the ``fer3d pretrain`` command that does the same without measuring. DIR of
``--out`` receives the finished run without its rendered people, and the held-out clips' logits of each stream
(``streams.npz``), by which the streams are weighed.
"""

import argparse
import dataclasses
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fer3d import config
from fer3d.data.store import Store, open_store
from fer3d.evaluation import metrics
from fer3d.standins import rendered_store
from fer3d.training.batches import Clips, batches, normalise_clips
from fer3d.training.pretraining import pretrain
from fer3d.training.run import load_model
from fer3d.workers import processors

SETTINGS = {
    "network": {"shape_stream": True},
    "training": {"weight_decay": 5e-4, "landmark_noise": 0.03, "rotation": 10.0},
}
"""Changes to the recipe ``joint`` of profile ``laptop``."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is rendered; needs 15 GB")
    parser.add_argument("--out", type=Path, required=True, help="folder for the result")
    parser.add_argument("--render", type=float, default=190, help="seconds for rendering")
    parser.add_argument("--train", type=float, default=240, help="seconds for training")
    parser.add_argument("--limit", type=float, default=585, help="seconds for everything")
    parser.add_argument("--recordings", type=int, default=6, help="of each person")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=processors())
    chosen = parser.parse_args()
    started = time.perf_counter()
    base = config.make_profile("laptop", "3d+landmarks", "joint", device=chosen.device)
    given = {"recordings": chosen.recordings, "batch_size": chosen.batch_size, "lr": chosen.lr, "epochs": 2}
    base = base.from_params({**SETTINGS, "pretraining": given}, base)

    few = dataclasses.replace(base, pretraining=dataclasses.replace(base.pretraining, people=6 * chosen.workers))
    probe = chosen.work / "probe"
    rendered_store.write(probe / rendered_store.DATABASE, few.pretraining, few.clips, chosen.workers)
    each = (time.perf_counter() - started) / few.pretraining.people
    pretrain(probe, few, chosen.workers)
    clips = len(open_store(probe / rendered_store.DATABASE))
    rate = 0.95 * clips / pd.read_csv(probe / "log.csv")["seconds"].iloc[-1]
    people = int(np.clip(chosen.render / each, 2 * chosen.workers, 4000))
    print(f"{each:.3f} s a person, {rate:.0f} clips/s: {people} people", flush=True)

    settings = dataclasses.replace(base.pretraining, people=people)
    run = chosen.work / "run"
    rendered_store.write(run / rendered_store.DATABASE, settings, base.clips, chosen.workers)
    left = min(chosen.train, chosen.limit - 30 - (time.perf_counter() - started))
    clips = len(open_store(run / rendered_store.DATABASE))
    epochs = int(np.clip(left * rate / clips, 4, 60))
    sets = " ".join(
        f"--set {group}.{name}={json.dumps(value)}" for group, each in SETTINGS.items() for name, value in each.items()
    )
    print(
        f"{clips} clips after {time.perf_counter() - started:.0f} s\nfer3d pretrain --out RUN --recipe joint "
        f"--people {people} --epochs {epochs} --set pretraining.recordings={chosen.recordings} "
        f"--set pretraining.batch_size={chosen.batch_size} --set pretraining.lr={chosen.lr} {sets}",
        flush=True,
    )
    result = pretrain(run, dataclasses.replace(base, pretraining=dataclasses.replace(settings, epochs=epochs)))
    print({name: result[name] for name in ("n", "accuracy", "uar", "majority", "interval", "seconds")}, flush=True)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for file in run.glob("*.*"):
        if file.is_file() and not file.name.startswith("."):
            shutil.copy(file, chosen.out)
    streams(run, open_store(run / rendered_store.DATABASE), base.training.clip_norm, chosen.out / "streams.npz")
    print(f"{time.perf_counter() - started:.0f} s in all")


@torch.no_grad()
def streams(run: Path, store: Store, clip_norm: config.ClipNorm, out: Path) -> None:
    """Write the held-out clips' logits of each stream, (S, N, K) in single precision, with their labels and names."""
    network = load_model(run).network
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device)
    rows = np.flatnonzero(store.manifest["clip"].isin(metrics.read_predictions(run)["clip"]))
    clips, found = Clips([(store, rows)], network.classes), []
    for part in batches(np.arange(len(clips)), 128):
        frames, landmarks, _ = clips.batch(part, device)
        found.append(network.stream_logits(normalise_clips(frames, clip_norm), landmarks).cpu().numpy())
    named = store.manifest.iloc[rows]
    np.savez_compressed(
        out,
        logits=np.concatenate(found, axis=1),
        labels=named["label"].to_numpy(str),
        clips=named["clip"].to_numpy(str),
        classes=np.array(network.classes),
    )


if __name__ == "__main__":
    main()
