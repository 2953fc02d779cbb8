"""Background and clothing: the wall behind a head, neck and shoulders below it.

Not part of the paper: used by the stand-in databases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from fer3d.standins.people.person import Person
from fer3d.standins.picture.raster import f32, rgb
from fer3d.standins.picture.scene import Scene
from fer3d.standins.picture.texture import ramp, value_noise


def wall(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """(3, height, width) float32 the background, 0..255."""
    h, w = scene.height, scene.width
    paint = np.sqrt(f32(scene.backdrop)) * 255
    fall = 1 + 0.06 * value_noise(rng, h, w, w) + 0.015 * value_noise(rng, h, w, 60)
    picture = paint * fall[..., None]
    for _ in range(round(6 * scene.clutter)):
        x, y = rng.integers(-60, w), rng.integers(-60, h)
        dx, dy = rng.integers(40, 220), rng.integers(40, 260)
        colour = paint * rng.uniform(0.45, 1.5, 3)
        cv2.rectangle(picture, (int(x), int(y)), (int(x + dx), int(y + dy)), colour.tolist(), -1)
    if scene.clutter:
        picture = cv2.GaussianBlur(picture, (0, 0), 6)
    return np.stack(cv2.split(f32(picture)))


@dataclass(frozen=True)
class Neckline:
    """Edge of the cloth: half width at the shoulder and lowest point, in millimetres."""

    width: float
    depth: float
    power: float
    """Shape: 0.5 round, 1 a V."""


_NECKLINES: Final[Mapping[str, Neckline]] = {
    "crew": Neckline(64, 181, 0.5),
    "vee": Neckline(66, 236, 1.0),
    "scoop": Neckline(88, 208, 0.5),
    "shirt": Neckline(60, 206, 1.15),
    "polo": Neckline(54, 143, 0.5),
}
"""By name of `person.GARMENTS`. A polo neck stands up around the throat."""
_NECK = 130.0
"""Height in millimetres above which no garment reaches."""


def clothes(person: Person, scene: Scene) -> tuple[np.ndarray, np.ndarray, int]:
    """Chest and shoulders: (3, h, width) float32 colours of skin and cloth, their (h, width) coverage, their first row.

    They reach to the picture's lower edge; the rows above them are left out.
    """
    rng = np.random.default_rng([person.seed, 1])  # the same cloth in every recording
    first = int(np.clip(scene.centre[1] * scene.height + _NECK * scene.scale, 0, scene.height - 1))
    y, x = f32(np.mgrid[first : scene.height, 0 : scene.width])
    x = (x - f32(scene.centre[0] * scene.width)) / f32(scene.scale)
    y = (y - f32(scene.centre[1] * scene.height)) / f32(scene.scale)
    ax = np.abs(x)
    build = 1.12 if person.features["jaw"] > 1.2 else 0.95
    shoulder = _by_column(ax / build, [0, 50, 85, 130, 170, 195, 215, 235], [148, 156, 174, 186, 196, 212, 245, 330])
    cut = _NECKLINES[person.garment]
    meets = float(np.interp(cut.width / build, [50, 85, 130], [156, 174, 186])) - 3
    share = np.clip(1 - (ax / cut.width) ** (2 if cut.power < 1 else 1), 0, 1) ** cut.power
    top = np.where(ax < cut.width, meets + (cut.depth - meets) * share, shoulder - 2)
    cloth = np.clip((y - top) * scene.scale + 0.5, 0, 1)
    breast = np.clip((y - shoulder) * scene.scale, 0, 1) * np.maximum(ramp(y + 0.12 * ax, 166, 190), ramp(ax, 40, 48))
    light = _shoulder_light(x, y, shoulder, scene)
    woven = rgb(person.clothes_colour) * (_weave(person, scene, x, y, rng) * _hems(person, ax, y, top))
    bare = rgb(person.skin) * (0.85 * _collarbones(ax, y))
    shadow = 1 - 0.4 * np.exp(-((ax / 70) ** 2)) * np.exp(-np.clip(y - 150, 0, None) / 45)
    colour = np.sqrt((bare + (woven - bare) * cloth) * light * scene.exposure * shadow) * 255
    return f32(colour), f32(np.maximum(cloth, breast)), first


def _by_column(values: np.ndarray, knots: list[float], heights: list[float]) -> np.ndarray:
    """`numpy.interp` of an (H, W) map whose rows are equal, as float32."""
    return np.broadcast_to(f32(np.interp(values[0], knots, heights)), values.shape)


def _shoulder_light(x: np.ndarray, y: np.ndarray, shoulder: np.ndarray, scene: Scene) -> np.ndarray:
    """(3, H, W) light on the rounded shoulders."""
    round_off = 1 - np.exp(-np.clip(y - shoulder, 0, None) / 30)
    bulge = cv2.GaussianBlur(f32(round_off * 45 + 10 * np.cos(x / 60)), (0, 0), 3)
    gx, gy = (cv2.Sobel(bulge, cv2.CV_32F, *axis) / f32(8) * f32(scene.scale) for axis in ((1, 0), (0, 1)))
    steep = np.sqrt(gx * gx + gy * gy + 1)
    light = np.broadcast_to(rgb(scene.ambient) * f32(0.9), (3, *x.shape)).copy()
    for lamp in scene.lights:
        right, down, near = f32(lamp.towards)
        light += rgb(lamp.colour) * np.clip((near - right * gx - down * gy) / steep, 0, 1)
    return light


def _weave(person: Person, scene: Scene, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W) brightness of the cloth in the picture's lowest rows: soft folds, threads, on some persons stripes."""
    h, w = scene.height, scene.width
    folds = 0.10 * value_noise(rng, h, w, 60) + 0.06 * value_noise(rng, h, w, 26)
    threads = rng.uniform(0.02, 0.10) * rng.standard_normal((h, w), dtype=np.float32)
    cloth = np.exp((folds + cv2.GaussianBlur(threads, (0, 0), 0.7))[-len(y) :])
    if rng.random() < 0.22:
        way = y + 0.02 * x**2 / 10 if rng.random() < 0.6 else x
        cloth = cloth * (1 - 0.5 * ramp(np.sin(way * 2 * np.pi / rng.uniform(9, 26)), -0.1, 0.3))
    return cloth


