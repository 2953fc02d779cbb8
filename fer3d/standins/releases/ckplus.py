"""The stand-in of CK+: posed, frontal, neutral to apex, mostly grey, seven classes with the true imbalance.

Mimics the release "PHASE 1" of the Extended Cohn-Kanade data (Section 4.1 of the
paper): folders ``cohn-kanade-images``, ``Emotion``, ``FACS``, ``Landmarks``. Kept:
proportions of the classes, sequences from neutral to peak, some of fewer than ten frames,
unlabelled sequences with an empty Emotion folder. Departs: fewer unlabelled sequences than
the original's 266 of 593, fewer long ones, and short ones in every class: half of the
original's are contempt, which a length would give away.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer3d.labels import CKPLUS_CODES
from fer3d.standins.people import acting
from fer3d.standins.people import person as people
from fer3d.standins.picture import studio

PUBLISHED = {
    "anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83,
}  # fmt: skip
"""Labelled sequences of each class in CK+, of 118 subjects."""
_SUBJECTS = 118
_UNLABELLED = 0.1
"""Sequences without a label, as a share of the labelled ones."""
_SHORT = 12 / 327
"""Share of sequences of six to nine frames, as published listings have it."""
_CODES = {name: code for code, name in CKPLUS_CODES.items()}
_PNG = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY),
)
"""Noise repeats nothing: without a search for repetitions a picture is written in a third of the time, and smaller."""

MANNER = acting.Manner(strength=1.1, textbook=0.85)


@dataclass(frozen=True)
class Job:
    """One subject: what one worker writes."""

    subject: str
    seed: int
    number: int
    emotions: tuple[tuple[str, bool], ...]
    """Emotion and whether it is labelled, a sequence each."""


def jobs(subjects: int, seed: int, _recordings: int) -> list[Job]:
    """Who shows what: as many sequences a subject as in the original, each class dealt over the subjects."""
    rng = people.stream("ckplus", seed, "plan")
    dealt: list[list[tuple[str, bool]]] = [[] for _ in range(subjects)]
    for emotion, count in PUBLISHED.items():
        wanted = max(1, round(count * subjects / _SUBJECTS))
        order = sorted(range(subjects), key=lambda k: (len(dealt[k]), rng.random()))
        lucky = rng.permutation(subjects)
        for k in range(wanted):
            who = order[k % subjects] if k % 2 else int(lucky[k % subjects])
            dealt[who].append((emotion, True))
    labelled = sum(map(len, dealt))
    empty = [k for k in range(subjects) if not dealt[k]]  # as five of the original's 123 subjects
    spare = rng.integers(subjects, size=max(0, round(_UNLABELLED * labelled) - len(empty))).tolist()
    for k in (*empty, *spare):
        dealt[k].append((str(rng.choice(list(PUBLISHED))), False))
    numbers = _subject_numbers(rng, subjects)
    return [
        Job(f"S{numbers[k]:03d}", seed, k, tuple(dealt[k][i] for i in rng.permutation(len(dealt[k]))))
        for k in range(subjects)
    ]


def _subject_numbers(rng: np.random.Generator, subjects: int) -> list[int]:
    """Numbers with gaps, as the original's: S005 to S160, some in S501 and above, S999 last."""
    newer = round(0.15 * subjects)
    older = subjects - newer
    low = rng.choice(np.arange(6, max(161, 6 + 2 * older)), max(older - 1, 0), replace=False)
    high = rng.choice(
        np.arange(max(501, 8 + 2 * older), max(999, 508 + 4 * subjects)), max(newer - 1, 0), replace=False
    )
    return sorted([5, *low.tolist()])[:older] + sorted([*high.tolist(), 999])[:newer]


