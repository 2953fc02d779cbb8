"""The CK+ stand-in: posed, frontal, neutral to apex, mostly grey, seven classes with the true imbalance.

Layout of the release "PHASE 1" of the Extended Cohn-Kanade data (Section 4.1 of the paper):
folders ``cohn-kanade-images``, ``Emotion``, ``FACS``, ``Landmarks``. As in the original: class
proportions, sequences from neutral to peak, some with fewer than ten frames, unlabelled
sequences with an empty Emotion folder. Different: fewer unlabelled sequences than 266 of 593,
fewer long ones, and short ones in every class (half of the original's are contempt, so length
would reveal the class).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer3d.labels import CKPLUS_CODES
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import ACTION_UNITS, Person, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights
from fer3d.standins.releases.recording import GroundTruth, SubjectPlan

PUBLISHED = {
    "anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83,
}  # fmt: skip
"""Labelled sequences per class in CK+, of 118 subjects."""
_SUBJECTS = 118
_UNLABELLED = 0.1
"""Sequences without a label, as a share of the labelled ones."""
_SHORT = 12 / 327
"""Share of sequences with six to nine frames, from published listings."""
_CODES = {name: code for code, name in CKPLUS_CODES.items()}
_PNG = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY),
)
"""Noise has no repetitions; without searching for them a picture is written in a third of the time, and smaller."""

STYLE = ExpressionStyle(strength=1.1, textbook=0.85)


@dataclass(frozen=True)
class Sequence:
    """One sequence of a subject."""

    number: int
    emotion: str
    labelled: bool


def plan(subjects: int, seed: int, _recordings: int) -> list[SubjectPlan]:
    """Plan the sequences: as many per subject as in the original, each class spread over the subjects."""
    rng = random_stream("ckplus", seed, "plan")
    emotions: list[list[tuple[str, bool]]] = [[] for _ in range(subjects)]
    for emotion, count in PUBLISHED.items():
        wanted = max(1, round(count * subjects / _SUBJECTS))
        fewest_first = sorted(range(subjects), key=lambda k: (len(emotions[k]), rng.random()))
        random_order = rng.permutation(subjects)
        for k in range(wanted):
            chosen = fewest_first[k % subjects] if k % 2 else int(random_order[k % subjects])
            emotions[chosen].append((emotion, True))
    labelled = sum(map(len, emotions))
    empty = [k for k in range(subjects) if not emotions[k]]  # as five of the original's 123 subjects
    spare = rng.integers(subjects, size=max(0, round(_UNLABELLED * labelled) - len(empty))).tolist()
    for k in (*empty, *spare):
        emotions[k].append((str(rng.choice(list(PUBLISHED))), False))
    numbers = _subject_numbers(rng, subjects)
    plans = []
    for k in range(subjects):
        shuffled = [emotions[k][i] for i in rng.permutation(len(emotions[k]))]
        sequences = tuple(Sequence(number, *one) for number, one in enumerate(shuffled, start=1))
        plans.append(SubjectPlan(f"S{numbers[k]:03d}", k, sequences))
    return plans


def _subject_numbers(rng: np.random.Generator, subjects: int) -> list[int]:
    """Numbers with gaps as in the original: S005 to S160, some from S501 on, S999 last."""
    newer = round(0.15 * subjects)
    older = subjects - newer
    low = rng.choice(_others(6, max(161, 6 + 2 * older)), max(older - 1, 0), replace=False)
    high = rng.choice(_others(max(501, 8 + 2 * older), max(999, 508 + 4 * subjects)), max(newer - 1, 0), replace=False)
    return sorted([5, *low.tolist()])[:older] + sorted([*high.tolist(), 999])[:newer]


def _others(start: int, stop: int) -> np.ndarray:
    """Numbers from ``start`` below ``stop``, without 999, the last subject's."""
    return np.setdiff1d(np.arange(start, stop), [999])


