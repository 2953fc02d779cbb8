"""What the database layouts share: the plan of a subject, the ground truth of a recording, the video writer."""

import errno
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np


@dataclass(frozen=True)
class SubjectPlan:
    """One subject of a release: what one worker writes."""

    subject: str
    """Name in the release."""
    number: int
    """Position among the subjects; together with the seed it determines the person."""
    recordings: tuple[Any, ...]
    """The layout's own description of each recording."""


@dataclass(frozen=True)
class GroundTruth:
    """What a reader must find for one recording."""

    subject: str
    name: str
    """The reader's name for the recording, unique in the release; also the name of its ground truth files."""
    label: str | None
    """The emotion in the release's files; None where they give none."""
    landmarks: np.ndarray
    """(T, 68, 2) float32 true landmarks in pixels of the stored frames (upright view)."""
    units: np.ndarray
    """(T, 2, units) float32 intensities 0..5, left and right of the picture."""
    action_units: tuple[tuple[int, float], ...] = ()
    """The coded action units (unit, largest intensity); intensity 0 where only presence is coded."""
    frame_labels: tuple[str | None, ...] | None = None
    """One emotion per frame (DISFA)."""
    usable: bool = True
    """False for a recording that a reader must leave out, as the original has them."""


_CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".flv": "\2\0\0\0"}
"""By the suffix: what OpenCV's own build encodes, as the same bytes each time."""


def write_rendered(path: Path, rendered: Iterable[tuple[np.ndarray, np.ndarray]], fps: float) -> np.ndarray:
    """As `write_video`, of pairs as `Renderer.frame` returns them: a frame and its true landmarks (68, 2).

    Returns the landmarks (T, 68, 2). No frame is kept: a video may be long.
    """
    landmarks = []

    def frames() -> Iterator[np.ndarray]:
        for frame, true in rendered:
            landmarks.append(true)
            yield frame

    write_video(path, frames(), fps)
    return np.stack(landmarks)


def write_video(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    """Write frames (H, W, 3) uint8 RGB to an AVI, MP4 or FLV file; creates its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = next(frames)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*_CODECS[path.suffix]), fps, first.shape[1::-1])
    try:
        if not writer.isOpened():
            raise OSError(errno.EIO, "no video could be opened for writing")
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 90)  # of AVI
        for frame in itertools.chain([first], frames):
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    finally:
        writer.release()
