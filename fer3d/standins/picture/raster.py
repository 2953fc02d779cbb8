"""Rasterisation: normals, rotations, and a z-buffer that gives the grid position shown at each pixel.

Not part of the paper: used by the stand-in databases.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

NO_SECOND_MAP = np.empty(0, np.float32)
"""The second map of `cv2.remap` when the first holds both coordinates."""
_DENSE = 3
"""Splats per vertex, in both directions."""
_NUMBER_BITS = 20
"""Low bits of an integer that hold a splat's number; the high bits hold its depth, so the maximum is the nearest."""


def f32(values: ArrayLike) -> np.ndarray:
    """An array of float32."""
    return np.asarray(values, np.float32)


def normals(grid: np.ndarray) -> np.ndarray:
    """(rows, cols, 3) outward unit normals of a grid (rows, cols, 3)."""
    across, down = _differences(grid)
    (ax, ay, az), (dx, dy, dz) = np.moveaxis(across, -1, 0), np.moveaxis(down, -1, 0)
    normal = np.stack([ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx], axis=-1)
    normal /= np.sqrt((normal * normal).sum(-1, keepdims=True)) + 1e-6
    return normal


def _differences(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each vertex's next neighbour minus its last, across and down; at an edge, that of the vertex beside it."""
    across = np.pad(grid[:, 2:] - grid[:, :-2], ((0, 0), (1, 1), (0, 0)), mode="edge")
    return across, np.pad(grid[2:] - grid[:-2], ((1, 1), (0, 0), (0, 0)), mode="edge")


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
        on_screen: (rows, cols, 3) x and y in pixels, depth in millimetres (larger is nearer). Faces that
            point away are not drawn.
        shape: (height, width) of the picture.

    Returns:
        (h, w, 2) float32 column and row on the grid, (h, w) float32 coverage in 0..1, and the (x, y)
        corner of this window in the picture.
    """
    low = np.floor(on_screen[..., :2].min((0, 1)) - 10).astype(int).clip(0)
    high = np.ceil(on_screen[..., :2].max((0, 1)) + 10).astype(int).clip(None, shape[::-1])
    width, height = (int(v) // 2 for v in (high - low))
    slope, facing = _slope(on_screen)
    dense = cv2.resize(on_screen, None, fx=_DENSE, fy=_DENSE, interpolation=cv2.INTER_LINEAR)
    drawn = cv2.resize(facing, dense.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    nearest = _splat(dense.reshape(-1, 3), drawn.ravel(), low, width, height)
    square = np.ones((3, 3), np.uint8)
    hit = cv2.morphologyEx((nearest >= 0).astype(np.uint8), cv2.MORPH_CLOSE, square)
    for reach in (3, 5):  # fill holes, then add a rim to smooth the silhouette
        nearest = np.where(nearest >= 0, nearest, cv2.dilate(nearest, np.ones((reach, reach), np.uint8)))
    places = _refined(nearest, dense.reshape(-1, 3), slope, on_screen.shape[1], low)
    cover = np.clip(2 * cv2.GaussianBlur(hit.astype(np.float32), (0, 0), 0.8) - 1, 0, 1)
    full = (width * 2, height * 2)
    places, cover = (cv2.resize(values, full, interpolation=cv2.INTER_LINEAR) for values in (places, cover))
    return places, cover, (int(low[0]), int(low[1]))


def _splat(dense: np.ndarray, drawn: np.ndarray, low: np.ndarray, width: int, height: int) -> np.ndarray:
    """(height, width) float64 at half resolution: depth and number of the nearest point, -1 where there is none."""
    x = (dense[:, 0] - low[0]) * 0.5
    y = (dense[:, 1] - low[1]) * 0.5
    kept = np.flatnonzero(drawn & (x >= 0) & (y >= 0) & (x < width) & (y < height))
    pixel = y[kept].astype(np.int32) * width + x[kept].astype(np.int32)
    depth = ((dense[kept, 2] + 300) * 16).astype(np.int64)
    nearest = np.full(height * width, -1, np.int64)
    np.maximum.at(nearest, pixel, (depth << _NUMBER_BITS) | kept)
    return nearest.reshape(height, width).astype(np.float64)


def _refined(nearest: np.ndarray, dense: np.ndarray, slope: np.ndarray, cols: int, low: np.ndarray) -> np.ndarray:
    """(h, w, 2) column and row on the grid at each pixel's centre: the nearest point's, plus slope times offset."""
    ys, xs = np.nonzero(nearest >= 0)
    number = nearest[ys, xs].astype(np.int64) & ((1 << _NUMBER_BITS) - 1)
    row, col = np.divmod(number, cols * _DENSE)
    off_x = (xs + 0.5) * 2 + low[0] - dense[number, 0]
    off_y = (ys + 0.5) * 2 + low[1] - dense[number, 1]
    a, b, c, d = slope[(row // _DENSE) * cols + col // _DENSE].T
    places = np.zeros((*nearest.shape, 2), np.float32)
    places[ys, xs, 0] = (col + 0.5) / _DENSE - 0.5 + np.clip(a * off_x + b * off_y, -1.5, 1.5)
    places[ys, xs, 1] = (row + 0.5) / _DENSE - 0.5 + np.clip(c * off_x + d * off_y, -1.5, 1.5)
    return places


def _slope(on_screen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows * cols, 4) change of grid column and row per pixel right and down; (rows, cols) uint8 facing the camera."""
    across, down = (difference / 2 for difference in _differences(on_screen[..., :2]))
    area = across[..., 0] * down[..., 1] - down[..., 0] * across[..., 1]
    facing = (area > -0.05).astype(np.uint8)
    area = np.where(np.abs(area) < 0.02, 0.02, area)
    slope = np.stack([down[..., 1], -down[..., 0], -across[..., 1], across[..., 0]], -1) / area[..., None]
    return slope.reshape(-1, 4), facing
