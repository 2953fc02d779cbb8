"""The search of a whole frame for faces: what finds candidates, which of them are fitted, and what it may cost.

Haar's cascade finds upright faces; where none of its candidates passes, HOG's, which tilt by up to 40 degrees, are
tried. Candidates come in the order of ``side * (1 - d)``, the largest central one first, with ``d`` the distance of the
box's centre from the frame's, as a share of half the diagonal.

A thorough search of a whole frame takes up to seventy times as long as tracking. Its cost is bounded:

- only the `CANDIDATES` most promising faces are verified, and of these no more are fitted than are wanted: a fit
  takes eight times as long;
- every frame pays for the thorough search of `SHARE` pixels, and `SAVED` pixels may be saved up (`Search`).
  A search that is not paid for, and every count, is quick: a smaller picture, larger steps, upright heads alone.
"""

import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from fer3d.config import ClipSettings
from fer3d.data.crop import Box, rotation
from fer3d.data.face_fit import Face, fit, hog, model_file, verify
from fer3d.data.video import View, upright

SEARCH_SIDE = 1024
"""Longer side in pixels to which a larger frame is reduced for the search of the whole frame."""

SHARE = 8_000
"""Pixels of a reduced frame that may be searched thoroughly for every frame of a recording."""
SAVED = 1_200_000
"""As many may be saved up, and are at the start: two frames of 1920 x 1080, three of 640 x 480 pixels."""

CANDIDATES = 6
"""Faces of one frame that are fitted, the largest central ones."""

_HAAR_SHIFT, _HAAR_SIDE = 0.11, 1.02
"""From OpenCV's box: shares of its side. dlib's own box is the predictor's."""

_TILTS = {3: -math.radians(27), 4: math.radians(27)}
"""The tilt of the faces for which two of dlib's five HOG detectors were trained."""
_TILTED_SIDE = 640
"""Longer side in pixels to which a frame is reduced for the search for tilted heads: it is turned twice."""
_QUICK_SIDE = 640
"""Longer side in pixels to which a frame is reduced at least for a quick search."""
_HAAR_LEAST, _HOG_LEAST = 24, 80
"""Side in pixels of the smallest face that the detectors find."""
_TURN = math.radians(30)
"""Tilt of the faces that Haar's cascade, which finds them upright, is to find in a turned picture."""

_SEARCH_MARGIN = 0.8
"""The search reaches somewhat below the smallest accepted face: its size is measured by the landmarks."""


class Search:
    """Searches whole frames of one recording: thoroughly where that is paid for (this module's rules), else quickly."""

    def __init__(self, settings: ClipSettings) -> None:
        self._settings = settings
        self._frames, self._saved = 0, SAVED

    def __call__(
        self, grey: np.ndarray, frames: int, known: Sequence[Box] = (), most: int = CANDIDATES
    ) -> tuple[list[Face], list[Box]]:
        """The faces of a grey frame (H, W) uint8, as `search` gives them, after so many frames of the recording.

        Args:
            grey: the frame.
            frames: how many frames of the recording have come.
            known: boxes of faces that need not be found.
            most: how many faces of a usable size are fitted; the others are counted.
        """

        def is_usable(face: Face) -> bool:
            return face.box.side >= self._settings.min_face

        return search(grey, self._settings, not self._paid(grey, frames), is_usable, most, known)

    def one(self, grey: np.ndarray, frames: int, last: Face | None) -> Face | None:
        """The face near the last one; where there is none or no last one, the largest central one."""
        near = last.box if last else None

        def is_near(face: Face) -> bool:
            return near is None or face.box.distance(near) < near.side

        faces, _ = search(grey, self._settings, not self._paid(grey, frames), is_near, near=near)
        return next(
            filter(is_near, faces), max(faces, key=lambda face: _prominence(face.box, grey.shape), default=None)
        )

    def _paid(self, grey: np.ndarray, frames: int) -> bool:
        """Whether a thorough search is paid for."""
        self._saved = min(self._saved + (frames - self._frames) * SHARE, SAVED)
        self._frames = frames
        price = math.ceil(grey.size * min(1.0, SEARCH_SIDE / max(grey.shape)) ** 2)
        thorough = price <= self._saved or not self._settings.track
        self._saved -= price if thorough else 0
        return thorough


