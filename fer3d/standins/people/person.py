"""Synthetic people: their appearance, and how action units deform their faces.

Not part of the paper: used by the stand-in databases. A person is drawn from a seed; skin,
age, shape and hair are independent of one another and of any expression. An action unit of
FACS displaces the head's control points, on each side of the face, in proportion to its
intensity from 0 (absent) to 5 (maximum).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from fer3d.data.landmarks import MIRROR_68
from fer3d.standins.people import head

Vector = tuple[float, float, float]
"""Three coordinates (x, y, z) or a colour (red, green, blue)."""

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 20, 23, 25, 26, 27)
"""The action units that a face can show, in the order of all intensity arrays."""
UNIT_INDEX: Final[Mapping[int, int]] = {unit: k for k, unit in enumerate(ACTION_UNITS)}
"""The place of each of them in that order."""

_UNIT_DISPLACEMENTS: Final[Mapping[int, Mapping[int | str, tuple[float, ...]]]] = {
    1: {21: (-0.5, -8.5, 0), 20: (0, -6.5, 0), 19: (0, -2.5, 0), "forehead_l": (0, -4, 0), 39: (0, -0.5, 0),
        38: (0, -0.8, 0), "fold_l": (0, -2.5, 0)},
    2: {17: (0, -6, 0), 18: (0, -9, 0), 19: (0, -7.5, 0), 20: (0, -2.5, 0), "temple_l": (0, -3.5, 0),
        "forehead_l": (0, -3, 0), "fold_l": (-0.5, -3, 0), 37: (0, -0.6, 0)},
    4: {21: (3.6, 6.5, 1), 20: (2.6, 5.5, 1), 19: (1.2, 3.6, 0.5), 18: (0.4, 1.6, 0), 17: (0, 0.8, 0),
        "forehead_l": (1, 2.2, 0), "fold_l": (0, 1.8, 0), 37: (0, 0.8, 0), 38: (0, 1.1, 0)},
    5: {37: (0, -4, 0), 38: (0, -3.8, 0), 36: (0, -1, 0), 39: (0, -0.4, 0), "fold_l": (0, -1.6, 0)},
    6: {"cheek_l": (1, -6.5, 3), "bag_l": (0, -3.2, 1.5), 40: (0, -1.6, 0), 41: (0, -2.0, 0), 36: (0.8, -0.2, 0),
        37: (0, 0.7, 0), 38: (0, 0.5, 0), "nasolabial_l": (-0.5, -2, 1.5), 17: (0, 1.3, 0), 18: (0, 0.8, 0)},
    7: {40: (0, -2.8, 0), 41: (0, -2.8, 0), 37: (0, 2.3, 0), 38: (0, 2.3, 0), "bag_l": (0, -1.8, 0.5)},
    9: {31: (-0.8, -3.2, 0), 32: (-0.3, -2.4, 0), 33: (0, -2, 0), 30: (0, -2.4, 1), 29: (0, -1.5, 0.5),
        "ala_l": (-1, -4.5, 0.5), 21: (1.8, 4, 1), 20: (1, 3, 0.5), 49: (-1, -4, 0), 50: (-0.5, -4.2, 0.5),
        51: (0, -3.8, 0), 48: (0, -1.5, 0), "nasolabial_l": (-1, -5, 2), "cheek_l": (1, -3.5, 1.5),
        40: (0, -1.6, 0), 41: (0, -1.1, 0), 37: (0, 1, 0), 38: (0, 1.2, 0), "bag_l": (0, -1.5, 0.5),
        27: (0, 1, 0), 59: (0, -0.8, 0), 58: (0, -0.8, 0), 57: (0, -0.8, 0)},
    10: {49: (-1, -5.6, 0.5), 50: (-0.6, -6.2, 1), 51: (0, -5.4, 1), 48: (-0.8, -1.6, 0),
         "nasolabial_l": (-1.2, -3.8, 2), "ala_l": (-0.8, -1.8, 0), 31: (-0.5, -1.2, 0), 32: (0, -0.8, 0),
         "cheek_l": (0, -1.5, 0.8)},
    12: {48: (-8.2, -7.6, -5), 49: (-5.4, -3.6, -2.6), 50: (-1.6, -0.6, -0.8), 51: (0, 0.2, -0.8),
         59: (-6, -4.6, -2.8), 58: (-2.2, -1.2, -1), 57: (0, -0.8, -1), "nasolabial_l": (-3.4, -3.6, 2.5),
         "cheek_l": (-1.2, -3.6, 3), "jowl_l": (-3.4, -2.4, 0), "marionette_l": (-3, -2.5, -1), 31: (-0.9, -0.4, 0),
         "ala_l": (-1.2, -0.4, 0), "bag_l": (0, -1, 0.5), 4: (-1, 0, 0), 5: (-0.8, 0, 0)},
    14: {48: (-3.6, -1.2, -3.5), 49: (-1.5, 0.3, -1.2), 59: (-1.6, -0.9, -1.2), "marionette_l": (-0.6, -1.5, -1.5),
         "nasolabial_l": (-1, -0.6, 1), "jowl_l": (-0.8, -0.6, 1)},
    15: {48: (0.8, 5.4, -1), 49: (0.5, 3, 0), 59: (0.5, 4.0, -0.5), 58: (0, 2.2, 0), 57: (0, 1.4, 0),
         50: (0, 0.8, 0), "marionette_l": (0, 3, 1), "nasolabial_l": (0, 2, 0), "jowl_l": (0, 2, 0.5)},
    16: {58: (0, 6, 0.5), 57: (0, 6, 0.5), 59: (-0.6, 4, 0), 48: (0, 0.8, 0), "chin_l": (0, 1, 0)},
    17: {57: (0, -2.8, 1.5), 58: (0, -2.7, 1.5), 59: (0, -1.8, 0.6), 51: (0, -1.8, 1), 50: (0, -1.6, 1),
         49: (0, -1, 0.4), 48: (0.5, 0.8, 0), "chin_l": (0, -5, 2), 8: (0, -2.5, 0.5), 7: (0, -2, 0)},
    20: {48: (-5.2, 0, -1), 49: (-4.4, 0.6, -1), 50: (-2, 0.8, -0.8), 59: (-4.8, 0.6, -1),
         58: (-2.2, 0.4, -0.6), 51: (0, 0.8, -0.8), 57: (0, 0, -0.6), "jowl_l": (-3, 1.5, 0),
         "marionette_l": (-3.2, 1.6, -0.5), "nasolabial_l": (-1.4, 0.6, 0)},
    23: {51: (0, 1.8, -0.5), 50: (0.8, 2, -0.5), 49: (1.6, 1.5, 0), 57: (0, -2.2, -0.5), 58: (0.6, -2.1, -0.5),
         59: (1.6, -1.5, 0), 48: (2.8, 0, 0.5), "chin_l": (0, -1, 0.6)},
    25: {57: (0, 3.2, 0), 58: (0, 3.1, 0), 59: (0, 2, 0), 51: (0, -1.2, 0), 50: (0, -1.2, 0), 49: (0, -0.6, 0),
         48: (0.3, 0.4, 0)},
    26: {57: (0, 11, -2), 58: (0, 10.8, -2), 59: (0.3, 8, -1.6), 48: (1, 3.6, -0.6), 8: (0, 12, -4),
         7: (0, 11.5, -4), 6: (0.3, 9.5, -3), 5: (0.5, 6.5, -2), 4: (0.3, 3.5, -1), 3: (0.2, 1.6, 0),
         "chin_l": (0, 11.5, -3), "marionette_l": (0.6, 7.5, -2), "jowl_l": (0.6, 3, -0.5)},
    27: {57: (0, 22, -4), 58: (0.3, 21.5, -4), 59: (1.6, 16, -3.4), 48: (3.6, 8, -1), 49: (1.6, 1, 0),
         50: (0.5, -1, 0), 51: (0, -1.2, 0), 8: (0, 24, -8), 7: (0, 23, -8), 6: (0.8, 19, -6), 5: (1, 13, -4),
         4: (0.8, 7, -2), 3: (0.4, 3, 0), "chin_l": (0, 23, -6), "marionette_l": (1.6, 15.5, -4),
         "jowl_l": (1.8, 6.5, -1.5), "nasolabial_l": (0.8, 1.5, -0.5)},
}  # fmt: skip
"""Displacements (x, y, z) at intensity 5 in millimetres, by action unit, then by landmark or extra control point.

