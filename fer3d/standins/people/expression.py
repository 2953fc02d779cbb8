"""Facial expressions over time: which action units, how strongly, and when.

Not part of the paper: used by the stand-in databases. Each emotion has several prototypes
(combinations of action units) in the manner of EMFACS. A displayed one drops units, adds
unrelated ones, blends with another emotion and is asymmetric, so that no class is one clean
pattern. Head, gaze and blinks depend on the database's protocol, never on the label.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from fer3d.standins.people.person import ACTION_UNITS, UNIT_INDEX, Pose, neutral_units

PROTOTYPES: Final[Mapping[str, tuple[Mapping[int, float], ...]]] = {
    "anger": (
        {4: 3.6, 7: 2.8, 23: 3.0, 17: 2.0},
        {4: 3.2, 7: 2.4, 17: 3.2, 23: 2.4, 15: 1.0},
        {4: 2.6, 5: 2.4, 7: 1.8, 10: 1.6, 25: 2.4, 26: 2.0},
        {4: 2.2, 5: 2.0, 25: 1.6, 26: 0.8},
    ),
    "contempt": ({14: 3.2, 12: 1.2}, {14: 2.6, 12: 1.8}, {12: 2.2, 14: 2.4, 10: 0.8}),
    "disgust": (
        {9: 3.4, 10: 2.4, 17: 1.6, 4: 2.0},
        {9: 3.6, 4: 2.4, 6: 1.6, 7: 2.0, 15: 1.0},
        {10: 3.2, 16: 1.6, 25: 2.2, 26: 1.4},
        {9: 1.8, 10: 2.2, 12: 1.2, 25: 1.8},
    ),
    "fear": (
        {1: 3.2, 2: 2.0, 4: 2.2, 5: 3.0, 20: 2.8, 25: 2.0},
        {1: 3.0, 4: 2.6, 20: 3.0, 25: 2.4, 26: 1.2},
        {1: 2.6, 2: 2.4, 5: 3.0, 25: 2.0, 26: 2.4},
        {4: 2.2, 7: 2.0, 20: 2.2, 25: 1.6, 12: 0.8},
    ),
    "happiness": (
        {6: 3.0, 12: 3.6, 25: 2.4},
        {6: 3.2, 12: 3.8, 25: 2.8, 26: 1.6},
        {6: 1.2, 12: 2.2, 14: 1.4},
        {1: 1.4, 2: 1.4, 12: 2.4, 25: 1.8, 26: 1.8},
    ),
    "sadness": (
        {1: 3.2, 4: 2.4, 15: 3.0, 17: 2.0},
        {1: 2.6, 15: 3.2, 17: 2.4},
        {4: 2.4, 7: 1.6, 15: 1.6, 17: 2.6, 23: 1.4},
        {1: 2.8, 4: 2.2, 7: 1.4, 25: 1.4},
    ),
    "surprise": (
        {1: 3.6, 2: 3.4, 5: 2.8, 25: 2.6, 27: 3.0},
        {1: 3.2, 2: 3.2, 5: 2.4, 25: 2.6, 26: 3.2},
        {1: 2.4, 2: 2.4, 5: 1.2},
        {5: 1.8, 25: 2.4, 26: 2.8},
    ),
    "relief": (
        {12: 1.6, 25: 2.0, 26: 1.6, 6: 1.0},
        {26: 2.4, 25: 2.2, 1: 1.0, 2: 1.0},
        {12: 2.2, 6: 1.2, 15: 0.8, 25: 1.0},
    ),
    "neutral": ({},),
    "calm": ({12: 1.0}, {12: 0.8, 6: 0.5}),
}
"""Mean intensities at the apex, 0..5, by emotion: several prototypes each.

The first half of each are textbook patterns, as an instructor would request them; the others
are looser, as in spontaneous or acted displays, and closer to other emotions.
"""


@dataclass(frozen=True)
class ExpressionStyle:
    """How the people of a database show emotions."""

    strength: float = 1.0
    """Factor on the prototypes' intensities."""
    textbook: float = 0.5
    """Probability of a textbook prototype rather than a looser one."""
    spread: float = 0.22
    """Standard deviation of a recording's overall strength, as a share."""
    drop: float = 0.10
    """Probability that a unit of the prototype is missing."""
    foreign: float = 0.8
    """Mean number of unrelated units."""
    blend: float = 0.16
    """Probability that another emotion is mixed in."""
    asymmetry: float = 0.14
    """Standard deviation of the factor on each unit and side."""
    sway: float = 1.0
    """Standard deviation of the head's rotation in degrees."""
    drift: float = 1.0
    """Standard deviation of the head's position in millimetres."""
    rest: float = 1.0
    """Factor on the intensities of the face at rest."""


