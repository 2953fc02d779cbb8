"""Reading clips: the memory-mapped store against decoding pictures of the same clips.

    python -m benchmarks.data.data [--clips 32] [--batch 8] [--repeats 5]

Clips of ten crops of 299 pixels, smooth pictures with sensor noise, in the page cache, on one
thread: how fast batches of bytes come from the store as training reads them, from the same crops as
PNG files, and from 640 x 480 PNG sources of which the crop is cut and scaled without looking for
the face. The store gives its memory map and reads nothing before it is used, so in each way every
byte is looked at once. How long a training waits for its clips is in `benchmarks.training.training`.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch

from benchmarks.common import LABELS, medians, random_store, report
from fer3d import config
from fer3d.training.batches import Clips, batches

SOURCE = (480, 640)


def pictures(number: int, height: int, width: int) -> np.ndarray:
    """(number, height, width, 3) uint8: what compresses as a photograph does, not as noise or a plain area."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (number, 12, 12, 3)).astype(np.float32)
    smooth = np.stack([cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC) for c in coarse])
    return (smooth + rng.normal(0, 2, smooth.shape)).clip(0, 255).astype(np.uint8)


def write(folder: Path, frames: np.ndarray) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:05d}.png" for number in range(len(frames))]
    for file, frame in zip(files, frames, strict=True):
        cv2.imwrite(str(file), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return files


def decoded(files: list[Path], side: int | None = None) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) from PNG files; with ``side`` a square of the middle, scaled to it."""
    for file in files:
        frame = cv2.imread(str(file))
        if side is not None:
            frame = cv2.resize(frame[90:390, 170:470], (side, side), interpolation=cv2.INTER_AREA)
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def read(clips: Clips, batch: int) -> Iterator[np.ndarray]:
    """All clips (T, H, W, 3) from their store, in the order of a training."""
    order = np.random.default_rng(0).permutation(len(clips))
    for chosen in batches(order, batch):
        yield from (clip.numpy() for clip in clips.batch(chosen, torch.device("cpu"))[0])


def look(pictures: Iterable[np.ndarray]) -> int:
    """The largest of all bytes: each is read once."""
    return max(int(picture.max()) for picture in pictures)


def compare(folder: Path, clips: int, batch: int, repeats: int) -> pd.DataFrame:
    """A row a way to read all of the clips."""
    settings = config.ClipSettings()
    T, S = settings.num_frames, settings.size
    store = random_store(folder / "store", settings, clips)
    crops = pictures(clips * T, S, S)
    np.load(store.path / "frames.npy", mmap_mode="r+")[:] = crops.reshape(clips, T, S, S, 3)
    as_crops = write(folder / "crops", crops)
    as_sources = write(folder / "sources", pictures(T, *SOURCE)) * clips
    mapped = Clips([(store, np.arange(clips))], LABELS)
    stored = torch.cat(mapped.batch(np.arange(clips), torch.device("cpu"))[0]).numpy()
    if not np.array_equal(stored, np.stack(list(decoded(as_crops)))):
        raise AssertionError("the ways read different pictures")
    seconds = medians(
        {
            "memory-mapped store": lambda: look(read(mapped, batch)),
            "PNG crops of 299 x 299": lambda: look(decoded(as_crops)),
            "PNG sources of 640 x 480, cropped": lambda: look(decoded(as_sources, S)),
        },
        repeats,
    )
    fastest = seconds["memory-mapped store"]
    rows: list[dict[str, Any]] = [
        {"way": way, "clips/s": clips / taken, "the store is faster by": taken / fastest}
        for way, taken in seconds.items()
    ]
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8, help="clips read at once from the store")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        table = compare(Path(folder), chosen.clips, chosen.batch, chosen.repeats)
    report("reading clips", table, {"clips": chosen.clips, "batch": chosen.batch, "threads": 1})


if __name__ == "__main__":
    main()
