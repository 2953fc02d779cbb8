"""Camera, light and room of one recording, as numbers.

Not part of the paper: it serves the stand-in databases.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Light:
    """A distant light."""

    towards: tuple[float, float, float]
    """Unit vector from the face to the light (x right, y down, z to the camera)."""
    colour: tuple[float, float, float]
    """Linear RGB strength."""


@dataclass(frozen=True)
class Scene:
    """Camera, light and room of one recording."""

    width: int = 640
    height: int = 490
    scale: float = 0.85
    """Pixels a millimetre at the eyes."""
    centre: tuple[float, float] = (0.5, 0.46)
    """Where the point between the eyes lies, as shares of width and height."""
    lights: tuple[Light, ...] = (Light((-0.4, -0.5, 0.77), (0.9, 0.9, 0.9)),)
    ambient: tuple[float, float, float] = (0.28, 0.28, 0.3)
    backdrop: tuple[float, float, float] = (0.2, 0.2, 0.2)
    """Linear RGB of the wall."""
    clutter: float = 0.0
    """How much stands before the wall, 0 to 1."""
    exposure: float = 1.0
    blur: float = 0.6
    """Deviation of the camera's blur in pixels."""
    noise: float = 2.5
    """Deviation of the sensor's noise in grey levels."""
    grey: bool = False
    seed: int = 0
