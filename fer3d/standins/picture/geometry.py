"""Where a person's landmarks and the head's vertices are in a picture: all of a frame but its colours.

Not part of the paper: used by `render`, and by the rendered crowd where it needs landmarks and no pictures.
"""

import copy
from dataclasses import dataclass
from typing import Self

import numpy as np

from fer3d.standins.people import head
from fer3d.standins.people.person import Person, Pose, control_displacements
from fer3d.standins.picture.raster import f32, rotation
from fer3d.standins.picture.scene import Scene

_DISTANCE = 1300.0
"""Distance from the camera to the eyes in millimetres."""


@dataclass
class Geometry:
    """One person in front of one camera. On one core the set-up takes 15 ms, a frame's landmarks 0.1 ms."""

    person: Person
    scene: Scene

    def __post_init__(self) -> None:
        grid = head.with_features(self.person.features)
        places = head.grid_positions()[:68]
        change = (self.person.shape.astype(np.float32).T @ head.influence()).T
        grid += change[:-68].reshape(grid.shape)
        points = head.sample(grid, places)
        points[:17] = head.respace_outline(points[:17])
        size = np.array(self.person.proportions)
        self.bald = np.moveaxis(grid * size, -1, 0)
        """(3, ROWS, COLS) vertices of the head at rest without hair, in millimetres."""
        self.rest_landmarks = f32(points * size)
        """(68, 3) landmarks of the face at rest, in millimetres."""

    def in_scene(self, scene: Scene) -> Self:
        """The same person before another camera."""
        other = copy.copy(self)
        other.scene = scene
        return other

    def landmarks(self, pose: Pose) -> np.ndarray:
        """(68, 2) float32 the true landmarks in pixels."""
        return self.pixels(self.express(pose)[0], pose).astype(np.float32)

    def express(self, pose: Pose) -> tuple[np.ndarray, np.ndarray, float]:
        """A face with an expression: landmarks (68, 3), displacements of the control points (CONTROLS, 3), and the
        lift of the upper lip; all in millimetres."""
        moved, inner = control_displacements(self.person, pose)
        moved += self._blink(moved, pose.blink)
        points = self.rest_landmarks.copy()
        points[:60] += moved[:60]
        for lip, outer in ((61, 50), (62, 51), (63, 52), (67, 58), (66, 57), (65, 56)):
            fall = inner[0] if lip < 64 else inner[1]
            side = 1.0 if lip in (62, 66) else 0.92
            down = fall * side + 0.5 * (moved[48, 1] + moved[54, 1]) * (1 - side)
            points[lip] += (moved[outer, 0], down, moved[outer, 2])
        points[60] += moved[48] * 0.97
        points[64] += moved[54] * 0.97
        return points, moved, -float(inner[0])

    def _blink(self, moved: np.ndarray, closed: float) -> np.ndarray:
        """(CONTROLS, 3) further displacements: a blink closes the eyelids, and eyelids never cross."""
        extra = np.zeros_like(moved)
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            gap = self.rest_landmarks[lower, 1] + moved[lower, 1] - self.rest_landmarks[upper, 1] - moved[upper, 1]
            extra[upper, 1] = closed * max(gap - 0.4, 0) * 0.88 + min(gap - 0.4, 0)
            extra[lower, 1] = -closed * max(gap - 0.4, 0) * 0.12
        return extra

    def project(self, points: np.ndarray, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Points (3, ...) turned about the neck, in millimetres, and projected: (3, ...) pixels x, y and depth."""
        pivot = f32([[0], [70], [-90]])
        turned = rotation(pose.turn) @ (f32(points).reshape(3, -1) - pivot)
        turned += pivot + f32([*pose.shift, 0])[:, None]
        on_screen = np.empty_like(turned)
        near = f32(_DISTANCE * self.scene.scale) / (f32(_DISTANCE) - turned[2])
        centre = f32([[self.scene.centre[0] * self.scene.width], [self.scene.centre[1] * self.scene.height]])
        np.multiply(turned[:2], near, out=on_screen[:2])
        on_screen[:2] += centre
        on_screen[2] = turned[2]
        return turned.reshape(points.shape), on_screen.reshape(points.shape)

    def pixels(self, points: np.ndarray, pose: Pose) -> np.ndarray:
        """Points (N, 3) in millimetres, projected to (N, 2) pixels."""
        return self.project(points.T, pose)[1][:2].T
