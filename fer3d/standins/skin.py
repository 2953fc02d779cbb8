"""The surface of a head: colour, brows, beard, hair, age lines, painted once a person onto the grid of `head`.

Not part of the paper: it serves the stand-in databases. Everything is a function of the
place on the template (millimetres and bearing), so no seam or stencil shows. Colours are
stored as square roots of linear light, in which shading multiplies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import cv2
import numpy as np

from fer3d.standins import head
from fer3d.standins.people import Person
from fer3d.standins.raster import f32

FINE = 4
"""Texels a vertex, in both directions."""

_HEIGHT, _WIDTH = head.ROWS * FINE, head.COLS * FINE


@dataclass(frozen=True)
class Skin:
    """What is painted on one person's grid."""

    albedo: np.ndarray
    """(ROWS * FINE, COLS * FINE, 3) uint8, square root of linear RGB."""
    lines: np.ndarray
    """(ROWS * FINE, COLS * FINE) float32 relief of age lines and pores: 0 none, negative darker."""
    hair: np.ndarray
    """(ROWS, COLS) millimetres of hair over the skin."""
    gloss: np.ndarray
    """(ROWS, COLS) strength of the highlight."""


@cache
def _place() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y (millimetres) and |bearing| (degrees) of every texel."""
    size = (_WIDTH, _HEIGHT)
    grid = cv2.resize(head.loft().astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    bearing = cv2.resize(np.degrees(head.bearings()).astype(np.float32)[None], (_WIDTH, 1))
    return grid[..., 0], grid[..., 1], np.abs(np.repeat(bearing, _HEIGHT, axis=0))


def _ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def clouds(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """(height, width) float32 smooth noise of deviation about 1 with lumps of ``cell`` pixels."""
    shape = (max(2, round(height / cell)), max(2, round(width / cell)))
    coarse = rng.standard_normal(shape, dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 1.3


def _strands(
    rng: np.random.Generator, across: np.ndarray, along: np.ndarray, width: float, length: float
) -> np.ndarray:
    """Hair-like noise of deviation about 1, in threads of a width and a length in the units of the coordinates."""
    speckle = rng.standard_normal((256, 256), dtype=np.float32)
    tile = cv2.GaussianBlur(speckle, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
    tile = tile / tile.std()
    return cv2.remap(
        tile, f32(across / width % 255), f32(along / length % 255), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )


# Age lines and folds: polylines on the left in millimetres, width, and the units that deepen them (share a unit of 5).
_LINES: Mapping[str, tuple[tuple[tuple[tuple[float, float], ...], ...], float, Mapping[int, float], float]] = (
    MappingProxyType(
        {
            "forehead_in": (
                (((-1, -38), (-14, -39.5), (-27, -39)), ((-1, -46), (-15, -48), (-28, -47)),
                 ((-1, -54), (-14, -56), (-24, -55.5))), 1.5, {1: 0.75, 2: 0.3}, 0.55,
            ),
            "forehead_out": (
                (((-24, -39.5), (-38, -40), (-50, -35)), ((-25, -47.5), (-39, -48), (-50, -43)),
                 ((-22, -56), (-36, -55.5))), 1.5, {2: 0.75, 1: 0.1}, 0.5,
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
                1.3, {6: 0.7, 12: 0.25, 7: 0.15}, 0.6,
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
        }
    )
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One family of folds on one side: a patch of relief and what deepens it."""

    corner: tuple[int, int]
    """Row and column of the patch."""
    relief: np.ndarray
    """(h, w) float32, 0 outside the folds."""
    side: int
    """0 left of the picture, 1 right."""
    units: Mapping[int, float]
    age: float
    """Depth at old age."""


