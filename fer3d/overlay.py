"""The overlay of a prediction: the recording with boxes, landmarks and each person's current probabilities.

It is an H.264 video in MPEG-4 (``overlay.mp4``) where the OpenCV at hand writes it. OpenCV's wheels can't; there it is
VP8 in WebM (``overlay.webm``), which browsers play, too: their VP9 takes ten times as long.
"""

import contextlib
import errno
import itertools
import math
import os
import statistics
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from fer3d import files
from fer3d.data.face_fit import Face
from fer3d.data.tracks import Step
from fer3d.errors import InputError, printable
from fer3d.own_video import NOTE, Row, Weights

OVERLAYS = ("overlay.mp4", "overlay.webm")
"""An overlay is one of these."""
_CODECS = dict(zip(("avc1", "VP80"), OVERLAYS, strict=True))
_LARGEST, _PANEL, _FOOT, _LINE = (854, 480), 224, 40, 17
"""Width and height of the picture in an overlay at most; width of the panel beside it, height of the text below, and
of a line of text."""
_MOST_RATE = 15.0
"""Frames a second of an overlay at most (and a tenth more): writing one takes as long as finding a face. Of a
faster recording every second frame is shown, or every third."""
_INK, _FAINT, _BAR, _TOP, _MARK = (40, 40, 40), (130, 130, 130), (0, 114, 178), (213, 94, 0), (0, 158, 115)


class Overlay:
    """A video of the frames with boxes, landmarks and, for each person, the probabilities of the current window.

    Where there is no room for all people's, their number stands below. With the number of a person, that person alone
    is shown.

    Frames wait until the windows that they belong to are predicted: at most as long as a window. Images of several
    sizes are shown in the place of the first: a larger one is reduced, round a smaller one it is empty.
    """

    def __init__(self, folder: Path, weights: Weights, person: str = "all") -> None:
        self._folder, self._weights = folder, weights
        self._only = int(person) if person.isdecimal() else None
        self._waiting: deque[tuple[int, float, dict[int, Face], np.ndarray, float]] = deque()
        self._rows: deque[Row] = deque()
        self._video: _Video | None = None
        self._size: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._video is not None:
            self._video.close(keep=kind is None)

    @property
    def file(self) -> str:
        """The name of the file written; empty before the first frame."""
        return self._video.path.name if self._video else ""

    def add(self, step: Step, rows: list[Row]) -> None:
        """The next step of the recording, with the rows that ended there."""
        self._rows += (row for row in rows if "label" in row)
        if step.frame is not None:
            picture = step.frame.picture
            most = self._size or _LARGEST
            scale = min(1.0, most[0] / picture.shape[1], most[1] / picture.shape[0])
            size = [max(1, round(scale * side)) for side in picture.shape[1::-1]]
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            self._size = self._size or small.shape[1::-1]
            shown = {number: face for number, face in step.people.items() if self._only in (None, number)}
            self._waiting.append((step.frame.number, step.frame.seconds, shown, small, scale))
        enough = step.frame is None or len(self._waiting) > 10  # from which the frame rate is measured
        while self._waiting and self._waiting[0][0] < step.pending and (self._video or enough):
            self._write()

    def _write(self) -> None:
        if self._video is None:
            times = [seconds for _, seconds, *_ in self._waiting]
            intervals = [after - before for before, after in itertools.pairwise(times) if after > before]
            rate = 1 / statistics.median(intervals) if intervals else 1.0
            self._video = _Video(self._folder, rate / max(1, math.ceil(rate / _MOST_RATE - 0.1)))
        number, seconds, people, small, scale = self._waiting.popleft()
        while self._rows and self._rows[0]["last_frame"] < number - 1000:
            self._rows.popleft()
        if self._video.wants(seconds):
            _draw_faces(small, people, scale)
            current = {row["person"]: row for row in self._rows if row["first_frame"] <= number <= row["last_frame"]}
            self._video.write(seconds, _canvas(small, self._size, people, current, self._weights, seconds))


