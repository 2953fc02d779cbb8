"""Geometry on the screen: normals, rotation, and the z-buffer that tells which place on a grid each pixel shows.

Not part of the paper: it serves the stand-in databases.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

_DENSE = 3
"""Splats a vertex, in both directions."""


def f32(values: ArrayLike) -> np.ndarray:
    """An array of float32."""
    return np.asarray(values, np.float32)


def normals(grid: np.ndarray) -> np.ndarray:
    """(rows, cols, 3) unit normals, outwards."""
    down = np.empty_like(grid)
    across = np.empty_like(grid)
    down[1:-1], across[:, 1:-1] = grid[2:] - grid[:-2], grid[:, 2:] - grid[:, :-2]
    down[0], down[-1], across[:, 0], across[:, -1] = down[1], down[-2], across[:, 1], across[:, -2]
    (ax, ay, az), (dx, dy, dz) = np.moveaxis(across, -1, 0), np.moveaxis(down, -1, 0)
    normal = np.stack([ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx], axis=-1)
    normal /= np.sqrt((normal * normal).sum(-1, keepdims=True)) + 1e-6
    return normal


def rotation(turn: tuple[float, float, float]) -> np.ndarray:
    """(3, 3) float32 for pitch, yaw, roll in degrees."""
    pitch, yaw, roll = np.radians(turn)
    cp, sp, cy, sy, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return f32(about_z @ about_y @ about_x)


def rasterise(on_screen: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Which place on the grid each pixel shows.

    ``on_screen`` (rows, cols, 3): x and y in pixels, depth in millimetres (larger is nearer).
    Returns (h, w, 2) float32 column and row on the grid, (h, w) float32 cover in 0..1, and the
    (x, y) corner of this window in a picture of ``shape`` (height, width).
    """
    cols = on_screen.shape[1]
    low = np.floor(on_screen[..., :2].min((0, 1)) - 10).astype(int).clip(0)
    high = np.ceil(on_screen[..., :2].max((0, 1)) + 10).astype(int).clip(None, shape[::-1])
    width, height = (int(v) // 2 for v in (high - low))
    dense = cv2.resize(on_screen, None, fx=_DENSE, fy=_DENSE, interpolation=cv2.INTER_LINEAR).reshape(-1, 3)
    x = (dense[:, 0] - low[0]) * 0.5
    y = (dense[:, 1] - low[1]) * 0.5
    inside = np.flatnonzero((x >= 0) & (y >= 0) & (x < width) & (y < height))
    pixel = y[inside].astype(np.int32) * width + x[inside].astype(np.int32)
    depth = ((dense[inside, 2] + 300) * 16).astype(np.int64)
    nearest = np.full(height * width, -1, np.int64)
    np.maximum.at(nearest, pixel, (depth << 20) | inside)
    buffer = nearest.reshape(height, width).astype(np.float64)
    filled = cv2.dilate(buffer, np.ones((3, 3)))
    hit = cv2.morphologyEx((buffer >= 0).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    buffer = np.where(buffer >= 0, buffer, filled)
    outer = cv2.dilate(buffer, np.ones((5, 5)))
    buffer = np.where(buffer >= 0, buffer, outer)
    ys, xs = np.nonzero(buffer >= 0)
    ids = buffer[ys, xs].astype(np.int64) & 0xFFFFF
    dense_row, dense_col = np.divmod(ids, cols * _DENSE)
    slope = _inverse_slope(on_screen)
    vertex = (dense_row // _DENSE) * cols + dense_col // _DENSE
    off_x = (xs + 0.5) * 2 + low[0] - dense[ids, 0]
    off_y = (ys + 0.5) * 2 + low[1] - dense[ids, 1]
    a, b, c, d = slope[vertex].T
    places = np.zeros((height, width, 2), np.float32)
    places[ys, xs, 0] = (dense_col + 0.5) / _DENSE - 0.5 + np.clip(a * off_x + b * off_y, -1.5, 1.5)
    places[ys, xs, 1] = (dense_row + 0.5) / _DENSE - 0.5 + np.clip(c * off_x + d * off_y, -1.5, 1.5)
    cover = cv2.GaussianBlur(hit.astype(np.float32), (0, 0), 0.8)
    full = (width * 2, height * 2)
    cover = cv2.resize(np.clip(cover * 2 - 1, 0, 1), full, interpolation=cv2.INTER_LINEAR)
    return cv2.resize(places, full, interpolation=cv2.INTER_LINEAR), cover, (int(low[0]), int(low[1]))


def _inverse_slope(on_screen: np.ndarray) -> np.ndarray:
    """(rows * cols, 4) columns and rows of the grid a pixel to the right and down."""
    flat = on_screen[..., :2]
    across, down = np.empty_like(flat), np.empty_like(flat)
    across[:, 1:-1], down[1:-1] = (flat[:, 2:] - flat[:, :-2]) / 2, (flat[2:] - flat[:-2]) / 2
    across[:, 0], across[:, -1], down[0], down[-1] = across[:, 1], across[:, -2], down[1], down[-2]
    area = across[..., 0] * down[..., 1] - down[..., 0] * across[..., 1]
    area = np.where(np.abs(area) < 0.02, 0.02, area)
    slope = np.stack([down[..., 1], -down[..., 0], -across[..., 1], across[..., 0]], -1) / area[..., None]
    return slope.reshape(-1, 4)
