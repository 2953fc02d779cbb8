"""A second, deliberately different rendering of faces, to test what carries over. No shipped weights learn from it.

Not part of the paper. `rendered_store` and the stand-ins draw a mesh of a head with a z-buffer. Here a face is a height
map with a painted skin, warped in the picture plane, lit by its slopes and overdrawn with flat eyes, brows and lips.
Geometry, action units, emotions, skin, light, camera, noise and codec are this module's own; from `fer3d.standins` it
takes nothing but seeded random numbers, and from its `raster` arrays in single precision (`f32`) and the empty one that
OpenCV's `remap` asks for. The store that it writes is like CK+'s: every person shows each of the seven expressions
once, ten frames from rest to the apex.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from fer3d import __version__, files, labels, program
from fer3d.config import ClipSettings
from fer3d.data.crop import crop_box, cut_out, to_crop
from fer3d.data.landmarks import EYE_CORNERS, KEPT, MIRROR_68
from fer3d.data.store import FLAWLESS, FORMAT
from fer3d.data.writer import Writer, write_in_parts
from fer3d.standins.people.person import random_stream
from fer3d.standins.picture.raster import NO_SECOND_MAP, f32

DATABASE = "ckplus"
"""The store says so: its classes and its protocol are CK+'s."""
_FINE = 3
"""Eyes, brows and lips are painted so many times as large."""
SIDE = 192
"""Pixels of a picture; a face is about 110 of them wide."""
_MIDDLE, _SCALE = np.array([SIDE / 2, SIDE / 2 - 18]), 1.0
"""Where the point between the eyes lies, and pixels per unit; a unit is about a millimetre and a quarter."""

# A face on average: x to the right, y down from between the eyes. The left half, mirrored to the right.
_BROWS = ((-46, -15), (-38, -21), (-29, -23), (-20, -21), (-12, -17))
_EYE = ((-35, 1), (-29, -4.5), (-20, -4.5), (-13, 2), (-20, 5), (-29, 5))
_UPPER = ((-20, 60), (-13, 55.5), (-5, 53))
_LOWER = ((-5, 69), (-13, 66.5))
_INNER = ((-16, 60.3), (-6, 59), (-6, 61))

_UNITS: Final[Mapping[str, Mapping[int, tuple[float, float]]]] = {
    "inner brow raiser": {21: (0, -8), 20: (0, -6), 19: (0, -2)},
    "outer brow raiser": {17: (0, -6), 18: (0, -8), 19: (0, -6), 20: (0, -2)},
    "brow lowerer": {21: (4, 6), 20: (3, 6), 19: (2, 4.5), 18: (0, 2), 37: (0, 0.6), 38: (0, 1)},
    "lid raiser": {37: (0, -3.2), 38: (0, -3.2)},
    "cheek raiser": {40: (0, -1.6), 41: (0, -2.2), 36: (1, 0)},
    "lid tightener": {40: (0, -2), 41: (0, -2), 37: (0, 1.6), 38: (0, 1.6)},
    "nose wrinkler": {31: (-1, -3), 33: (0, -2), 30: (0, -2), 21: (2, 3), 20: (1, 2), 50: (0, -3), 51: (0, -3)},
    "upper lip raiser": {49: (-1, -4), 50: (0, -6), 51: (0, -5.5), 61: (0, -5), 62: (0, -5), 48: (0, -1)},
    "lip corner puller": {48: (-7, -7), 60: (-6, -6), 49: (-5, -3), 59: (-5, -3.5), 58: (-1, -1), 50: (-1.5, 0)},
    "dimpler": {48: (-4, -1.5), 60: (-3.5, -1.5), 49: (-2, 0), 59: (-2, -1)},
    "lip corner depressor": {48: (0, 6), 60: (0, 5), 49: (0, 2.5), 59: (0, 4), 58: (0, 1)},
    "chin raiser": {57: (0, -4), 58: (0, -4), 8: (0, -4), 7: (0, -3), 66: (0, -2), 67: (0, -2), 51: (0, -1.5)},
    "lip stretcher": {48: (-6, 1), 60: (-5, 1), 49: (-4, 1), 59: (-4, 1)},
    "lip tightener": {51: (0, 2), 50: (0, 2), 57: (0, -2.5), 58: (0, -2.5), 48: (2, 0), 60: (2, 0), 49: (1, 1)},
    "lips part": {57: (0, 3.5), 58: (0, 3.5), 59: (0, 2), 66: (0, 4), 67: (0, 3.5), 61: (0, -1), 62: (0, -1)},
    "jaw drop": {
        57: (0, 17), 58: (0, 16), 59: (1, 11), 66: (0, 17), 67: (0, 15), 48: (2, 5), 60: (2, 5), 8: (0, 18), 7: (0, 17),
        6: (0, 13), 5: (1, 8), 4: (0, 4),
    },
}  # fmt: skip
"""How far each action unit moves landmarks on the left at its full strength."""