def _hems(person: Person, ax: np.ndarray, y: np.ndarray, top: np.ndarray) -> np.ndarray:
    """(H, W) brightness of seams, collar and buttons along the neckline."""
    under = y - top
    edge = 1 - 0.35 * np.exp(-((under / 2.5) ** 2))
    if person.garment == "shirt":
        flap = _by_column(ax, [0, 6, 40, 72, 90], [190, 214, 236, 178, 150]) - y
        button = np.exp(-(((ax / 2.6) ** 2 + ((y % 34 - 17) / 2.6) ** 2) ** 2))
        placket = 0.25 * np.exp(-(((ax - 9) / 0.9) ** 2)) + 0.4 * button
        collar = 1 + 0.12 * ramp(flap, 0, 1.5) - 0.5 * np.exp(-(((flap + 2) / 2.2) ** 2))
        return edge * collar * (1 - placket * (flap < 0))
    if person.garment == "polo":
        return edge * (1 - 0.2 * np.exp(-(((under - 26) / 3.5) ** 2)) * (ax < 62))
    return edge * (1 - 0.3 * np.exp(-(((under - 9) / 1.2) ** 2)) * (ax < 100))


def _collarbones(ax: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(H, W) shading of the collarbones on bare skin."""
    bone = 183 + 0.02 * ax - 9 * np.exp(-(((ax - 12) / 8) ** 2))
    ridge = 0.16 * np.exp(-(((y - bone) / 3.5) ** 2)) - 0.16 * np.exp(-(((y - bone - 9) / 5) ** 2))
    pit = 0.35 * np.exp(-((ax / 7) ** 2) - ((y - 179) / 8) ** 2)
    return 1 + ridge * ramp(-ax, -110, -60) * ramp(ax, 6, 14) - pit