For the left of the picture; the right is mirrored.
"""

_INNER_LIP_DISPLACEMENTS: Final[Mapping[int, tuple[float, float]]] = {
    9: (-2.9, -0.9), 10: (-4.6, -0.3), 12: (-1.4, -0.5), 15: (0.8, 1.2), 16: (0.2, 5.2), 17: (-2.4, -2.4),
    20: (0.5, 0.3), 23: (-0.2, -0.2), 25: (-1.5, 3.3), 26: (-0.5, 10.6), 27: (-1.2, 21.5),
}  # fmt: skip
"""How far the middle of the upper and of the lower inner lip move down at intensity 5, in millimetres, by unit."""


def _mirror(point: int | str) -> int | str:
    return point[:-2] + "_r" if isinstance(point, str) else int(MIRROR_68[point])


def _displacement_array() -> np.ndarray:
    """(2 sides, units, CONTROLS, 3) millimetres at intensity 5. Each side contributes half to the midline."""
    table = np.zeros((2, len(ACTION_UNITS), head.CONTROLS, 3), np.float32)
    for k, unit in enumerate(ACTION_UNITS):
        for point, (dx, dy, dz) in _UNIT_DISPLACEMENTS[unit].items():
            other = _mirror(point)
            share = 0.5 if other == point else 1.0
            table[0, k, head.control_row(point)] = (share * dx, share * dy, share * dz)
            table[1, k, head.control_row(other)] = (-share * dx, share * dy, share * dz)
    return table


DISPLACEMENTS = _displacement_array()


@dataclass(frozen=True)
class Person:
    """One synthetic person. Lengths in millimetres, colours as linear RGB in 0..1."""

    seed: int
    age: float
    """Years, 18 to 75."""
    skin: Vector
    shape: np.ndarray
    """(CONTROLS, 3) displacement of the control points from the template."""
    features: Mapping[str, float]
    """Factor on each of `head.feature_heights`; 1 is average."""
    proportions: Vector
    """Scale of the head in x, y, z."""
    lips: Vector
    iris: Vector
    hair: Vector
    style: str
    """One of `HAIR_STYLES`."""
    hairline: np.ndarray
    """(3,) offsets of the hairline: height in front, recession of the temples, length beside the ears."""
    volume: float
    """Factor on the thickness of the hair."""
    beard: str
    """One of `BEARDS`."""
    brow: Vector
    """Thickness (mm), density (0..1), darkness relative to the hair."""
    glasses: str
    """One of `GLASSES`."""
    eye_fold: float
    """Depth of the eyelid crease, 0 (none) to 1."""
    mobility: np.ndarray
    """(2, units) factor on each unit's displacement, left and right of the picture."""
    lip_volume: float
    freckles: float
    frame_colour: Vector
    """Of the glasses."""
    clothes_colour: Vector
    garment: str
    """One of `GARMENTS`."""


