"""The template head: a grid of vertices, 68 landmarks on it, and control points that deform it.

Not part of the paper: used by the stand-in databases. Coordinates are millimetres: x to the
right of the picture, y down, z towards the camera, origin between the eyes. The grid has one
row per level of the head (crown to neck) and one column per bearing around it (0 is straight
ahead), so it can be seen from any side. Features (nose, eye sockets, lips) are smooth bumps.
Landmarks follow the order of the 300-W scheme with 68 points.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

import numpy as np
import scipy  # whose parts are loaded where they are used: a program that renders nobody needs none

from fer3d.data.landmarks import MIRROR_68

ROWS, COLS = 160, 136
"""Vertices of the grid: down the head and around it."""

_WIDEST = 2.25
"""Bearing of the outermost columns in radians, about 129 degrees."""

# Landmarks on the left of the picture, neutral face: x, y in millimetres, by index of the 68.
_HALF: Final[Mapping[int, tuple[float, float]]] = {
    17: (-55, -16.5), 18: (-45.8, -23.8), 19: (-32.4, -26.3), 20: (-19.4, -24.6), 21: (-8.4, -19.5),
    31: (-11.6, 50.0), 32: (-6.0, 51.7),
    36: (-39.3, -0.5), 37: (-32.2, -4.8), 38: (-23.7, -4.3), 39: (-17.4, 1.6), 40: (-24.9, 4.3), 41: (-33.1, 4),
    48: (-21.2, 78.2), 49: (-14, 71.6), 50: (-6.1, 67.7), 59: (-13.8, 82.8), 58: (-7, 85.2),
    60: (-18.7, 77.8), 61: (-6, 76), 67: (-6, 76.3),
}  # fmt: skip
_MIDDLE: Final[Mapping[int, tuple[float, float]]] = {
    27: (0, -1.1), 28: (0, 11.2), 29: (0, 23.9), 30: (0, 36.7), 33: (0, 53), 51: (0, 69.6), 57: (0, 86), 62: (0, 76.2),
    66: (0, 76.5),
}  # fmt: skip
_JAW = (
    (-1.57, -1.0), (-1.57, 19.0), (-1.55, 40.0), (-1.48, 59.2), (-1.35, 77.2), (-0.93, 93.2), (-0.61, 108.0),
    (-0.3, 118.0), (0.0, 120.3),
)  # fmt: skip
"""Bearing and height of landmarks 0 to 8: the outline of a frontal face."""


# More control points on the left, for regions without landmarks: x, y in millimetres.
_EXTRA: Final[Mapping[str, tuple[float, float]]] = {
    "forehead": (-22, -45), "temple": (-52, -42), "fold": (-29.5, -12), "bag": (-29.5, 13), "cheek": (-43, 30),
    "nasolabial": (-27, 50), "jowl": (-46, 63), "ala": (-15, 41), "chin": (-15, 100), "marionette": (-30, 86),
}  # fmt: skip
EXTRAS: tuple[str, ...] = tuple(name + side for name in _EXTRA for side in ("_l", "_r"))
CONTROLS = 60 + len(EXTRAS)
"""Number of control points: landmarks 0 to 59, then `EXTRAS`. The inner lips (60 to 67) are moved separately."""


def control_row(name: int | str) -> int:
    """Row of a control point, given a landmark's index or a name of `EXTRAS`."""
    return name if isinstance(name, int) else 60 + EXTRAS.index(name)


def bearings() -> np.ndarray:
    """(COLS,) bearing of each column in radians, more closely spaced in front."""
    s = np.linspace(-1, 1, COLS)
    return _WIDEST * (0.55 * s + 0.45 * s**3)


# Cross-sections, crown to neck: y in front, y at the side, half width, z in front, z where widest, z at the back.
_LEVELS = np.array(
    [
        [-128, -128, 8, -76, -85, -94],
        [-121, -120, 38, -42, -85, -135],
        [-98, -96, 63, -10, -84, -172],
        [-65, -64, 71.5, 5, -80, -180],
        [-25, -25, 74.5, 9, -76, -178],
        [0, 0, 76.5, 3, -73, -172],
        [45, 27, 76, 4, -70, -160],
        [73, 42, 74.5, 10, -69, -145],
        [98, 57, 70.5, 3, -68, -130],
        [119, 71, 65, -5, -68, -125],
        [124, 85, 57, -22, -70, -122],
        [128, 101, 51, -45, -76, -122],
        [158, 145, 51, -46, -80, -128],
        [240, 240, 56, -44, -84, -130],
    ],
    dtype=float,
)
_JAW_ROW = 9


@cache
def smooth_head() -> np.ndarray:
    """(ROWS, COLS, 3) the head without features, interpolated between its cross-sections."""
    knots = np.concatenate([[0], np.cumsum(np.maximum(np.hypot(*np.diff(_LEVELS[:, [0, 3]], axis=0).T), 8))])
    level = scipy.interpolate.PchipInterpolator(knots, _LEVELS)(_row_positions(knots))
    return _cross_sections(level, bearings()[None])


