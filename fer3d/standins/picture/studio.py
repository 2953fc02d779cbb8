"""A recording of an invented person, ready to be written in any owner's layout.

Not part of the paper: it serves the stand-in databases.
"""

import errno
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer3d.standins.people.person import Person, Pose
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Light, Scene


@dataclass(frozen=True)
class LeftOut:
    """What a reader must leave out of a release, or note about it."""

    what: str
    """The end of its path in the release, or its name."""
    why: str
    """How the reason begins."""


@dataclass(frozen=True)
class Meant:
    """What the generator meant by one recording: the truth that a reader must find again."""

    subject: str
    name: str
    """The reader's name for it, unique in the release; the truth's files carry it."""
    label: str | None
    """The emotion that the release tells; None where it tells none."""
    shown: str
    """The emotion that was acted."""
    points: np.ndarray
    """(T, 68, 2) float32 true landmarks in pixels of the stored frames (upright view)."""
    units: np.ndarray
    """(T, 2, units) float32 intensities 0..5, left and right of the picture."""
    action_units: tuple[tuple[int, float], ...] = ()
    """What the release tells of the units in all: (unit, largest intensity), 0 where it tells only that one showed."""
    frame_labels: tuple[str | None, ...] | None = None
    """One emotion a frame (DISFA)."""
    left_out: LeftOut | None = None
    """Why no reader can use it, as some of an original's recordings; None where it can."""


def shoot(renderer: Renderer, poses: Sequence[Pose], points: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames of a recording, one at a time, (H, W, 3) uint8 RGB; their (68, 2) true landmarks go to ``points``."""
    for pose in poses:
        picture, marks = renderer.frame(pose)
        points.append(marks)
        yield picture


def write_video(path: Path, pictures: Iterator[np.ndarray], fps: float, quality: int = 90) -> None:
    """Frames (H, W, 3) uint8 RGB to a motion-JPEG AVI."""
    first = next(pictures)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, first.shape[1::-1])
    try:
        if not writer.isOpened():
            raise OSError(errno.EIO, "no video could be opened for writing")
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, quality)
        for picture in itertools.chain([first], pictures):
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    finally:
        writer.release()


def lamps(rng: np.random.Generator, strength: float, hard: float, fill: float) -> tuple[Light, ...]:
    """A key light from either side, a fill from the other, an edge light from behind on either.

    ``hard`` 0 (frontal) to 1 (from the side).
    """
    side = float(rng.choice([-1, 1]))
    key = _unit(side * rng.uniform(0.1, 0.3 + 0.7 * hard), -rng.uniform(0.25, 0.75), 0.8)
    other = _unit(-side * rng.uniform(0.5, 1.0), -rng.uniform(-0.1, 0.4), 0.7)
    behind = _unit(float(rng.choice([-1, 1])), -rng.uniform(0.2, 0.7), -rng.uniform(0.2, 0.7))
    edge = strength * rng.uniform(0, 0.6)
    warm = rng.uniform(-0.05, 0.05)
    return (
        Light(key, (strength * (1 + warm), strength, strength * (1 - warm))),
        Light(other, (fill * (1 - warm), fill, fill * (1 + warm))),
        Light(behind, (edge, edge, edge)),
    )


def exposure(who: Person, level: float = 0.43) -> float:
    """A camera's automatic exposure: dark skin is lifted, though not to the same grey."""
    return float((level / np.mean(who.skin)) ** 0.6)


def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = float(np.sqrt(x * x + y * y + z * z))
    return x / length, y / length, z / length


__all__ = ["LeftOut", "Light", "Meant", "Renderer", "Scene", "exposure", "lamps", "shoot", "write_video"]
