"""Hair: named styles, brows and beards, as texture and volume on the head's surface.

Not part of the paper: used by the stand-in databases. A style defines where hair begins, how
thick it is and in which direction it flows. Strands are noise stretched along the flow, so
that hairline, texture and highlight agree. No style covers the brows: landmarks must stay
visible.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np

from fer3d.standins.people.person import Person
from fer3d.standins.picture.raster import f32, rgb
from fer3d.standins.picture.texture import grain_noise, noise, ramp, texel_positions, vertex_means

_AT = (0, 14, 30, 44, 54, 62, 70, 77, 84, 90, 96, 103, 112, 130)
"""Bearings in degrees of the points of a hairline."""
_GROWN = (-77, -78, -80, -72, -60, -48, -34, -10, 8, 12, -8, 40, 78, 88)
"""Default hairline: height in millimetres at each bearing, over forehead, temple, sideburn, ear and nape."""


@dataclass(frozen=True)
class HairStyle:
    """A hair style."""

    flow: str
    """Direction of the strands: "down" from the crown, "back" from the forehead, "sides" of a parting, or "curl"."""
    top: float
    """Thickness on the crown in millimetres."""
    side: float
    """Thickness beside the ears in millimetres."""
    front: tuple[float, ...] = ()
    """Heights that replace the first ones of the default hairline."""
    fall: float | None = None
    """Height of its lower end beside the face; None for hair that follows the hairline."""
    density: float = 1.0
    """Share of the skin that it covers."""
    parting: float | None = None
    """Distance of the parting from the middle in millimetres."""
    crown: float = -300
    """Height above which no hair grows."""


_STYLES: Final[Mapping[str, HairStyle]] = {
    "short": HairStyle("down", 13, 4),
    "crop": HairStyle("down", 3, 2.5, density=0.86),
    "swept": HairStyle("back", 15, 5),
    "parted": HairStyle("sides", 12, 7, parting=27),
    "curly": HairStyle("curl", 17, 14),
    "long": HairStyle("sides", 10, 12, fall=230, parting=4),
    "bob": HairStyle("sides", 11, 14, fall=112, parting=20),
    "fringe": HairStyle("down", 11, 13, front=(-43, -42, -41, -40, -42, -40, -24), fall=128),
    "tied": HairStyle("back", 5, 4),
    "receding": HairStyle("back", 6, 5, front=(-92, -100, -116, -104, -76, -50)),
    "bald": HairStyle("down", 1.5, 2.5, front=(-200, -200, -200, -200, -190, -150, -90, -34), density=0.8, crown=-58),
}
"""By name of `person.HAIR_STYLES`."""


@dataclass(frozen=True)
class Hair:
    """The hair of one person."""

    cover: np.ndarray
    """(HEIGHT, WIDTH) share of the skin that is covered."""
    colour: np.ndarray
    """(3, HEIGHT, WIDTH) linear RGB."""
    strands: np.ndarray
    """(HEIGHT, WIDTH) relief of strands and locks, 0 on average."""
    height: np.ndarray
    """(ROWS, COLS) height over the skin in millimetres."""
    along: np.ndarray
    """(3, ROWS, COLS) unit vectors along the strands, for the highlight; zero for curls."""
    shade: np.ndarray
    """(HEIGHT, WIDTH) factor on the light that reaches the skin."""


def make_hair(person: Person, rng: np.random.Generator) -> Hair:
    """Draw the hair of a person."""
    style, here = _STYLES[person.style], texel_positions()
    across, along = _flow(style, person, rng)
    if style.flow == "curl":
        sizes = (10.0, 4.5, 2.0)
        curls, small, wisps = (1.1 - 1.6 * np.abs(grain_noise(rng, across, along, size, size)) for size in sizes)
        locks, fine = 1.3 * curls, 0.4 * curls + 0.6 * small + 0.7 * wisps
    else:
        locks = _overlaid(rng, across, along, 6.5, 55)
        fine = 0.55 * _overlaid(rng, across, along, 2.1, 34) + 0.8 * _overlaid(rng, across, along, 0.9, 26)
    edge = _inside(person, style)
    ragged = np.where(here.y < 20, 3.0 * noise(rng, 14) + 0.8 * noise(rng, 5) + 0.4 * locks, 0.8 * fine)
    soft = ramp(30 - here.y, 0, 20)  # thins out at its edge, more over the forehead than beside the cheeks
    beside = 5 * ramp(here.y, 40, 90) * (style.fall is not None)  # no skin shows through hair in front of the neck
    thinning, loose = (30, 0.08) if person.style == "bald" else (14, 0.26)
    thickness = ramp((edge + ragged + 2 + beside + 7 * soft) / (6 + thinning * soft), 0, 1)
    single = 0.7 * fine + grain_noise(rng, here.round + 1.5 * noise(rng, 10), here.y, 0.9, 13)
    cover = ramp(thickness + loose * single * (1 - thickness) * ramp(thickness, 0, 0.3), 0.1, 0.8) * style.density
    if style.parting is not None:
        bend = 2.2 * noise(rng, 26) + 0.9 * noise(rng, 8)
        off = here.x - _side(person) * style.parting + bend
        white = np.exp(-((off / 1.5) ** 2)) * (here.y < -60) * (here.z > -110)
        cover *= 1 - 0.6 * white * np.clip(1 + 0.5 * fine, 0, 1)
    tone = 0.14 * noise(rng, 40) + 0.07 * locks + 0.15 * fine
    roots = 0.4 * np.exp(-np.clip(edge, 0, None) / 7) * min(style.side / 6, 1)
    colour = rgb(person.hair) * np.exp(tone - roots)
    height = _height(person, style, edge, locks)
    thick = min(style.top / 12, 1.0)
    shade = 1 - 0.42 * thick * np.exp(-np.clip(-edge, 0, None) / 6) * (here.off < 78)
    return Hair(f32(cover), colour, f32(0.035 * locks + 0.085 * fine), height, _tangent(across, style), f32(shade))


def _overlaid(
    rng: np.random.Generator, across: np.ndarray, along: np.ndarray, width: float, length: float
) -> np.ndarray:
    """Strands (standard deviation about 1) in tufts that cross at a small angle, since parallel ones look combed."""
    lean = grain_noise(rng, across, along, 22, 50)
    upper, lower = (grain_noise(rng, across + turn * along, along, width, length) for turn in (0.14, -0.10))
    share = ramp(lean, -0.5, 0.5)
    return upper * share + lower * (1 - share)


def _side(person: Person) -> float:
    """The side of the parting: 1 right, -1 left of the picture."""
    return 1.0 if person.seed % 2 else -1.0


def _inside(person: Person, style: HairStyle) -> np.ndarray:
    """(HEIGHT, WIDTH) distance of each texel behind the hairline in millimetres, negative in front of it."""
    here = texel_positions()
    front, recession, sides = person.hairline
    line = np.array(_GROWN, float)
    line[:5] += front
    line[2:5] -= np.abs(recession)
    line[: len(style.front)] = style.front
    line[7:10] += sides
    if style.fall is not None:
        line[6:] = np.maximum(line[6:], [-26, 20, style.fall - 6, *[style.fall] * 5])

    def height(bearing: np.ndarray) -> np.ndarray:
        found = np.interp(np.abs(bearing), _AT, line)
        if style.parting is not None:  # the heavier side hangs slightly into the forehead
            found += 13 * np.exp(-(((bearing + _side(person) * 36) / 17) ** 2))
        return found

    slope = (height(here.bearing[0] + 1) - height(here.bearing[0] - 1)) / (2 * np.radians(75))
    below = (height(here.bearing[0]) - here.y) / np.sqrt(1 + slope**2)
    return cv2.GaussianBlur(f32(np.minimum(below, here.y - style.crown)), (0, 0), 7)  # a hairline has no corners


def _flow(style: HairStyle, person: Person, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates across and along the strands in millimetres, with the waves of the person's hair."""
    here = texel_positions()
    wave = rng.uniform(1.5, 4.0) * noise(rng, 45) + rng.uniform(0.5, 1.2) * noise(rng, 16)
    if style.flow == "back":
        across = np.arctan2(here.x, -(here.y + 5)) * f32(75)
        return across + wave, here.z + 0.3 * here.y
    if style.flow == "sides":
        off = here.x - _side(person) * (style.parting or 0)
        across = here.z + 0.30 * here.y * ramp(-here.y, -40, 60) + np.where(off < 0, 300, 0)
        return across + 1.4 * wave, np.abs(off) + here.y
    if style.flow == "curl":
        return here.round + wave, here.y + noise(rng, 30)
    twist = 14 * _side(person) * ramp(-here.y, 20, 110)  # a whorl at the crown
    return here.round + twist + 1.2 * wave + 0.2 * here.y * np.sign(here.bearing), here.y


