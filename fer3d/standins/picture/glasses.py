"""Glasses: frames of several shapes with arms, and lenses that reflect a little light.

Not part of the paper: used by the stand-in databases. Frames are placed in space in front of
the face, so they turn with it. Lenses hide nothing: the eyelids behind them are landmarks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from fer3d.standins.people.person import Person
from fer3d.standins.picture.raster import f32, rgb

Projection = Callable[[np.ndarray], np.ndarray]
"""Maps (N, 3) millimetres to (N, 2) pixels."""

_SHARP = 4
"""Fractional bits of the line coordinates given to OpenCV."""


@dataclass(frozen=True)
class Shape:
    """Shape of a frame, in millimetres."""

    half_width: float
    half_height: float
    square: float
    """Exponent of the outline: 1 an ellipse, towards 0 a rectangle."""
    rim: float
    """Thickness."""
    lower: bool = True
    """Whether the rim also runs below the lens."""


_SHAPES: Final[Mapping[str, Shape]] = {
    "round": Shape(22, 20, 1.0, 0.8),
    "square": Shape(25, 18, 0.55, 0.9),
    "oval": Shape(25, 16, 0.85, 0.8),
    "half": Shape(25, 17, 0.6, 0.95, lower=False),
    "heavy": Shape(25, 20, 0.6, 1.3),
}
"""By name of `person.GLASSES`, except "none"."""


@dataclass(frozen=True)
class FittedGlasses:
    """Glasses on a face: polylines (N, 3) in millimetres."""

    lenses: tuple[np.ndarray, np.ndarray]
    """Closed outlines, left and right of the picture."""
    rims: tuple[np.ndarray, ...]
    """Both rims and the bridge."""
    arms: tuple[np.ndarray, np.ndarray]


def fit(person: Person, landmarks: np.ndarray) -> FittedGlasses:
    """Fit a person's glasses to the face. ``landmarks`` (68, 3) at rest in millimetres."""
    frame = _SHAPES[person.glasses]
    middle = np.array([0, landmarks[36:48, 1].mean() + 4, landmarks[28, 2] - 12])
    apart = (landmarks[42:48, 0].mean() - landmarks[36:42, 0].mean()) / 2
    t = np.linspace(0, 2 * np.pi, 41)
    wide, tall = (np.sign(wave) * np.abs(wave) ** frame.square for wave in (np.cos(t), np.sin(t)))
    right = np.stack([apart + frame.half_width * wide, frame.half_height * tall, 6 - 4 * wide], 1)
    shown = right if frame.lower else right[20:]
    at = np.linspace(-1, 1, 7)
    inner = apart - frame.half_width
    bridge = np.stack([inner * at, -5 - 2.5 * np.cos(1.4 * at), np.full(7, 10.0)], 1)
    hinge = right[np.argmax(right[:, 0])] + [0, -6, 0]
    ear = np.array([0.5 * (landmarks[16, 0] - landmarks[0, 0]) + 3, -8, landmarks[16, 2] - middle[2] - 4])
    arm = hinge + (ear - hinge) * np.linspace(0, 1, 9)[:, None]
    arm[:, 0] += 5 * np.sin(np.linspace(0, np.pi, 9))  # arms bow round the temples
    left = [-1, 1, 1]
    return FittedGlasses(
        (right * left + middle, right + middle),
        (shown * left + middle, shown + middle, bridge + middle),
        (arm * left + middle, arm + middle),
    )


def draw(
    picture: np.ndarray, person: Person, fitted: FittedGlasses, project: Projection, yaw: float, scale: float
) -> None:
    """Draw glasses over a face, in place.

    The arm on the far side of a turned head is hidden, and so is what thick hair covers.

    Args:
        picture: (3, H, W) float32, 0..255.
        person: who wears the glasses.
        fitted: the glasses in millimetres.
        project: of the head and the camera.
        yaw: of the head, in degrees.
        scale: pixels per millimetre.
    """
    facing = 0.14 * np.cos(np.radians(yaw)) + np.array([1, -1]) * np.sin(np.radians(yaw))
    covered = person.style in ("long", "bob", "fringe", "curly")
    arms = [project(arm[:5] if covered else arm) for arm, out in zip(fitted.arms, facing, strict=True) if out > 0]
    rims = [project(rim) for rim in fitted.rims]
    lenses = [project(lens) for lens in fitted.lenses]
    every = np.concatenate([*rims, *arms])
    low = np.floor(every.min(0) - 8).astype(int).clip(0)
    high = np.minimum(np.ceil(every.max(0) + 12).astype(int), picture.shape[:0:-1])
    if (high <= low).any():
        return
    under = picture[:, low[1] : high[1], low[0] : high[0]]
    shape = under.shape[1:]
    rim = _SHAPES[person.glasses].rim
    metal = _line_coverage(shape, [line - low for line in rims], rim * scale)
    metal = np.maximum(metal, _line_coverage(shape, [line - low for line in arms], min(rim, 1.2) * scale))
    shadow = cv2.GaussianBlur(metal, (0, 0), 1.6 * scale)
    fall = np.roll(shadow, (round(4 * scale), round(-0.03 * yaw * scale)), axis=(0, 1))
    under *= 1 - 0.22 * fall
    for k, lens in enumerate(lenses):
        under += _glint(shape, lens - low, k, yaw)
    light = np.clip(cv2.GaussianBlur(under.mean(0), (0, 0), 6 * scale) / 130, 0.4, 1.4)
    upper_edge = np.clip(metal - np.roll(metal, 1, axis=0), 0, 1)  # what faces the lamp above
    colour = np.sqrt(rgb(person.frame_colour)) * 255 * light + 60 * upper_edge
    under += (colour - under) * metal


def _line_coverage(shape: tuple[int, ...], lines: list[np.ndarray], width: float) -> np.ndarray:
    """(h, w) coverage of antialiased polylines ``width`` pixels thick."""
    mask = np.zeros(shape, np.uint8)
    fixed = [np.rint(line * 2**_SHARP).astype(np.int32) for line in lines]
    cv2.polylines(mask, fixed, False, 255, max(1, round(width)), cv2.LINE_AA, _SHARP)
    return f32(mask / 255) * min(0.85, 0.8 * width)


def _glint(shape: tuple[int, ...], lens: np.ndarray, side: int, yaw: float) -> np.ndarray:
    """(h, w) grey levels that a lens adds: a faint veil and a slanted streak that moves as the head turns."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(lens * 2**_SHARP).astype(np.int32)], 255, cv2.LINE_AA, _SHARP)
    middle, reach = lens.mean(0), np.ptp(lens, axis=0) / 2 + 1
    y, x = f32(np.mgrid[: shape[0], : shape[1]])
    slant = 0.8 * (x - middle[0]) / reach[0] + 0.6 * (y - middle[1]) / reach[1]
    streak = np.exp(-(((slant + 0.62 - 0.25 * side + 0.012 * yaw) / 0.13) ** 2))
    return f32(mask / 255) * (4 + 16 * streak)