def scene(rng: np.random.Generator, person: Person, plan: SubjectPlan) -> Scene:
    """A grey wall and soft frontal light; subjects from S501 on in colour."""
    colour = int(plan.subject[1:]) > 500
    grey_wall = rng.uniform(0.05, 0.4)
    return Scene(
        width=640,
        height=480 if colour else 490,
        scale=rng.uniform(1.05, 1.3),
        centre=(rng.uniform(0.46, 0.54), rng.uniform(0.43, 0.48)),
        lights=three_point_lights(rng, rng.uniform(0.65, 0.85), 0.25, rng.uniform(0.2, 0.35)),
        backdrop=(grey_wall, grey_wall, grey_wall * rng.uniform(0.9, 1.1)),
        exposure=auto_exposure(person) * rng.uniform(0.85, 1.15),
        blur=rng.uniform(0.5, 0.9),
        noise=rng.uniform(1.2, 2.5),
        grey=not colour,
        seed=int(rng.integers(2**31)),
    )


def write_recording(
    rng: np.random.Generator, renderer: Renderer, plan: SubjectPlan, sequence: Sequence, root: Path
) -> GroundTruth:
    """Write one sequence's images, landmarks, FACS codes and label below ``root``."""
    length = _length(rng)
    apex = expression.sample_apex(rng, sequence.emotion, STYLE)
    poses = expression.animate(rng, expression.onset_to_apex(rng, length), apex, STYLE, fps=30)
    stem, below = f"{plan.subject}_{sequence.number:03d}", f"{plan.subject}/{sequence.number:03d}"
    tops = ("cohn-kanade-images", "FACS", "Landmarks", "Emotion")
    images, facs, texts, emotions = (root / top / below for top in tops)
    for folder in (images, facs, texts, emotions):
        folder.mkdir(parents=True, exist_ok=True)
    clock = int(rng.integers(3600 * 30))
    landmarks = []
    for t, (frame, true) in enumerate(map(renderer.frame, poses)):
        name = f"{stem}_{t + 1:08d}"
        if renderer.scene.grey:
            image = _with_time_code(frame[..., 0], clock + t)
        else:
            image = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(images / f"{name}.png"), image, _PNG)
        (texts / f"{name}_landmarks.txt").write_text(_rows(true))
        landmarks.append(true)
    last = f"{stem}_{length:08d}"
    coded = _coded_units(rng, poses[-1].units)
    (facs / f"{last}_facs.txt").write_text(_rows(coded))
    if sequence.labelled:
        (emotions / f"{last}_emotion.txt").write_text(_rows([[_CODES[sequence.emotion]]]))
    label = sequence.emotion if sequence.labelled else None
    return GroundTruth(plan.subject, stem, label, np.stack(landmarks), np.stack([p.units for p in poses]), coded)


def _length(rng: np.random.Generator) -> int:
    if rng.random() < _SHORT:
        return int(rng.integers(6, 10))
    if rng.random() < 0.03:
        return int(rng.integers(26, 57))
    return int(np.clip(round(10 + rng.exponential(4.0)), 10, 25))


def _rows(rows: Iterable[Iterable[float]]) -> str:
    """Numbers in the release's format: three blanks, seven decimals, exponent."""
    return "".join("".join(f"   {value:.7e}" for value in row) + "\n" for row in rows)


def _coded_units(rng: np.random.Generator, units: np.ndarray) -> tuple[tuple[int, float], ...]:
    """The peak's action units with intensities 1 to 5, or 0 where the coder gave none."""
    strongest = units.max(0)
    return tuple(
        (unit, 0.0 if rng.random() < 0.15 else float(round(min(max(strongest[k], 1), 5))))
        for k, unit in enumerate(ACTION_UNITS)
        if strongest[k] >= 0.6
    )


def _with_time_code(picture: np.ndarray, tick: int) -> np.ndarray:
    """The image with the recorder's time code at its lower edge."""
    picture = np.ascontiguousarray(picture)
    text = f"00:{tick // 1800 % 60:02d}:{tick // 30 % 60:02d}:{tick % 30:02d}"
    cv2.rectangle(picture, (232, picture.shape[0] - 26), (408, picture.shape[0] - 6), 12, -1)
    cv2.putText(picture, text, (240, picture.shape[0] - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 235, 1, cv2.LINE_AA)
    return picture