def sample_apex(rng: np.random.Generator, emotion: str, style: ExpressionStyle) -> np.ndarray:
    """(2, units) intensities 0..5 at the apex of one display of an emotion."""
    shown = _sample_prototype(rng, emotion, style)
    if emotion != "neutral" and rng.random() < style.blend:
        other = str(rng.choice([name for name in PROTOTYPES if name not in (emotion, "neutral", "calm")]))
        shown = np.maximum(0.85 * shown, 0.45 * _sample_prototype(rng, other, style))
    for unit in rng.choice(len(ACTION_UNITS), rng.poisson(style.foreign), replace=True):
        shown[:, unit] = np.maximum(shown[:, unit], rng.uniform(0.4, 2.2) * min(1.0, style.strength))
    shown = shown * np.clip(rng.normal(1, style.asymmetry, shown.shape), 0.5, 1.5)
    return _without_antagonists(np.clip(shown, 0, 5)).astype(np.float32)


def _sample_prototype(rng: np.random.Generator, emotion: str, style: ExpressionStyle) -> np.ndarray:
    half = (len(PROTOTYPES[emotion]) + 1) // 2
    textbook, looser = PROTOTYPES[emotion][:half], PROTOTYPES[emotion][half:]
    prototypes = textbook if rng.random() < style.textbook or not looser else looser
    prototype = prototypes[rng.integers(len(prototypes))]
    overall = style.strength * np.clip(rng.normal(1, style.spread), 0.3, 1.5)
    shown = neutral_units().astype(float)
    kept = [u for u in prototype if rng.random() > style.drop] or list(prototype)[:1]
    for unit in kept:
        shown[:, UNIT_INDEX[unit]] = max(0.0, prototype[unit] * overall * rng.normal(1, 0.2))
    if emotion == "contempt":
        shown[int(rng.integers(2))] *= rng.uniform(0.0, 0.3)
    return shown


def _without_antagonists(shown: np.ndarray) -> np.ndarray:
    """Weaken units that exclude each other: an open jaw prevents pressed lips, and there is one jaw."""
    dropped, stretched = UNIT_INDEX[26], UNIT_INDEX[27]
    press_less(shown, np.maximum(shown[:, dropped], shown[:, stretched]))
    for k in (dropped, stretched):
        shown[:, k] = shown[:, k].mean()  # the jaw is one bone
    shown[:, dropped] *= np.clip(1 - shown[:, stretched] / 4, 0, 1)
    return shown


def press_less(units: np.ndarray, jaw: np.ndarray) -> None:
    """Weaken pressed lips in intensities (2, units), in place: by how far the ``jaw`` is open, () or (2,) 0..5."""
    for pressed in (17, 23, 14):
        units[:, UNIT_INDEX[pressed]] *= np.clip(1 - jaw / 3, 0.15, 1)


def resting_units(rng: np.random.Generator, style: ExpressionStyle) -> np.ndarray:
    """(2, units) weak intensities of the face at rest, independent of the expression that follows."""
    units = neutral_units()
    for unit in rng.choice([1, 2, 4, 7, 12, 15, 17, 23, 25], rng.poisson(1.0), replace=False):
        units[:, UNIT_INDEX[int(unit)]] = rng.uniform(0.2, 1.0) * style.rest
    return units


def animate(
    rng: np.random.Generator, course: np.ndarray, apex: np.ndarray, style: ExpressionStyle, fps: float, yaw: float = 0.0
) -> list[Pose]:
    """The poses of a recording.

    Args:
        rng: random numbers.
        course: (T,) progress of the expression, 0 (rest) to 1 (apex). Each unit follows it with its own lag and speed.
        apex: (2, units) intensities at the apex.
        style: of the database.
        fps: frames per second.
        yaw: mean yaw of the head in degrees; head and gaze wander, the eyes blink.
    """
    frames = len(course)
    rest = resting_units(rng, style)
    at = np.arange(frames)
    units = np.empty((frames, 2, len(ACTION_UNITS)), np.float32)
    speed = rng.uniform(0.75, 1.5, len(ACTION_UNITS))
    lag = rng.normal(0, 0.06 * fps / 15, len(ACTION_UNITS)).clip(-1.5, 1.5)
    for k in range(len(ACTION_UNITS)):
        progress = np.interp(at - lag[k], at, course) ** speed[k]
        units[:, :, k] = rest[:, k] + (np.maximum(apex[:, k], rest[:, k]) - rest[:, k])[None] * progress[:, None]
    units += rng.normal(0, 0.04, units.shape) * (units > 0.2)
    units = units.clip(0, 5)
    swayed = np.stack([smooth_noise(rng, frames, fps) * style.sway * f for f in (0.8, 1.0, 0.7)], 1)
    turns = rng.normal([0, yaw, 0], [2.0, 2.0, 1.5]) + swayed
    shifts = np.stack([smooth_noise(rng, frames, fps) * style.drift for _ in range(2)], 1)
    gazes = np.stack([smooth_noise(rng, frames, fps) * 2.0 for _ in range(2)], 1)
    blink = blinks(rng, frames, fps)
    return [
        Pose(units[t], float(blink[t]), tuple(gazes[t].tolist()), tuple(turns[t].tolist()), tuple(shifts[t].tolist()))
        for t in range(frames)
    ]


