"""Camera, lights and background of one recording.

Not part of the paper: used by the stand-in databases.
"""

from dataclasses import dataclass

import numpy as np

from fer3d.standins.people.person import Person, Vector


@dataclass(frozen=True)
class Light:
    """A distant light."""

    towards: Vector
    """Unit vector from the face to the light (x right, y down, z to the camera)."""
    colour: Vector
    """Linear RGB strength."""


@dataclass(frozen=True)
class Scene:
    """Camera, lights and background of one recording."""

    width: int = 640
    height: int = 490
    scale: float = 0.85
    """Pixels per millimetre at the eyes."""
    centre: tuple[float, float] = (0.5, 0.46)
    """Position of the point between the eyes, as shares of width and height."""
    lights: tuple[Light, ...] = (Light((-0.4, -0.5, 0.77), (0.9, 0.9, 0.9)),)
    ambient: Vector = (0.28, 0.28, 0.3)
    backdrop: Vector = (0.2, 0.2, 0.2)
    """Linear RGB of the wall."""
    clutter: float = 0.0
    """Amount of objects in front of the wall, 0 to 1."""
    exposure: float = 1.0
    blur: float = 0.6
    """Standard deviation of the camera's Gaussian blur in pixels."""
    noise: float = 2.5
    """Standard deviation of the sensor's noise in grey levels."""
    grey: bool = False
    seed: int = 0


def three_point_lights(rng: np.random.Generator, strength: float, hard: float, fill: float) -> tuple[Light, ...]:
    """Three-point lighting: a key light from one side, a fill light from the other, an edge light from behind.

    Args:
        rng: random directions and a warm or cold tint.
        strength: of the key light.
        hard: 0 (key light in front) to 1 (from the side).
        fill: strength of the fill light.
    """
    side = float(rng.choice([-1, 1]))
    key = _unit(side * rng.uniform(0.1, 0.3 + 0.7 * hard), -rng.uniform(0.25, 0.75), 0.8)
    other = _unit(-side * rng.uniform(0.5, 1.0), -rng.uniform(-0.1, 0.4), 0.7)
    behind = _unit(float(rng.choice([-1, 1])), -rng.uniform(0.2, 0.7), -rng.uniform(0.2, 0.7))
    edge = strength * rng.uniform(0, 0.6)
    warm = rng.uniform(-0.05, 0.05)
    return (
        Light(key, (strength * (1 + warm), strength, strength * (1 - warm))),
        Light(other, (fill * (1 - warm), fill, fill * (1 + warm))),
        Light(behind, (edge, edge, edge)),
    )


def auto_exposure(person: Person) -> float:
    """A camera's automatic exposure: dark skin is brightened, but not to the same grey as light skin."""
    return float((0.43 / np.mean(person.skin)) ** 0.6)


def _unit(x: float, y: float, z: float) -> Vector:
    """The vector scaled to length 1."""
    length = float(np.sqrt(x * x + y * y + z * z))
    return x / length, y / length, z / length
