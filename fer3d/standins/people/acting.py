"""What an invented person's face does over time: which action units, how strongly, when.

Not part of the paper: it serves the stand-in databases. An emotion has several recipes
of action units in the manner of EMFACS; an acted one drops units, adds foreign ones,
blends with another emotion and leans to one side, so that no class is one clean pattern.
Head, gaze and blinks move as the database's protocol has it, never as the label has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from fer3d.standins.people.person import UNITS, Pose, neutral

RECIPES: Mapping[str, tuple[Mapping[int, float], ...]] = MappingProxyType(
    {
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
    }
)
"""Mean intensities at the apex, 0..5, by emotion: several ways to show each.

The first half are the textbook's patterns, as an instructor asks for them; the others are
looser, as a feeling or a scene brings them out, and nearer to other emotions.
"""


@dataclass(frozen=True)
class Manner:
    """How a database's people show emotions."""

    strength: float = 1.0
    """Factor on the recipes."""
    textbook: float = 0.5
    """Chance of one of the textbook's patterns; else one of the looser ones."""
    spread: float = 0.22
    """Deviation of one recording's overall strength, as a share."""
    drop: float = 0.10
    """Chance that a unit of the recipe stays away."""
    foreign: float = 0.8
    """Mean number of units that do not belong."""
    blend: float = 0.16
    """Chance that another emotion mixes in."""
    lean: float = 0.14
    """Deviation of the difference between left and right."""
    sway: float = 1.0
    """Deviation of the head's turning in degrees."""
    drift: float = 1.0
    """How far the head wanders in millimetres."""
    rest: float = 1.0
    """How much a face holds while at rest."""


def apex(rng: np.random.Generator, emotion: str, manner: Manner) -> np.ndarray:
    """(2, units) intensities 0..5 of one display of an emotion at its strongest."""
    shown = _one(rng, emotion, manner)
    if emotion != "neutral" and rng.random() < manner.blend:
        other = str(rng.choice([name for name in RECIPES if name not in (emotion, "neutral")]))
        shown = np.maximum(0.85 * shown, 0.45 * _one(rng, other, manner))
    for unit in rng.choice(len(UNITS), rng.poisson(manner.foreign), replace=True):
        shown[:, unit] = np.maximum(shown[:, unit], rng.uniform(0.4, 2.2) * min(1.0, manner.strength))
    shown = shown * np.clip(rng.normal(1, manner.lean, shown.shape), 0.5, 1.5)
    return _compatible(np.clip(shown, 0, 5)).astype(np.float32)


def _one(rng: np.random.Generator, emotion: str, manner: Manner) -> np.ndarray:
    half = (len(RECIPES[emotion]) + 1) // 2
    ways = (RECIPES[emotion][:half] if rng.random() < manner.textbook else RECIPES[emotion][half:]) or RECIPES[emotion]
    recipe = ways[rng.integers(len(ways))]
    overall = manner.strength * np.clip(rng.normal(1, manner.spread), 0.3, 1.5)
    shown = neutral().astype(float)
    kept = [u for u in recipe if rng.random() > manner.drop] or list(recipe)[:1]
    for unit in kept:
        shown[:, UNITS.index(unit)] = max(0.0, recipe[unit] * overall * rng.normal(1, 0.2))
    if emotion == "contempt":
        shown[int(rng.integers(2))] *= rng.uniform(0.0, 0.3)
    return shown


def _compatible(shown: np.ndarray) -> np.ndarray:
    """Muscles that work against each other: an open jaw stops pressing lips, one jaw opens once."""
    unit = {u: k for k, u in enumerate(UNITS)}
    jaw = np.maximum(shown[:, unit[26]], shown[:, unit[27]])
    for pressed in (17, 23, 14):
        shown[:, unit[pressed]] *= np.clip(1 - jaw / 3, 0.15, 1)
    for wide in (26, 27):
        shown[:, unit[wide]] = shown[:, unit[wide]].mean()  # the jaw is one bone
    shown[:, unit[26]] *= np.clip(1 - shown[:, unit[27]] / 4, 0, 1)
    return shown


