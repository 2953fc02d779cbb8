"""Landmark-aware augmentation: frames and landmarks move together, on the device.

The paper names no augmentation. With a few hundred clips it matters more than anything else in the recipe, so it
is a named departure. One affine map per clip leaves the motion between frames as it was.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fer3d.config import TrainingSettings
from fer3d.data.landmarks import COUNT, EYE_CORNERS, MIRROR, REGIONS
from fer3d.training.batches import to_device


def draw(clips: int, generator: torch.Generator) -> Tensor:
    """The random parameters of `moves` for so many clips, (N, 5) from -1 to 1, one row per clip.

    Drawn beforehand and on the CPU, so that a seed means the same on every device and with any number of processes.
    """
    return 2 * torch.rand(clips, 5, generator=generator) - 1


@dataclass(frozen=True)
class Moves:
    """The affine maps of B clips. They are computed on the CPU, so that no step waits for a GPU."""

    theta: Tensor
    """(B, 2, 3) from each new pixel to where it is sampled, as `affine_grid` takes it."""
    turn: Tensor
    """(B, 2, 2) rotation, scale and mirror of points around the picture's centre: new = turn @ old + shift."""
    shift: Tensor
    """(B, 2) shift of the points, in pixels."""
    mirrored: Tensor
    """(B,) whether a clip is mirrored: its left landmarks then become right ones."""


def moves(params: Tensor, size: int, settings: TrainingSettings) -> Moves:
    """The moves of clips of ``size`` pixels, from rows (B, 5) of `draw`; a setting of 0 switches its part off."""
    mirrored = (params[:, 0] < 0) & settings.mirror
    angle = torch.deg2rad(params[:, 1] * settings.rotation)
    scale = 1 + params[:, 2] * settings.scale
    shift = params[:, 3:] * settings.shift * size

    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    turn[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]

    # `affine_grid` counts from the centre, in units of half the side.
    back = torch.linalg.inv(turn)
    origin = -back @ (2 / size * shift)[:, :, None]
    return Moves(torch.cat([back, origin], dim=2), turn, shift, mirrored)


def move_pictures(clips: Tensor, theta: Tensor) -> Tensor:
    """Clips (B, C, T, H, W) float, moved as ``theta`` (B, 2, 3) says. What comes into view from outside is 0."""
    B, C, T, H, W = clips.shape
    grid = functional.affine_grid(theta, [B, C * T, H, W], align_corners=False)
    return functional.grid_sample(clips.reshape(B, C * T, H, W), grid, align_corners=False).reshape(clips.shape)


def move_landmarks(landmarks: Tensor, places: Moves, size: int, settings: TrainingSettings) -> Tensor:
    """Landmarks (B, T, 66, 2) moved with their clips, and with a detector's error where the settings ask for one.

    In pixels of the crop, x before y, a pixel's centre at whole numbers; NaN (missing) stays NaN.
    """
    centre = (size - 1) / 2  # of a square; a plain number, since a tensor would have to be copied to the GPU
    wanted = (places.turn, places.shift, places.mirrored, torch.tensor(MIRROR))
    turn, shift, mirrored, names = (to_device(values, landmarks.device) for values in wanted)
    points = torch.einsum("bij,btlj->btli", turn, landmarks - centre)
    points = points + centre + shift[:, None, None]
    renamed = torch.where(mirrored[:, None, None, None], points.index_select(2, names), points)
    if settings.landmark_noise:
        renamed = renamed + settings.landmark_noise * _detector_error(renamed)
    return renamed


def inter_ocular(landmarks: Tensor) -> Tensor:
    """The mean inter-ocular distance (B, 1, 1, 1) of clips' landmarks (B, T, 66, 2), in their unit."""
    left, right = EYE_CORNERS
    return (landmarks[:, :, right] - landmarks[:, :, left]).norm(dim=-1).nanmean(dim=1)[:, None, None, None]


def _detector_error(landmarks: Tensor) -> Tensor:
    """(B, 1, 66, 2) pixels for ``landmark_noise`` = 1, constant over a clip; drawn by each process, as dropout is."""
    each = torch.randn(len(landmarks), 1, COUNT, 2, device=landmarks.device) / 2
    regions = torch.randn(len(landmarks), 1, len(REGIONS), 2, device=landmarks.device)
    sizes = torch.tensor([len(range(COUNT)[rows]) for rows in REGIONS], device=landmarks.device)
    return inter_ocular(landmarks) * (each + regions.repeat_interleave(sizes, dim=2, output_size=COUNT))