HAIR_STYLES = ("short", "crop", "swept", "parted", "curly", "long", "bob", "fringe", "tied", "receding", "bald")
BEARDS = ("none", "stubble", "goatee", "moustache", "full")
GLASSES = ("none", "round", "square", "oval", "half", "heavy")
GARMENTS = ("crew", "vee", "scoop", "shirt", "polo")

# Colours as linear RGB. A person's colour is interpolated between two neighbours.
SKIN_TONES: Final[Mapping[str, Vector]] = {
    "very light": (0.79, 0.54, 0.42), "light": (0.70, 0.455, 0.33), "medium light": (0.60, 0.375, 0.255),
    "medium": (0.46, 0.265, 0.165), "medium dark": (0.30, 0.16, 0.095), "dark": (0.17, 0.088, 0.055),
    "very dark": (0.10, 0.053, 0.036),
}  # fmt: skip
HAIR_COLOURS: Final[Mapping[str, Vector]] = {
    "black": (0.012, 0.010, 0.009), "dark brown": (0.035, 0.02, 0.012), "brown": (0.09, 0.045, 0.022),
    "dark blond": (0.22, 0.12, 0.05), "blond": (0.42, 0.28, 0.13), "red": (0.20, 0.06, 0.02),
}  # fmt: skip
IRIS_COLOURS: Final[Mapping[str, Vector]] = {
    "dark brown": (0.05, 0.025, 0.012), "brown": (0.10, 0.05, 0.02), "hazel": (0.13, 0.12, 0.05),
    "green": (0.09, 0.17, 0.13), "blue": (0.12, 0.22, 0.34),
}  # fmt: skip
_SKIN, _HAIR, _IRIS = (np.array(list(scale.values())) for scale in (SKIN_TONES, HAIR_COLOURS, IRIS_COLOURS))
_GREY_HAIR = np.array([0.15, 0.147, 0.143])


