"""The stand-in of DISFA: long spontaneous videos, weak expressions, mostly neutral, intensities a frame.

Mimics the Denver Intensity of Spontaneous Facial Action release (Section 4.1 of the
paper): a left and a right camera, and one label file for each subject and action unit.
Kept: 27 subjects at most with the original's numbers, 20 frames/s, 1024 x 768, the
imbalance between neutral, happiness and the rest. Departs: 40 frames a feeling, at most 240
a subject instead of 4845, and the right camera for two subjects only.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer3d.data.emfacs import emfacs
from fer3d.standins.people import acting
from fer3d.standins.people import person as people
from fer3d.standins.picture import studio
from fer3d.standins.picture.raster import f32

FPS = 20
FRAMES = 40
"""Frames for each feeling, the neutral ones before and after it included."""
UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
"""The action units that are coded."""
_NUMBERS = (*range(1, 14), 16, 17, 18, 21, *range(23, 33))
_SIZE = (1024, 768)
_DRAWN = (640, 480)
"""Drawn small and enlarged: the original's pictures are compressed as softly."""
_OFTEN = {"happiness": 0.38, "disgust": 0.18, "fear": 0.15, "surprise": 0.11, "sadness": 0.10, "anger": 0.08}
"""What the videos make people feel; a softened form of the original's counts."""
_WITH_RIGHT = 2

MANNER = acting.Manner(strength=0.62, textbook=0.2, spread=0.3, foreign=0.4, blend=0.08, sway=2.0, drift=4.0, rest=0.25)


@dataclass(frozen=True)
class Job:
    """One subject: what one worker writes."""

    subject: str
    seed: int
    number: int
    feelings: tuple[str, ...]
    right: bool


def jobs(subjects: int, seed: int, recordings: int) -> list[Job]:
    """The first subjects of the original's numbering, more than 27 do not exist; ``recordings`` are feelings here.

    One of them is dealt in turn, so that a small stand-in misses no class.
    """
    rng = people.stream("disfa", seed, "plan")
    made = []
    for k, n in enumerate(_NUMBERS[:subjects]):
        dealt = list(_OFTEN)[k % len(_OFTEN)]
        others = {name: often for name, often in _OFTEN.items() if name != dealt}
        shares = np.array([*others.values()]) / sum(others.values())
        felt = [dealt, *rng.choice(list(others), min(recordings - 1, len(others)), replace=False, p=shares)]
        made.append(Job(f"SN{n:03d}", seed, k, tuple(str(name) for name in rng.permutation(felt)), k < _WITH_RIGHT))
    return made


def write_job(job: Job, root: Path) -> list[studio.Meant]:
    """Write one subject's videos and label files below ``root``."""
    rng = people.stream("disfa", job.seed, job.subject)
    who = people.person("disfa", job.seed, job.number)
    wall = rng.uniform(0.35, 0.55)
    scene = studio.Scene(
        width=_DRAWN[0],
        height=_DRAWN[1],
        scale=float(rng.uniform(0.9, 1.1)),
        centre=(float(rng.uniform(0.47, 0.53)), float(rng.uniform(0.42, 0.48))),
        lights=studio.lamps(rng, float(rng.uniform(0.45, 0.6)), 0.3, float(rng.uniform(0.3, 0.4))),
        ambient=(0.36, 0.37, 0.40),
        backdrop=(wall * 0.95, wall, wall * 1.02),
        clutter=0.0,
        exposure=studio.exposure(who) * float(rng.uniform(0.9, 1.1)),
        blur=0.5,
        noise=float(rng.uniform(1.0, 2.0)),
        seed=int(rng.integers(2**31)),
    )
    poses = _watch(rng, job.feelings)
    units = np.stack([pose.units for pose in poses])
    coded = intensities(units)
    _write_labels(root / "ActionUnit_Labels" / job.subject, job.subject, coded)
    points: list[np.ndarray] = []
    left = root / "Videos_LeftCamera" / f"LeftVideo{job.subject}_comp.avi"
    left.parent.mkdir(parents=True, exist_ok=True)
    renderer = studio.Renderer(who, scene)
    studio.write_video(left, _enlarged(studio.shoot(renderer, poses, points)), FPS)
    if job.right:
        right = root / "Video_RightCamera" / f"RightVideo{job.subject}_Comp.avi"
        right.parent.mkdir(parents=True, exist_ok=True)
        beside = [dataclasses.replace(p, turn=(p.turn[0], p.turn[1] + 9.0, p.turn[2])) for p in poses]
        studio.write_video(right, _enlarged(studio.shoot(renderer, beside, [])), FPS)
    labels = tuple(emfacs(_present(row)) for row in coded)
    grow = f32([_SIZE[0] / _DRAWN[0], _SIZE[1] / _DRAWN[1]])
    marks = (np.stack(points) + 0.5) * grow - 0.5
    strongest = tuple((unit, float(column.max())) for unit, column in zip(UNITS, coded.T, strict=True) if column.any())
    name = f"{job.subject}_left"
    return [studio.Meant(job.subject, name, None, "spontaneous", marks, units, strongest, frame_labels=labels)]


def intensities(units: np.ndarray) -> np.ndarray:
    """(T, 12) whole intensities 0..5 that a coder would write, the stronger side of each unit."""
    columns = [people.UNITS.index(unit) for unit in UNITS]
    return np.rint(units.max(1)[:, columns]).astype(int)


def _present(coded: np.ndarray) -> dict[int, float]:
    """The units of one frame (12,) that are present, with their intensities."""
    return {unit: float(value) for unit, value in zip(UNITS, coded, strict=True) if value >= 1}


def _watch(rng: np.random.Generator, feelings: tuple[str, ...]) -> list[people.Pose]:
    """Episodes in a neutral face, each a feeling that comes and goes."""
    poses = acting.perform(rng, np.zeros(len(feelings) * FRAMES), people.neutral(), MANNER, fps=FPS)
    for k, emotion in enumerate(feelings):
        duration = int(rng.integers(24, 34))
        start = k * FRAMES + int(rng.integers(2, FRAMES - duration))
        shown = _felt(rng, emotion)
        for t, amount in enumerate(acting.hump(rng, duration), start):
            np.maximum(poses[t].units, shown * amount, out=poses[t].units)
    return poses


def _felt(rng: np.random.Generator, emotion: str) -> np.ndarray:
    """A weak display that the coded units can still tell apart."""
    for _ in range(200):
        shown = acting.apex(rng, emotion, MANNER)
        coded = intensities(shown[None])[0]
        if emfacs(_present(coded)) == emotion:
            return shown
    raise AssertionError(f"no display of {emotion} in 200 draws")


def _enlarged(pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for picture in pictures:
        yield cv2.resize(picture, _SIZE, interpolation=cv2.INTER_LINEAR)


def _write_labels(folder: Path, subject: str, coded: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for unit, values in zip(UNITS, coded.T, strict=True):
        rows = "".join(f"{t},{value}\n" for t, value in enumerate(values, start=1))
        (folder / f"{subject}_au{unit}.txt").write_text(rows)