def resting(rng: np.random.Generator, manner: Manner) -> np.ndarray:
    """(2, units) what this person's face holds while at rest: a little of anything, whatever comes next."""
    held = neutral()
    for unit in rng.choice([1, 2, 4, 7, 12, 15, 17, 23, 25], rng.poisson(1.0), replace=False):
        held[:, UNITS.index(int(unit))] = rng.uniform(0.2, 1.0) * manner.rest
    return held


def perform(
    rng: np.random.Generator, course: np.ndarray, shown: np.ndarray, manner: Manner, fps: float, yaw: float = 0.0
) -> list[Pose]:
    """The poses of a recording.

    ``course`` (T,): how far the expression has come, 0..1. Units follow it each with its own lag
    and speed; the head sways about ``yaw`` degrees, the eyes wander and blink.
    """
    frames = len(course)
    rest = resting(rng, manner)
    at = np.arange(frames)
    units = np.empty((frames, 2, len(UNITS)), np.float32)
    quickness = rng.uniform(0.75, 1.5, len(UNITS))
    lag = rng.normal(0, 0.06 * fps / 15, len(UNITS)).clip(-1.5, 1.5)
    for k in range(len(UNITS)):
        way = np.interp(at - lag[k], at, course) ** quickness[k]
        units[:, :, k] = rest[:, k] + (np.maximum(shown[:, k], rest[:, k]) - rest[:, k])[None] * way[:, None]
    units += rng.normal(0, 0.04, units.shape) * (units > 0.2)
    units = units.clip(0, 5)
    turns = [wander(rng, frames, fps) * manner.sway * f for f in (0.8, 1.0, 0.7)]
    base = rng.normal([0, yaw, 0], [2.0, 2.0, 1.5])
    shifts = [wander(rng, frames, fps) * manner.drift for _ in range(2)]
    gaze = [wander(rng, frames, fps) * 2.0 for _ in range(2)]
    blink = blinks(rng, frames, fps)
    return [
        Pose(
            units=units[t],
            blink=float(blink[t]),
            gaze=(float(gaze[0][t]), float(gaze[1][t])),
            turn=(float(base[0] + turns[0][t]), float(base[1] + turns[1][t]), float(base[2] + turns[2][t])),
            shift=(float(shifts[0][t]), float(shifts[1][t])),
        )
        for t in range(frames)
    ]


def wander(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """(T,) smooth random motion of deviation about 1, changing over about a second."""
    knots = max(3, round(frames / fps * 1.6) + 2)
    values = rng.normal(0, 1, knots)
    at = np.linspace(0, knots - 1, frames)
    low = np.minimum(at.astype(int), knots - 2)
    t = at - low
    t = t * t * (3 - 2 * t)
    return values[low] * (1 - t) + values[low + 1] * t


def blinks(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """(T,) 0 open .. 1 closed: a blink every four seconds or so, each a fifth of a second."""
    closed = np.zeros(frames)
    for start in np.flatnonzero(rng.random(frames) < 1 / (4.0 * fps)).tolist():
        length = max(3, round(0.25 * fps))
        shape = np.sin(np.pi * (np.arange(length) + 1) / (length + 1))
        stop = min(start + length, frames)
        closed[start:stop] = np.maximum(closed[start:stop], shape[: stop - start])
    return closed


def rise(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(T,) 0 at the first frame, 1 at the last: CK+'s neutral to apex."""
    start = rng.uniform(0.02, 0.3) * frames
    stop = frames - 1 - rng.uniform(0, 0.25) * frames
    t = np.clip((np.arange(frames) - start) / max(stop - start, 1.0), 0, 1)
    t[0], t[-1] = 0, 1
    return t * t * (3 - 2 * t)


def hump(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(T,) onset, apex and offset: MMI's course."""
    earliest, latest = (0.05, 0.25, 0.6, 0.82), (0.2, 0.42, 0.75, 0.97)
    start, top, fall, end = (float(rng.uniform(a, b)) * frames for a, b in zip(earliest, latest, strict=True))
    at = np.arange(frames)
    t = np.minimum(np.clip((at - start) / (top - start), 0, 1), np.clip((end - at) / (end - fall), 0, 1))
    return t * t * (3 - 2 * t)