def write_job(job: Job, root: Path) -> list[studio.Meant]:
    """Write one subject's sequences below ``root``."""
    rng = people.stream("ckplus", job.seed, job.subject)
    who = people.person("ckplus", job.seed, job.number)
    colour = int(job.subject[1:]) > 500
    grey_wall = rng.uniform(0.05, 0.4)
    scene = studio.Scene(
        width=640,
        height=480 if colour else 490,
        scale=float(rng.uniform(1.05, 1.3)),
        centre=(float(rng.uniform(0.46, 0.54)), float(rng.uniform(0.43, 0.48))),
        lights=studio.lamps(rng, float(rng.uniform(0.65, 0.85)), 0.25, float(rng.uniform(0.2, 0.35))),
        backdrop=(grey_wall, grey_wall, grey_wall * float(rng.uniform(0.9, 1.1))),
        exposure=studio.exposure(who) * float(rng.uniform(0.85, 1.15)),
        blur=float(rng.uniform(0.5, 0.9)),
        noise=float(rng.uniform(1.2, 2.5)),
        grey=not colour,
        seed=int(rng.integers(2**31)),
    )
    renderer = studio.Renderer(who, scene)
    return [
        _sequence(renderer, rng, root, job.subject, f"{k:03d}", emotion, labelled)
        for k, (emotion, labelled) in enumerate(job.emotions, start=1)
    ]


def _sequence(
    renderer: studio.Renderer,
    rng: np.random.Generator,
    root: Path,
    subject: str,
    number: str,
    emotion: str,
    labelled: bool,
) -> studio.Meant:
    frames = _length(rng)
    shown = acting.apex(rng, emotion, MANNER)
    poses = acting.perform(rng, acting.rise(rng, frames), shown, MANNER, fps=30)
    stem = f"{subject}_{number}"
    folders = {top: root / top / subject / number for top in ("cohn-kanade-images", "FACS", "Landmarks")}
    folders["Emotion"] = root / "Emotion" / subject / number
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    clock = int(rng.integers(3600 * 30))
    points: list[np.ndarray] = []
    for t, picture in enumerate(studio.shoot(renderer, poses, points)):
        name = f"{stem}_{t + 1:08d}"
        if renderer.scene.grey:
            picture = _stamp(picture[..., 0], clock + t)
        else:
            picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folders["cohn-kanade-images"] / f"{name}.png"), picture, _PNG)
        (folders["Landmarks"] / f"{name}_landmarks.txt").write_text(_rows(points[-1]))
    last = f"{stem}_{frames:08d}"
    coded = _facs(rng, poses[-1].units)
    (folders["FACS"] / f"{last}_facs.txt").write_text(_rows(np.array(coded).reshape(-1, 2)))
    if labelled:
        (folders["Emotion"] / f"{last}_emotion.txt").write_text(_rows(np.array([[_CODES[emotion]]])))
    units = np.stack([pose.units for pose in poses])
    return studio.Meant(subject, stem, emotion if labelled else None, emotion, np.stack(points), units, coded)


def _length(rng: np.random.Generator) -> int:
    if rng.random() < _SHORT:
        return int(rng.integers(6, 10))
    if rng.random() < 0.03:
        return int(rng.integers(26, 57))
    return int(np.clip(round(10 + rng.exponential(4.0)), 10, 25))


def _rows(values: np.ndarray) -> str:
    """Numbers as the release writes them: three blanks, seven decimals, exponent."""
    return "".join("".join(f"   {value:.7e}" for value in row) + "\n" for row in values)


def _facs(rng: np.random.Generator, units: np.ndarray) -> tuple[tuple[int, float], ...]:
    """The peak's action units with intensities 1 to 5; 0 where the coder gave none."""
    strongest = units.max(0)
    return tuple(
        (unit, 0.0 if rng.random() < 0.15 else float(round(min(max(strongest[k], 1), 5))))
        for k, unit in enumerate(people.UNITS)
        if strongest[k] >= 0.6
    )


def _stamp(picture: np.ndarray, tick: int) -> np.ndarray:
    """The recorder's time code at the lower edge."""
    picture = np.ascontiguousarray(picture)
    text = f"00:{tick // 1800 % 60:02d}:{tick // 30 % 60:02d}:{tick % 30:02d}"
    cv2.rectangle(picture, (232, picture.shape[0] - 26), (408, picture.shape[0] - 6), 12, -1)
    cv2.putText(picture, text, (240, picture.shape[0] - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 235, 1, cv2.LINE_AA)
    return picture
