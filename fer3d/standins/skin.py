"""The surface of a head: complexion, brows, beard, hair and age, painted once a person onto the grid of `head`.

Not part of the paper: it serves the stand-in databases. Everything is a function of the
place on the template (millimetres and bearing), so no seam or stencil shows. Colours are
stored as square roots of linear light, in which shading multiplies.
"""

from dataclasses import dataclass

import numpy as np

from fer3d.standins import folds, hair
from fer3d.standins.canvas import blotches, coarse, place, ramp
from fer3d.standins.people import Person
from fer3d.standins.raster import f32


@dataclass(frozen=True)
class Skin:
    """What is painted on one person's grid."""

    albedo: np.ndarray
    """(HEIGHT, WIDTH, 3) uint8, square root of linear RGB."""
    relief: np.ndarray
    """(HEIGHT, WIDTH) float32 relief of pores, age lines and strands: 0 none, negative darker."""
    hair: np.ndarray
    """(ROWS, COLS) millimetres of hair over the skin."""
    gloss: np.ndarray
    """(ROWS, COLS) strength of the skin's highlight."""
    strands: np.ndarray
    """(ROWS, COLS, 3) unit vectors along the hair; zero where it curls."""
    sheen: np.ndarray
    """(ROWS, COLS) strength of the hair's highlight."""


def bake(who: Person) -> Skin:
    """Paint a person. About 0.2 s on one core."""
    rng = np.random.default_rng(who.seed)
    here = place()
    pores = 0.020 * blotches(rng, 1.6) + 0.012 * blotches(rng, 3.5)
    relief = pores * (0.8 + 0.8 * np.clip((who.age - 30) / 40, 0, 1))
    albedo = _complexion(who, rng)
    hair.paint_beard(who, albedo, relief, rng)
    hair.paint_brows(who, albedo, rng)
    folds.wear(relief, who.age, rng)
    grown = hair.grow(who, rng)
    albedo *= grown.shade[..., None]
    albedo += grown.cover[..., None] * (grown.colour - albedo)
    relief += grown.cover * (grown.strands - relief)
    cover = coarse(grown.cover)
    x, y = coarse(here.x), coarse(here.y)
    oily = np.exp(-((x / 22) ** 2) - ((y + 45) / 30) ** 2) + np.exp(-((x / 9) ** 2) - ((y - 28) / 20) ** 2)
    return Skin(
        np.sqrt(np.clip(albedo, 0, 1) * 255**2).astype(np.uint8),
        f32(relief),
        grown.height,
        (0.55 + 0.55 * oily) * (1 - cover),
        grown.along,
        (0.22 + 0.4 * np.sqrt(np.mean(who.hair))) * cover * np.linalg.norm(grown.along, axis=-1),
    )


def _complexion(who: Person, rng: np.random.Generator) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) linear RGB of bare skin: blotches, warm cheeks, nose and ears, dark rings, freckles, moles."""
    here = place()
    base = np.array(who.skin, np.float32)
    large, middle, small = (blotches(rng, size) for size in (42, 15, 6))
    albedo = base * (1 + 0.035 * large + 0.022 * middle + 0.014 * small)[..., None]
    red = 0.55 * _spot(42, 34, 14, 13) + 0.6 * _spot(0, 40, 10, 10) + 0.25 * _spot(0, 103, 15, 8) + 0.10 * middle
    red += 0.7 * ramp(here.off, 92, 100) * ramp(-here.off, -122, -114) * (np.abs(here.y - 14) < 30)  # the ears
    albedo *= 1 + red[..., None] * np.array([0.07, -0.12, -0.11], np.float32)
    dark = 0.5 * _spot(30, 8, 13, 6) + 0.35 * _spot(31, -8, 16, 6) + 0.3 * _spot(20, 2, 5, 8)
    albedo *= 1 - dark[..., None] * np.array([0.26, 0.36, 0.30], np.float32)
    specks = who.freckles * ramp(small, 1.3, 2.3) * _spot(24, 26, 26, 20)
    specks += 0.35 * np.clip((who.age - 45) / 30, 0, 1) * ramp(middle, 1.4, 2.4)  # spots of age
    specks += 1.4 * ramp(blotches(rng, 3.0), 3.9, 4.3)  # a few moles
    albedo *= np.clip(1 - specks[..., None] * np.array([0.25, 0.42, 0.5], np.float32), 0.2, 1)
    return albedo * _hollows()[..., None]


def _spot(cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
    """A soft spot on each side of the face."""
    here = place()
    return np.exp(-(((np.abs(here.x) - cx) / sx) ** 2 + ((here.y - cy) / sy) ** 2) / 2) * (here.off < 89)


def _hollows() -> np.ndarray:
    """(HEIGHT, WIDTH) light left in what is too fine for the grid: nostrils, the wings' crease, the ear's bowl."""
    here = place()
    ax, y = np.abs(here.x), here.y
    hole = np.exp(-((((ax - 6.8) / 3.6) ** 2 + ((y - 49 - 0.12 * (ax - 7)) / 1.8) ** 2) ** 1.5)) * (here.off < 60)
    crease = 0.5 * np.exp(-(((ax - 17.5) / 1.3) ** 2) - ((y - 44) / 5) ** 2) * (here.off < 80)
    under = 0.28 * _spot(0, 51, 12, 2.2)
    lobe = (here.off - 104) * np.radians(75)
    bowl = 0.5 * np.exp(-((((lobe + 5) / 4.5) ** 2 + ((y - 17) / 10) ** 2) ** 2))
    rim = 0.35 * np.exp(-(((np.hypot(lobe + 1, (y - 12) / 2.1) - 8.5) / 1.6) ** 2)) * (lobe > -4) * (here.off > 80)
    return f32(np.clip(1 - 0.9 * hole - crease - under - bowl - rim, 0.04, 1) * _throat())


def _throat() -> np.ndarray:
    """(HEIGHT, WIDTH) light on the neck: two muscles run from behind the ears to the pit, the windpipe between them."""
    here = place()
    ax, below = np.abs(here.x), ramp(here.y, 128, 150)
    muscle = 52 - 0.62 * (here.y - 128)
    ridge = np.exp(-(((ax - muscle) / 6) ** 2)) - np.exp(-(((ax - muscle + 13) / 7) ** 2))
    pipe = np.exp(-((ax / 8) ** 2)) - np.exp(-(((ax - 13) / 5) ** 2))
    return 1 + below * (0.16 * ridge + 0.10 * pipe) * (here.off < 100)
