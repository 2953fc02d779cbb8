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

import itertools
import math
import typing

import torch
from torch import Tensor

from fer3d.config import Distance, Overlap
from fer3d.errors import InputError


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
    _check(window, slope, distance)
    offset = (torch.arange(window, device=device) - window // 2).abs()
    dy, dx = offset[:, None], offset[None, :]
    if distance == "chebyshev":
        return _weights(torch.maximum(dy, dx), slope, distance)
    return _weights(dy * dy + dx * dx if distance == "euclidean" else dy + dx, slope, distance)


def _check(window: int, slope: float, distance: Distance) -> None:
    if window < 1 or window % 2 == 0:
        raise InputError(f"window = {window}", "an odd number of cells", "window = 7")
    if not (math.isfinite(slope) and slope >= 0):
        raise InputError(f"slope = {slope}", "a finite number, 0 or more", "slope = 0.1")
    if distance not in typing.get_args(Distance):
        raise InputError(f"distance = {distance!r}", ", ".join(typing.get_args(Distance)), "distance = 'manhattan'")


def _weights(measure: Tensor, slope: float, distance: Distance) -> Tensor:
    """Eq. 2 for distances in whole numbers, the Euclidean ones squared."""
    distances = measure.double().sqrt() if distance == "euclidean" else measure.double()
    return (1 - slope * distances).clamp(min=0).float()


def landmark_cells(landmarks: Tensor, size: int, grid: int) -> Tensor:
    """The grid's cell of each landmark: (..., 2) pixels of a ``size`` x ``size`` crop to (..., 2) float cells (x, y).

    Whole numbers, below 0 or from ``grid`` on outside the crop; NaN stays NaN. In double
    precision the product of single precision coordinates is exact and no quotient is rounded up
    to a whole number, so that every device finds the same cell for a landmark on a cell's edge.
    """
    return landmarks.double().mul(grid).div_(size).floor_()


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
    if overlap not in typing.get_args(Overlap):
        raise InputError(f"overlap = {overlap!r}", ", ".join(typing.get_args(Overlap)), "overlap = 'max'")
    _check(window, slope, distance)

    # A map with a margin as wide as a window's reach, and one cell more: what lies beyond is set there, as is
    # what is missing, for no window comes from there into the grid.
    half = window // 2
    margin, side = half + 1, grid + 2 * (half + 1)
    cells = landmark_cells(landmarks, size, grid).nan_to_num_(nan=-math.inf).clamp_(-margin, grid + half).add_(margin)
    index = torch.add(cells[..., 0], cells[..., 1], alpha=side).long()
    shape = (*landmarks.shape[:2], side, side)
    inside = (..., slice(margin, margin + grid), slice(margin, margin + grid))

    if overlap == "max":
        widest = {"manhattan": 2 * half, "euclidean": 2 * half * half, "chebyshev": half}[distance]
        nearest = _nearest(index, shape, half, distance, widest)[inside]
        by_measure = _weights(torch.arange(2 * widest + 2, device=landmarks.device), slope, distance)
        by_measure[widest + 1 :] = 0
        filled = by_measure.index_select(0, nearest.int().flatten()).view(nearest.shape)
    else:  # in double precision, where these sums are exact and so don't depend on their order
        counts = torch.zeros(shape, dtype=torch.double, device=landmarks.device).flatten(2)
        counts = counts.scatter_add(2, index, torch.ones_like(index, dtype=torch.double)).view(shape)
        weights, total = window_weights(window, slope, distance, landmarks.device), torch.zeros_like(counts[inside])
        for row, column in itertools.product(range(window), range(window)):
            total += weights[row, column] * counts[..., row + 1 : row + 1 + grid, column + 1 : column + 1 + grid]
        filled = total.float()
    return filled.unsqueeze(1)


def _nearest(index: Tensor, shape: tuple[int, ...], half: int, distance: Distance, widest: int) -> Tensor:
    """Each cell's distance to the nearest landmark of its frame, as `_weights` wants it; above ``widest``: none.

    The larger weight is the nearer landmark's, and a distance is put together from what lies across and
    what lies along. So a window of k x k cells takes 2 k operations on whole maps of bytes, not k x k.
    """
    small = torch.uint8 if 2 * widest + 1 < 256 else torch.int32
    nearest = torch.full(shape, widest + 1, dtype=small, device=index.device).flatten(2)
    zeros = torch.zeros_like(index, dtype=small)  # written four times as fast as a plain 0
    nearest = nearest.scatter_(2, index, zeros).flatten()
    for stride in (1, shape[-1]):  # as the maps lie in memory: what runs over a line's end stays in the margin
        away = nearest.clone()
        for cells in range(1, half + 1):
            if distance == "chebyshev":
                away.clamp_(min=cells)
            else:
                away += 2 * cells - 1 if distance == "euclidean" else 1
            step = cells * stride
            for here, there in ((nearest[step:], away[:-step]), (nearest[:-step], away[step:])):
                torch.minimum(here, there, out=here)
    return nearest.view(shape)


def coverage(filter: Tensor) -> float:
    """Share of the filter's cells that any landmark reaches (weight above 0), 0..1."""
    return (filter > 0).float().mean().item()
