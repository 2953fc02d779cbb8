"""What a rendered person does in a few seconds: an expression rises, is held and falls, or the face rests; some talk.

Not part of the paper: used by the rendered crowd (`fer3d.standins.rendered_store`). Time is in seconds, so that any
frame rate can look at the same behaviour. Ten frames may be cut out anywhere: `label` says what they show, if anything
clear.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import ACTION_UNITS, UNIT_INDEX, Pose

_SHORTEST, _LONGEST = 1 / 60, 1 / 5
"""Seconds between two frames."""
_SHOWN, _MEAN, _ABSENT = 0.5, 0.25, 0.1
"""An expression is seen in a window from this strength at its peak and on average, and absent below that one; shares
of a full display's strength."""
_SPEECH = {26: 2.6, 25: 2.4, 16: 1.0, 20: 1.0, 17: 1.2, 23: 1.6, 10: 0.8}
"""Largest intensity of the units of speech; the first two open the mouth together."""


@dataclass(frozen=True)
class Behaviour:
    """A person's behaviour over the frames of one recording."""

    emotion: str
    level: np.ndarray
    """(T,) strength of the expression, 0 (rest) to about 1.5; 1 is a full display."""
    poses: list[Pose]
    talks: bool


def behave(rng: np.random.Generator, emotion: str, frames: int) -> Behaviour:
    """A random behaviour that shows an emotion, or none (``neutral``)."""
    step = float(np.exp(rng.uniform(np.log(_SHORTEST), np.log(_LONGEST))))
    strength, textbook, sway, drift = (rng.uniform(*ends) for ends in ((0.7, 1.5), (0.2, 1), (0.2, 3), (0.2, 3)))
    style = ExpressionStyle(strength, textbook, foreign=0.5, blend=0.08, sway=sway, drift=drift)
    progress = np.zeros(frames) if emotion == "neutral" else _progress(rng, frames, step)
    apex = expression.sample_apex(rng, emotion, style)
    poses = expression.animate(rng, progress, apex, style, fps=1 / step)
    talks = bool(rng.random() < (0.4 if emotion == "neutral" else 0.15))
    speech = _speech(rng, frames, step) if talks else np.zeros((frames, len(ACTION_UNITS)))
    turn = _turn(rng)
    moved = [
        dataclasses.replace(
            pose, units=_with_speech(pose.units, said), turn=tuple((np.array(pose.turn) + turn).tolist())
        )
        for pose, said in zip(poses, speech, strict=True)
    ]
    return Behaviour(emotion, progress * strength, moved, talks)


def label(behaviour: Behaviour, window: np.ndarray) -> tuple[str, str] | None:
    """The emotion that the frames ``window`` (T,) of a recording show and the kind of window; None if it is unclear.

    Kinds: ``rest``; ``onset``, ``held``, ``offset`` or ``mixed`` for an expression that rises, stays, falls or does
    several of these; ``talking`` for speech with any of them.
    """
    level = behaviour.level[window]
    if level.max() <= _ABSENT:
        return "neutral", "talking" if behaviour.talks else "rest"
    if level.max() < _SHOWN or level.mean() < _MEAN:
        return None
    if behaviour.talks:
        return behaviour.emotion, "talking"
    rise = (level[-1] - level[0]) / level.max()
    if level.min() > 0.75 * level.max():
        return behaviour.emotion, "held"
    return behaviour.emotion, "onset" if rise > 0.3 else "offset" if rise < -0.3 else "mixed"


def _progress(rng: np.random.Generator, frames: int, step: float) -> np.ndarray:
    """(T,) 0..1: onset in a quarter of a second to one and a half, apex, offset; some recordings are all apex."""
    time = np.arange(frames) * step
    uneven = np.clip(1 - 0.12 * np.abs(expression.smooth_noise(rng, frames, 1 / step)), 0.6, 1)
    if rng.random() < 0.2:
        return uneven
    rise = float(np.exp(rng.uniform(np.log(0.25), np.log(1.5))))
    hold, fall = float(np.exp(rng.uniform(np.log(0.2), np.log(4)))), rise * float(rng.uniform(0.8, 2.5))
    begin = rng.uniform(-0.5 * min(rise, time[-1]), max(0.05, time[-1] - 0.7 * rise))
    up = np.clip((time - begin) / rise, 0, 1)
    down = np.clip((begin + rise + hold + fall - time) / fall, 0, 1)
    way = np.minimum(up, down)
    return way * way * (3 - 2 * way) * uneven


def _turn(rng: np.random.Generator) -> np.ndarray:
    """(3,) degrees by which the head is turned throughout: mostly little."""
    if rng.random() < 0.65:
        return rng.normal(0, [4, 6, 3])
    return rng.uniform([-14, -32, -25], [14, 32, 25])


def _speech(rng: np.random.Generator, frames: int, step: float) -> np.ndarray:
    """(T, units) intensities of speech: three to six syllables a second."""
    at = np.arange(frames) * step * rng.uniform(3, 6)
    knots = np.arange(int(at[-1]) + 3)
    units = np.zeros((frames, len(ACTION_UNITS)))
    opened = np.interp(at, knots, rng.uniform(0, 1, len(knots)) ** 1.5) * rng.uniform(0.4, 1)
    for unit, most in _SPEECH.items():
        own = np.interp(at, knots, rng.uniform(0, 1, len(knots)) ** 2)
        units[:, UNIT_INDEX[unit]] = most * (opened if unit in (25, 26) else own * rng.uniform(0, 1))
    return units


def _with_speech(units: np.ndarray, said: np.ndarray) -> np.ndarray:
    """(2, units) an expression with speech (units,) over it; an open mouth weakens pressed lips."""
    both = np.maximum(units, said)
    if said.any():
        expression.press_less(both, both[:, UNIT_INDEX[26]].mean())
    return both.astype(np.float32)
