"""Wrinkles: age lines, and folds that action units deepen for as long as they act.

Not part of the paper: used by the stand-in databases. A wrinkle is a dark groove with a
bright lower edge, because light mostly comes from above. It is drawn on the template, so it
moves with the skin.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np

from fer3d.standins.people.person import ACTION_UNITS
from fer3d.standins.picture.raster import f32
from fer3d.standins.picture.texture import noise, texel_positions

_LINES: Final[Mapping[str, tuple[tuple[tuple[tuple[float, float], ...], ...], float, Mapping[int, float], float]]] = {
    "forehead_in": (
        (((7, -37), (-8, -37.5), (-22, -39), (-34, -38.5)), ((9, -46), (-10, -46.5), (-22, -48.5), (-36, -47)),
         ((6, -55), (-9, -55), (-20, -57), (-30, -56))), 1.9, {1: 0.6, 2: 0.25}, 0.5,
    ),
    "forehead_out": (
        (((-20, -39), (-35, -40), (-52, -34)), ((-18, -48), (-38, -48.5), (-53, -42)),
         ((-16, -56.5), (-32, -57), (-46, -53))), 1.9, {2: 0.6, 1: 0.1}, 0.45,
    ),
    "glabella": (
        (((-5.5, -29), (-6, -20), (-4.5, -12)), ((-10, -27), (-11.5, -21))), 1.4, {4: 0.95, 9: 0.4}, 0.45,
    ),
    "root": (
        (((0, -5), (-6, -4)), ((0, -0.5), (-7, 0.5)), ((-8, 6), (-12, 13), (-13, 22)), ((-4, 12), (-9, 16))),
        1.3, {9: 1.0, 10: 0.15}, 0.1,
    ),
    "crow": (
        (((-51, -2), (-57, -6), (-62, -9)), ((-51, 1.5), (-58, 2), (-64, 3)), ((-50, 5), (-56, 9), (-61, 13))),
        1.3, {6: 0.7, 12: 0.25, 7: 0.15}, 0.42,
    ),
    "bag": ((((-18, 8), (-27, 12.5), (-38, 11.5), (-46, 6)),), 1.9, {6: 0.6, 7: 0.45, 9: 0.3, 12: 0.15}, 0.6),
    "nasolabial": (
        (((-18.5, 41), (-24, 49), (-31, 59), (-35, 67), (-36.5, 75.5)),), 2.3,
        {12: 0.75, 10: 0.55, 9: 0.5, 6: 0.2, 20: 0.25}, 0.75,
    ),
    "marionette": ((((-29, 73.5), (-31.5, 82), (-32.5, 91)),), 2.0, {15: 0.7, 20: 0.3, 14: 0.2}, 0.6),
    "dimple": ((((-30.5, 65), (-33, 70), (-31.5, 75)),), 2.0, {14: 1.0, 12: 0.25}, 0.1),
    "chin": (
        (((-2, 96), (-8, 94.5), (-16, 96)), ((-4, 103), (-9, 100)), ((-12, 102), (-17, 101)),
         ((-3, 109), (-8, 107))), 2.0, {17: 0.35, 23: 0.1}, 0.1,
    ),
}  # fmt: skip
"""By region: polylines on the left in millimetres, width, depth per action unit at intensity 5, depth at old age."""


@dataclass(frozen=True)
class Wrinkle:
    """The wrinkles of one region on one side of the face."""

    corner: tuple[int, int]
    """Row and column of the relief's first texel."""
    relief: np.ndarray
    """(h, w) float32, 0 outside the wrinkles, negative in them."""
    side: int
    """0 left of the picture, 1 right."""
    units: Mapping[int, float]
    """Depth at intensity 5, by action unit."""
    age: float
    """Depth at old age."""


@cache
def wrinkles() -> tuple[Wrinkle, ...]:
    """All wrinkles of the template."""
    here = texel_positions()
    rng = np.random.default_rng(0)  # irregular course and depth, the same on every head
    x, y = here.x + 1.3 * noise(rng, 14), here.y + 1.5 * noise(rng, 19) + 0.5 * noise(rng, 7)
    uneven = np.clip(0.8 + 0.3 * noise(rng, 11), 0.15, 1.2)
    made = []
    for curves, width, units, age in _LINES.values():
        for side, sign in ((0, 1), (1, -1)):
            relief = np.zeros_like(here.x)
            for curve in curves:
                relief = np.minimum(relief, uneven * _groove(sign * x, y, here.off, np.array(curve), width))
            rows, cols = np.nonzero(relief < -0.01)
            where = (slice(rows.min(), rows.max() + 4), slice(cols.min(), cols.max() + 1))
            lit = relief - 0.5 * np.roll(relief, 4, axis=0)  # the lower edge catches the light from above
            made.append(Wrinkle((int(rows.min()), int(cols.min())), f32(lit[where]), side, units, age))
    return tuple(made)


