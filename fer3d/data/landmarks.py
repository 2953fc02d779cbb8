"""The 66 landmarks of Section 3.2: which of 300-W's 68 points they are, their order in a mirror, their motion."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # data preparation does not load torch
    from torch import Tensor

KEPT = np.delete(np.arange(68), (60, 64))
"""Which of the 68 points of 300-W are the paper's 66 (counted from 0): all but the inner mouth corners."""
COUNT = len(KEPT)
"""The number of landmarks."""
EYE_CORNERS = (36, 45)
"""The outer eye corners among the 66; their distance is the inter-ocular distance (iod)."""
NOSE_TIP, CHEEKS = 30, (0, 16)
"""The tip of the nose and both ends of the jaw's contour."""
REGIONS = (slice(0, 17), slice(17, 27), slice(27, 36), slice(36, 48), slice(48, COUNT))
"""Outline, brows, nose, eyes and mouth among the 66."""
BROWS, INNER_PARTS = REGIONS[1], REGIONS[1:]
"""Brows, nose, eyes and mouth."""

MIRROR_68 = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
     41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)  # fmt: skip
"""For each of the 68 points of 300-W its mirror image."""
MIRROR = tuple(np.searchsorted(KEPT, MIRROR_68[KEPT]).tolist())
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
    points = _in_sizes(landmarks)
    return (points - points[:, :1]).nan_to_num()


def shape(landmarks: "Tensor") -> "Tensor":
    """Where each landmark lies in the face, without the face's place, size and tilt.

    Unlike `displacement` it shows an expression that is held, mixed with the shape of the person's face.

    Args:
        landmarks: (B, T, 66, 2) pixels, NaN where missing.

    Returns:
        (B, T, 66, 2) in sizes of the face as in `displacement`, turned so that the outer eye corners are level on
        the average of the clip. A missing landmark lies at its mean place in the clip, or, missing throughout, at 0.
    """
    points = _in_sizes(landmarks)
    left, right = EYE_CORNERS
    level = (points[:, :, right] - points[:, :, left]).nanmean(dim=1).nan_to_num()  # (B, 2)
    cos, sin = (level / level.norm(dim=1, keepdim=True).clamp(min=1e-6))[:, :, None, None].unbind(1)  # (B, 1, 1) each
    upright = points.clone()
    upright[..., 0] = cos * points[..., 0] + sin * points[..., 1]
    upright[..., 1] = cos * points[..., 1] - sin * points[..., 0]
    return upright.where(~upright.isnan(), upright.nanmean(dim=1, keepdim=True)).nan_to_num()


def _in_sizes(landmarks: "Tensor") -> "Tensor":
    """(B, T, 66, 2) from the mean of each frame's landmarks on, in their root mean square distance from it."""
    points = landmarks - landmarks.nanmean(dim=2, keepdim=True)
    return points / points.square().nanmean(dim=(2, 3), keepdim=True).sqrt()