def _tangent(across: np.ndarray, style: HairStyle) -> np.ndarray:
    """(3, ROWS, COLS) unit vectors along lines of constant ``across``."""
    here = texel_positions()
    grid = np.stack([vertex_means(v) for v in (here.x, here.y, here.z)])
    value = vertex_means(across)
    down, right = np.gradient(value)
    way = down * np.gradient(grid, axis=2) - right * np.gradient(grid, axis=1)
    way /= np.linalg.norm(way, axis=0) + 1e-6
    return f32(way * (style.flow != "curl"))


def _height(person: Person, style: HairStyle, edge: np.ndarray, locks: np.ndarray) -> np.ndarray:
    """(ROWS, COLS) height of the hair in millimetres, 0 at the hairline; locks make the outline uneven."""
    here = texel_positions()
    upper = ramp(-here.y, 30, 95)
    thick = style.side + (style.top - style.side) * upper
    if style.fall is not None:
        thick = thick + (9 * ramp(here.y, -20, 90) + 9 * ramp(here.y, 70, 125)) * ramp(here.off, 70, 92)
    if style.flow == "back" and style.top > 10:
        thick = thick + 5 * np.exp(-((here.bearing / 45) ** 2)) * ramp(here.y, -125, -100)
    rise = 7.0 if style.front and style.fall else 15.0
    uneven = 0.16 * locks if style.flow == "curl" else 0.12 * locks
    height = person.volume * thick * np.clip((edge - 2) / rise, 0, 1) ** 0.6 * np.clip(1 + uneven, 0.5, 1.6)
    return _smooth(_smooth(vertex_means(np.minimum(height, 30))))  # higher hair would be too sparse for the z-buffer