_SHOWN: Final[Mapping[str, tuple[Mapping[str, float], ...]]] = {
    "anger": (
        {"brow lowerer": 1, "lid raiser": 0.5, "lid tightener": 0.8, "lip tightener": 1},
        {"brow lowerer": 0.9, "lid tightener": 0.6, "lips part": 0.9, "upper lip raiser": 0.35},
    ),
    "contempt": ({"lip corner puller": 0.45, "dimpler": 0.9}, {"dimpler": 1.1}),
    "disgust": (
        {"nose wrinkler": 1, "upper lip raiser": 0.5, "chin raiser": 0.4, "lid tightener": 0.4},
        {"upper lip raiser": 0.9, "nose wrinkler": 0.4, "lip corner depressor": 0.4, "lips part": 0.4},
    ),
    "fear": (
        {"inner brow raiser": 0.9, "outer brow raiser": 0.5, "brow lowerer": 0.5, "lid raiser": 0.9,
         "lip stretcher": 0.9, "lips part": 0.7},
        {"inner brow raiser": 0.9, "lid raiser": 0.7, "lip stretcher": 0.6, "lips part": 0.6, "jaw drop": 0.25},
    ),
    "happiness": (
        {"cheek raiser": 0.8, "lip corner puller": 1, "lips part": 0.7},
        {"cheek raiser": 0.4, "lip corner puller": 0.8},
    ),
    "sadness": (
        {"inner brow raiser": 0.8, "brow lowerer": 0.4, "lip corner depressor": 0.9, "chin raiser": 0.4},
        {"inner brow raiser": 0.5, "lip corner depressor": 0.7, "lid tightener": 0.3},
    ),
    "surprise": (
        {"inner brow raiser": 0.9, "outer brow raiser": 0.9, "lid raiser": 0.7, "jaw drop": 0.8, "lips part": 0.5},
        {"inner brow raiser": 0.7, "outer brow raiser": 0.7, "jaw drop": 0.35, "lips part": 0.5},
    ),
}  # fmt: skip
"""The action units of each expression, in two ways, with their strengths (the investigator's guide of FACS)."""

_FOLDS: Final[Mapping[str, tuple[tuple[int, int, tuple[float, float]], ...]]] = {
    "lip corner puller": ((31, 48, (-12, 0)), (36, 41, (-6, 4))),
    "upper lip raiser": ((31, 48, (-8, -2)),),
    "nose wrinkler": ((27, 29, (-7, 2)), (31, 49, (-10, -4))),
    "brow lowerer": ((21, 27, (3, -6)),),
    "inner brow raiser": ((19, 22, (4, -12)),),
    "outer brow raiser": ((17, 20, (2, -13)),),
    "lip corner depressor": ((48, 6, (-2, -6)),),
    "dimpler": ((48, 48, (-7, 3)),),
    "chin raiser": ((58, 57, (0, 11)),),
    "cheek raiser": ((36, 40, (-4, 8)),),
}
"""Folds that a unit makes on the left: from one landmark to another, moved by so much."""


@dataclass(frozen=True)
class Face:
    """One person of the second rendering."""

    rest: np.ndarray
    """(68, 2) landmarks at rest, in units."""
    height: np.ndarray
    """(SIDE, SIDE) height of the face over the picture plane, in units."""
    skin: np.ndarray
    """(SIDE, SIDE, 3) colour, 0..1."""
    cover: np.ndarray
    """(SIDE, SIDE) 1 on the head, 0 off it."""
    lips: np.ndarray
    brows: np.ndarray
    iris: np.ndarray
    """Colours (3,), 0..1."""
    thickness: float
    """Of the brows, in units."""
    depth: float
    """Of the folds."""
    reach: Mapping[str, float]
    """Factor on each unit."""


