"""The landmark filter: Eq. 2 and Section 3.2 of the paper, for a batch at any grid.

``w(L, P) = 1 - 0.1 * d(L, P)`` for every cell P of a 7 x 7 window round each landmark L,
with d their Manhattan distance in cells of the grid that the filter is multiplied with.

The paper leaves open what follows; each line is tested.

- A landmark at x pixels of a crop of ``size`` pixels lies in cell ``floor(x * grid / size)``.
- Cells outside all windows weigh 0.
- Where windows overlap, the larger weight counts (``overlap="max"``), or their sum (``"sum"``).
- A landmark outside the crop keeps its window: those cells of it that lie inside the grid count.
- A missing landmark (NaN or infinite) has no window.
- A weight that a large window would make negative is 0.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from fer3d.errors import InputError

Distance = Literal["manhattan", "euclidean", "chebyshev"]
Overlap = Literal["max", "sum"]


def window_weights(
    window: int = 7,
    slope: float = 0.1,
    distance: Distance = "manhattan",
    device: torch.device | str | None = None,
) -> Tensor:
    """Eq. 2 as a table: the weights of one window, (window, window) float32 in 0..1, largest in the middle.

    Computed in double precision and rounded once: in single precision 1 - 0.1 * 6 is not 0.4.
    Raises `InputError` for a window that has no middle, a bad slope or an unknown distance.

    >>> window_weights(window=3)
    tensor([[0.8000, 0.9000, 0.8000],
            [0.9000, 1.0000, 0.9000],
            [0.8000, 0.9000, 0.8000]])
    """
    if window < 1 or window % 2 == 0:
        raise InputError(f"window = {window}", "an odd number of cells", "window = 7")
    if not (math.isfinite(slope) and slope >= 0):
        raise InputError(f"slope = {slope}", "a finite number, 0 or more", "slope = 0.1")
    offset = (torch.arange(window, device=device) - window // 2).abs().double()
    dy, dx = offset[:, None], offset[None, :]
    match distance:
        case "manhattan":
            distances = dy + dx
        case "euclidean":
            distances = torch.sqrt(dy * dy + dx * dx)
        case "chebyshev":
            distances = torch.maximum(dy, dx)
        case _:
            raise InputError(f"distance = {distance!r}", "manhattan, euclidean or chebyshev", "distance = 'manhattan'")
    return (1 - slope * distances).clamp(min=0).float()


def landmark_cells(landmarks: Tensor, size: int, grid: int) -> Tensor:
    """The grid's cell of each landmark: (..., 2) pixels of a ``size`` x ``size`` crop to (..., 2) float cells (x, y).

    Whole numbers, below 0 or from ``grid`` on outside the crop; NaN stays NaN. In double
    precision the product is exact, so that every device finds the same cell for a landmark
    on a cell's edge.
    """
    return (landmarks.double() * grid) // size


@torch.no_grad()
def landmark_filter(
    landmarks: Tensor,
    size: int,
    grid: int,
    window: int = 7,
    slope: float = 0.1,
    distance: Distance = "manhattan",
    overlap: Overlap = "max",
) -> Tensor:
    """The filter w of Eq. 2 and 3 for a batch, on the device of the points.

    ``landmarks`` (B, T, L, 2) are (x, y) in pixels of a crop of ``size`` x ``size``, NaN where
    missing. Returns (B, 1, T, grid, grid) float32, rows are y: 0..1, or 0..L for ``overlap="sum"``.
    Raises `InputError` for an unusable setting, ``ValueError`` for points of another shape.
    """
    if landmarks.ndim != 4 or landmarks.shape[-1] != 2:
        raise ValueError(f"landmarks of shape {tuple(landmarks.shape)}, wanted (B, T, L, 2)")
    if size < 1 or grid < 1:
        raise ValueError(f"size {size} and grid {grid}, wanted 1 or more")
    if overlap not in ("max", "sum"):
        raise InputError(f"overlap = {overlap!r}", "max or sum", "overlap = 'max'")
    weights = window_weights(window, slope, distance, landmarks.device)
    batch, frames, half = *landmarks.shape[:2], window // 2

    # Each window is written whole into a grid with a margin, which is then cut off. A missing
    # landmark, or one too far outside, lies where its window stays within the margin.
    side = grid + 2 * window
    cells = landmark_cells(landmarks, size, grid).nan_to_num(nan=-window).clamp(-half - 1, grid + half)
    x, y = (cells.long() + window).unbind(-1)
    offset = torch.arange(-half, half + 1, device=landmarks.device)
    index = (y * side + x)[..., None] + (offset[:, None] * side + offset).flatten()  # (B, T, L, window * window)
    index = index.flatten(2)
    values = weights.flatten().repeat(landmarks.shape[2]).expand(index.shape)

    if overlap == "max":
        filled = values.new_zeros(batch, frames, side * side).scatter_reduce(2, index, values, "amax")
    else:  # in double precision, where these sums are exact and so don't depend on their order
        filled = values.new_zeros(batch, frames, side * side, dtype=torch.double).scatter_add(2, index, values.double())
    return filled.float().view(batch, 1, frames, side, side)[..., window:-window, window:-window].contiguous()


def coverage(filter: Tensor) -> float:
    """Share of the filter's cells that any landmark reaches (weight above 0), 0..1."""
    return (filter > 0).float().mean().item()