class _Video:
    """A video at a constant rate that appears whole or not at all."""

    def __init__(self, folder: Path, rate: float) -> None:
        self._folder, self._rate, self._count = folder, rate, 0
        self.path = folder
        self._temporary = folder
        self._writer: cv2.VideoWriter | None = None

    def wants(self, seconds: float) -> bool:
        """Whether a frame of that time is shown."""
        return self._count <= seconds * self._rate + 1e-6

    def write(self, seconds: float, picture: np.ndarray) -> None:
        """The frame that is shown from that time on; (H, W, 3) RGB of one size."""
        if self._writer is None:
            self._writer = self._opened(picture.shape[1::-1])
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        with _silent():
            while self.wants(seconds):
                self._writer.write(picture)
                self._count += 1

    def close(self, keep: bool) -> None:
        """End the file, and put it into its place or remove it."""
        if self._writer is not None:
            with _silent():
                self._writer.release()
            try:
                if keep:
                    self._check_whole()
                    self._temporary.replace(self.path)
            except OSError as error:
                raise files.explained(error, self.path) from error
            finally:
                self._temporary.unlink(missing_ok=True)

    def _check_whole(self) -> None:
        """An `OSError` where the end of the file is missing.

        OpenCV does not tell that it can't write. Nearly always the disk is full. The header may be whole all the same.
        """
        with _silent():
            read = cv2.VideoCapture(str(self._temporary), cv2.CAP_FFMPEG)
            found = read.get(cv2.CAP_PROP_FRAME_COUNT)
            read.set(cv2.CAP_PROP_POS_FRAMES, found - 1)
            whole = abs(found - self._count) <= 1 and read.grab()
        if not whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _opened(self, size: tuple[int, ...]) -> cv2.VideoWriter:
        with contextlib.suppress(OSError, UnicodeEncodeError):
            str(self._folder).encode()  # at a name that is not UTF-8 OpenCV would crash
            for codec, name in _CODECS.items():
                self.path = self._folder / name
                suffix = self.path.suffix  # from which OpenCV takes the container
                self._temporary = self._folder / f".overlay.part{suffix}"
                with _silent():
                    writer = cv2.VideoWriter(
                        str(self._temporary), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), self._rate, size
                    )
                if writer.isOpened():
                    return writer
                self._temporary.unlink(missing_ok=True)
        raise InputError(f"OpenCV writes no overlay into {printable(str(self._folder))}", "another --out")


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without what OpenCV prints on stderr about a codec that it tries, a tag that it replaces or a full disk."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _draw_faces(picture: np.ndarray, people: dict[int, Face], scale: float) -> None:
    """Boxes, numbers and landmarks into a reduced frame, in place."""
    for person, face in people.items():
        corners = np.rint(face.box.corners * scale).astype(np.int32)
        cv2.polylines(picture, [corners], True, _MARK, 2, cv2.LINE_AA)
        _text(picture, str(person), (int(corners[0, 0]) + 4, int(corners[0, 1]) + 16), _MARK, 0.55, 2)
        for x, y in face.landmarks * scale:
            cv2.circle(picture, (round(8 * float(x)), round(8 * float(y))), 10, (255, 255, 255), -1, cv2.LINE_AA, 3)


def _canvas(
    small: np.ndarray,
    size: tuple[int, ...],
    people: dict[int, Face],
    current: dict[int, Row],
    weights: Weights,
    seconds: float,
) -> np.ndarray:
    """The frame in a place of that width and height, with the panel beside and the text below it.

    The sides are even, as video codecs want them.
    """
    width, height = size
    tall = max(height, (len(weights.classes) + 2) * _LINE + 12)
    wide = max(width, 240) + _PANEL
    canvas = np.full((tall + _FOOT + (tall + _FOOT) % 2, wide + wide % 2, 3), 250, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    left, top = canvas.shape[1] - _PANEL + 10, 16
    _text(canvas, f"{seconds:7.2f} s", (left, top), _INK)
    for shown, person in enumerate(sorted(people)):
        if top + (len(weights.classes) + 1) * _LINE > tall:
            _text(canvas, f"and {len(people) - shown} more", (left, top + _LINE), _FAINT)
            break
        top = _bars(canvas, left, top + _LINE + 2, person, current.get(person), weights.classes)
    foot = tall + 15
    _text(canvas, f"Weights: {weights.short}", (6, foot), _FAINT, 0.36)
    _text(canvas, NOTE, (6, foot + 16), _FAINT, 0.36)
    return canvas


def _bars(canvas: np.ndarray, left: int, top: int, person: int, row: Row | None, classes: tuple[str, ...]) -> int:
    """One person's probabilities; returns where they end."""
    if row is None:
        _text(canvas, f"person {person}: no prediction", (left, top), _INK)
        return top
    _text(canvas, f"person {person}", (left, top), _INK)
    for name in classes:
        top += _LINE
        best, p = name == row["label"], row[f"p_{name}"]
        ink, end = _INK if best else _FAINT, left + 82 + round(88 * p)
        _text(canvas, name, (left, top), ink, 0.4)
        cv2.rectangle(canvas, (left + 80, top - 10), (end, top), _TOP if best else _BAR, -1)
        _text(canvas, f"{p:4.0%}", (left + 174, top), ink, 0.36)
    return top


def _text(
    picture: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, ...], size: float = 0.42, thick: int = 1
) -> None:
    plain = text.encode("ascii", "replace").decode()  # OpenCV's font has no other characters
    cv2.putText(picture, plain, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, cv2.LINE_AA)