def _smooth(grid: np.ndarray) -> np.ndarray:
    """The mean of each vertex and its eight neighbours, so that none sticks out."""
    padded = np.pad(grid, 1, mode="edge")
    return f32(sum(padded[r : r + grid.shape[0], c : c + grid.shape[1]] for r in range(3) for c in range(3)) / 9)


def paint_beard(person: Person, albedo: np.ndarray, relief: np.ndarray, rng: np.random.Generator) -> None:
    """Paint a beard onto ``albedo`` (3, HEIGHT, WIDTH) and ``relief``, in place: dots, or strands of longer hair."""
    if person.beard == "none":
        return
    here = texel_positions()
    x, y, ax = here.x, here.y, np.abs(here.x)
    drift = 3.0 * noise(rng, 18) + 1.5 * noise(rng, 6)
    inside = ramp(-here.off, -96, -84) * ramp(-y, -146, -116)
    cheeks = ramp(y - (32 + (74 - ax) * 0.74) + drift, -14, 18) * inside
    moustache = ramp(y - 57 - 0.10 * ax + drift * 0.4, -4, 6) * ramp(31 - ax + drift, -4, 8) * ramp(74 - y, -1, 3)
    chin = ramp(30 - ax + drift, -5, 9) * ramp(y - 92 + drift, -5, 6) * ramp(-y, -140, -116)
    bare = np.exp(-(((ax / 31) ** 2 + ((y - 77) / 12) ** 2) ** 3))  # lips and their corners stay visible
    area = {
        "stubble": np.maximum(cheeks, np.maximum(moustache, chin)),
        "moustache": 0.75 * moustache,
        "goatee": np.maximum(chin, 0.5 * moustache),
        "full": np.maximum(np.maximum(cheeks, chin), 0.7 * moustache),
    }[person.beard] * (1 - bare)
    dots = noise(rng, 1.3)
    colour = rgb(person.hair)
    if person.beard == "stubble":
        colour = 0.7 * colour
        cover = area * np.clip(0.32 + 0.08 * noise(rng, 9) + 0.12 * dots, 0, 0.8)
    else:
        bend = here.round + 0.22 * y * np.sign(x) + 2 * noise(rng, 12)
        threads = 0.9 * _overlaid(rng, bend, y, 1.0, 8) + 0.45 * _overlaid(rng, bend, y, 2.6, 12)
        # single hairs at the edge; skin shows through, since a dark full beard would look like the neck
        dense = area * np.clip(0.95 + 0.12 * noise(rng, 14) + 0.05 * dots, 0, 1)
        cover = ramp(dense + 0.2 * threads * ramp(dense, 0.0, 0.25), 0.15, 1.05) * 0.62
        colour = colour * np.exp(0.25 * threads)
        relief += 0.2 * cover * threads
    albedo += cover * (colour - albedo)