def write(out: Path, clips: ClipSettings, people: int = 20, seed: int = 0, workers: int | None = None) -> None:
    """Write the store, unless it is there: seven clips of each person. The same arguments give the same bytes."""
    source = files.fingerprint([FORMAT, people, seed, clips.as_dict(), program.digest(__name__)])
    metadata = {
        "database": DATABASE,
        "source_fingerprint": source,
        "versions": {"fer3d": __version__, "opencv": cv2.__version__},
    }
    tasks = {f"{source}-{number:05d}": number for number in range(people)}
    make = partial(_write_person, seed)
    write_in_parts(out, clips, metadata, make, tasks, workers=workers, desc="second rendering", unit="person")


def _write_person(seed: int, number: int, part: Writer) -> None:
    rng = random_stream("second rendering", seed, number)
    face = make_face(rng)
    camera = _camera(rng)
    same = {**FLAWLESS, "database": DATABASE, "subject": f"Q{number:04d}"}
    for emotion in labels.CLASSES[DATABASE]:
        frames, landmarks = record(rng, face, camera, emotion, part.settings.num_frames)
        found = _detected(rng, landmarks[:, KEPT])
        box = crop_box(found, part.settings)
        pictures = np.stack([cut_out(frame, box, part.settings.size) for frame in frames])
        arrays = {
            "frames": pictures[None],
            "landmarks": to_crop(found, box, part.settings.size)[None],
            "detections": np.ones((1, len(frames), 3)),
            "numbers": np.arange(len(frames))[None],
            "squares": np.array([[astuple(box)] * len(frames)]),
        }
        name = f"{number:04d}_{emotion}"
        part.put([{**same, "clip": name, "sequence": name, "label": emotion}], arrays)
    part.frames = len(part.clips) * part.settings.num_frames


def _mirrored(points: np.ndarray) -> np.ndarray:
    return points[MIRROR_68] * (-1, 1)


def _average() -> np.ndarray:
    """(68, 2) landmarks of the average face, in units."""
    points = np.zeros((68, 2))
    angle = np.linspace(-1.6, 1.6, 17)
    points[:17] = np.stack([54 * np.sin(angle), 14 + 76 * np.cos(angle) * (0.9 + 0.1 * np.cos(angle))], 1)
    points[17:22], points[36:42] = _BROWS, _EYE
    points[27:31] = [(0, 0), (0, 12), (0, 24), (0, 36)]
    points[31:34] = [(-12, 43), (-6, 45), (0, 46)]
    points[48:51], points[51], points[57] = _UPPER, (0, 54), (0, 70)
    points[58], points[59] = _LOWER
    points[60], points[61], points[67] = _INNER
    points[62], points[66] = (0, 59.3), (0, 60.9)
    right = [*range(22, 27), 34, 35, *range(42, 48), 52, 53, 54, 55, 56, 63, 64, 65]
    points[right] = _mirrored(points)[right]
    return points


_GROUPS = {
    "brows": range(17, 27), "nose": range(27, 36), "eyes": range(36, 48), "mouth": range(48, 68), "jaw": range(17),
}  # fmt: skip