@cache
def lines() -> tuple[Line, ...]:
    """Every fold on the template."""
    x, y, bearing = _place()
    made = []
    for curves, width, units, age in _LINES.values():
        for side, sign in ((0, 1), (1, -1)):
            relief = np.zeros_like(x)
            for curve in curves:
                relief = np.minimum(relief, _groove(sign * x, y, bearing, np.array(curve), width))
            rows, cols = np.nonzero(relief < -0.01)
            where = (slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1))
            lit = relief - 0.55 * np.roll(relief, -3, axis=0)  # the lower edge catches the light from above
            made.append(Line((int(rows.min()), int(cols.min())), f32(lit[where]), side, units, age))
    return tuple(made)


def _groove(x: np.ndarray, y: np.ndarray, bearing: np.ndarray, curve: np.ndarray, width: float) -> np.ndarray:
    """(H, W) from -1 on the curve to 0, fading towards its ends."""
    knots = np.linspace(0, 1, len(curve))
    fine = np.stack([np.interp(np.linspace(0, 1, 28), knots, curve[:, k]) for k in (0, 1)], 1)
    out = np.zeros_like(x)
    near = np.argwhere(
        (x > fine[:, 0].min() - 6) & (x < fine[:, 0].max() + 6)
        & (y > fine[:, 1].min() - 6) & (y < fine[:, 1].max() + 6) & (bearing < 88)
    )  # fmt: skip
    (r0, c0), (r1, c1) = near.min(0), near.max(0) + 1
    px, py = x[r0:r1, c0:c1], y[r0:r1, c0:c1]
    best = np.zeros_like(px)
    for k, (ax, ay) in enumerate(fine):
        fade = np.sin(np.pi * (k + 1) / (len(fine) + 1)) ** 0.7
        best = np.minimum(best, -fade * np.exp(-((px - ax) ** 2 + (py - ay) ** 2) / (2 * (0.62 * width) ** 2)))
    out[r0:r1, c0:c1] = best
    return out


def _hairline(who: Person, bearing: np.ndarray) -> np.ndarray:
    """y in millimetres above which hair grows, at each |bearing| in degrees."""
    front, recession, sides = who.hairline
    at = [0, 14, 30, 44, 54, 62, 70, 77, 84, 90, 96, 103, 112, 130]
    line = np.array([-66, -67, -70, -64, -56, -46, -32, -8, 12, 14, -8, 40, 78, 88], float)
    line[:5] += front
    line[2:5] -= np.abs(recession)
    line[7:10] += sides
    if who.style == "receding":
        line[:6] += [-10, -18, -30, -24, -10, -4]
    elif who.style == "bald":
        line[:8] = [-200, -200, -200, -200, -190, -150, -90, -30]
    elif who.style == "fringe":
        line[:7] = np.array([-40, -39, -38, -36, -38, -36, -20]) + front * 0.6
    if who.style in ("bob", "fringe", "parted"):
        line[6:] = [-20, 34, 140, 150, 152, 152, 152, 152]
    return np.interp(bearing, at, line)


def bake(who: Person) -> Skin:
    """Paint a person. About 0.2 s on one core."""
    rng = np.random.default_rng(who.seed)
    x, y, bearing = _place()
    noise = {cell: clouds(rng, _HEIGHT, _WIDTH, cell) for cell in (90, 34, 12, 5, 2.2)}
    albedo = _complexion(who, x, y, bearing, noise)
    strand_noise = _strands(rng, np.radians(bearing) * np.sign(x) * 75, y + 0.25 * x, 0.55, 26)
    edge = _hairline(who, bearing) - y
    hairy, lift = _hair(who, edge, bearing, y, strand_noise, noise)
    _paint_beard(who, albedo, x, y, bearing, noise, rng)
    _paint_brows(who, albedo, x, y, rng)
    shade = 1 - (0.35 if who.style != "bald" else 0.0) * np.exp(-np.clip(-edge, 0, None) / 5) * (bearing < 75)
    albedo *= np.where(edge < 0, shade, 1)[..., None]
    tint = np.array(who.hair, np.float32) * np.exp(0.42 * strand_noise + 0.16 * noise[34])[..., None]
    albedo += hairy[..., None] * (tint - albedo)
    relief = (0.030 * noise[2.2] + 0.016 * noise[5]) * (1 - hairy)
    old = np.clip((who.age - 25) / 45, 0, 1)
    for line in lines():
        (r, c), (h, w) = line.corner, line.relief.shape
        relief[r : r + h, c : c + w] += 0.55 * old * line.age * line.relief * rng.uniform(0.6, 1.2)
    small = (head.COLS, head.ROWS)
    cover = cv2.resize(hairy, small, interpolation=cv2.INTER_AREA)
    gx, gy = (cv2.resize(a, small, interpolation=cv2.INTER_AREA) for a in (x, y))
    tzone = np.exp(-((gx / 22) ** 2) - ((gy + 45) / 30) ** 2) + np.exp(-((gx / 9) ** 2) - ((gy - 28) / 20) ** 2)
    gloss = (0.55 + 0.5 * tzone) * (1 - cover) + 0.45 * cover
    return Skin(
        np.sqrt(np.clip(albedo, 0, 1) * 255**2).astype(np.uint8),
        f32(relief),
        f32(lift),
        f32(gloss),
    )


