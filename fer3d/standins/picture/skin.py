"""The texture of a head: complexion, brows, beard, hair and wrinkles, painted once per person.

Not part of the paper: used by the stand-in databases. Everything is a function of the
position on the template (millimetres and bearing), so there are no seams. Colours are stored
as square roots of linear light, because shading is then a product.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from fer3d.standins.people.person import Person
from fer3d.standins.picture import hair, wrinkles
from fer3d.standins.picture.raster import f32, rgb
from fer3d.standins.picture.texture import noise, ramp, texel_positions, vertex_means


@dataclass(frozen=True)
class Skin:
    """The texture of one person's head."""

    albedo: np.ndarray
    """(HEIGHT, WIDTH, 3) uint8, square root of linear RGB."""
    relief: np.ndarray
    """(HEIGHT, WIDTH) float32 relief of pores, wrinkles and strands: 0 flat, negative darker."""
    hair: np.ndarray
    """(ROWS, COLS) height of the hair over the skin in millimetres."""
    gloss: np.ndarray
    """(ROWS, COLS) strength of the skin's specular highlight."""
    strands: np.ndarray
    """(3, ROWS, COLS) unit vectors along the strands; zero for curls."""
    sheen: np.ndarray
    """(ROWS, COLS) strength of the hair's specular highlight."""


def bake_texture(person: Person) -> Skin:
    """Paint the texture of a person, in about 0.2 s on one core."""
    rng = np.random.default_rng(person.seed)
    here = texel_positions()
    pores = 0.021 * noise(rng, 1.5) + 0.012 * noise(rng, 3.5)
    relief = pores * f32(0.8 + 0.8 * np.clip((person.age - 30) / 40, 0, 1))
    albedo = _complexion(person, rng)
    hair.paint_beard(person, albedo, relief, rng)
    hair.paint_brows(person, albedo, rng)
    wrinkles.add_age_lines(relief, person.age, rng)
    grown = hair.make_hair(person, rng)
    albedo *= grown.shade
    albedo += grown.cover * (grown.colour - albedo)
    relief += grown.cover * (grown.strands - relief)
    cover = vertex_means(grown.cover)
    x, y = vertex_means(here.x), vertex_means(here.y)
    oily = np.exp(-((x / 22) ** 2) - ((y + 45) / 30) ** 2) + 0.6 * np.exp(-((x / 10) ** 2) - ((y - 36) / 12) ** 2)
    oily += 0.35 * np.exp(-(((np.abs(x) - 40) / 12) ** 2) - ((y - 24) / 9) ** 2)
    return Skin(
        cv2.merge(np.sqrt(np.clip(albedo, 0, 1) * 255**2).astype(np.uint8)),
        f32(relief),
        grown.height,
        (0.55 + 0.55 * oily) * (1 - cover),
        grown.along,
        (0.22 + 0.4 * np.sqrt(np.mean(person.hair))) * cover * np.linalg.norm(grown.along, axis=0),
    )


def _complexion(person: Person, rng: np.random.Generator) -> np.ndarray:
    """(3, HEIGHT, WIDTH) linear RGB of bare skin: blotches, red cheeks, nose and ears, dark rings, freckles, moles."""
    large, middle, small = (noise(rng, size) for size in (42, 15, 6))
    albedo = rgb(person.skin) * (1 + 0.035 * large + 0.022 * middle + 0.014 * small)
    red = (0.65 + 0.08 * large) * _spot(43, 34, 17, 14) + 0.65 * _spot(0, 40, 12, 9) + 0.3 * _spot(0, 103, 15, 8)
    red += 0.15 * middle - 0.25 * _spot(0, -48, 40, 18)
    red += _red_ears()
    albedo *= 1 + red * rgb([0.05, -0.16, -0.13])
    tired = f32(0.7 + 0.6 * np.clip((person.age - 25) / 40, 0, 1))
    dark = 0.4 * tired * _spot(30, 8, 12, 5) + 0.22 * _spot(31, -8, 15, 5) + 0.15 * _spot(20, 2, 5, 7)
    albedo *= 1 - dark * rgb([0.26, 0.36, 0.30])
    specks = person.freckles * ramp(noise(rng, 2.2), 1.0, 2.4) * _spot(24, 26, 26, 20)
    specks += f32(0.35 * np.clip((person.age - 45) / 30, 0, 1)) * ramp(middle, 1.4, 2.4)  # age spots
    specks += 1.6 * ramp(noise(rng, 1.5), 4.0, 4.5)  # a few moles
    albedo *= np.clip(1 - specks * rgb([0.25, 0.42, 0.5]), 0.2, 1)
    albedo *= _hollows()
    return albedo


