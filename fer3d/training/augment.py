"""Landmark-aware augmentation: frames and landmarks move together, on the device.

The paper names no augmentation. With a few hundred clips it matters more than anything else in the recipe, so it
is a named departure. One affine map per clip leaves the motion between frames as it was.
"""

import torch
from torch import Tensor
from torch.nn import functional

from fer3d.config import TrainingSettings
from fer3d.data.landmarks import EYE_CORNERS, MIRROR, REGIONS
from fer3d.training.batches import to_device


def draw(clips: int, generator: torch.Generator) -> Tensor:
    """The random parameters of `augment` for so many clips, (N, 5) from -1 to 1, one row per clip.

    Drawn beforehand and on the CPU, so that a seed means the same on every device and with any number of processes.
    """
    return 2 * torch.rand(clips, 5, generator=generator) - 1


def augment(clips: Tensor, landmarks: Tensor, settings: TrainingSettings, params: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror, rotate, scale and shift each clip at random, its landmarks with it.

    Args:
        clips: (B, C, T, H, W) float. What comes into view from outside is 0.
        landmarks: (B, T, 66, 2) pixels of the crop, x before y, a pixel's centre at whole numbers;
            NaN (missing) stays NaN.
        settings: the ranges; a range of 0 leaves the clip as it is.
        params: (B, 5) from -1 to 1, the clips' rows of `draw`.

    Returns:
        The two, moved; same shapes, types and devices.
    """
    B, C, T, H, W = clips.shape
    mirrored = (params[:, 0] < 0) & settings.mirror
    angle = torch.deg2rad(params[:, 1] * settings.rotation)
    scale = 1 + params[:, 2] * settings.scale
    shift = params[:, 3:] * settings.shift * W

    # The map from old to new pixels, round the centre: new = turn @ (old - centre) + centre + shift.
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    turn[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]

    # Sampling needs the place that each new pixel comes from, in units of half the side from the centre.
    back = torch.linalg.inv(turn)
    origin = -back @ (2 / W * shift)[:, :, None]
    theta = to_device(torch.cat([back, origin], dim=2), clips.device)
    grid = functional.affine_grid(theta, [B, C * T, H, W], align_corners=False)
    moved = functional.grid_sample(clips.reshape(B, C * T, H, W), grid, align_corners=False)

    centre = (W - 1) / 2  # of a square; a plain number, since a tensor would have to be copied to the GPU
    moves = (turn, shift, mirrored, torch.tensor(MIRROR))
    turn, shift, mirrored, names = (to_device(values, landmarks.device) for values in moves)
    points = torch.einsum("bij,btlj->btli", turn, landmarks - centre)
    points = points + centre + shift[:, None, None]
    renamed = torch.where(mirrored[:, None, None, None], points.index_select(2, names), points)
    if settings.landmark_noise:
        renamed = renamed + settings.landmark_noise * _detector_error(renamed)
    return moved.reshape(B, C, T, H, W), renamed


def _detector_error(landmarks: Tensor) -> Tensor:
    """(B, 1, 66, 2) pixels, of deviation about the inter-ocular distance; drawn as dropout is, by each process."""
    left, right = EYE_CORNERS
    distance = (landmarks[:, :, right] - landmarks[:, :, left]).norm(dim=-1).nanmean(dim=1)[:, None, None, None]
    each = torch.randn(len(landmarks), 1, 66, 2, device=landmarks.device) / 2
    regions = torch.randn(len(landmarks), 1, len(REGIONS), 2, device=landmarks.device)
    sizes = torch.tensor([len(range(66)[rows]) for rows in REGIONS], device=landmarks.device)
    return distance * (each + regions.repeat_interleave(sizes, dim=2, output_size=66))