def speak(rng: np.random.Generator, poses: list[Pose], first: int, last: int, fps: float) -> np.ndarray:
    """Add speech to the poses from ``first`` to ``last``, in place: lips and jaw move with syllables.

    Returns (T,) bool: speaking.
    """
    frames = len(poses)
    beat = np.cumsum(rng.uniform(3.0, 6.0, frames)) / fps * 2 * np.pi
    speaking = (np.arange(frames) >= first) & (np.arange(frames) <= last)
    loud = rng.uniform(1.0, 2.2)
    for t in np.flatnonzero(speaking):
        opened = loud * max(0.0, float(np.sin(beat[t])))
        rounded = max(0.0, float(np.sin(0.53 * beat[t] + 1)))
        for unit, amount in ((25, 1.2 * opened), (26, opened), (23, 1.6 * rounded)):
            k = UNIT_INDEX[unit]
            poses[t].units[:, k] = np.maximum(poses[t].units[:, k], amount)
    return speaking


def say_sentence(
    rng: np.random.Generator, frames: int, apex: np.ndarray, style: ExpressionStyle, fps: float
) -> list[Pose]:
    """The poses of a sentence said with an expression: rest, onset, speech, rest. ``apex`` as of `sample_apex`."""
    poses = animate(rng, onset_apex_offset(rng, frames), apex, style, fps)
    speak(rng, poses, round(0.15 * frames), round(0.85 * frames), fps)
    return poses


def smooth_noise(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """(T,) smooth random values of standard deviation about 1 that change over about a second."""
    knots = max(3, round(frames / fps * 1.6) + 2)
    values = rng.normal(0, 1, knots)
    at = np.linspace(0, knots - 1, frames)
    low = np.minimum(at.astype(int), knots - 2)
    t = at - low
    t = t * t * (3 - 2 * t)
    return values[low] * (1 - t) + values[low + 1] * t


def blinks(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """(T,) 0 open .. 1 closed: a blink of a quarter of a second about every four seconds."""
    closed = np.zeros(frames)
    for start in np.flatnonzero(rng.random(frames) < 1 / (4.0 * fps)).tolist():
        length = max(3, round(0.25 * fps))
        shape = np.sin(np.pi * (np.arange(length) + 1) / (length + 1))
        stop = min(start + length, frames)
        closed[start:stop] = np.maximum(closed[start:stop], shape[: stop - start])
    return closed


def onset_to_apex(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(T,) course of an expression from 0 at the first frame to 1 at the last, as in CK+."""
    start = rng.uniform(0.02, 0.3) * frames
    stop = frames - 1 - rng.uniform(0, 0.25) * frames
    t = np.clip((np.arange(frames) - start) / max(stop - start, 1.0), 0, 1)
    t[0], t[-1] = 0, 1
    return t * t * (3 - 2 * t)


EVEN: Final = ((0.05, 0.2), (0.25, 0.42), (0.6, 0.75), (0.82, 0.97))
"""Onset and offset of about equal length."""
GRADUAL: Final = ((0.0, 0.05), (0.45, 0.6), (0.7, 0.8), (0.95, 1.0))
"""An onset over half of the time, and a short offset."""


def swelling(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """(T,) course of an expression that is there at the first frame, grows to the end and wavers, as in FERA."""
    begin = rng.uniform(0.1, 0.3)
    t = np.clip(np.arange(frames) / (rng.uniform(0.8, 1.0) * (frames - 1)), 0, 1)
    return (begin + (1 - begin) * t * t * (3 - 2 * t)) * (0.9 + 0.1 * smooth_noise(rng, frames, fps).clip(-1, 1))


def onset_apex_offset(
    rng: np.random.Generator, frames: int, times: tuple[tuple[float, float], ...] = EVEN
) -> np.ndarray:
    """(T,) course of an expression with onset, apex and offset.

    ``times``: earliest and latest begin of the onset, of the apex, of the offset, and of rest; shares of the frames.
    """
    start, top, fall, end = (rng.uniform(earliest, latest) * frames for earliest, latest in times)
    at = np.arange(frames)
    t = np.minimum(np.clip((at - start) / (top - start), 0, 1), np.clip((end - at) / (end - fall), 0, 1))
    return t * t * (3 - 2 * t)