def random_stream(*name: object) -> np.random.Generator:
    """A generator seeded by a name: the same numbers in every process and on every machine."""
    digest = hashlib.sha256("/".join(map(str, name)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def make_person(*name: object) -> Person:
    """The person determined by a name, for example ``make_person("ckplus", 0, 17)``."""
    rng = random_stream("person", *name)
    tone = rng.uniform(0, len(_SKIN) - 1)
    skin = _interpolate(_SKIN, tone) * rng.normal(1, [0.04, 0.03, 0.04]).clip(0.9, 1.1)
    age = float(rng.choice([rng.uniform(18, 35), rng.uniform(30, 50), rng.uniform(45, 75)], p=[0.5, 0.3, 0.2]))
    features, beard_grows = _features(rng)
    hair = _hair_colour(rng, tone, age)
    style = str(rng.choice(HAIR_STYLES, p=[0.14, 0.10, 0.09, 0.12, 0.12, 0.12, 0.09, 0.06, 0.06, 0.06, 0.04]))
    if beard_grows and style in ("long", "bob", "fringe", "tied"):
        style = "short"
    beard = str(rng.choice(BEARDS, p=[0.5, 0.32, 0.06, 0.05, 0.07])) if beard_grows else "none"
    lip = skin * (np.array([0.84, 0.60, 0.62]) + rng.normal(0, 0.035, 3)) + np.array([0.01, 0.0, 0.004])
    if not beard_grows:
        lip *= 1 - rng.uniform(0, 1) ** 2 * np.array([0.05, 0.32, 0.22])  # some wear lipstick
    iris = _interpolate(_IRIS, rng.uniform(0, 1.2) if tone > 2.2 else rng.uniform(0, 4))
    side = rng.normal(0, 0.05, len(ACTION_UNITS))
    reach = rng.normal(1, 0.1, len(ACTION_UNITS)).clip(0.75, 1.25)
    return Person(
        seed=int(rng.integers(2**31)),
        age=age,
        skin=_colour(skin),
        shape=_shape(rng),
        features=features,
        proportions=tuple(1 + np.array(_HEAD_SPREAD) * rng.normal(size=3).clip(-1.8, 1.8)),
        lips=_colour(lip),
        iris=_colour(iris),
        hair=hair,
        style=style,
        hairline=rng.normal([0, 0, 0], [3.5, 4, 8]),
        volume=rng.uniform(0.7, 1.4),
        beard=beard,
        brow=(
            float(np.clip(rng.normal(8.4 if beard_grows else 6.4, 1.1), 4.4, 11)),
            rng.uniform(0.75, 1.0),
            rng.uniform(0.8, 1.2),
        ),
        glasses=str(rng.choice(GLASSES, p=[0.78, 0.05, 0.05, 0.05, 0.03, 0.04])),
        eye_fold=rng.beta(2, 1.2),
        mobility=np.stack([reach * (1 + side), reach * (1 - side)]),
        lip_volume=float(np.clip(rng.normal(1, 0.18), 0.6, 1.5)),
        freckles=float(rng.uniform(0.3, 1) if rng.random() < 0.2 and tone < 3 else 0),
        frame_colour=_colour(rng.choice([0.012, 0.03, 0.06, 0.15]) * rng.uniform(0.5, 1.2, 3)),
        clothes_colour=_colour(rng.uniform(0.01, 0.5) * (1 - rng.uniform(0, 0.9) * rng.uniform(0, 1, 3))),
        garment=str(rng.choice(GARMENTS, p=[0.34, 0.18, 0.14, 0.24, 0.10])),
    )


def _colour(rgb: np.ndarray) -> Vector:
    r, g, b = (float(v) for v in np.clip(rgb, 0.004, 0.95))
    return r, g, b


def _interpolate(scale: np.ndarray, at: float) -> np.ndarray:
    """The row of ``scale`` at a fractional index."""
    low = int(min(at, len(scale) - 1.001))
    return scale[low] * (1 - (at - low)) + scale[low + 1] * (at - low)


def _hair_colour(rng: np.random.Generator, tone: float, age: float) -> Vector:
    colour = _interpolate(_HAIR, rng.uniform(0, 1.2)) if tone > 2.2 else _interpolate(_HAIR, rng.uniform(0, 4.9))
    grey = np.clip((age - rng.uniform(38, 70)) / 15, 0, 1)
    return _colour(colour * (1 - grey) + _GREY_HAIR * grey * rng.uniform(0.7, 1.3))


def _features(rng: np.random.Generator) -> tuple[dict[str, float], bool]:
    """Strength of each feature, and whether a beard grows (which goes with heavier brows and jaws)."""
    spread = {"nose": 0.16, "tip": 0.3, "alae": 0.25, "eyeballs": 0.2, "sockets": 0.22, "muzzle": 0.3, "chin": 0.35}
    grows = bool(rng.random() < 0.5)
    strength = {name: float(np.clip(rng.normal(1, spread.get(name, 0.35)), 0.2, 2)) for name in head.feature_heights()}
    for name, shift in {"brow": 0.25, "jaw": 0.7, "chin": 0.25, "cheekbones": -0.1, "nose": 0.08}.items():
        strength[name] += shift if grows else -shift / 2
    return strength, grows


_SPREAD: Final[Mapping[str, float]] = {
    "eye distance": 2.2, "eye size": 1.0, "eye opening": 0.9, "eye slant": 1.5,
    "brow height": 3.2, "brow arch": 1.4, "brow tilt": 1.6, "brow gap": 1.4,
    "nose width": 2.3, "nose length": 4.6, "nose bridge": 1.5,
    "mouth height": 2.9, "mouth width": 3.6, "mouth slant": 1.0, "upper lip": 1.4, "lower lip": 1.7,
    "chin length": 4.4, "jaw width": 4.0, "temple width": 2.5, "cheek width": 1.5, "cheek depth": 1.2,
}  # fmt: skip
"""Standard deviation of each facial measure between people, in millimetres; draws are clipped at 1.8 of them."""
_HEAD_SPREAD = (0.06, 0.055, 0.03)
"""Standard deviation of a head's width, height and depth, as shares."""


def _shape(rng: np.random.Generator) -> np.ndarray:
    """(CONTROLS, 3) offsets of one person's control points from the template, drawn with `_SPREAD`."""
    shape = np.zeros((head.CONTROLS, 3))
    drawn = {name: spread * float(np.clip(rng.normal(), -1.8, 1.8)) for name, spread in _SPREAD.items()}

    def move(points: tuple[int | str, ...], dx: float = 0, dy: float = 0, dz: float = 0) -> None:
        for point in points:
            shape[head.control_row(point)] += (dx, dy, dz)
            if (other := _mirror(point)) != point:
                shape[head.control_row(other)] += (-dx, dy, dz)

    eyes = (36, 37, 38, 39, 40, 41)
    brows: tuple[int | str, ...] = (17, 18, 19, 20, 21)
    mouth: tuple[int | str, ...] = (48, 49, 50, 51, 57, 58, 59)
    move((*eyes, *brows, "fold_l", "bag_l"), dx=drawn["eye distance"])
    move((36,), dx=-drawn["eye size"], dy=drawn["eye slant"])
    move((37, 41), dx=-0.6 * drawn["eye size"], dy=drawn["eye slant"] * 0.6)
    move((37, 38), dy=-drawn["eye opening"])
    move((40, 41), dy=drawn["eye opening"] * 0.4)
    move((*brows, "fold_l"), dy=drawn["brow height"])
    move(("forehead_l", "temple_l"), dy=drawn["brow height"] * 0.5)
    move((18, 19), dy=-abs(drawn["brow arch"]))
    move((20,), dy=-abs(drawn["brow arch"]) * 0.5)
    move((17,), dy=drawn["brow tilt"])
    move((21,), dy=-drawn["brow tilt"] * 0.6, dx=drawn["brow gap"])
    move((31, 32, "ala_l"), dx=-drawn["nose width"])
    move((30, 31, 32, 33, "ala_l"), dy=drawn["nose length"])
    move((29,), dy=drawn["nose length"] * 0.6)
    move((28,), dy=drawn["nose length"] * 0.3)
    move((28, 29, 30), dz=drawn["nose bridge"])
    mouth_down = 0.7 * drawn["nose length"] + drawn["mouth height"]
    move((*mouth, "nasolabial_l"), dy=mouth_down)
    move((48,), dx=-drawn["mouth width"], dy=drawn["mouth slant"])
    move((49, 59), dx=-drawn["mouth width"] * 0.6)
    move((50, 58), dx=-drawn["mouth width"] * 0.25)
    move((49, 50, 51), dy=-drawn["upper lip"])
    move((57, 58, 59), dy=drawn["lower lip"])
    chin = max(mouth_down + drawn["chin length"], 0.6 * mouth_down - 2.5)
    move((6, 7, 8, "chin_l"), dy=chin)
    move((5, "marionette_l"), dy=chin * 0.8)
    move((4,), dy=chin * 0.5)
    move((3, "jowl_l"), dy=chin * 0.25)
    move((2,), dy=chin * 0.1)
    move((3, 4, 5, "jowl_l"), dx=-drawn["jaw width"])
    move((6, 2), dx=-drawn["jaw width"] * 0.6)
    move((7,), dx=-drawn["jaw width"] * 0.3)
    move((0, 1, 2), dx=-drawn["temple width"])
    move(("cheek_l",), dx=-drawn["cheek width"], dz=drawn["cheek depth"])
    uneven = np.clip(rng.normal(0, 0.3, (head.CONTROLS, 2)), -0.6, 0.6)
    shape[:, :2] += uneven
    return shape


@dataclass(frozen=True)
class Pose:
    """Expression and position of a face in one frame."""

    units: np.ndarray
    """(2, units) intensity 0..5 of each action unit, left and right of the picture."""
    blink: float = 0.0
    """0 open, 1 closed."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Degrees right and down in the picture."""
    turn: Vector = (0.0, 0.0, 0.0)
    """Degrees of pitch (down), yaw (to the right of the picture), roll (clockwise)."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Millimetres right and down in the picture."""


def neutral_units() -> np.ndarray:
    """(2, units) zeros: the intensities of a neutral face."""
    return np.zeros((2, len(ACTION_UNITS)), np.float32)


def control_displacements(person: Person, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Displacements from the neutral face, in millimetres: control points (CONTROLS, 3) and inner lips (2,).

    The lips may touch but not cross, and the lower lip keeps a minimum thickness.
    """
    strength = pose.units * person.mobility / 5
    moved = np.einsum("su,suck->ck", strength.astype(np.float32), DISPLACEMENTS)
    inner = strength.mean(0) @ _INNER_LIP_ARRAY
    inner[1] = max(inner[1], inner[0] - _REST_GAP)
    thinnest = inner[1] - _LOWER_LIP_SLACK
    for point in (57, 56, 58):
        moved[point, 1] = max(moved[point, 1], thinnest)
    return moved, inner


_INNER_LIP_ARRAY = np.array([_INNER_LIP_DISPLACEMENTS.get(unit, (0, 0)) for unit in ACTION_UNITS])
_REST_GAP = 0.4
"""Gap between the inner lips of a neutral face that closing may use up, in millimetres."""
_LOWER_LIP_SLACK = 4.5
"""By how much pressing may thin the lower lip, in millimetres."""
