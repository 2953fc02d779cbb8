"""Augmentation: points and pixels move together."""

import cmath
import dataclasses
import math

import pytest
import torch
from augmented import augment

from fer3d.config import TrainingSettings
from fer3d.data.landmarks import MIRROR
from fer3d.training.augment import draw

SIZE = 64
STILL = TrainingSettings(mirror=False, rotation=0, scale=0, shift=0)


def params(clips, seed=0):
    return draw(clips, torch.Generator().manual_seed(seed))


def painted(point):
    """One clip of one frame with a soft dot at (x, y), and 66 landmarks all there."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    dot = torch.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / 8)
    return dot.expand(1, 3, 1, SIZE, SIZE).clone(), torch.tensor(point).float().expand(1, 1, 66, 2).clone()


def found(clip):
    """Centre of mass (x, y) of the one frame's first channel."""
    frame = clip[0, 0, 0]
    weight = frame / frame.sum()
    along = torch.arange(SIZE, dtype=frame.dtype)
    return torch.stack([(weight.sum(0) * along).sum(), (weight.sum(1) * along).sum()])


@pytest.mark.parametrize(
    "settings",
    [
        dataclasses.replace(STILL, mirror=True),
        dataclasses.replace(STILL, rotation=30.0),
        dataclasses.replace(STILL, scale=0.3),
        dataclasses.replace(STILL, shift=0.2),
        TrainingSettings(),
    ],
    ids=["mirror", "rotation", "scale", "shift", "all"],
)
@pytest.mark.parametrize("seed", range(4))
def test_points_and_pixels_move_together(settings, seed):
    clips, landmarks = painted((40.0, 25.0))
    moved, points = augment(clips, landmarks, settings, params(1, seed))
    assert torch.allclose(found(moved), points[0, 0, 0], atol=0.05)
    assert settings.mirror or not torch.allclose(points, landmarks)


@pytest.mark.parametrize("side", [-1, 1], ids=["mirrored", "as it is"])
def test_one_map_by_hand(side):
    """With points as complex numbers: each draw has its own part, and 1 is the end of its range."""
    clips, landmarks = painted((40.0, 25.0))
    settings = dataclasses.replace(STILL, mirror=True, rotation=30.0, scale=0.2, shift=0.1)
    _, points = augment(clips, landmarks, settings, torch.tensor([[side, 1, 0.5, -1, 0.25]]))
    z = complex(side * (40 - 31.5), 25 - 31.5)
    expected = 1.1 * cmath.rect(1, math.radians(30)) * z + complex(31.5 - 6.4, 31.5 + 1.6)
    assert points[0, 0, 0].tolist() == pytest.approx([expected.real, expected.imag], abs=1e-4)


def test_nothing_asked_changes_nothing():
    clips, landmarks = painted((40.0, 25.0))
    moved, points = augment(clips, landmarks, STILL, params(1))
    assert torch.allclose(moved, clips, atol=1e-5)
    assert torch.equal(points, landmarks)


def test_mirror_renames_left_and_right():
    assert [MIRROR[MIRROR[i]] for i in range(66)] == list(range(66))
    assert {i: MIRROR[i] for i in (0, 8, 17, 36, 39, 40, 48, 54, 60, 61, 63)} == {
        0: 16, 8: 8, 17: 26, 36: 45, 39: 42, 40: 47, 48: 54, 54: 48, 60: 62, 61: 61, 63: 65,
    }  # fmt: skip
    clips = torch.zeros(32, 3, 1, SIZE, SIZE)
    x = 10.0 + torch.arange(66.0)
    landmarks = torch.stack([x, torch.zeros(66)], -1).expand(32, 1, 66, 2)
    _, points = augment(clips, landmarks, dataclasses.replace(STILL, mirror=True), params(32))
    flipped = points[:, 0, 8, 0] == SIZE - 1 - x[8]
    assert 0 < flipped.sum() < 32
    assert torch.equal(points[flipped][:, 0, :, 0], (SIZE - 1 - x[list(MIRROR)]).expand(int(flipped.sum()), 66))
    assert torch.equal(points[~flipped], landmarks[~flipped])


def test_one_map_a_clip_the_same_for_all_its_frames():
    clips = torch.rand(3, 3, 1, SIZE, SIZE).expand(3, 3, 5, SIZE, SIZE)
    landmarks = torch.rand(3, 1, 66, 2).expand(3, 5, 66, 2) * SIZE
    moved, points = augment(clips, landmarks, TrainingSettings(), params(3))
    assert torch.allclose(moved, moved[:, :, :1].expand_as(moved))
    assert torch.allclose(points, points[:, :1].expand_as(points))
    assert not torch.allclose(points[0], points[1])


def test_missing_points_stay_missing_and_the_draw_decides():
    clips, landmarks = torch.rand(2, 3, 1, SIZE, SIZE), torch.rand(2, 1, 66, 2) * SIZE
    landmarks[1] = torch.nan
    first, again, other = (augment(clips, landmarks, TrainingSettings(), params(2, seed)) for seed in (5, 5, 6))
    assert torch.isnan(first[1][1]).all() and torch.isfinite(first[1][0]).all()
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


def test_a_clip_is_augmented_the_same_in_whatever_company():
    """So the result doesn't depend on how a batch is shared out among processes."""
    clips, landmarks, rows = torch.rand(4, 3, 1, SIZE, SIZE), torch.rand(4, 1, 66, 2) * SIZE, params(4)
    whole, points = augment(clips, landmarks, TrainingSettings(), rows)
    alone, its_points = augment(clips[2:3], landmarks[2:3], TrainingSettings(), rows[2:3])
    assert torch.allclose(alone[0], whole[2], atol=1e-6) and torch.allclose(its_points[0], points[2], atol=1e-4)


def test_landmark_noise_is_a_detectors_constant_error_and_moves_no_pixel():
    settings = TrainingSettings(mirror=False, rotation=0, scale=0, shift=0, landmark_noise=0.1)
    clips, points = torch.rand(3, 3, 4, 16, 16), 16 * torch.rand(3, 4, 66, 2)
    moved, noisy = augment(clips, points, settings, torch.full((3, 5), 0.5))
    error = noisy - points
    torch.testing.assert_close(moved, clips, rtol=1e-4, atol=1e-4)
    assert error.std() > 0.1
    torch.testing.assert_close(error, error[:, :1].expand_as(error), rtol=1e-3, atol=1e-4)
