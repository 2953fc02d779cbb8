"""The GEMEP-FERA stand-in: a few actors who speak while they show an emotion, fast head motion, relief.

Layout of the FERA 2011 training partitions (Section 4.1 of the paper): ``emotion_training``
with the label of each video (a word, a number, or a word in the file name, because the
original's form is not known for certain) and ``au_training`` with one row of action units per
frame. ``actors.csv`` and ``emotion_codes.csv`` add what the original's files lack. Different:
at most ten actors, a few emotion videos each instead of about 22, half as long; two videos with
action units instead of 87; expressions grow to the end, so that no clip shows only a held one.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer3d import files
from fer3d.labels import CLASSES
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import UNIT_INDEX, Person, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights
from fer3d.standins.releases import recording
from fer3d.standins.releases.recording import GroundTruth, SubjectPlan

FPS = 25
FRAMES = (20, 26)
"""Length of a recording: at least, and less than."""
_ACTORS = 10
_COLUMNS = 46
"""Action unit columns of ``-au.dat``, followed by a speech flag."""
_CODED = (1, 2, 4, 6, 7, 10, 12, 15, 17, 25, 26)
"""The units that the original codes, without 18: no synthetic face shows it."""
_WORDS = {"happiness": "joy"}
_AU_NUMBERS = (1, 19)
"""Numbers of the action unit videos, one each of the first two actors."""

STYLE = ExpressionStyle(textbook=0.6, spread=0.2, foreign=0.5, blend=0.1, sway=2.5, drift=5.0)


@dataclass(frozen=True)
class Video:
    """One folder ``train_###``."""

    number: int
    emotion: str
    labelled_by: str
    """``word`` or ``number`` (in a label file), ``name`` (of the video file), or ``units`` (action units only)."""

    @property
    def word(self) -> str:
        """The emotion in the challenge's words."""
        return _WORDS.get(self.emotion, self.emotion)

    @property
    def name(self) -> str:
        """Name in the release; unique, although both partitions count from 001."""
        stem = f"train_{self.number:03d}"
        return {"units": f"au_{stem}", "name": f"{stem}-{self.word}"}.get(self.labelled_by, stem)


def plan(subjects: int, seed: int, recordings: int) -> list[SubjectPlan]:
    """Plan ``recordings`` videos per actor: emotions in turn, random numbers."""
    rng = random_stream("fera", seed, "plan")
    actors = min(subjects, _ACTORS)
    emotions = itertools.cycle(CLASSES["fera"])
    numbers = (rng.permutation(actors * recordings) + 1).tolist()
    plans = []
    for k in range(actors):
        labelled_by = rng.choice(["word", "number", "name"], recordings, p=[0.5, 0.25, 0.25])
        videos = [Video(numbers.pop(), next(emotions), str(kind)) for kind in labelled_by]
        if k < len(_AU_NUMBERS):
            videos.append(Video(_AU_NUMBERS[k], str(rng.choice(CLASSES["fera"])), "units"))
        plans.append(SubjectPlan(f"actor{k + 1}", k, tuple(videos)))
    return plans


def scene(rng: np.random.Generator, person: Person, _plan: SubjectPlan) -> Scene:
    """A dark background and hard light from the side."""
    dark = rng.uniform(0.01, 0.08)
    return Scene(
        width=720,
        height=576,
        scale=rng.uniform(0.95, 1.15),
        centre=(rng.uniform(0.45, 0.55), rng.uniform(0.38, 0.44)),
        lights=three_point_lights(rng, rng.uniform(0.7, 0.9), 0.8, rng.uniform(0.12, 0.25)),
        ambient=(0.24, 0.21, 0.18),
        backdrop=(dark, dark * 1.1, dark * 1.6),
        exposure=auto_exposure(person) * rng.uniform(0.9, 1.2),
        blur=rng.uniform(0.8, 1.3),
        noise=rng.uniform(2.0, 4.0),
        seed=int(rng.integers(2**31)),
    )


def write_tables(root: Path, plans: Sequence[SubjectPlan]) -> None:
    """Write the two tables that users of the original write themselves."""
    rows = [f"{video.name},{plan.subject}," for plan in plans for video in plan.recordings]
    files.write_text(root / "actors.csv", "\n".join(["sequence,subject,emotion", *rows]) + "\n")
    codes = [f"{code},{_WORDS.get(name, name)}" for code, name in enumerate(_code_order(), start=1)]
    files.write_text(root / "emotion_codes.csv", "\n".join(["code,emotion", *codes]) + "\n")


def _code_order() -> list[str]:
    """Emotions in the alphabetical order of the challenge's words."""
    return sorted(CLASSES["fera"], key=lambda name: _WORDS.get(name, name))


def write_recording(
    rng: np.random.Generator, renderer: Renderer, plan: SubjectPlan, video: Video, root: Path
) -> GroundTruth:
    """Write one video and its label or action units below ``root``."""
    length = int(rng.integers(*FRAMES))
    apex = expression.sample_apex(rng, video.emotion, STYLE)
    poses = expression.animate(rng, expression.swelling(rng, length, FPS), apex, STYLE, fps=FPS)
    first, last = sorted(rng.integers(0, length, 2).tolist())
    speaking = expression.speak(rng, poses, first, last, FPS)
    by_units = video.labelled_by == "units"
    partition, stem = ("au_training", video.name[3:]) if by_units else ("emotion_training", video.name)
    folder = root / partition / stem[: len("train_000")]
    landmarks = recording.write_rendered(folder / f"{stem}.avi", map(renderer.frame, poses), FPS)
    units = np.stack([pose.units for pose in poses])
    coded: tuple[tuple[int, float], ...] = ()
    if by_units:
        table = present(units)
        rows = np.column_stack([table, speaking]).astype(int)
        (folder / f"{stem}-au.dat").write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
        coded = tuple((k + 1, 0.0) for k in np.flatnonzero(table.any(0)).tolist())
    elif video.labelled_by != "name":
        text = video.word if video.labelled_by == "word" else str(_code_order().index(video.emotion) + 1)
        (folder / f"{stem}-emotion.dat").write_text(f"{text}\n")
    label = None if by_units else video.emotion
    return GroundTruth(plan.subject, video.name, label, landmarks, units, coded)


def present(units: np.ndarray) -> np.ndarray:
    """(T, 46) bool: the action units as coded, unit k in column k - 1."""
    table = np.zeros((len(units), _COLUMNS), bool)
    for unit in _CODED:
        table[:, unit - 1] = units[:, :, UNIT_INDEX[unit]].max(1) >= 1
    return table