def add_age_lines(relief: np.ndarray, age: float, rng: np.random.Generator) -> None:
    """Add the permanent wrinkles of a person of ``age`` years to ``relief`` (HEIGHT, WIDTH), in place."""
    old = float(np.clip((age - 25) / 45, 0, 1)) ** 1.4
    own = np.clip(0.85 + 0.4 * noise(rng, 20), 0, 1.5)
    for wrinkle in wrinkles():
        depth = 0.6 * old * wrinkle.age * rng.uniform(0.4, 1.2)
        _patch(relief, wrinkle)[:] += depth * wrinkle.relief * _patch(own, wrinkle)


@cache
def region() -> tuple[slice, slice]:
    """Rows and columns of the texture within which all wrinkles lie."""
    rows, cols = ([(w.corner[k], w.corner[k] + w.relief.shape[k]) for w in wrinkles()] for k in (0, 1))
    return slice(min(rows)[0], max(end for _, end in rows)), slice(min(cols)[0], max(end for _, end in cols))


def shading(relief: np.ndarray, units: np.ndarray, age: float) -> np.ndarray:
    """The `factors` of the `region`, from a face's relief and its expression.

    Args:
        relief: (HEIGHT, WIDTH) relief of the face at rest.
        units: (2, units) intensities 0..5.
        age: years; wrinkles are deeper in old skin.
    """
    rows, cols = region()
    folded = relief[rows, cols].copy()
    grip = 0.62 * (0.55 + 0.45 * min(max((age - 20) / 40, 0), 1))
    for wrinkle in wrinkles():
        intensity = dict(zip(ACTION_UNITS, units[wrinkle.side].tolist(), strict=True))
        depth = sum(share * intensity[unit] / 5 for unit, share in wrinkle.units.items())
        if depth > 0.02:
            _patch(folded, wrinkle, (rows.start, cols.start))[:] += (grip * min(depth, 1.1)) * wrinkle.relief
    return factors(folded)


def factors(relief: np.ndarray) -> np.ndarray:
    """(h, w) uint8 brightness factors of a relief, 128 is 1."""
    return cv2.convertScaleAbs(np.maximum(relief, -0.85), alpha=128, beta=128)


def _patch(relief: np.ndarray, wrinkle: Wrinkle, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
    """The part of a relief, whose first texel is ``corner``, in which a wrinkle lies."""
    (row, col), (height, width) = wrinkle.corner, wrinkle.relief.shape
    row, col = row - corner[0], col - corner[1]
    return relief[row : row + height, col : col + width]


def _groove(x: np.ndarray, y: np.ndarray, bearing: np.ndarray, curve: np.ndarray, width: float) -> np.ndarray:
    """(H, W) relief of one line: -1 on the curve, 0 far from it, weaker towards its ends."""
    knots = np.linspace(0, 1, len(curve))
    fine = f32(np.stack([np.interp(np.linspace(0, 1, 28), knots, curve[:, k]) for k in (0, 1)], 1))
    out = np.zeros_like(x)
    near = np.argwhere(
        (x > fine[:, 0].min() - 6) & (x < fine[:, 0].max() + 6)
        & (y > fine[:, 1].min() - 6) & (y < fine[:, 1].max() + 6) & (bearing < 88)
    )  # fmt: skip
    (r0, c0), (r1, c1) = near.min(0), near.max(0) + 1
    px, py = x[r0:r1, c0:c1], y[r0:r1, c0:c1]
    best = np.zeros_like(px)
    for k, (ax, ay) in enumerate(fine):
        fade = math.sin(math.pi * (k + 1) / (len(fine) + 1)) ** 0.7
        best = np.minimum(best, -fade * np.exp(-((px - ax) ** 2 + (py - ay) ** 2) / (2 * (0.62 * width) ** 2)))
    out[r0:r1, c0:c1] = best
    return out