def _complexion(
    who: Person, x: np.ndarray, y: np.ndarray, bearing: np.ndarray, noise: Mapping[float, np.ndarray]
) -> np.ndarray:
    """Linear RGB of bare skin: blotches, warm cheeks and nose, dark rings, freckles, nostrils."""
    base = np.array(who.skin, np.float32)
    mottle = 1 + 0.045 * noise[90] + 0.03 * noise[34] + 0.025 * noise[12] + 0.012 * noise[5]
    albedo = base * mottle[..., None]

    def spot(cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
        return np.exp(-(((np.abs(x) - cx) / sx) ** 2 + ((y - cy) / sy) ** 2) / 2) * (bearing < 89)

    red = 0.55 * spot(42, 34, 14, 13) + 0.6 * spot(0, 40, 10, 10) + 0.25 * spot(0, 103, 15, 8) + 0.2 * noise[34] * 0.5
    albedo *= 1 + red[..., None] * np.array([0.06, -0.13, -0.12], np.float32)
    dark = 0.5 * spot(30, 8, 13, 6) + 0.35 * spot(31, -8, 16, 6) + 0.3 * spot(20, 2, 5, 8)
    albedo *= 1 - dark[..., None] * np.array([0.26, 0.36, 0.30], np.float32)
    if who.freckles:
        speck = _ramp(noise[5], 1.5, 2.3) * spot(24, 26, 26, 20) * who.freckles
        albedo *= 1 - speck[..., None] * np.array([0.25, 0.42, 0.5], np.float32)
    hole = np.exp(-((((np.abs(x) - 6.8) / 3.6) ** 2 + ((y - 49 - 0.12 * (np.abs(x) - 7)) / 1.8) ** 2) ** 1.5)) * (
        bearing < 60
    )
    crease = 0.5 * np.exp(-(((np.abs(x) - 17.5) / 1.3) ** 2) - ((y - 44) / 5) ** 2)
    under = 0.28 * spot(0, 51, 12, 2.2)
    albedo *= np.clip(1 - 0.9 * hole - crease - under, 0.04, 1)[..., None]
    return albedo


def _hair(
    who: Person,
    edge: np.ndarray,
    bearing: np.ndarray,
    y: np.ndarray,
    strands: np.ndarray,
    noise: Mapping[float, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) share covered by hair, and (ROWS, COLS) its thickness in millimetres."""
    ragged = {"crop": 2.0, "bald": 2.0, "fringe": 6.0}.get(who.style, 4.0)
    hairy = _ramp(edge + np.where(y < 40, ragged * strands + 1.5 * noise[12], 0.8 * strands), -3, 4)
    if who.style in ("crop", "bald"):
        hairy *= 0.78 if who.style == "crop" else 0.6
    full = {"crop": 3.0, "bald": 1.5, "receding": 6.0, "tied": 7.0}.get(who.style, 13.0) * who.volume
    rise = 7.0 if who.style == "fringe" else 20.0
    height = full * np.clip(edge / rise, 0, 1) ** 0.7 * (1 + 0.12 * noise[90])
    if who.style in ("bob", "fringe", "parted"):
        side = _ramp(bearing, 76, 92) * _ramp(y, -125, -30)  # on the crown all sides meet
        height = np.maximum(height, side * np.clip(edge / 10, 0, 1) * (16 + 9 * who.volume + 10 * _ramp(y, 30, 100)))
    lift = cv2.resize(f32(np.where(edge > 0, height, 0)), (head.COLS, head.ROWS), interpolation=cv2.INTER_AREA)
    return f32(hairy), cv2.GaussianBlur(lift, (0, 0), 1.0)


def _paint_beard(
    who: Person,
    albedo: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    bearing: np.ndarray,
    noise: Mapping[float, np.ndarray],
    rng: np.random.Generator,
) -> None:
    if who.beard == "none":
        return
    ax = np.abs(x)
    drift = 2.5 * noise[34] + 1.5 * noise[12]
    cheeks = _ramp(y - (30 + (74 - ax) * 0.74) + drift, -5, 8) * _ramp(-bearing, -96, -86) * _ramp(-y, -140, -118)
    moustache = (
        _ramp(y - 56 - 0.10 * ax + drift * 0.4, -2, 6)
        * _ramp(70 - 0.05 * ax - y, -1, 3)
        * _ramp(31 - ax + drift, -2, 5)
    )
    chin = _ramp(26 - ax + drift, -3, 6) * _ramp(y - 92 + drift, -3, 4) * _ramp(-y, -140, -120)
    corner = _ramp(6 - np.abs(ax - 35) + drift, -3, 4) * _ramp(y - 63, 0, 8) * _ramp(-y, -120, -100)
    bare = np.exp(-(((ax / 27) ** 2 + ((y - 78) / 10.5) ** 2) ** 3))
    area = {
        "stubble": 0.42 * np.maximum(cheeks, np.maximum(moustache, chin)),
        "moustache": 0.6 * moustache,
        "goatee": 0.85 * np.maximum(np.maximum(chin, corner), 0.6 * moustache),
        "full": 0.9 * np.maximum(np.maximum(cheeks, chin), 0.6 * moustache),
    }[who.beard] * (1 - bare)
    threads = _strands(rng, x + 0.18 * y * np.sign(x), y, 0.4, 1.6 if who.beard != "stubble" else 1.0)
    cover = np.clip(area * (0.82 + 0.22 * threads), 0, 0.97)[..., None]
    albedo += cover * (np.array(who.hair, np.float32) * np.exp(0.35 * threads)[..., None] - albedo)


def _paint_brows(who: Person, albedo: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
    """A band of hairs along landmarks 17 to 21: fine at both ends, hairs rising inside and lying flat outside."""
    thickness, density, darkness = who.brow
    xs, ys = (
        np.array([-58, -55, -46.5, -35.5, -23.5, -11.5, -7.5]),
        np.array([-11.5, -14.5, -21.2, -24, -22.8, -18.8, -17.5]),
    )
    ax = -np.abs(x)
    middle = np.interp(ax, xs, ys)
    reach = np.interp(ax, [-57, -52, -41, -26, -12, -7], [0.35, 0.6, 0.85, 1.0, 1.0, 0.6])
    off = (y - middle) / (thickness / 2 * reach)
    threads = _strands(rng, off * thickness * 0.5 + 0.55 * np.abs(x), np.abs(x) * 0.5 + 0.1 * y, 0.55, 6)
    body = np.exp(-(np.abs(off) ** 3)) * _ramp(ax, -58, -54) * _ramp(-ax, 8, 11.5) * (np.abs(y + 20) < 20)
    cover = np.clip(body * density * (0.95 + 0.30 * threads), 0, 0.96)[..., None]
    ink = np.array(who.hair, np.float32) * 0.8 / darkness
    ink = np.minimum(ink, 0.30 * np.array(who.skin, np.float32))
    albedo += cover * (ink - albedo)
