"""The stand-in of GEMEP-FERA: few actors who speak while they show an emotion, heads that move fast, relief.

Mimics the FERA 2011 training partitions (Section 4.1 of the paper): ``emotion_training``
with a label beside each video (a word, a number, or a word in the name, since the
original's way is not known for certain) and ``au_training`` with a row of action units a
frame. ``actors.csv`` and ``emotion_codes.csv`` tell what the original's files do not.
Departs: at most ten actors, a few emotion videos each instead of about 22, half as long; two videos with action
units instead of 87.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer3d import files
from fer3d.labels import CLASSES
from fer3d.standins.people import acting
from fer3d.standins.people import person as people
from fer3d.standins.picture import studio

FPS = 25
FRAMES = (20, 31)
"""Frames of a recording: at least, and fewer than."""
_ACTORS = 10
_COLUMNS = 46
"""Action unit columns of ``-au.dat``; the speech flag follows."""
_CODED = (1, 2, 4, 6, 7, 10, 12, 15, 17, 25, 26)
_WORDS = {"happiness": "joy"}
_AU_NUMBERS = (1, 19)
"""First sequence of the first two actors in the action unit partition."""

MANNER = acting.Manner(strength=0.85, textbook=0.15, spread=0.3, foreign=1.0, sway=5.0, drift=7.0)


@dataclass(frozen=True)
class Video:
    """One folder ``train_###``."""

    number: int
    emotion: str
    told: str
    """``word``, ``number`` (in the label file), ``name`` (in the file's name), or ``units`` (action units only)."""

    @property
    def word(self) -> str:
        """The emotion as the challenge calls it."""
        return _WORDS.get(self.emotion, self.emotion)

    @property
    def name(self) -> str:
        """Unique in the release: both partitions count from 001."""
        stem = f"train_{self.number:03d}"
        return {"units": f"au_{stem}", "name": f"{stem}-{self.word}"}.get(self.told, stem)


@dataclass(frozen=True)
class Job:
    """One actor: what one worker writes."""

    subject: str
    seed: int
    number: int
    videos: tuple[Video, ...]


def jobs(subjects: int, seed: int, recordings: int) -> list[Job]:
    """Who plays what: ``recordings`` videos an actor, the emotions dealt in turn, numbers that tell nothing."""
    rng = people.stream("fera", seed, "plan")
    actors = min(subjects, _ACTORS)
    emotions = itertools.cycle(CLASSES["fera"])
    numbers = (rng.permutation(actors * recordings) + 1).tolist()
    made = []
    for k in range(actors):
        told = rng.choice(["word", "number", "name"], recordings, p=[0.5, 0.25, 0.25])
        videos = [Video(numbers.pop(), next(emotions), str(way)) for way in told]
        if k < len(_AU_NUMBERS):
            videos.append(Video(_AU_NUMBERS[k], str(rng.choice(CLASSES["fera"])), "units"))
        made.append(Job(f"actor{k + 1}", seed, k, tuple(videos)))
    return made


def write_job(job: Job, root: Path) -> list[studio.Meant]:
    """Write one actor's videos below ``root``."""
    rng = people.stream("fera", job.seed, job.subject)
    who = people.person("fera", job.seed, job.number)
    dark = rng.uniform(0.01, 0.08)
    scene = studio.Scene(
        width=720,
        height=576,
        scale=float(rng.uniform(0.95, 1.15)),
        centre=(float(rng.uniform(0.45, 0.55)), float(rng.uniform(0.38, 0.44))),
        lights=studio.lamps(rng, float(rng.uniform(0.7, 0.9)), 0.8, float(rng.uniform(0.12, 0.25))),
        ambient=(0.24, 0.21, 0.18),
        backdrop=(dark, dark * 1.1, dark * 1.6),
        exposure=studio.exposure(who) * float(rng.uniform(0.9, 1.2)),
        blur=float(rng.uniform(0.8, 1.3)),
        noise=float(rng.uniform(2.0, 4.0)),
        seed=int(rng.integers(2**31)),
    )
    renderer = studio.Renderer(who, scene)
    return [_video(renderer, rng, root, job.subject, video) for video in job.videos]


