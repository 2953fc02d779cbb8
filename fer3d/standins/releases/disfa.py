"""The DISFA stand-in: long spontaneous videos, weak expressions, mostly neutral, intensities per frame.

Layout of the Denver Intensity of Spontaneous Facial Action release (Section 4.1 of the paper):
a left and a right camera, and one label file per subject and action unit. As in the original:
at most 27 subjects with its numbers, 20 frames/s, 1024 x 768, the imbalance between neutral,
happiness and the rest. Different: 34 frames per expression instead of 4845 per subject, an
onset over half of the expression, and the right camera for two subjects only.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer3d.data.emfacs import emfacs
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import UNIT_INDEX, Person, Pose, neutral_units, random_stream
from fer3d.standins.picture.raster import f32
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights
from fer3d.standins.releases import recording
from fer3d.standins.releases.recording import GroundTruth, SubjectPlan

FPS = 20
FRAMES = 34
"""Frames per expression, including the neutral ones before and after it."""
CODED_UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
"""The action units of the label files."""
_NUMBERS = (*range(1, 14), 16, 17, 18, 21, *range(23, 33))
SIZE = (1024, 768)
"""Width and height of the videos."""
_RENDERED = (640, 480)
"""Size before enlarging: the original's compressed frames are as soft."""
_FREQUENCIES = {"happiness": 0.4, "disgust": 0.16, "fear": 0.14, "surprise": 0.11, "sadness": 0.10, "anger": 0.09}
"""Shares of the emotions; in the original's frames happiness has 0.70, anger 0.01: too few to learn from."""
_RIGHT_VIDEOS = 2
"""Subjects that the right camera films, too."""

STYLE = ExpressionStyle(
    strength=0.85, textbook=0.2, spread=0.3, foreign=0.4, blend=0.08, sway=1.5, drift=4.0, rest=0.25
)


@dataclass(frozen=True)
class Video:
    """One video of a subject."""

    emotions: tuple[str, ...]
    """Shown one after another."""
    right: bool
    """Whether the right camera films, too."""


def plan(subjects: int, seed: int, recordings: int) -> list[SubjectPlan]:
    """The first subjects of the original's numbering, at most 27; each shows an emotion ``recordings`` times.

    The first emotion of each subject is taken in turn, so that a small stand-in misses no class.
    """
    rng = random_stream("disfa", seed, "plan")
    plans = []
    for k, n in enumerate(_NUMBERS[:subjects]):
        first = list(_FREQUENCIES)[k % len(_FREQUENCIES)]
        shown = [first, *rng.choice(list(_FREQUENCIES), recordings - 1, p=list(_FREQUENCIES.values()))]
        video = Video(tuple(str(name) for name in rng.permutation(shown)), k < _RIGHT_VIDEOS)
        plans.append(SubjectPlan(f"SN{n:03d}", k, (video,)))
    return plans


def scene(rng: np.random.Generator, person: Person, _plan: SubjectPlan) -> Scene:
    """A light wall and even light."""
    wall = rng.uniform(0.35, 0.55)
    return Scene(
        width=_RENDERED[0],
        height=_RENDERED[1],
        scale=rng.uniform(0.9, 1.1),
        centre=(rng.uniform(0.47, 0.53), rng.uniform(0.42, 0.48)),
        lights=three_point_lights(rng, rng.uniform(0.45, 0.6), 0.3, rng.uniform(0.3, 0.4)),
        ambient=(0.36, 0.37, 0.40),
        backdrop=(wall * 0.95, wall, wall * 1.02),
        exposure=auto_exposure(person) * rng.uniform(0.9, 1.1),
        blur=0.5,
        noise=rng.uniform(1.0, 2.0),
        seed=int(rng.integers(2**31)),
    )


def write_recording(
    rng: np.random.Generator, renderer: Renderer, plan: SubjectPlan, video: Video, root: Path
) -> GroundTruth:
    """Write one subject's video, or both cameras' videos, and label files below ``root``."""
    poses = _animate_episodes(rng, video.emotions)
    units = np.stack([pose.units for pose in poses])
    coded = intensities(units)
    _write_labels(root / "ActionUnit_Labels" / plan.subject, plan.subject, coded)
    left = root / "Videos_LeftCamera" / f"LeftVideo{plan.subject}_comp.avi"
    landmarks = recording.write_rendered(left, _enlarge(map(renderer.frame, poses)), FPS)
    if video.right:
        right = root / "Video_RightCamera" / f"RightVideo{plan.subject}_Comp.avi"
        turned = [dataclasses.replace(p, turn=(p.turn[0], p.turn[1] + 9.0, p.turn[2])) for p in poses]
        recording.write_rendered(right, _enlarge(map(renderer.frame, turned)), FPS)
    strongest = zip(CODED_UNITS, coded.max(axis=0).tolist(), strict=True)
    return GroundTruth(
        plan.subject,
        f"{plan.subject}_left",
        None,
        landmarks,
        units,
        tuple((unit, float(value)) for unit, value in strongest if value),
        frame_labels=tuple(map(_emotion, coded)),
    )


def intensities(units: np.ndarray) -> np.ndarray:
    """(T, 12) integer intensities 0..5 as coded: the stronger side of each of `CODED_UNITS`."""
    columns = [UNIT_INDEX[unit] for unit in CODED_UNITS]
    return np.rint(units.max(1)[:, columns]).astype(int)


def _emotion(coded: np.ndarray) -> str | None:
    """The emotion of one frame's coded intensities (12,)."""
    return emfacs({unit: float(value) for unit, value in zip(CODED_UNITS, coded, strict=True) if value >= 1})


def _animate_episodes(rng: np.random.Generator, emotions: tuple[str, ...]) -> list[Pose]:
    """The poses of a video: a neutral face, with one episode per emotion."""
    poses = expression.animate(rng, np.zeros(len(emotions) * FRAMES), neutral_units(), STYLE, fps=FPS)
    for k, emotion in enumerate(emotions):
        duration = int(rng.integers(20, 27))
        start = k * FRAMES + int(rng.integers(2, FRAMES - duration))
        apex = _recognisable_apex(rng, emotion)
        for t, progress in enumerate(expression.onset_apex_offset(rng, duration, expression.GRADUAL), start):
            np.maximum(poses[t].units, apex * progress, out=poses[t].units)
    return poses


def _recognisable_apex(rng: np.random.Generator, emotion: str) -> np.ndarray:
    """A weak display whose coded units still give the emotion."""
    for _ in range(200):
        apex = expression.sample_apex(rng, emotion, STYLE)
        if _emotion(intensities(apex[None])[0]) == emotion:
            return apex
    raise AssertionError(f"no display of {emotion} in 200 draws")


def _enlarge(rendered: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The frames and their landmarks in the size of the videos."""
    scale = f32([SIZE[0] / _RENDERED[0], SIZE[1] / _RENDERED[1]])
    for frame, true in rendered:
        yield cv2.resize(frame, SIZE, interpolation=cv2.INTER_LINEAR), (true + 0.5) * scale - 0.5


def _write_labels(folder: Path, subject: str, coded: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for unit, values in zip(CODED_UNITS, coded.T, strict=True):
        rows = "".join(f"{t},{value}\n" for t, value in enumerate(values, start=1))
        (folder / f"{subject}_au{unit}.txt").write_text(rows)