def search(
    grey: np.ndarray,
    settings: ClipSettings,
    quick: bool,
    wanted: Callable[[Face], bool] = bool,
    most: int = 1,
    known: Sequence[Box] = (),
    near: Box | None = None,
) -> tuple[list[Face], list[Box]]:
    """The faces of a grey frame that pass verification and fit, each once, and the boxes of those that are not fitted.

    Args:
        grey: the frame, (H, W) uint8.
        settings: the detector and the smallest face.
        quick: whether the search is a quick one.
        wanted: whether a face is one that is looked for; by default any is.
        most: how many such faces are fitted; what is found after them is verified alone.
        known: boxes of faces that need not be found; they are not fitted again.
        near: where the wanted face is expected. The faces come in the order of their distance from it, else the
            largest central one first.
    """
    for candidates in _detectors(settings, quick):
        boxes = list(candidates(grey, settings.min_face * _SEARCH_MARGIN))
        boxes = sorted(boxes, key=lambda box: -_prominence(box, grey.shape))[:CANDIDATES]
        if near is not None:
            boxes.sort(key=lambda box: box.distance(near))
        faces: list[Face] = []
        others: list[Box] = []
        for box in boxes:
            seen = [*known, *(face.box for face in faces), *others]
            if is_among(box, seen):
                continue
            if sum(map(wanted, faces)) >= most:
                verified = verify(grey, box)
                others += [verified[0]] if verified and not is_among(verified[0], seen) else []
            elif (face := fit(grey, box)) and not is_among(face.box, seen):
                faces.append(face)
        if faces or others or any(is_among(box, known) for box in boxes):
            number = len(known) + len(faces) + len(others)
            return [dataclasses.replace(face, n_faces=number) for face in faces], others
    return [], []


def count_faces(grey: np.ndarray, settings: ClipSettings) -> int:
    """The number of faces in a grey frame: candidates that are verified, and not fitted."""
    seen: list[Box] = []
    for box in list(_detectors(settings, quick=True)[0](grey, settings.min_face * _SEARCH_MARGIN))[: 2 * CANDIDATES]:
        verified = verify(grey, box)
        if verified and not is_among(verified[0], seen):
            seen.append(verified[0])
    return len(seen)


def _detectors(settings: ClipSettings, quick: bool) -> list[Callable[[np.ndarray, float], Iterator[Box]]]:
    """What finds candidates, in the order of their use."""
    if settings.detector == "hog":
        return [functools.partial(_hog_boxes, quick=quick)]
    tilts = (0.0,) if quick else (0.0, _TURN, -_TURN)
    return [functools.partial(_haar_boxes, tilt=tilt, quick=quick) for tilt in tilts]


