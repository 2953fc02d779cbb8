"""The 66 landmarks of Section 3.2: which of 300-W's 68 points they are, their order in a mirror, their motion."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # data preparation does not load torch
    from torch import Tensor

KEPT = np.delete(np.arange(68), (60, 64))
"""Which of the 68 points of 300-W are the paper's 66 (counted from 0): all but the inner mouth corners."""
EYE_CORNERS = (36, 45)
"""The outer eye corners among the 66; their distance is the inter-ocular distance (iod)."""


def _mirror_order() -> tuple[int, ...]:
    """For each of the 66 landmarks its mirror image.

    Among the 68 points, each run of left points below mirrors the run of right points beside it.
    """
    mirrored = {8: 8, 27: 27, 28: 28, 29: 29, 30: 30, 33: 33, 51: 51, 57: 57, 62: 62, 66: 66}
    runs = (
        (range(0, 8), range(16, 8, -1)),  # jaw
        (range(17, 22), range(26, 21, -1)),  # brows
        (range(31, 33), range(35, 33, -1)),  # nostrils
        (range(36, 40), range(45, 41, -1)),  # upper lids with the corners
        (range(40, 42), range(47, 45, -1)),  # lower lids
        (range(48, 51), range(54, 51, -1)),  # upper edge of the lips
        (range(58, 60), range(56, 54, -1)),  # lower edge of the lips
        ((61, 67), (63, 65)),  # inner lips
    )
    for left, right in runs:
        for a, b in zip(left, right, strict=True):
            mirrored[a], mirrored[b] = b, a
    kept = sorted(mirrored)
    return tuple(kept.index(mirrored[point]) for point in kept)


MIRROR = _mirror_order()
"""``points[..., MIRROR, :]`` renames the 66 points of a mirrored face."""


def displacement(landmarks: "Tensor") -> "Tensor":
    """How far each landmark moved since the clip's first frame, without the face's own shift and change of size.

    The network's landmark stream and the linear baseline read it.

    Args:
        landmarks: (B, T, 66, 2) pixels, NaN where missing.

    Returns:
        (B, T, 66, 2) in sizes of the face, the root mean square distance of its landmarks from their mean.
        A landmark that is missing, now or in the first frame, has not moved.
    """
    points = landmarks - landmarks.nanmean(dim=2, keepdim=True)
    points = points / points.square().nanmean(dim=(2, 3), keepdim=True).sqrt()
    return (points - points[:, :1]).nan_to_num()