def make_face(rng: np.random.Generator) -> Face:
    """A random person."""
    rest = _average()
    for rows in _GROUPS.values():  # each part larger, longer and elsewhere than the average's
        part = rest[rows]
        middle = part.mean(0) * (0, 1)
        rest[rows] = (part - middle) * rng.normal(1, 0.07, 2).clip(0.85, 1.15) + middle + (0, rng.normal(0, 1.8))
    rest += 0.5 * (rng.normal(0, 0.8, rest.shape))
    y, x = ((np.mgrid[:SIDE, :SIDE] - _MIDDLE[::-1, None, None]) / _SCALE).astype(np.float32)
    wide, low = float(np.abs(rest[:17, 0]).max()), float(rest[8, 1])
    nose, mouth = rest[30], rest[[51, 57]].mean(0)
    dome = np.clip(1 - (np.abs(x) / (1.12 * wide)) ** 2.4 - (np.abs(y - 18) / (low + 2)) ** 2.6, 0, None)
    height = 46 * np.sqrt(dome)

    def hill(tall: float, at: np.ndarray | tuple[float, float], sx: float, sy: float) -> np.ndarray:
        return tall * rng.normal(1, 0.2) * np.exp(-(((x - at[0]) / sx) ** 2) - ((y - at[1]) / sy) ** 2)

    height = height + hill(20, nose, 9, 10) + hill(9, (0, nose[1] - 16), 6, 18) + hill(6, mouth, 22, 13)
    height += hill(7, (0, low - 14), 15, 9) + hill(4, (0, -24), 42, 8)
    for side in (-1, 1):
        height += hill(-7, (side * 25, 0), 13, 8) + hill(4, (side * 24, 1), 8, 6) + hill(6, (side * 36, 26), 14, 12)
    cover = np.clip(((1.14 * wide) ** 2 - x**2 - ((y - 14) * wide / (low - 8)) ** 2) / 180, 0, 1)
    neck = np.clip((0.62 * wide - np.abs(x)) / 2, 0, 1) * (y > 40)
    tone = rng.uniform(0.2, 0.95) * np.array([1, rng.uniform(0.66, 0.8), rng.uniform(0.5, 0.68)])
    skin = tone * (1 + 0.10 * _cloud(rng, 40) + 0.06 * _cloud(rng, 9) + 0.04 * _cloud(rng, 3))[..., None]
    for side in (-1, 1):
        cheek = rng.uniform(0, 0.2) * np.exp(-(((x - side * 33) / 15) ** 2) - ((y - 27) / 13) ** 2)
        skin = skin * (1 - cheek[..., None] * (0.1, 0.8, 0.7))
    hair = rng.choice([0.05, 0.1, 0.25, 0.5]) * np.array([1, rng.uniform(0.6, 0.95), rng.uniform(0.4, 0.9)])
    edge = -rng.uniform(38, 56) + 0.01 * rng.uniform(-1, 1) * x**2 + 3 * _cloud(rng, 6)
    grown = np.clip((edge - y) / 3 + 0.5, 0, 1) + (np.abs(x) > wide * 1.03) * (y < rng.uniform(-20, 90))
    strands = 1 + 0.3 * cv2.resize(_cloud(rng, 2)[:, ::8].copy(), (SIDE, SIDE))
    grown = np.clip(grown, 0, 1)[..., None]
    skin = skin * (1 - grown) + hair * strands[..., None] * grown
    return Face(
        rest=rest,
        height=f32(height),
        skin=f32(np.clip(skin, 0.01, 1)),
        cover=f32(np.maximum(cover, neck)),
        lips=np.clip(tone * (rng.uniform(0.75, 1), rng.uniform(0.45, 0.75), rng.uniform(0.5, 0.8)), 0, 1),
        brows=hair * rng.uniform(0.6, 1),
        iris=rng.uniform(0.05, 0.5, 3),
        thickness=rng.uniform(2.5, 5),
        depth=rng.uniform(0.3, 1.2),
        reach={name: float(rng.normal(1, 0.15)) for name in _UNITS},
    )


def _cloud(rng: np.random.Generator, grain: float) -> np.ndarray:
    """(SIDE, SIDE) smooth noise of deviation 1."""
    noise = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE)), (0, 0), grain / 2)
    return (noise - noise.mean()) / noise.std()


@dataclass(frozen=True)
class Camera:
    """Camera and light of one person's recordings."""

    light: np.ndarray
    """(3,) unit vector towards the light."""
    ambient: float
    wall: np.ndarray
    """(3,) colour behind the head."""
    contrast: float
    black: float
    grey: bool
    speckle: float
    """Noise that grows with the brightness, as a share."""
    lines: float
    """Noise of whole lines, in grey levels."""
    quality: int
    """Of WebP."""
    size: float
    """Pixels per unit."""


def _camera(rng: np.random.Generator) -> Camera:
    light = np.array([rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.2), rng.uniform(0.7, 1.2)])
    return Camera(
        light=light / np.linalg.norm(light),
        ambient=rng.uniform(0.25, 0.6),
        wall=rng.uniform(0, 1, 3),
        contrast=rng.uniform(0.7, 1.15),
        black=rng.uniform(0, 25),
        grey=bool(rng.random() < 0.6),
        speckle=rng.uniform(0.01, 0.06),
        lines=rng.uniform(0, 2.5),
        quality=int(rng.integers(30, 95)),
        size=rng.uniform(0.8, 1.1),
    )