def paint_brows(person: Person, albedo: np.ndarray, rng: np.random.Generator) -> None:
    """Paint the brows onto ``albedo`` (3, HEIGHT, WIDTH), in place: a band along landmarks 17 to 21."""
    thickness, density, darkness = person.brow
    here = texel_positions()
    around = _brow_rows()
    x, y = here.x[around], here.y[around]
    ax = -np.abs(x)

    def along(knots: list[float], heights: list[float]) -> np.ndarray:
        return f32(np.interp(ax, knots, heights))

    middle = along([-60, -55, -46.5, -35.5, -23.5, -11.5, -7.0], [-8.2, -12.2, -19.6, -23, -22.1, -18.0, -16.5])
    reach = along([-58, -52, -41, -26, -12, -7], [0.22, 0.42, 0.75, 1.0, 1.0, 0.7])
    off = (y - middle) / (thickness / 2 * reach)
    slant = off * thickness * 0.5 + along([-40, -10], [0.30, 0.75]) * np.abs(x)
    hairs = 0.9 * grain_noise(rng, slant, x * 0.5 + 0.1 * y, 1.1, 9) + 0.5 * noise(rng, 2.4, around)
    body = np.exp(-(np.abs(off) ** 2.4)) * ramp(ax, -60, -48) * ramp(-ax, 6.0, 17) * (np.abs(y + 20) < 22)
    cover = ramp(body + (0.1 + 0.2 * (1 - body)) * hairs * ramp(body, 0.0, 0.3), 0.05, 0.85) * density
    cover = np.clip(cover, 0, 0.94)
    ink = np.minimum(rgb(person.hair) * f32(0.8 / darkness), 0.22 * rgb(person.skin))
    albedo[:, *around] += cover * (ink * np.exp(0.35 * hairs) - albedo[:, *around])


@cache
def _brow_rows() -> tuple[slice, slice]:
    """The rows of the texture that brows lie in, and all of its columns."""
    rows = np.flatnonzero((np.abs(texel_positions().y + 20) < 22).any(1))
    return slice(rows[0], rows[-1] + 1), slice(None)
