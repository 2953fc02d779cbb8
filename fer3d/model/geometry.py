"""How far the landmarks moved: what a linear classifier reads, and the network's second stream where it has one."""

from torch import Tensor


def displacement(landmarks: Tensor) -> Tensor:
    """How far each point moved since the clip's first frame, the face's own shift and size taken out.

    Args:
        landmarks: (B, T, 66, 2) pixels, NaN where missing.

    Returns:
        (B, T, 66, 2) in sizes of the face, the root mean square distance of its points from their mean.
        A point that is missing, now or in the first frame, has not moved.
    """
    points = landmarks - landmarks.nanmean(dim=2, keepdim=True)
    points = points / points.square().nanmean(dim=(2, 3), keepdim=True).sqrt()
    return (points - points[:, :1]).nan_to_num()
