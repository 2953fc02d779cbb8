"""The landmarks' displacement, by hand; it does not depend on where the face is and how large."""

import math

import torch

from fer3d.data.landmarks import EYE_CORNERS, displacement, shape


def faces():
    return torch.rand(2, 10, 66, 2, generator=torch.Generator().manual_seed(0)) * 64


def test_displacement_by_hand():
    cross = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    wider = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0]])
    moved = displacement(torch.stack([cross, wider])[None])
    assert moved[0, 0].count_nonzero() == 0
    x, y = 2 / math.sqrt(2.5) - 1 / math.sqrt(1), 1 / math.sqrt(2.5) - 1  # root mean square over both coordinates
    torch.testing.assert_close(moved[0, 1], torch.tensor([[-x, -y], [x, -y], [-x, y], [x, y]]))


def test_displacement_ignores_the_faces_shift_and_size():
    points = faces()
    sizes, shifts = torch.rand(2, 10, 1, 1) + 0.5, torch.rand(2, 10, 1, 2) * 100
    torch.testing.assert_close(displacement(points * sizes + shifts), displacement(points), rtol=1e-4, atol=1e-5)


def test_a_missing_landmark_has_not_moved():
    points = faces()
    points[0, 3, 7] = torch.nan  # one point now
    points[0, 0, 9] = torch.nan  # one in the first frame
    points[0, 5] = torch.nan  # a whole frame
    points[1, 0] = torch.inf  # what no reader gives
    moved = displacement(points)
    assert moved.isfinite().all()
    assert moved[0, 3, 7].count_nonzero() == moved[0, :, 9].count_nonzero() == moved[0, 5].count_nonzero() == 0
    assert moved[0, 3].count_nonzero() > 100 and moved[1].count_nonzero() == 0


def test_shape_ignores_the_faces_shift_size_and_tilt_and_keeps_what_is_held():
    points = 20 * torch.rand(2, 10, 66, 2, generator=torch.Generator().manual_seed(0))
    angle = torch.tensor(0.3)
    turn = torch.stack([torch.stack([angle.cos(), angle.sin()]), torch.stack([-angle.sin(), angle.cos()])])
    torch.testing.assert_close(shape(3 * points @ turn + 7), shape(points), rtol=1e-3, atol=1e-4)
    held = points[:, :1].expand(-1, 10, -1, -1)
    assert not displacement(held).any() and shape(held).abs().max() > 0.5
    left, right = (shape(held)[:, :, corner, 1] for corner in EYE_CORNERS)
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


def test_shape_has_no_gaps():
    points = 20 * torch.rand(1, 4, 66, 2, generator=torch.Generator().manual_seed(0))
    points[:, 2], points[:, :, 5] = torch.nan, torch.nan
    assert shape(points).isfinite().all() and not shape(points)[:, :, 5].any()