@cache
def _spot(cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
    """(HEIGHT, WIDTH) a Gaussian spot on each side of the face."""
    here = texel_positions()
    return np.exp(-(((np.abs(here.x) - cx) / sx) ** 2 + ((here.y - cy) / sy) ** 2) / 2) * (here.off < 89)


@cache
def _red_ears() -> np.ndarray:
    """(HEIGHT, WIDTH) how much redder the ears are."""
    here = texel_positions()
    return 0.7 * ramp(here.off, 92, 100) * ramp(-here.off, -122, -114) * (np.abs(here.y - 14) < 30)


@cache
def _hollows() -> np.ndarray:
    """(HEIGHT, WIDTH) light factor in hollows too fine for the grid: nostrils, creases of the nose, ears, throat."""
    here = texel_positions()
    ax, y = np.abs(here.x), here.y
    hole = np.exp(-((((ax - 6.8) / 3.6) ** 2 + ((y - 49.5 - 0.15 * (ax - 7)) / 1.9) ** 2) ** 1.5)) * (here.off < 60)
    round_wing = np.hypot((ax - 11) / 5.6, (y - 44) / 7)
    crease = 0.32 * np.exp(-(((round_wing - 1) / 0.2) ** 2)) * ramp(ax, 10, 15) * (here.off < 80)
    under = 0.24 * _spot(0, 51, 12, 2.4)
    return f32(np.clip(1 - 0.72 * hole - crease - under, 0.04, 1) * _ears() * _throat())


def _ears() -> np.ndarray:
    """(HEIGHT, WIDTH) light factor in the ears: bright rim, groove behind it, dark bowl."""
    here = texel_positions()
    u = ((here.off - 104) * np.radians(75) + 6) / 8  # -1 at the cheek, 1 at the back edge
    v = (here.y - 14) / 28  # -1 at the top, 1 at the end of the lobe
    round_it, upper = np.hypot(u, v), ramp(u - 1.2 * v, -0.5, 0.3)
    rim = 0.12 * np.exp(-(((round_it - 0.95) / 0.14) ** 2)) * upper
    groove = 0.38 * np.exp(-(((round_it - 0.68) / 0.12) ** 2)) * upper
    bowl = 0.5 * np.exp(-((((u + 0.15) / 0.4) ** 2 + ((v - 0.1) / 0.34) ** 2) ** 2))
    front = 0.3 * np.exp(-(((u + 1.02) / 0.12) ** 2)) * ramp(-np.abs(v - 0.1), -0.7, -0.4)
    return 1 + (rim - groove - bowl - front) * (round_it < 1.4) * (here.off > 80)


def _throat() -> np.ndarray:
    """(HEIGHT, WIDTH) light factor on the neck: two muscles from behind the ears to its pit, the windpipe between."""
    here = texel_positions()
    ax, below = np.abs(here.x), ramp(here.y, 128, 150)
    muscle = 52 - 0.62 * (here.y - 128)
    ridge = np.exp(-(((ax - muscle) / 6) ** 2)) - np.exp(-(((ax - muscle + 13) / 7) ** 2))
    pipe = np.exp(-((ax / 8) ** 2)) - np.exp(-(((ax - 13) / 5) ** 2))
    return 1 + below * (0.16 * ridge + 0.10 * pipe) * (here.off < 100)
