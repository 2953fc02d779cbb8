"""Texture coordinates of a head's surface, and noise upon it.

Not part of the paper: used by the stand-in databases. Noise is a function of millimetres on
the template, not of texels, so it is not stretched where the grid is coarse. One function
makes blotches, pores and strands of hair: they differ in the length and width of their grains.
"""

import math
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from fer3d.standins.people import head
from fer3d.standins.picture.raster import f32

TEXELS_PER_VERTEX = 4
"""Texels per vertex, in both directions."""
HEIGHT, WIDTH = head.ROWS * TEXELS_PER_VERTEX, head.COLS * TEXELS_PER_VERTEX


class TexelPositions(NamedTuple):
    """Position of every texel on the template, (HEIGHT, WIDTH) float32 each."""

    x: np.ndarray
    """Millimetres to the right of the picture."""
    y: np.ndarray
    """Millimetres down."""
    z: np.ndarray
    """Millimetres towards the camera."""
    bearing: np.ndarray
    """Degrees around the head, 0 straight ahead, positive to the right."""

    @property
    def round(self) -> np.ndarray:
        """Millimetres around the head."""
        return self.bearing * f32(np.radians(75))

    @property
    def off(self) -> np.ndarray:
        """Degrees away from straight ahead."""
        return np.abs(self.bearing)


@cache
def texel_positions() -> TexelPositions:
    """Positions of the texels on the smooth head."""
    grid = cv2.resize(f32(head.smooth_head()), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    bearing = cv2.resize(f32(np.degrees(head.bearings()))[None], (WIDTH, 1))
    x, y, z = (np.ascontiguousarray(grid[..., k]) for k in range(3))
    return TexelPositions(x, y, z, np.repeat(bearing, HEIGHT, axis=0))


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, a cubic between."""
    t = (value - low) / (high - low)
    np.clip(t, 0, 1, out=t)
    cubic = 3 - 2 * t
    cubic *= t
    cubic *= t
    return cubic


def value_noise(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """(height, width) float32 smooth noise of standard deviation about 1 and a grain of ``cell`` pixels."""
    shape = (max(2, round(height / cell)), max(2, round(width / cell)))
    coarse = rng.standard_normal(shape, dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 1.3


def grain_noise(
    rng: np.random.Generator, across: np.ndarray, along: np.ndarray, width: float, length: float
) -> np.ndarray:
    """Noise of standard deviation about 1 with grains of a width and a length, in the units of the coordinates.

    Long thin grains along a flow look like strands, round ones like blotches.
    """
    tile = rng.standard_normal((256, 256), dtype=np.float32)
    tile = cv2.GaussianBlur(np.pad(tile, 8, mode="wrap"), (0, 0), 1.0)[8:-8, 8:-8] * f32(3.5)
    x, y = f32(across * f32(2 / width)), f32(along * f32(2 / length))
    for axis, places in ((1, x), (0, y)):  # the tile repeated beforehand: cv2.BORDER_WRAP takes as long again
        first, last = math.floor(places.min()), math.ceil(places.max())
        tile = tile.take(np.arange(first, last + 2), axis, mode="wrap")
        places -= first
    return cv2.remap(tile, x, y, cv2.INTER_LINEAR)


def noise(rng: np.random.Generator, size: float, where: tuple[slice, slice] = (slice(None), slice(None))) -> np.ndarray:
    """Noise of standard deviation about 1 with round grains of ``size`` millimetres, on all texels or a window."""
    here = texel_positions()
    return grain_noise(rng, here.round[where], here.y[where], size, size)


def vertex_means(texels: np.ndarray) -> np.ndarray:
    """(ROWS, COLS) mean of a (HEIGHT, WIDTH) map around each vertex."""
    return cv2.resize(f32(texels), (head.COLS, head.ROWS), interpolation=cv2.INTER_AREA)
