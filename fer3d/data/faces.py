"""Faces: one face followed through a recording. Section 3.2 of the paper ("Facial landmarks").

The paper detects faces with OpenCV and takes 66 landmarks from a regression on local binary
features trained on 300-W. Here OpenCV's Haar cascade (or dlib's HOG detector) finds a face, and
dlib's predictor, trained on the same 300-W annotations, its landmarks; the two inner mouth
corners of the 68 are left out. Departure: the program that finds the landmarks.

One path for every frame:

1. **track**: the previous frame's landmarks give the expected box: position, size and angle;
2. **verify**: dlib's HOG detector searches the reduced picture round that box. It must find a
   face; the landmarks are fitted where it finds it, and must agree with it in position and
   size (`face_fit`). Its confidence is the frame's score;
3. **detect**: where that fails, or where no face was tracked, the whole frame is searched,
   and each candidate has to pass the same verification and fit (`face_search`).

Rules. Of several faces the tracked one is kept: after a new detection the nearest, if it
lies within one box side of the last. Otherwise (in the first frame, and after any frame without
a face) the largest central one. A face whose box is smaller than ``settings.min_face`` is rejected:
its landmarks would be guesses. A frame without a face becomes a `Rejected`, and never gets landmarks.
``n_faces`` is the number of faces in the last search of a whole frame; a frame is searched for it at
least every `RECOUNT` frames, so that people who enter later count. While no face is found, every
`PATIENCE`-th frame is searched, and a face that is found is followed back through the frames between.

Landmarks and boxes are in pixels, x to the right, y down, (0, 0) the centre of the first pixel.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from fer3d.config import ClipSettings
from fer3d.data.face_fit import Face, refit
from fer3d.data.face_search import Search, count_faces

RECOUNT = 10
"""Frames after which the whole frame is searched although a face is tracked."""
PATIENCE = 5
"""While no face is found, one frame of so many is searched at last; at first every one."""

Item = TypeVar("Item")


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