def write_tables(root: Path, everyone: list[Job]) -> list[studio.LeftOut]:
    """The two tables that a user of the original has to write. Returns what they leave untold."""
    rows = [f"{video.name},{job.subject}," for job in everyone for video in job.videos]
    files.write_text(root / "actors.csv", "\n".join(["sequence,subject,emotion", *rows]) + "\n")
    codes = [f"{code},{_WORDS.get(name, name)}" for code, name in enumerate(_code_order(), start=1)]
    files.write_text(root / "emotion_codes.csv", "\n".join(["code,emotion", *codes]) + "\n")
    untold = sum(video.told == "units" for job in everyone for video in job.videos)
    return [studio.LeftOut("emotions", f"{untold} sequences have no emotion")]


def _code_order() -> list[str]:
    """Emotions in the alphabetical order of the words in use."""
    return sorted(CLASSES["fera"], key=lambda name: _WORDS.get(name, name))


def _video(renderer: studio.Renderer, rng: np.random.Generator, root: Path, subject: str, video: Video) -> studio.Meant:
    frames = int(rng.integers(*FRAMES))
    shown = acting.apex(rng, video.emotion, MANNER)
    course = np.clip(0.45 + np.arange(frames) / (0.3 * frames), 0, 1)  # cut to begin with the expression
    course = course * (0.85 + 0.15 * acting.wander(rng, frames, FPS).clip(-1, 1))
    poses = acting.perform(rng, course, shown, MANNER, fps=FPS)
    speaking = _speak(rng, poses)
    partition, stem = ("au_training", video.name[3:]) if video.told == "units" else ("emotion_training", video.name)
    folder = root / partition / stem[: len("train_000")]
    folder.mkdir(parents=True, exist_ok=True)
    points: list[np.ndarray] = []
    studio.write_video(folder / f"{stem}.avi", studio.shoot(renderer, poses, points), FPS)
    units = np.stack([pose.units for pose in poses])
    if video.told == "units":
        table = present(units)
        rows = np.column_stack([table, speaking]).astype(int)
        (folder / f"{stem}-au.dat").write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
        coded = tuple((k + 1, 0.0) for k in np.flatnonzero(table.any(0)).tolist())
        return studio.Meant(subject, video.name, None, video.emotion, np.stack(points), units, coded)
    if video.told != "name":
        told = video.word if video.told == "word" else str(_code_order().index(video.emotion) + 1)
        (folder / f"{stem}-emotion.dat").write_text(f"{told}\n")
    return studio.Meant(subject, video.name, video.emotion, video.emotion, np.stack(points), units)


def _speak(rng: np.random.Generator, poses: list[people.Pose]) -> np.ndarray:
    """Move lips and jaw at the pace of syllables over what the face shows. Returns (T,) bool: speaking."""
    frames = len(poses)
    start, stop = sorted(rng.integers(0, frames, 2).tolist())
    beat = np.cumsum(rng.uniform(3.0, 6.0, frames)) / FPS * 2 * np.pi
    speaking = (np.arange(frames) >= start) & (np.arange(frames) <= stop)
    loud = rng.uniform(1.0, 2.2)
    for t in np.flatnonzero(speaking):
        opened = loud * max(0.0, float(np.sin(beat[t])))
        rounded = max(0.0, float(np.sin(0.53 * beat[t] + 1)))
        for unit, amount in ((25, 1.2 * opened), (26, opened), (23, 1.6 * rounded)):
            k = people.UNITS.index(unit)
            poses[t].units[:, k] = np.maximum(poses[t].units[:, k], amount)
    return speaking


def present(units: np.ndarray) -> np.ndarray:
    """(T, 46) bool, the units that a coder would note: action unit k in column k - 1."""
    table = np.zeros((len(units), _COLUMNS), bool)
    for unit in _CODED:
        table[:, unit - 1] = units[:, :, people.UNITS.index(unit)].max(1) >= 1
    return table
