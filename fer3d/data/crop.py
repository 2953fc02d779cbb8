"""The crop of a face: the square round its landmarks, cut out of the frame, and the mapping of points between the two.

Section 3.2 of the paper crops the faces and does not say how. A `Box` describes every square of a
frame: the box of a detected face and the square that is cut out.

Points and boxes are in pixels, x to the right, y down, (0, 0) the centre of the first pixel.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from fer3d.config import ClipSettings


@dataclass(frozen=True)
class Box:
    """A square of a frame: centre and side in pixels, turned clockwise by ``angle`` radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def from_corner(cls, left: float, top: float, side: float) -> "Box":
        """The upright box whose first pixel is (left, top)."""
        return cls(left + (side - 1) / 2, top + (side - 1) / 2, side)

    @property
    def corners(self) -> np.ndarray:
        """(4, 2), in drawing order: where an upright box begins, then clockwise."""
        half = self.side / 2
        offsets = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
        return offsets @ rotation(self.angle) + (self.x, self.y)

    def distance(self, other: "Box") -> float:
        """Between the centres, in pixels."""
        return math.hypot(self.x - other.x, self.y - other.y)


def crop_box(landmarks: np.ndarray, settings: ClipSettings) -> Box:
    """The square to cut out: round the landmarks (..., 66, 2) of one frame or of all frames of a clip, with margin.

    With ``settings.align`` it is rotated so that the eyes are level. Frames whose landmarks are
    missing (NaN) do not count.
    """
    landmarks = landmarks.reshape(-1, *landmarks.shape[-2:])
    landmarks = landmarks[~np.isnan(landmarks).any(axis=(1, 2))].astype(np.float64)
    left, right = landmarks[:, 36:42].mean(axis=(0, 1)), landmarks[:, 42:48].mean(axis=(0, 1))
    angle = math.atan2(right[1] - left[1], right[0] - left[0]) if settings.align else 0.0
    level = landmarks @ rotation(angle).T
    low, high = level.min(axis=(0, 1)), level.max(axis=(0, 1))
    x, y = rotation(-angle) @ ((low + high) / 2)
    return Box(x, y, float((high - low).max()) * (1 + 2 * settings.margin), angle)


def crop_face(
    frame: np.ndarray, landmarks: np.ndarray, settings: ClipSettings, box: Box | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A face cut out of a frame (H, W, 3) uint8 RGB.

    Args:
        frame: the whole frame.
        landmarks: (66, 2) in pixels of the frame.
        settings: ``size``, ``margin`` and ``align`` count.
        box: the square to cut out; `crop_box` of these landmarks when None.

    Returns:
        The picture (size, size, 3) uint8 RGB, and the landmarks (66, 2) float32 in its pixels.
    """
    box = box or crop_box(landmarks, settings)
    return cut_out(frame, box, settings.size), to_crop(landmarks, box, settings.size).astype(np.float32)


def cut_out(frame: np.ndarray, box: Box, size: int) -> np.ndarray:
    """The box as a picture (size, size, ...). Outside the frame its edge is repeated, so that no border shows.

    A reduction is first made several times larger and then averaged, against aliasing.
    """
    fine = max(1, round(box.side / size))
    picture = cv2.warpAffine(
        frame,
        _matrix(box, size * fine),
        (size * fine, size * fine),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA) if fine > 1 else picture


def to_crop(points: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Points (..., 2) in pixels of the frame, in those of the box's picture (size, size)."""
    matrix = _matrix(box, size)
    return points @ matrix[:, :2].T + matrix[:, 2]


def to_frame(points: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Points (N, 2) in pixels of the box's picture (size, size), in those of the frame."""
    matrix = _matrix(box, size)
    return np.linalg.solve(matrix[:, :2], (points - matrix[:, 2]).T).T


def rotation(angle: float) -> np.ndarray:
    """(2, 2), rotates a line that falls to the right by ``angle`` radians (y down) until it is level."""
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def _matrix(box: Box, size: int) -> np.ndarray:
    """(2, 3), from pixels of the frame to pixels of the box's picture (size, size)."""
    linear = rotation(box.angle) * (size / box.side)
    return np.column_stack([linear, np.full(2, (size - 1) / 2) - linear @ (box.x, box.y)])
