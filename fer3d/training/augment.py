"""Landmark-aware augmentation: frames and points move together, on the device.

The paper names no augmentation. With some hundred clips it decides more than anything
else in the recipe, so it is a named departure. One affine map a clip keeps the motion
between frames as it was.
"""

import torch
from torch import Tensor
from torch.nn import functional

from fer3d.config import TrainingSettings
from fer3d.data.landmarks import MIRROR
from fer3d.training.batches import sent


def draw(clips: int, generator: torch.Generator) -> Tensor:
    """What chance decides for so many clips, (N, 5) from -1 to 1, a row a clip.

    Drawn beforehand and on the CPU, so that a seed means the same on every device, and however
    the clips are shared out among processes.
    """
    return 2 * torch.rand(clips, 5, generator=generator) - 1


def augment(clips: Tensor, landmarks: Tensor, settings: TrainingSettings, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror, rotate, scale and shift each clip at random, its landmarks with it.

    Args:
        clips: (B, C, T, H, W) float. What comes into view from outside is 0.
        landmarks: (B, T, 66, 2) pixels of the crop, x before y, a pixel's centre at whole numbers;
            NaN (missing) stays NaN.
        settings: the ranges; those of 0 leave the clip as it is.
        drawn: (B, 5) from -1 to 1, the clips' rows of `draw`.

    Returns:
        The two, moved; same shapes, types and devices.
    """
    B, C, T, H, W = clips.shape
    mirrored = (drawn[:, 0] < 0) & settings.mirror
    angle = torch.deg2rad(drawn[:, 1] * settings.rotation)
    scale = 1 + drawn[:, 2] * settings.scale
    shift = drawn[:, 3:] * settings.shift * W

    # The map from old to new pixels, round the centre: new = turn @ (old - centre) + centre + shift.
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    turn[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]

    # Sampling asks where each new pixel comes from, in units of half the side from the centre.
    back = torch.linalg.inv(turn)
    origin = -back @ (2 / W * shift)[:, :, None]
    theta = sent(torch.cat([back, origin], dim=2), clips.device)
    grid = functional.affine_grid(theta, [B, C * T, H, W], align_corners=False)
    moved = functional.grid_sample(clips.reshape(B, C * T, H, W), grid, align_corners=False)

    centre = landmarks.new_tensor([(W - 1) / 2, (H - 1) / 2])
    turn, shift, mirrored, names = (sent(x, landmarks.device) for x in (turn, shift, mirrored, torch.tensor(MIRROR)))
    points = torch.einsum("bij,btlj->btli", turn, landmarks - centre)
    points = points + centre + shift[:, None, None]
    renamed = torch.where(mirrored[:, None, None, None], points.index_select(2, names), points)
    return moved.reshape(B, C, T, H, W), renamed
