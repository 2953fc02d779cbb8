"""The crop: the square round the landmarks, what is cut out of it, and points mapped there and back."""

import dataclasses

import numpy as np
import pytest
import scenes
import skimage.data

from fer3d.config import ClipSettings
from fer3d.data import faces
from fer3d.data.crop import Box, crop_box, crop_face, cut_out, to_crop, to_frame

SETTINGS = ClipSettings(size=64)


@pytest.fixture(scope="module")
def landmarks() -> np.ndarray:
    """Of a real face with a tilted head, in pixels of a frame of 512 x 512."""
    face = faces.detect(skimage.data.astronaut(), SETTINGS)
    assert face is not None
    return face.landmarks


@pytest.mark.parametrize("align", [False, True])
def test_landmarks_stay_on_the_same_pixels(align: bool, landmarks: np.ndarray) -> None:
    x, y = np.round(landmarks[30]).astype(int)
    frame = np.zeros((512, 512, 3), np.uint8)
    frame[y, x] = 255
    settings = dataclasses.replace(SETTINGS, size=299, align=align)
    picture, mapped = crop_face(frame, np.round(landmarks), settings)
    weight = picture[..., 0].astype(float)
    rows, columns = np.mgrid[:299, :299]
    centre = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
    assert np.abs(mapped[30] - centre).max() < 0.2


def test_the_crop_has_the_margin_and_level_eyes() -> None:
    face = faces.detect(scenes.head(300, 220, 1.5, 15), SETTINGS)
    assert face is not None
    picture, tilted = crop_face(scenes.COFFEE, face.landmarks, dataclasses.replace(SETTINGS, margin=0.15))
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8 and tilted.dtype == np.float32
    assert np.ptp(tilted, axis=0).max() == pytest.approx(64 / 1.3, abs=0.1)
    assert (tilted.min(axis=0) + tilted.max(axis=0)) / 2 == pytest.approx([31.5, 31.5], abs=0.1)
    _, level = crop_face(scenes.COFFEE, face.landmarks, dataclasses.replace(SETTINGS, align=True))
    slopes = [points[42:48, 1].mean() - points[36:42, 1].mean() for points in (tilted, level)]
    assert abs(slopes[0]) > 3 and abs(slopes[1]) < 0.05


def test_beyond_the_frame_the_edge_is_repeated() -> None:
    assert (cut_out(np.full((40, 50, 3), 200, np.uint8), Box(0, 0, 80), 32) == 200).all()


def test_one_box_holds_all_frames_of_a_clip(landmarks: np.ndarray) -> None:
    clip = np.stack([landmarks + np.array([8 * i, 0]) for i in range(10)])
    clip[4] = np.nan
    box = crop_box(clip, SETTINGS)
    x = clip[[0, 9], :, 0]
    assert box.x - box.side / 2 < x.min() and x.max() < box.x + box.side / 2
    assert box.x == pytest.approx((x.min() + x.max()) / 2)


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_points_are_mapped_there_and_back(angle: float, landmarks: np.ndarray) -> None:
    box = Box(200, 150, 96, angle)
    assert to_frame(to_crop(landmarks, box, 64), box, 64) == pytest.approx(landmarks, abs=1e-3)
    assert to_crop(box.corners, box, 64) == pytest.approx(
        np.array([(-0.5, -0.5), (63.5, -0.5), (63.5, 63.5), (-0.5, 63.5)]), abs=1e-9
    )
    assert to_frame(np.array([[31.5, 31.5]]), box, 64)[0] == pytest.approx((box.x, box.y))
