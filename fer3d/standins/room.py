"""What surrounds a head: the wall behind, the shoulders in front.

Not part of the paper: it serves the stand-in databases.
"""

import cv2
import numpy as np

from fer3d.standins.canvas import clouds
from fer3d.standins.people import Person
from fer3d.standins.raster import f32
from fer3d.standins.scene import Scene


def wall(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3) float32 the wall behind, 0..255."""
    h, w = scene.height, scene.width
    paint = np.sqrt(f32(scene.backdrop)) * 255
    fall = 1 + 0.06 * clouds(rng, h, w, w) + 0.015 * clouds(rng, h, w, 60)
    room = paint * fall[..., None]
    for _ in range(round(6 * scene.clutter)):
        x, y = rng.integers(-60, w), rng.integers(-60, h)
        dx, dy = rng.integers(40, 220), rng.integers(40, 260)
        colour = paint * rng.uniform(0.45, 1.5, 3)
        cv2.rectangle(room, (int(x), int(y)), (int(x + dx), int(y + dy)), colour.tolist(), -1)
    if scene.clutter:
        room = cv2.GaussianBlur(room, (0, 0), 6)
    return f32(room)


def clothes(who: Person, scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(height, width, 3) float32 shoulders in cloth, and their (height, width) cover."""
    h, w = scene.height, scene.width
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    x = (x - scene.centre[0] * w) / scene.scale
    y = (y - scene.centre[1] * h) / scene.scale
    ax = np.abs(x)
    build = 1.12 if who.features["jaw"] > 1.2 else 0.95
    shoulder = np.interp(ax / build, [0, 50, 85, 130, 170, 195, 215, 235], [146, 154, 174, 186, 196, 212, 245, 330])
    neckline = 172 + 13 * np.sqrt(np.clip(1 - (ax / 62) ** 2, 0, None)) - np.clip(ax - 40, 0, 22) * 0.6
    top = np.where(ax < 62, np.maximum(neckline, shoulder - 6), shoulder)
    inside = np.clip((y - top) * scene.scale + 0.5, 0, 1)
    round_off = 1 - np.exp(-np.clip(y - shoulder, 0, None) / 30)
    bulge = cv2.GaussianBlur(f32(round_off * 45 + 10 * np.cos(x / 60)), (0, 0), 3)
    gx, gy = cv2.Sobel(bulge, cv2.CV_32F, 1, 0) / 8 * scene.scale, cv2.Sobel(bulge, cv2.CV_32F, 0, 1) / 8 * scene.scale
    normal = np.stack([-gx, -gy, np.ones_like(gx)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = f32(scene.ambient) * 0.9
    light = light + sum(
        np.clip(normal @ f32(lamp.towards), 0, 1)[..., None] * f32(lamp.colour) for lamp in scene.lights
    )
    folds = 1 + 0.05 * clouds(rng, h, w, 45) + 0.03 * rng.standard_normal((h, w), dtype=np.float32)
    hem = 1 - 0.35 * np.exp(-((((y - top) - 7) / 1.2) ** 2)) * (ax < 75)
    shadow = 1 - 0.35 * np.exp(-((ax / 70) ** 2)) * np.exp(-np.clip(y - top, 0, None) / 30)
    colour = np.sqrt(f32(who.clothes) * light * scene.exposure) * 255 * (folds * hem * shadow)[..., None]
    return f32(colour), f32(inside)
