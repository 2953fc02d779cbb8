"""How fast the landmark filter is: against plain loops, and as a share of a training step.

    python -m benchmarks.model.filters [--profiles laptop paper] [--threads 2] [--repeats 5]

Two plain loops on NumPy arrays, both with Eq. 2 as it reads: over all pixels and all landmarks of a
frame; and over each landmark's window, cell by cell. They run on one clip, the filter on a batch;
times are per clip. All results are compared bit for bit first.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.common import LABELS, Subject, about, arguments, medians, report, ways
from fer3d.config import profile
from fer3d.model.network import Network, grids

CALLS = 50
"""Calls of the filter that are timed together, because one is too short; its share of a step is of a single call."""


def by_pixels(points: np.ndarray, size: int, grid: int, half: int, slope: float) -> np.ndarray:
    """For each pixel of each frame, all landmarks: (T, L, 2) to (T, grid, grid)."""
    filled = np.zeros((len(points), grid, grid), np.float32)
    for frame, cells in zip(points, filled, strict=True):
        for row in range(grid):
            for column in range(grid):
                for x, y in frame:
                    dx, dy = abs(column - int((x + 0.5) * grid // size)), abs(row - int((y + 0.5) * grid // size))
                    if dx <= half and dy <= half:
                        cells[row, column] = max(cells[row, column], 1 - slope * (dx + dy))
    return filled


def by_windows(points: np.ndarray, size: int, grid: int, half: int, slope: float) -> np.ndarray:
    """For each landmark, the cells of its window."""
    filled = np.zeros((len(points), grid, grid), np.float32)
    for frame, cells in zip(points, filled, strict=True):
        for x, y in frame:
            column, row = int((x + 0.5) * grid // size), int((y + 0.5) * grid // size)
            for dy in range(-half, half + 1):
                for dx in range(-half, half + 1):
                    r, c = row + dy, column + dx
                    if 0 <= r < grid and 0 <= c < grid:
                        cells[r, c] = max(cells[r, c], 1 - slope * (abs(dx) + abs(dy)))
    return filled


def compare(name: str, batch: int, step_batch: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """The row of one profile: both loops, the filter of ``batch`` clips and its share of a step of ``step_batch``."""
    settings, size, device = profile(name).network, profile(name).clips.size, torch.device(chosen.device)
    sides = grids(size, settings.stem_strides)[:2]
    network = Network(settings, LABELS, size)
    subject = Subject(network, ways(device, compiled=False)[-1], step_batch, size, device)
    landmarks = torch.rand(batch, 10, 66, 2).mul(size).to(device)
    first = landmarks[0].cpu().numpy()

    def fast(points: Tensor) -> list[Tensor]:
        return [made for side in sides if (made := network.filter(points, side)) is not None]

    def plain(loop: Callable[..., np.ndarray]) -> list[np.ndarray]:
        return [loop(first, size, side, settings.window // 2, settings.slope) for side in sides]

    made = [w[0, 0].cpu().numpy() for w in fast(landmarks)]
    equal = all(map(np.array_equal, made * 2, plain(by_pixels) + plain(by_windows)))
    repeats = min(chosen.repeats, 3)
    seconds = medians(
        {
            "pixels": lambda: plain(by_pixels),
            "windows": lambda: plain(by_windows),
            "filter": lambda: [fast(landmarks) for _ in range(CALLS)],
            "share": lambda: fast(subject.landmarks),
            "step": subject.step,
        },
        repeats,
        device,
    )
    a_clip = seconds["filter"] / CALLS / batch
    return {
        "profile": name,
        "grids": " ".join(map(str, sides)),
        "bit-equal": equal,
        "all pixels ms": 1e3 * seconds["pixels"],
        "windows ms": 1e3 * seconds["windows"],
        "filter ms": 1e3 * a_clip,
        "ratio to all pixels": seconds["pixels"] / a_clip,
        "ratio to windows": seconds["windows"] / a_clip,
        "% of a training step": 100 * seconds["share"] / seconds["step"],
    }


def main() -> None:
    chosen = arguments(__doc__)
    rows = [compare(name, 32, 1 if name == "paper" else 8, chosen) for name in chosen.profiles]
    report("landmark filter", pd.DataFrame(rows), about(chosen))


if __name__ == "__main__":
    main()
