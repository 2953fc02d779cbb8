"""The landmark filter: Eq. 2 and Section 3.2 of the paper, for a batch at any grid.

``w(L, P) = 1 - 0.1 * d(L, P)`` for every cell P of a 7 x 7 window round each landmark L,
with d their Manhattan distance in cells of the grid that the filter is multiplied with.

The paper leaves open what follows; each line is tested.

- The crop is "resized to the filter's size": a landmark at x pixels of a crop of ``size`` pixels, counted from the
  middle of the first one, lies in cell ``floor((x + 0.5) * grid / size)``. So the filter of a mirrored face is the
  mirrored filter. (A feature map's cells see places up to half a cell further left and up, since its convolutions
  pad evenly and step from the first pixel.)
- Cells outside all windows weigh 0.
- Where windows overlap, the larger weight counts (``overlap="max"``), or their sum (``"sum"``).
- A landmark outside the crop keeps its window: those cells of it that lie inside the grid count.
- A missing landmark (NaN or infinite) has no window.
- A weight that a large window would make negative is 0.
"""

import math
import typing

import torch
from torch import Tensor

from fer3d.config import Distance, Overlap


def landmark_cells(landmarks: Tensor, size: int, grid: int) -> Tensor:
    """The grid's cell of each landmark: (..., 2) pixels of a ``size`` x ``size`` crop to (..., 2) float cells (x, y).

    A pixel's middle has whole coordinates, so that the crop reaches from -0.5 to ``size`` - 0.5. The cells are whole
    numbers, below 0 or from ``grid`` on outside the crop; NaN stays NaN. In double precision the product of single
    precision coordinates is exact and no quotient is rounded up to a whole number, so that every device finds the
    same cell for a landmark on a cell's edge.
    """
    return landmarks.double().add(0.5).mul_(grid).div_(size).floor_()


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
    """The filter w of Eq. 2 and 3 for a batch, on the device of the landmarks.

    Args:
        landmarks: (B, T, L, 2), (x, y) in pixels of a crop of ``size`` x ``size``, NaN where missing.
        size: side of the crop in pixels.
        grid: side of the filter in cells.
        window: side of the square window in cells, odd.
        slope: weight lost per unit of distance, 0 or more.
        distance: how the columns and the rows between a landmark and a cell make one distance.
        overlap: what a cell of several windows weighs: their largest weight or their sum.

    Returns:
        (B, 1, T, grid, grid) float32, rows are y: 0..1, or 0..L for ``overlap="sum"``.
    """
    if landmarks.ndim != 4 or landmarks.shape[-1] != 2:
        raise ValueError(f"landmarks of shape {tuple(landmarks.shape)}: expected (B, T, L, 2)")
    known = distance in typing.get_args(Distance) and overlap in typing.get_args(Overlap)
    if not (min(size, grid, window) >= 1 and window % 2 and slope >= 0 and known):
        raise ValueError(f"unusable options {size=}, {grid=}, {window=}, {slope=}, {distance=}, {overlap=}")

    # Distances are whole numbers of cells; Euclidean ones stay squared until the end. `far` and more: no window there.
    half, euclidean = window // 2, distance == "euclidean"
    far = 1 + {"manhattan": 2 * half, "chebyshev": half, "euclidean": 2 * half**2}[distance]
    small = next(kind for kind in (torch.uint8, torch.int16, torch.int64) if 2 * far <= torch.iinfo(kind).max)
    combine = torch.maximum if distance == "chebyshev" else torch.add

    # Along x from each landmark to each column and along y to each row: (L, grid, B, T).
    # Clips and frames come last because long inner loops are fast.
    cells = landmark_cells(landmarks, size, grid).nan_to_num_(nan=math.inf).permute(3, 2, 0, 1).contiguous()
    lines = torch.arange(grid, device=landmarks.device)[:, None, None]
    steps = torch.arange(half + 2, device=landmarks.device)
    along = torch.where(steps > half, far, steps.pow(2 if euclidean else 1)).to(small)
    dx, dy = _look_up(along, (lines - cells.unsqueeze(2)).abs_().clamp_(max=half + 1))
    dx, dy = dx.unsqueeze(1), dy.unsqueeze(2)  # (L, 1, grid, B, T) and (L, grid, 1, B, T)

    # Eq. 2, in double precision and rounded once: in single precision 1 - 0.1 * 6 is not 0.4.
    d = torch.arange(2 * far + 1, dtype=torch.double, device=landmarks.device)
    weight = (1 - slope * (d.sqrt() if euclidean else d)).clamp_(min=0).float()
    weight[far:] = 0
    if overlap == "max" and len(dx):
        w = _look_up(weight, combine(dx, dy).amin(0))  # the nearest landmark's
    else:  # eight landmarks at a time, which bounds the memory; in double precision the sum is exact in any order
        eights = zip(dx.split(8), dy.split(8), strict=True)
        w = torch.stack([_look_up(weight, combine(*eight)).sum(0, dtype=torch.double) for eight in eights]).sum(0)
    return w.float().permute(2, 3, 0, 1).unsqueeze(1).contiguous()


def _look_up(table: Tensor, numbers: Tensor) -> Tensor:
    """The table's entry for each of the numbers, in their shape."""
    return table.index_select(0, numbers.int().flatten()).view(numbers.shape)


def coverage(filter: Tensor) -> float:
    """Share of the filter's cells that any landmark reaches (weight above 0), 0..1."""
    return (filter > 0).float().mean().item()