def _row_positions(knots: np.ndarray) -> np.ndarray:
    """Positions of the rows along the cross-sections, twice as dense from forehead to chin as elsewhere."""
    dense = np.array([0, knots[3], knots[_JAW_ROW + 1], knots[-1]])
    weight = np.concatenate([[0], np.cumsum(np.diff(dense) * (0.45, 1.0, 0.45))])
    return np.interp(np.linspace(0, weight[-1], ROWS), weight, dense)


def _cross_sections(level: np.ndarray, bearing: np.ndarray) -> np.ndarray:
    front, side, width, z_front, z_wide, z_back = (level[:, k, None] for k in range(6))
    sin, cos = np.sin(bearing), np.cos(bearing)
    x = width * np.sign(sin) * np.abs(sin) ** 0.94
    y = front + (side - front) * sin**2
    forward = np.clip(cos, 0, None) ** 0.88
    z = z_wide + (z_front - z_wide) * forward + (z_wide - z_back) * np.clip(cos, None, 0)
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def _bump(x: np.ndarray, y: np.ndarray, cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
    """A Gaussian bump of height 1; one on each side of the face unless ``cx`` is 0."""
    hill = np.exp(-(((np.abs(x) - abs(cx)) / sx) ** 2 + ((y - cy) / sy) ** 2) / 2)
    return hill if cx else np.exp(-((x / sx) ** 2 + ((y - cy) / sy) ** 2) / 2)


@cache
def feature_heights() -> dict[str, np.ndarray]:
    """(ROWS, COLS) height of each feature along z on an average face, in millimetres."""
    x, y, z = np.moveaxis(smooth_head(), -1, 0)
    front = 1 / (1 + np.exp(-(z + 45) / 6))

    def bump(height: float, *where: float) -> np.ndarray:
        return height * _bump(x, y, *where) * front

    ridge = np.clip((y + 8) / 44, 0, 1) * (y < 36) + (y >= 36) * np.clip(1 - ((y - 36) / 15) ** 2, 0, 1)
    ridge = np.clip(ridge, 0, 1)
    nose = (3.3 + 15.2 * ridge) * np.exp(-((np.abs(x) / (9.5 + 5 * ridge)) ** 2))
    start = np.clip((y + 22) / 16, 0, 1) * np.clip((53 - y) / 5, 0, 1)
    return {
        "nose": nose * start * start * (3 - 2 * start) * front,
        "tip": bump(6, 0, 38.5, 7, 6.5),
        "alae": bump(7.5, 11.3, 44, 4.8, 5),
        "nostrils": bump(-6, 6.5, 50, 3.4, 2.2),
        "sockets": bump(-8.5, 29, 0, 14.5, 10) + bump(-2, 15, -1, 5, 9),
        "eyeballs": bump(7, 29.5, 0, 10.5, 7.0),
        "brow": bump(3.5, 34, -22, 20, 7) + bump(1.8, 0, -21, 12, 7),
        "cheekbones": bump(6, 46, 26, 16, 11),
        "hollows": bump(-6.5, 49, 64, 11, 16),
        "temples": bump(-6, 64, -32, 11, 18),
        "forehead": bump(3, 30, -56, 20, 18),
        "nasolabial": bump(-2.8, 26, 55, 4, 11) + bump(2.8, 38, 47, 10, 13),
        "muzzle": bump(6, 0, 69, 25, 19),
        "philtrum": bump(-1.3, 0, 57, 2.6, 5) + bump(0.9, 5, 57, 2.2, 6),
        "lips": bump(2.6, 0, 70.5, 15, 4.0) + bump(3.2, 0, 81.5, 14, 4.2) - 1.0 * _bump(x, y, 0, 75.5, 22, 1.8),
        "under_lip": bump(-2.6, 0, 91, 15, 5.5),
        "chin": bump(10, 0, 108, 15, 9.5),
        "jaw": bump(4, 58, 82, 12, 14),
        "ears": _ear(),
    }


def _ear() -> np.ndarray:
    """Height of the ears along the normal, steep at the back edge and shallow in front."""
    y = smooth_head()[..., 1]
    across = (np.abs(bearings())[None] - 1.83) * 66
    inside = (
        1 - (across / np.where(across > 0, 7, 15)) ** 2 - ((y - 14 + 0.25 * across) / np.where(y > 14, 30, 26)) ** 2
    )
    bowl = 4.5 * np.exp(-(((across + 4) / 5) ** 2) - ((y - 16) / 14) ** 2)
    return np.clip(inside, 0, 1) ** 0.6 * 15 - bowl * (inside > 0)


@cache
def template() -> np.ndarray:
    """(ROWS, COLS, 3) the average head without ears and hair, which are added along the normals."""
    return with_features(dict.fromkeys(feature_heights(), 1.0))


def with_features(strengths: Mapping[str, float]) -> np.ndarray:
    """(ROWS, COLS, 3) the smooth head with features of the given strengths, but without ears."""
    grid = smooth_head().copy()
    for name, height in feature_heights().items():
        if name != "ears":
            grid[..., 2] += height * strengths[name]
    return grid


def sample(grid: np.ndarray, grid_positions: np.ndarray) -> np.ndarray:
    """Bilinear samples of a (ROWS, COLS, ...) grid at (N, 2) positions (row, column)."""
    r, c = grid_positions[:, 0], grid_positions[:, 1]
    r0, c0 = np.floor(r).astype(int).clip(0, ROWS - 2), np.floor(c).astype(int).clip(0, COLS - 2)
    shape = (-1,) + (1,) * (grid.ndim - 2)
    a, b = (r - r0).reshape(shape), (c - c0).reshape(shape)
    top = grid[r0, c0] * (1 - b) + grid[r0, c0 + 1] * b
    return top * (1 - a) + (grid[r0 + 1, c0] * (1 - b) + grid[r0 + 1, c0 + 1] * b) * a


def locate(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N, 2) positions (row, column) of the points with the given x and y on the front of the template."""
    grid = smooth_head()
    front = np.abs(bearings()) < 1.35
    grid_positions = np.empty((len(x), 2))
    for k, (px, py) in enumerate(zip(x, y, strict=True)):
        far = (grid[..., 0] - px) ** 2 + (grid[..., 1] - py) ** 2 + 1e9 * ~front
        row, col = (float(v) for v in np.unravel_index(np.argmin(far), far.shape))
        for _ in range(4):
            r, c = min(max(row, 1), ROWS - 2), min(max(col, 1), COLS - 2)
            here, *_ = sample(grid, np.array([[r, c]]))
            down = sample(grid, np.array([[r + 0.5, c]]))[0] - sample(grid, np.array([[r - 0.5, c]]))[0]
            across = sample(grid, np.array([[r, c + 0.5]]))[0] - sample(grid, np.array([[r, c - 0.5]]))[0]
            step = np.linalg.solve(np.stack([down[:2], across[:2]], 1), [px - here[0], py - here[1]])
            row, col = r + step[0], c + step[1]
        grid_positions[k] = row, col
    return grid_positions


@cache
def grid_positions() -> np.ndarray:
    """(68 + extras, 2) grid position (row, column) of every landmark, then of `EXTRAS`."""
    flat = np.zeros((68 + len(EXTRAS), 2))
    for index, (x, y) in {**_HALF, **_MIDDLE}.items():
        flat[index], flat[MIRROR_68[index]] = (x, y), (-x, y)
    for k, (x, y) in enumerate(_EXTRA.values()):
        flat[68 + 2 * k], flat[69 + 2 * k] = (x, y), (-x, y)
    found = np.zeros_like(flat)
    found[17:] = locate(flat[17:, 0], flat[17:, 1])
    for index, (bearing, height) in enumerate(_JAW):
        column = float(np.interp(bearing, bearings(), np.arange(COLS)))
        row = float(np.interp(height, smooth_head()[:, round(column), 1], np.arange(ROWS)))
        found[index], found[16 - index] = (row, column), (row, COLS - 1 - column)
    return found


def respace_outline(outline: np.ndarray) -> np.ndarray:
    """Space the 17 landmarks (17, 3) of a face's outline as on the template, from either ear to the chin.

    Outline landmarks mark no fixed spot of the skin: annotators space them along its length.
    """
    average = sample(template(), grid_positions()[:17])
    spaced = outline.copy()
    for half in (slice(0, 9), slice(8, 17)):
        here, there = _cumulative_lengths(outline[half]), _cumulative_lengths(average[half])
        spaced[half] = scipy.interpolate.PchipInterpolator(here / here[-1], outline[half])(there / there[-1])
    return spaced


def _cumulative_lengths(line: np.ndarray) -> np.ndarray:
    """(N,) length of a polyline (N, 3) up to each of its points."""
    return np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])


@cache
def influence() -> np.ndarray:
    """(CONTROLS, ROWS * COLS + 68) float32: how far each vertex and landmark follows each control point.

    Thin-plate splines over the template; scalp, ears and neck are fixed.
    """
    grid = template()
    every = grid_positions()
    moving = np.concatenate([every[:60], every[68:]])
    rows, cols = np.meshgrid([0, 14, 26, 150, ROWS - 1], np.linspace(3, COLS - 4, 11), indexing="ij")
    back = np.array([[r, c] for r in (60, 85, 110, 130) for c in (1, 6, COLS - 7, COLS - 2)])
    fixed = np.concatenate([np.stack([rows.ravel(), cols.ravel()], 1), back])
    at = np.concatenate([sample(grid, moving), sample(grid, fixed)])
    target = np.eye(len(at))[:, : len(moving)]
    spline = scipy.interpolate.RBFInterpolator(at, target, kernel="thin_plate_spline", degree=1)
    vertices = spline(grid.reshape(-1, 3))
    landmarks = sample(vertices.reshape(ROWS, COLS, -1), every[:68])
    return np.ascontiguousarray(np.concatenate([vertices, landmarks]).T, dtype=np.float32)
