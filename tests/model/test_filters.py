"""Eq. 2 against a plain loop over frames, landmarks and pixels, bit for bit."""

import itertools
import math

import numpy as np
import pytest
import torch

from fer3d.model.filters import coverage, landmark_cells, landmark_filter

NAN = math.nan


def by_loops(landmarks, size, grid, window=7, slope=0.1, distance="manhattan", overlap="max"):
    """Eq. 2 word by word, in Python's double precision."""
    measure = {
        "manhattan": lambda dx, dy: abs(dx) + abs(dy),
        "euclidean": lambda dx, dy: math.sqrt(dx * dx + dy * dy),
        "chebyshev": lambda dx, dy: max(abs(dx), abs(dy)),
    }[distance]
    half = window // 2
    batch, frames = landmarks.shape[:2]
    result = torch.zeros(batch, 1, frames, grid, grid)
    for b, t, row, column in itertools.product(range(batch), range(frames), range(grid), range(grid)):
        found = []
        for x, y in landmarks[b, t].tolist():
            if not (math.isfinite(x) and math.isfinite(y)):
                continue
            dx, dy = column - math.floor((x + 0.5) * grid / size), row - math.floor((y + 0.5) * grid / size)
            if abs(dx) <= half and abs(dy) <= half:
                found.append(float(np.float32(max(0.0, 1 - slope * measure(dx, dy)))))
        if found:
            result[b, 0, t, row, column] = max(found) if overlap == "max" else math.fsum(found)
    return result


def scattered(size, points=9, frames=3, batch=2, seed=0):
    """Landmarks inside, at and beyond the border, some missing, many overlapping."""
    generator = torch.Generator().manual_seed(seed)
    points = (torch.rand(batch, frames, points, 2, generator=generator) * 1.4 - 0.2) * size
    points[0, 0, 0] = NAN
    points[0, 1, 1, 0] = NAN
    points[1, 0] = NAN  # a frame without any landmark
    points[1, 1, :4] = torch.tensor([[0.0, 0.0], [size, size], [size - 0.001, 0.0], [-0.001, size / 2]])
    points[1, 2, :3] = torch.tensor([[math.inf, 3.0], [1e30, 1e30], [-1e30, 5.0]])
    points[1, 2, 3:6] = size / 2  # three in one place
    return points


@pytest.mark.parametrize("overlap", ["max", "sum"])
@pytest.mark.parametrize("distance", ["manhattan", "euclidean", "chebyshev"])
@pytest.mark.parametrize(
    ("size", "grid", "window", "slope"),
    [(299, 18, 7, 0.1), (64, 7, 3, 0.3), (64, 5, 13, 0.1), (64, 9, 21, 0.05), (64, 9, 31, 0.02), (64, 9, 201, 0.002)],
)
def test_equals_the_loop_bit_for_bit(size, grid, window, slope, distance, overlap):
    points = scattered(size)
    options = {"window": window, "slope": slope, "distance": distance, "overlap": overlap}
    assert torch.equal(landmark_filter(points, size, grid, **options), by_loops(points, size, grid, **options))


def test_the_weights_of_the_paper():
    weights = landmark_filter(torch.full((1, 1, 1, 2), 3.0), 7, 7)[0, 0, 0]  # one landmark, in the middle
    assert weights[3].tolist() == torch.tensor([0.7, 0.8, 0.9, 1.0, 0.9, 0.8, 0.7]).tolist()
    assert weights[0, 0] == torch.tensor(0.4)  # six cells away; single precision would give 0.39999998
    assert torch.equal(weights, weights.T) and torch.equal(weights, weights.flip(0))


def test_one_landmark_by_hand():
    filled = landmark_filter(torch.tensor([[[[40.0, 10.0]]]]), size=64, grid=16, window=3)[0, 0, 0]
    expected = torch.zeros(16, 16)
    expected[1:4, 9:12] = torch.tensor([[0.8, 0.9, 0.8], [0.9, 1.0, 0.9], [0.8, 0.9, 0.8]])  # x = column 10, y = row 2
    assert torch.equal(filled, expected)


def test_missing_landmarks_leave_no_trace():
    assert landmark_filter(torch.full((1, 2, 66, 2), NAN), 299, 38).count_nonzero() == 0
    assert landmark_filter(torch.zeros(1, 2, 0, 2), 299, 38).count_nonzero() == 0


def test_a_landmark_on_the_last_pixels_edge():
    cells = landmark_cells(torch.tensor([[298.5, 298.49], [-0.5, -0.501]]), 299, 38)
    assert cells.tolist() == [[38, 37], [0, -1]]
    assert landmark_cells(torch.tensor([[1.5, 3.5]]), 98, 49).tolist() == [[1, 2]]  # not 1 / 49 * 49, which is below 1


@pytest.mark.parametrize(("size", "grid"), [(64, 16), (64, 7), (299, 38), (299, 18)])
def test_the_filter_of_a_mirrored_face_is_the_mirrored_filter(size, grid):
    """But for landmarks on the line between two cells, of which the right one counts."""
    landmarks = torch.rand(1, 20, 66, 2, generator=torch.Generator().manual_seed(0)) * 1.2 * size - 0.1 * size
    mirrored = torch.stack([size - 1 - landmarks[..., 0], landmarks[..., 1]], -1)
    assert torch.equal(landmark_filter(mirrored, size, grid), landmark_filter(landmarks, size, grid).flip(-1))


def test_every_pixel_belongs_to_the_cell_that_resizing_puts_it_in():
    """The crop's edges are the grid's edges: each cell of a 4 x 4 grid takes 16 columns of 64 pixels."""
    cells = landmark_cells(torch.arange(64.0)[:, None].repeat(1, 2), 64, 4)[:, 0]
    assert torch.equal(cells, torch.arange(4.0).double().repeat_interleave(16))


def test_coverage():
    assert coverage(landmark_filter(torch.full((1, 1, 1, 2), 32.0), 64, 16, window=3)) == pytest.approx(9 / 256)
    assert coverage(torch.zeros(1, 1, 2, 4, 4)) == 0


def test_keeps_its_precision_under_autocast():
    points = scattered(299)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(landmark_filter(points, 299, 18), landmark_filter(points.double(), 299, 18))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("overlap", ["max", "sum"])
def test_the_gpu_computes_the_same_bits(overlap):
    points = scattered(299, points=66)
    on_gpu = landmark_filter(points.cuda(), 299, 38, overlap=overlap)
    assert on_gpu.is_cuda
    assert torch.equal(on_gpu.cpu(), landmark_filter(points, 299, 38, overlap=overlap))


@pytest.mark.parametrize(
    "options",
    [{"window": 6}, {"window": 0}, {"slope": -0.1}, {"slope": NAN}, {"distance": "cosine"}, {"overlap": "mean"}],
)
def test_an_unusable_option_is_refused_by_name(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}="):
        landmark_filter(torch.zeros(1, 1, 66, 2), 299, 38, **options)


@pytest.mark.parametrize("shape", [(1, 66, 2), (1, 1, 66, 3)])
def test_landmarks_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="expected \\(B, T, L, 2\\)"):
        landmark_filter(torch.zeros(shape), 299, 38)