def shows_face(frame: np.ndarray, settings: ClipSettings) -> bool:
    """Whether a frame (H, W, 3) uint8 RGB shows an upright face of a usable size; a thorough search comes last."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return any(_first(grey, settings, quick) for quick in (True, False))


def _first(grey: np.ndarray, settings: ClipSettings, quick: bool) -> Face | None:
    """The first face that a search of a grey frame finds; None also where that is too small."""
    faces, _ = search(grey, settings, quick)
    return faces[0] if faces and faces[0].box.side >= settings.min_face else None


def choose_view(frames: Iterable[np.ndarray], views: Sequence[View], settings: ClipSettings) -> View:
    """The view in which a face is found on most of the stored frames; among equals, with the highest scores.

    The thorough search takes long on a lying face, which it does not find either: it is for frames on which a quick one
    finds nothing in any view. The first view wins a tie, so also where no frame shows a face. A single view needs no
    frame.
    """
    if len(views) == 1:
        return views[0]
    few = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]

    def detections(view: View, quick: bool) -> tuple[int, float]:
        faces = [_first(upright(grey, view), settings, quick) for grey in few]
        scores = [face.score for face in faces if face]
        return len(scores), sum(scores)

    for quick in (True, False):
        seen = {view: detections(view, quick) for view in views}
        if any(count for count, _ in seen.values()):
            return max(views, key=seen.__getitem__)
    return views[0]


def _prominence(box: Box, shape: tuple[int, ...]) -> float:
    """How large and central a box is in a frame of that shape."""
    middle = Box((shape[1] - 1) / 2, (shape[0] - 1) / 2, 0)
    return box.side * (1 - box.distance(middle) / math.hypot(middle.x, middle.y))


def _haar_boxes(grey: np.ndarray, smallest: float, tilt: float, quick: bool) -> Iterator[Box]:
    """Candidates whose heads are tilted clockwise by about so many radians."""
    least = smallest / _HAAR_SIDE
    longest = min(_QUICK_SIDE, math.ceil(max(grey.shape) * _HAAR_LEAST / least)) if quick else SEARCH_SIDE
    small, scale = _reduced(grey, _TILTED_SIDE if tilt else longest)
    turned, matrix = _levelled(small, tilt) if tilt else (small, np.eye(2, 3))
    side = max(_HAAR_LEAST, round(least * scale))
    factor, neighbours = (1.2, 3) if quick else (1.1, 5)  # in larger steps fewer squares overlap
    for x, y, width, _ in _haar().detectMultiScale(turned, factor, neighbours, minSize=(side, side)):
        box = Box.from_corner(x / scale, y / scale, width / scale)
        middle = np.array((box.x, box.y + _HAAR_SHIFT * box.side))
        if tilt:
            middle = np.linalg.solve(matrix[:, :2], middle - matrix[:, 2] / scale)
        yield Box(float(middle[0]), float(middle[1]), box.side * _HAAR_SIDE, tilt)


def _levelled(picture: np.ndarray, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture rotated whole so that what is tilted by so many radians is level, and the matrix (2, 3) of that."""
    linear = rotation(tilt)
    old = np.array(picture.shape[1::-1])
    new = np.ceil(np.abs(linear) @ old).astype(int)
    matrix = np.column_stack([linear, (new - 1) / 2 - linear @ ((old - 1) / 2)])
    return cv2.warpAffine(picture, matrix, (int(new[0]), int(new[1]))), matrix


def _hog_boxes(grey: np.ndarray, smallest: float, quick: bool) -> Iterator[Box]:
    small, scale = _reduced(grey, _QUICK_SIDE if quick else SEARCH_SIDE)
    grow = 1.0 if quick else max(1.0, _HOG_LEAST / (smallest * scale))
    grown = cv2.resize(small, None, fx=grow, fy=grow, interpolation=cv2.INTER_LINEAR)
    scale *= grow
    found, _, tilts = hog().run(grown, 0, 0.0)
    for rectangle, tilt in zip(found, tilts, strict=True):
        box = Box.from_corner(rectangle.left() / scale, rectangle.top() / scale, rectangle.width() / scale)
        yield dataclasses.replace(box, angle=_TILTS.get(tilt, 0.0))


def _reduced(grey: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    scale = min(1.0, max(longest / max(grey.shape), 1 / min(grey.shape)))  # at least one pixel remains
    return (grey if scale == 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)), scale


def is_among(box: Box, others: Iterable[Box]) -> bool:
    """Whether one of the others is of the same face."""
    return any(box.distance(other) <= min(box.side, other.side) / 2 for other in others)


@functools.cache
def _haar() -> cv2.CascadeClassifier:
    places = (Path(cv2.__file__).parent / "data", Path(sys.prefix) / "share" / "opencv4" / "haarcascades")  # pip, conda
    return cv2.CascadeClassifier(str(model_file("haarcascade_frontalface_default.xml", places, "opencv-python<5")))
