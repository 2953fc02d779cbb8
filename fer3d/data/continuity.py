"""One clip, one person: where the frames of a clip show something else from one to the next.

The paper's clips come from recordings of one person before one camera. A video may also hold cuts, and the tracker
may pass from one person to another, or find another face after frames without one. Two successive frames that show a
face are compared in four ways. What differs suddenly, beyond the limits below and by far more than elsewhere in the
clip, belongs to two clips.

Only frames that lie close together in the recording are compared. Within seconds one person turns, leans forward and
walks about, and the limits say nothing. So a cut between the frames that stand for a long recording is not noticed.
"""

import itertools
import statistics
from collections.abc import Sequence

import cv2
import numpy as np

from fer3d.data.crop import cut_out
from fer3d.data.face_fit import Face, predictor_box

CLOSE = 15
"""Frames of the recording, at most, from one compared frame to the next: half a second at 30 frames a second."""
JUMP, GROWTH = 1.0, 1.5
"""The face of a next frame is elsewhere: shift as a share of the larger box's side, ratio of the sides."""
SCENE, FACE = 0.5, 0.25
"""Limits of 1 - correlation: above it two frames are of different scenes, two faces of different people."""
SUDDEN = 4.0
"""A change of the picture counts if it is so many times the median change between compared frames of the clip."""

_WHOLE, _PATCH = (32, 24), 32
"""Size in pixels, width and height, of the pictures that are compared: the whole frame, and the face."""


def find_break(pictures: Sequence[np.ndarray], faces: Sequence[Face], numbers: Sequence[int]) -> tuple[int, str] | None:
    """Where the frames of a clip do not show one person in one scene.

    Args:
        pictures: the frames (H, W, 3) uint8 RGB that show a face, in order.
        faces: the face of each.
        numbers: the number of each in the recording.

    Returns:
        The index of the first frame after the break, and what happened; None for a sound clip.
    """
    close = [i for i, (one, other) in enumerate(itertools.pairwise(numbers), start=1) if other - one <= CLOSE]
    if not close:
        return None
    for i in close:
        if not in_place(faces[i - 1], faces[i]):
            return i, "the face jumps, a scene cut or another person"
    whole, patches = zip(*map(_thumbnails, pictures, faces), strict=True)
    for shown, limit, what in ((whole, SCENE, "a scene cut"), (patches, FACE, "another person")):
        changes = [change(shown[i - 1], shown[i]) for i in close]
        for i, changed in zip(close, changes, strict=True):
            if changed > limit and changed > SUDDEN * statistics.median(changes):
                return i, what
    return None


def _thumbnails(picture: np.ndarray, face: Face) -> tuple[np.ndarray, np.ndarray]:
    """The whole frame and the face, as `patch` makes it."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return _standardised(cv2.resize(grey, _WHOLE, interpolation=cv2.INTER_AREA)), patch(grey, face)


def in_place(one: Face, other: Face) -> bool:
    """Whether a face is where another frame's is, and as large."""
    sides = sorted((one.box.side, other.box.side))
    return one.box.distance(other.box) <= JUMP * sides[1] and sides[1] <= GROWTH * sides[0]


def patch(grey: np.ndarray, face: Face) -> np.ndarray:
    """The face in a grey frame (H, W) uint8, small, of mean 0 and standard deviation 1."""
    return _standardised(cv2.blur(cut_out(grey, predictor_box(face.landmarks), _PATCH), (3, 3)))


def change(one: np.ndarray, other: np.ndarray) -> float:
    """One minus the correlation of two faces or frames of mean 0 and standard deviation 1."""
    return float(1 - (one * other).mean())


def _standardised(picture: np.ndarray) -> np.ndarray:
    values = picture.astype(np.float64) - picture.mean()
    return values / max(float(values.std()), 1.0)
