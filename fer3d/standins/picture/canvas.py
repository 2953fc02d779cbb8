"""Where each texel of a head's surface lies on the template, and noise upon it.

Not part of the paper: it serves the stand-in databases. Noise is a function of
millimetres on the template, not of texels, so it does not stretch where the grid is
coarse. The same function makes blotches, pores and strands: they differ in how long and
how wide its grains are.
"""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from fer3d.standins.people import head
from fer3d.standins.picture.raster import f32

FINE = 4
"""Texels a vertex, in both directions."""
HEIGHT, WIDTH = head.ROWS * FINE, head.COLS * FINE


class Place(NamedTuple):
    """Where every texel lies, (HEIGHT, WIDTH) float32 each."""

    x: np.ndarray
    """Millimetres to the right of the picture."""
    y: np.ndarray
    """Millimetres down."""
    z: np.ndarray
    """Millimetres towards the camera."""
    bearing: np.ndarray
    """Degrees round the head, 0 straight ahead, positive to the right."""

    @property
    def round(self) -> np.ndarray:
        """Millimetres round the head."""
        return self.bearing * f32(np.radians(75))

    @property
    def off(self) -> np.ndarray:
        """Degrees away from straight ahead."""
        return np.abs(self.bearing)


@cache
def place() -> Place:
    """The texels' places on the smooth template."""
    grid = cv2.resize(f32(head.loft()), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    bearing = cv2.resize(f32(np.degrees(head.bearings()))[None], (WIDTH, 1))
    x, y, z = (np.ascontiguousarray(grid[..., k]) for k in range(3))
    return Place(x, y, z, np.repeat(bearing, HEIGHT, axis=0))


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def clouds(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """(height, width) float32 smooth noise of deviation about 1 with lumps of ``cell`` pixels."""
    shape = (max(2, round(height / cell)), max(2, round(width / cell)))
    coarse = rng.standard_normal(shape, dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 1.3


def grains(rng: np.random.Generator, across: np.ndarray, along: np.ndarray, width: float, length: float) -> np.ndarray:
    """Noise of deviation about 1 in grains of a width and a length, in the units of the coordinates.

    Long thin grains along a flow are strands, round ones are blotches.
    """
    tile = rng.standard_normal((256, 256), dtype=np.float32)
    tile = cv2.GaussianBlur(np.pad(tile, 8, mode="wrap"), (0, 0), 1.0)[8:-8, 8:-8] * f32(3.5)
    at = f32(across * f32(2 / width)), f32(along * f32(2 / length))
    return cv2.remap(tile, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def blotches(rng: np.random.Generator, size: float) -> np.ndarray:
    """(HEIGHT, WIDTH) noise of deviation about 1 in blotches of ``size`` millimetres."""
    here = place()
    return grains(rng, here.round, here.y, size, size)


def coarse(texels: np.ndarray) -> np.ndarray:
    """A (HEIGHT, WIDTH) map, averaged for each vertex: (ROWS, COLS)."""
    return cv2.resize(f32(texels), (head.COLS, head.ROWS), interpolation=cv2.INTER_AREA)
