"""The explorer of notebook 02: the landmark filter of one clip."""

import typing
from typing import Any

import numpy as np
import torch

from fer3d.config import Distance, Overlap
from fer3d.model.filters import landmark_filter
from fer3d.workbook.explorers.explorer import Explorer, choice, slider
from fer3d.workbook.explorers.panels import SIDE, coloured, darkened, enlarged, side_by_side, with_points


def explore_filter(frames: np.ndarray, points: np.ndarray, data: str) -> Explorer:
    """The landmark filter of one clip under other settings of Eq. 2, alone and over the face.

    Args:
        frames: (T, H, W, 3) uint8.
        points: (T, 66, 2) pixels.
        data: the clip's database, for the title.
    """
    size = frames.shape[1]

    def draw(frame: int, grid: int, distance: Distance, overlap: Overlap, window: int, slope: float) -> np.ndarray:
        t = frame - 1
        weights = weights_of(points[t], size, grid, window, slope, distance, overlap)
        face = enlarged(frames[t])
        panels = with_points(face, points[t], SIDE / size, 2), coloured(weights, 1.0), darkened(face, weights)
        covered = f"{grid} x {grid}: {np.mean(weights > 0):.0%} above 0, mean {weights.mean():.2f}"
        return side_by_side(
            panels, (f"{data}, frame {frame} of {len(frames)}", covered, "bright: kept by the shortcut")
        )

    return Explorer(
        draw,
        frame=slider("frame", len(frames), 1, len(frames)),
        grid=choice("grid", (38, 18, 16, 7)),
        distance=choice("distance", typing.get_args(Distance)),
        overlap=choice("overlap", typing.get_args(Overlap)),
        window=slider("window", 7, 1, 15, 2),
        slope=slider("slope", 0.1, 0.0, 0.3, 0.02),
    )


def weights_of(points: np.ndarray, *settings: Any) -> np.ndarray:
    """The landmark filter (G, G) of one frame's landmarks (66, 2), with settings as `landmark_filter` takes them."""
    return landmark_filter(torch.from_numpy(np.array(points[None, None])), *settings)[0, 0, 0].numpy()
