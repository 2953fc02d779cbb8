"""Rasterisation: normals, rotations, and a z-buffer that gives the grid position shown at each pixel.

Not part of the paper: used by the stand-in databases. Coordinates come as planes (3, rows, cols), each in one piece:
numpy is several times as fast over them as over the last axis of (rows, cols, 3).
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

NO_SECOND_MAP = np.empty(0, np.float32)
"""The second map of `cv2.remap` when the first holds both coordinates."""
_DENSE = 3
"""Splats per vertex, in both directions."""
_NUMBER_BITS = 18
"""Low bits of an integer that hold a splat's number; the high bits hold its depth, so the maximum is the nearest."""
_BACK, _STEPS = 300, 16
"""Depth is counted from so many millimetres behind the eyes, in so many steps per millimetre: 13 bits for half a metre
and the number's 18 fit an int32."""


def f32(values: ArrayLike) -> np.ndarray:
    """An array of float32."""
    return np.asarray(values, np.float32)


def rgb(colour: ArrayLike) -> np.ndarray:
    """(3, 1, 1) float32 a colour, to compute with planes (3, h, w)."""
    return f32(colour)[:, None, None]


def normals(grid: np.ndarray) -> np.ndarray:
    """(3, rows, cols) outward unit normals of a grid (3, rows, cols)."""
    (ax, ay, az), (dx, dy, dz) = _differences(grid)
    normal = np.stack([ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx])
    normal /= np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + f32(1e-6)
    return normal


def _differences(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each vertex's next neighbour minus its last, across and down; at an edge, that of the vertex beside it."""
    across, down = np.empty_like(grid), np.empty_like(grid)
    np.subtract(grid[..., 2:], grid[..., :-2], out=across[..., 1:-1])
    np.subtract(grid[:, 2:], grid[:, :-2], out=down[:, 1:-1])
    across[..., 0], across[..., -1] = across[..., 1], across[..., -2]
    down[:, 0], down[:, -1] = down[:, 1], down[:, -2]
    return across, down


def rotation(turn: tuple[float, float, float]) -> np.ndarray:
    """(3, 3) float32 rotation matrix for pitch, yaw and roll in degrees."""
    pitch, yaw, roll = np.radians(turn)
    cp, sp, cy, sy, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return f32(about_z @ about_y @ about_x)


def rasterise(on_screen: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Find the grid position shown at each pixel.

    Args:
        on_screen: (3, rows, cols) float32 x and y in pixels, depth in millimetres (larger is nearer). Faces that
            point away are not drawn.
        shape: (height, width) of the picture.

    Returns:
        (h, w, 2) float32 column and row on the grid, (h, w) float32 coverage in 0..1, and the (x, y)
        corner of this window in the picture.
    """
    low = np.floor(on_screen[:2].min((1, 2)) - 10).astype(int).clip(0)
    high = np.ceil(on_screen[:2].max((1, 2)) + 10).astype(int).clip(None, shape[::-1])
    width, height = (int(v) // 2 for v in (high - low))
    slope, facing = _slope(on_screen)
    size = facing.shape[1] * _DENSE, facing.shape[0] * _DENSE
    halved = on_screen[0] * f32(0.5) - f32(low[0] / 2), on_screen[1] * f32(0.5) - f32(low[1] / 2)
    steps = (on_screen[2] + f32(_BACK)) * f32(_STEPS)
    x, y, depth = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR).ravel() for plane in (*halved, steps))
    drawn = cv2.resize(facing, size, interpolation=cv2.INTER_NEAREST).ravel()
    nearest = _splat(x, y, depth, drawn, width, height)
    square = np.ones((3, 3), np.uint8)
    hit = cv2.morphologyEx((nearest >= 0).astype(np.uint8), cv2.MORPH_CLOSE, square)
    for reach in (3, 5):  # fill holes, then add a rim to smooth the silhouette
        nearest = np.where(nearest >= 0, nearest, cv2.dilate(nearest, np.ones((reach, reach), np.uint8)))
    places = _refined(nearest, x, y, slope)
    cover = np.clip(2 * cv2.GaussianBlur(hit.astype(np.float32), (0, 0), 0.8) - 1, 0, 1)
    full = (width * 2, height * 2)
    places, cover = (cv2.resize(values, full, interpolation=cv2.INTER_LINEAR) for values in (places, cover))
    return places, cover, (int(low[0]), int(low[1]))


def _splat(x: np.ndarray, y: np.ndarray, depth: np.ndarray, drawn: np.ndarray, width: int, height: int) -> np.ndarray:
    """(height, width) float64: depth and number of the nearest of the points that are drawn, -1 where there is none.

    ``x`` and ``y`` in pixels of half the resolution, ``depth`` in steps, all (N,).
    """
    kept = (x >= 0) & (y >= 0) & (x < width) & (y < height) & drawn.view(bool)
    pixel = y.astype(np.int32) * np.int32(width) + x.astype(np.int32)
    pixel[~kept] = height * width  # a pixel that is thrown away
    number = depth.astype(np.int32)
    number <<= _NUMBER_BITS
    number |= np.arange(len(x), dtype=np.int32)
    nearest = np.full(height * width + 1, -1, np.int32)
    np.maximum.at(nearest, pixel, number)
    return nearest[:-1].reshape(height, width).astype(np.float64)  # which cv2.dilate takes, and holds 31 bits


def _refined(nearest: np.ndarray, x: np.ndarray, y: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """(h, w, 2) column and row on the grid at each pixel's centre: the nearest point's, plus slope times offset.

    The points' ``x`` and ``y`` (N,) as for `_splat`.
    """
    ys, xs = np.nonzero(nearest >= 0)
    number = nearest[ys, xs].astype(np.int32) & np.int32((1 << _NUMBER_BITS) - 1)
    cols = slope.shape[2]
    row = number // np.int32(cols * _DENSE)
    col = number - row * np.int32(cols * _DENSE)
    off_x = f32(2 * xs + 1) - 2 * x[number]
    off_y = f32(2 * ys + 1) - 2 * y[number]
    vertex = (row // np.int32(_DENSE)) * np.int32(cols) + col // np.int32(_DENSE)
    a, b, c, d = (plane.ravel()[vertex] for plane in slope)
    places = np.zeros((*nearest.shape, 2), np.float32)
    half, dense = f32(0.5), f32(_DENSE)
    places[ys, xs, 0] = (f32(col) + half) / dense - half + np.clip(a * off_x + b * off_y, -1.5, 1.5)
    places[ys, xs, 1] = (f32(row) + half) / dense - half + np.clip(c * off_x + d * off_y, -1.5, 1.5)
    return places


def _slope(on_screen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(4, rows, cols) change of grid column and row per pixel right and down; (rows, cols) uint8 facing the camera."""
    (ax, ay), (dx, dy) = (difference / 2 for difference in _differences(on_screen[:2]))
    area = ax * dy - dx * ay
    facing = (area > -0.05).view(np.uint8)
    area = np.where(np.abs(area) < 0.02, f32(0.02), area)
    return np.stack([dy, -dx, -ay, ax]) / area, facing