def record(
    rng: np.random.Generator, face: Face, camera: Camera, emotion: str, frames: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """One recording from rest to the apex: pictures (SIDE, SIDE, 3) uint8 RGB and true landmarks (T, 68, 2)."""
    taken = [_picture(rng, face, camera, *acted) for acted in _act(rng, face, emotion, frames)]
    return [picture for picture, _ in taken], np.stack([points for _, points in taken])


def record_landmarks(
    clips: ClipSettings, seed: int, number: int, exact: bool = False, strength: float = 1
) -> np.ndarray:
    """(7, T, 66, 2) detected landmarks of one person's clips, a class each, in pixels of the crop; no pictures.

    By the rules of `write`, but other recordings: the random numbers of the pictures are not drawn. The ``exact``
    landmarks are those of the same recordings without a detector's error; with ``strength`` 0 the face stays at rest.
    """
    rng = random_stream("second rendering", seed, number)
    face, camera = make_face(rng), _camera(rng)
    found = []
    for emotion in labels.CLASSES[DATABASE]:
        acted = _act(rng, face, emotion, clips.num_frames)
        places = np.stack([_places(face, camera, strength * units, *at)[2] for units, *at in acted])[:, KEPT]
        detected = _detected(rng, places)  # drawn in any case: the next clips do not depend on ``exact``
        points = places if exact else detected
        found.append(to_crop(points, crop_box(points, clips), clips.size))
    return np.stack(found)


def _act(
    rng: np.random.Generator, face: Face, emotion: str, frames: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each frame: strength of each unit (2, units), the head's turn (3,) in degrees and its shift (2,) in pixels."""
    shown = _apex(rng, face, emotion)
    time = np.linspace(0, 1, frames)
    when, pace = rng.uniform(0.3, 0.6, len(_UNITS)), rng.uniform(6, 14)
    course = 1 / (1 + np.exp(-pace * (time[:, None] - when)))
    course = (course - course[0]) / (1 - course[0])
    turn = rng.normal(0, [5, 7, 3]) + np.cumsum(rng.normal(0, 0.35, (frames, 3)), 0)
    shift = np.cumsum(rng.normal(0, 0.4, (frames, 2)), 0)
    return [(shown * course[t], turn[t], shift[t]) for t in range(frames)]


def _apex(rng: np.random.Generator, face: Face, emotion: str) -> np.ndarray:
    """(2, units) strength of each unit at the apex, left and right of the picture."""
    ways = _SHOWN[emotion]
    chosen, overall = ways[int(rng.integers(len(ways)))], rng.uniform(0.5, 1.15)
    apex = np.zeros((2, len(_UNITS)))
    for k, name in enumerate(_UNITS):
        if name in chosen and rng.random() > 0.12:
            apex[:, k] = chosen[name] * overall * rng.normal(1, 0.2)
        elif rng.random() < 0.07:
            apex[:, k] = rng.uniform(0.1, 0.4)
        apex[:, k] *= face.reach[name] * rng.normal(1, 0.12, 2)
    if emotion == "contempt":
        apex[int(rng.integers(2))] *= rng.uniform(0, 0.3)
    return np.clip(apex, 0, 1.5)


_NAMES = tuple(_UNITS)


def _moves() -> np.ndarray:
    """(2 sides, units, 68, 2) how far the units move the landmarks."""
    table = np.zeros((2, len(_UNITS), 68, 2))
    for k, moved in enumerate(_UNITS.values()):
        for point, step in moved.items():
            share = 0.5 if MIRROR_68[point] == point else 1
            table[0, k, point] = np.multiply(step, share)
    table[1] = table[0][:, MIRROR_68] * (-1, 1)
    return table


_MOVES = _moves()


def _places(
    face: Face, camera: Camera, units: np.ndarray, turn: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far the units move the landmarks (68, 2), the head's roll and size (2, 2), and where the landmarks then lie.

    The first in units, the last (68, 2) in pixels.
    """
    moved = np.einsum("su,suld->ld", units, _MOVES)
    moved[[61, 62, 63], 1] = np.minimum(moved[[61, 62, 63], 1], moved[[67, 66, 65], 1] + 1.2)  # lips do not cross
    pitch, yaw, roll = np.radians(turn)
    spin = camera.size * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    deep = face.height[tuple(np.clip((face.rest + _MIDDLE).round().astype(int), 0, SIDE - 1).T[::-1])] - 20
    points = face.rest + moved + np.stack([deep * np.sin(yaw), deep * np.sin(pitch)], 1)
    return moved, spin, points @ spin.T + _MIDDLE + shift


def _picture(
    rng: np.random.Generator, face: Face, camera: Camera, units: np.ndarray, turn: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One frame and its true landmarks (68, 2) in pixels."""
    moved, spin, points = _places(face, camera, units, turn, shift)
    pitch, yaw, _ = np.radians(turn)
    coarse = 24
    at = ((np.stack(np.meshgrid(*[np.linspace(0, SIDE - 1, coarse)] * 2), -1) - _MIDDLE) / _SCALE).reshape(-1, 2)
    near = np.exp(-((at[:, None] - face.rest) ** 2).sum(-1) / (2 * 8.5**2))
    field = (near @ moved / np.maximum(near.sum(1, keepdims=True), 1)).reshape(coarse, coarse, 2)
    field = cv2.resize(f32(field), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    tilt = face.height - 20
    field += np.stack([tilt * np.sin(yaw), tilt * np.sin(pitch)], -1).astype(np.float32)
    target = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1) - _MIDDLE - shift
    plain = f32(target @ np.linalg.inv(spin).T + _MIDDLE)
    source = plain
    for _ in range(3):
        source = plain - cv2.remap(field, source, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    height, skin, cover = (
        cv2.remap(layer, source, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for layer in (face.height, face.skin, face.cover)
    )
    height = height + _folds(face, units, points)
    slope = np.stack([-cv2.Sobel(height, cv2.CV_32F, 1, 0) / 8, -cv2.Sobel(height, cv2.CV_32F, 0, 1) / 8], -1)
    normal = np.dstack([slope, np.ones(height.shape, np.float32)])
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    lit = camera.ambient + (1 - camera.ambient) * np.clip(normal @ f32(camera.light), 0, None)
    half = camera.light + np.array([0, 0, 1])
    shine = 0.12 * np.clip(normal @ f32(half / np.linalg.norm(half)), 0, 1) ** 24
    colour = skin * lit[..., None] + shine[..., None]
    colour = camera.wall * (1 - cover[..., None]) + colour * cover[..., None]
    colour = _paint(f32(colour), face, points, float(lit[60:130, 60:130].mean()), camera.size)
    return _photograph(rng, colour, camera), points


def _folds(face: Face, units: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) height of the folds that the units make."""
    drawn = np.zeros((SIDE, SIDE), np.float32)
    for name, lines in _FOLDS.items():
        for side in (0, 1):
            deep = 3.5 * face.depth * min(float(units[side, _NAMES.index(name)]), 1)
            if deep < 0.05:
                continue
            for one, other, (dx, dy) in lines:
                ends = np.array([points[MIRROR_68[p] if side else p] for p in (one, other)])
                ends += (-dx if side else dx, dy)
                if one == other:
                    ends[1] += (0, 7)
                line = np.zeros((SIDE, SIDE), np.uint8)
                a, b = (tuple(int(v) for v in np.rint(end * 8)) for end in ends)
                cv2.line(line, a, b, 255, 2, cv2.LINE_AA, 3)
                drawn -= deep / 255 * line
    return f32(cv2.GaussianBlur(drawn, (0, 0), 1.3))


def _paint(colour: np.ndarray, face: Face, points: np.ndarray, lit: float, size: float) -> np.ndarray:
    """Flat eyes, brows and lips over the skin (SIDE, SIDE, 3), drawn three times as large and averaged."""
    big = cv2.resize(colour, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_LINEAR)

    def area(outline: np.ndarray, paint: np.ndarray, share: float = 1.0) -> None:
        _blend(big, _filled(outline), paint * lit, share)

    area(points[60:68], np.array([0.16, 0.05, 0.05]))
    if points[66, 1] - points[62, 1] > 2.5 * size:
        teeth = points[60:68].copy()
        teeth[4:8, 1] = np.minimum(teeth[4:8, 1], teeth[[4, 3, 2, 1], 1] + 5 * size)
        area(teeth, np.array([0.85, 0.82, 0.75]))
    area(points[[*range(48, 55), 64, 63, 62, 61, 60]], face.lips * 0.92, 0.85)
    area(points[[*range(54, 60), 48, 60, 67, 66, 65, 64]], face.lips * 1.05, 0.85)
    for brow in (points[17:22], points[22:27]):
        thick = face.thickness * size * np.array([0.6, 1, 1, 0.9, 0.7])[:, None]
        area(np.concatenate([brow, (brow + thick * (0, 1))[::-1]]), face.brows, 0.85)
    for eye in (points[36:42], points[42:48]):
        opening, (rows, cols) = _filled(eye)
        _blend(big, (opening, (rows, cols)), np.array([0.9, 0.88, 0.85]) * lit)
        x, y = (eye.mean(0) + 0.5) * _FINE
        away = np.hypot(np.arange(cols.start, cols.stop) - x, np.arange(rows.start, rows.stop)[:, None] - y)
        for radius, paint in ((5.2, face.iris), (2.2, np.zeros(3))):
            disc = np.clip(radius * size * _FINE - away, 0, 1)
            _blend(big, (np.minimum(opening, f32(disc)), (rows, cols)), paint * lit)
        lid = np.rint((eye[:4] + 0.5) * _FINE * 8).astype(np.int32)
        cv2.polylines(big, [lid], False, (0.05, 0.03, 0.03), round(1.3 * size * _FINE), cv2.LINE_AA, 3)
    return f32(cv2.resize(big, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def _filled(outline: np.ndarray) -> tuple[np.ndarray, tuple[slice, slice]]:
    """(h, w) coverage 0..1 of a polygon within its window of the enlarged picture, and the window."""
    corners = (outline + 0.5) * _FINE
    low = np.floor(corners.min(0)).astype(int).clip(0, SIDE * _FINE - 2)
    high = (np.ceil(corners.max(0)).astype(int) + 2).clip(low + 1, SIDE * _FINE)
    mask = np.zeros((high - low)[::-1], np.uint8)
    cv2.fillPoly(mask, [np.rint((corners - low) * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    return f32(mask / 255), (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))


def _blend(
    big: np.ndarray, area: tuple[np.ndarray, tuple[slice, slice]], paint: np.ndarray, share: float = 1.0
) -> None:
    """Lay a colour over an area, in place."""
    cover, window = area
    big[window] += (f32(paint) - big[window]) * (share * cover[..., None])


def _photograph(rng: np.random.Generator, colour: np.ndarray, camera: Camera) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: contrast, speckle, noise of lines, a box blur, WebP."""
    levels = camera.black + 255 * camera.contrast * np.clip(colour, 0, 1) ** 0.8
    if camera.grey:
        levels = np.repeat(levels.mean(-1, keepdims=True), 3, -1)
    levels = levels * (1 + camera.speckle * rng.standard_normal((SIDE, SIDE, 1), dtype=np.float32))
    levels = levels + camera.lines * rng.standard_normal((SIDE, 1, 1), dtype=np.float32)
    seen = cv2.convertScaleAbs(cv2.blur(f32(levels.clip(0)), (2, 2)))
    coded = cv2.imencode(".webp", cv2.cvtColor(seen, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_WEBP_QUALITY, camera.quality))[1]
    return cv2.cvtColor(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)


def _detected(rng: np.random.Generator, landmarks: np.ndarray) -> np.ndarray:
    """True landmarks (T, 66, 2) with the error of a detector: constant, drifting, and now and then a jump."""
    left, right = EYE_CORNERS
    distance = float(np.linalg.norm(landmarks[0, right] - landmarks[0, left]))
    constant = rng.normal(0, 0.015, (66, 2))
    drift = np.cumsum(rng.normal(0, 0.003, landmarks.shape), 0)
    jump = 0.004 * rng.standard_t(3, landmarks.shape)
    return landmarks + distance * (constant + drift + jump)
