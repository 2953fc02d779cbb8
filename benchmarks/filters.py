"""How fast the landmark filter is: against plain loops, and as a share of a training step.

    python benchmarks/filters.py [--threads 2] [--repeats 5]

The loops go frame by frame, landmark by landmark and through the cells of its window, on
NumPy arrays. Both results are compared bit for bit first.
"""

import argparse
from typing import Any

import numpy as np
import pandas as pd
import torch
from network import LABELS, Subject, about, arguments, medians, report, ways
from torch import Tensor

from fer3d.config import NetworkSettings, profile
from fer3d.filters import window_weights
from fer3d.network import Network, grids


def by_loops(landmarks: Tensor, size: int, grid: int, settings: NetworkSettings) -> np.ndarray:
    """Eq. 2 landmark by landmark and cell by cell: (B, 1, T, grid, grid)."""
    weights = window_weights(settings.window, settings.slope, settings.distance).numpy()
    half = settings.window // 2
    points = landmarks.cpu().numpy()
    result = np.zeros((len(points), 1, points.shape[1], grid, grid), np.float32)
    for clip, maps in zip(points, result[:, 0], strict=True):
        for frame, cells in zip(clip, maps, strict=True):
            for x, y in frame:
                column, row = int(x * grid // size), int(y * grid // size)
                for r in range(max(0, row - half), min(grid, row + half + 1)):
                    for c in range(max(0, column - half), min(grid, column + half + 1)):
                        cells[r, c] = max(cells[r, c], weights[r - row + half, c - column + half])
    return result


def compare(name: str, batch: int, step_batch: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """One profile's row: both ways for ``batch`` clips and both grids, and the share in a step of ``step_batch``."""
    settings, size, device = profile(name).network, profile(name).clips.size, torch.device(chosen.device)
    sides = grids(size, settings.stem_strides)[:2]
    network = Network(settings, LABELS, size)
    subject = Subject(network, ways(device, compiled=False)[-1], step_batch, size, device)
    landmarks = torch.rand(batch, 10, 66, 2).mul(size).to(device)

    def fast(points: Tensor) -> list[Tensor]:
        return [made for side in sides if (made := network.filter(points, side)) is not None]

    def slow() -> list[np.ndarray]:
        return [by_loops(landmarks, size, side, settings) for side in sides]

    equal = all(np.array_equal(a.cpu(), b) for a, b in zip(fast(landmarks), slow(), strict=True))
    repeats = min(chosen.repeats, 3)
    whole = medians({"filter": lambda: fast(landmarks), "loops": slow}, repeats, device)
    share = medians({"filter": lambda: fast(subject.landmarks), "step": subject.step}, repeats, device)
    return {
        "profile": name,
        "clips": batch,
        "grids": " ".join(map(str, sides)),
        "bit-equal": equal,
        "loops ms": 1e3 * whole["loops"],
        "filter ms": 1e3 * whole["filter"],
        "ratio": whole["loops"] / whole["filter"],
        "% of a training step": 100 * share["filter"] / share["step"],
    }


def main() -> None:
    chosen = arguments(__doc__)
    rows = [compare("paper", 32, 1, chosen), compare("laptop", 32, 8, chosen)]
    report("landmark filter", pd.DataFrame(rows), about(chosen))


if __name__ == "__main__":
    main()
