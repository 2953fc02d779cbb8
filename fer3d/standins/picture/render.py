"""Rendering: the head's grid posed, lit, drawn through a z-buffer, and photographed.

Not part of the paper: used by the stand-in databases. Skin and hair are one grid of
vertices, splatted densely into a z-buffer at half the picture's resolution. The grid position
of each pixel is then refined by the local slope, so that texture and silhouette are smooth at
any yaw. Eyes and lips are painted between the projected landmarks, so that the true landmarks
and the picture agree. Light is handled as its square root, in which albedo and shading
multiply.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from fer3d.standins.people import head
from fer3d.standins.people.person import Person, Pose, control_displacements
from fer3d.standins.picture import glasses, paint, skin, surroundings, wrinkles
from fer3d.standins.picture.raster import NO_SECOND_MAP, f32, normals, rasterise, rotation
from fer3d.standins.picture.scene import Light, Scene
from fer3d.standins.picture.texture import TEXELS_PER_VERTEX

_NOISE_MARGIN = 64
"""Pixels by which the noise is larger than the picture: each frame uses another part of it."""
_DISTANCE = 1300.0
"""Distance from the camera to the eyes in millimetres."""


@dataclass
class Renderer:
    """One person in front of one camera. On one core the set-up takes 0.3 s, a frame 0.02 s."""

    person: Person
    scene: Scene

    def __post_init__(self) -> None:
        self._skin = skin.bake_texture(self.person)
        self._texture = np.dstack([self._skin.albedo, np.zeros_like(self._skin.albedo[..., 0])])
        self._rest, self.rest_landmarks = _rest_shape(self.person, self._skin)
        self._occlusion = _occlusion(self._rest)
        if self.person.glasses != "none":
            self._glasses = glasses.fit(self.person, self.rest_landmarks)
        self._set_up()

    def _set_up(self) -> None:
        """Camera, light and what stands round the head."""
        self._rng = np.random.default_rng(self.scene.seed)
        self._shadows = [_shadow(self._rest, lamp) for lamp in self.scene.lights]
        self._wall = surroundings.wall(self.scene, self._rng)
        self._clothes, self._clothes_cover = surroundings.clothes(self.person, self.scene)
        size = (self.scene.height + _NOISE_MARGIN, self.scene.width + _NOISE_MARGIN) + (() if self.scene.grey else (3,))
        self._grain = np.rint(self._rng.normal(0, self.scene.noise, size)).astype(np.int16)

    def with_lights(self, lights: tuple[Light, ...]) -> "Renderer":
        """The same person and camera in other light, without painting the person again."""
        other = copy.copy(self)
        other.scene = replace(self.scene, lights=lights)
        other._shadows = [_shadow(self._rest, lamp) for lamp in lights]
        other._clothes, other._clothes_cover = surroundings.clothes(self.person, other.scene)
        return other

    def in_scene(self, scene: Scene) -> "Renderer":
        """The same person before another camera, without painting the person again."""
        other = copy.copy(self)
        other.scene = scene
        other._set_up()
        return other

    def frame(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """One frame (height, width, 3) uint8 RGB, and its true landmarks (68, 2) float32 in pixels."""
        grid, points, lift = self.deform(pose)
        turned, on_screen = self.project(grid, pose)
        marks = self._pixels(points, pose)
        picture = self._wall.copy()
        self._draw_head(picture, on_screen, self._lit(turned, pose), pose, marks, lift)
        self._draw_clothes(picture)
        if self.person.glasses != "none":
            project = partial(self._pixels, pose=pose)
            glasses.draw(picture, self.person, self._glasses, project, pose.turn[1], self.scene.scale)
        return self._photograph(picture), marks.astype(np.float32)

    def deform(self, pose: Pose) -> tuple[np.ndarray, np.ndarray, float]:
        """The head with an expression: vertices (ROWS, COLS, 3), landmarks (68, 3), lift of the upper lip, in mm."""
        moved, inner = control_displacements(self.person, pose)
        moved += self._blink(moved, pose.blink)
        active = np.flatnonzero(np.abs(moved).max(1) > 1e-3)
        change = (moved[active].T @ head.influence()[active]).T
        grid = self._rest + change[:-68].reshape(head.ROWS, head.COLS, 3)
        points = self.rest_landmarks.copy()
        points[:60] += moved[:60]
        for lip, outer in ((61, 50), (62, 51), (63, 52), (67, 58), (66, 57), (65, 56)):
            fall = inner[0] if lip < 64 else inner[1]
            side = 1.0 if lip in (62, 66) else 0.92
            down = fall * side + 0.5 * (moved[48, 1] + moved[54, 1]) * (1 - side)
            points[lip] += (moved[outer, 0], down, moved[outer, 2])
        points[60] += moved[48] * 0.97
        points[64] += moved[54] * 0.97
        return grid, points, -float(inner[0])

    def _blink(self, moved: np.ndarray, closed: float) -> np.ndarray:
        """(CONTROLS, 3) further displacements: a blink closes the eyelids, and eyelids never cross."""
        extra = np.zeros_like(moved)
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            gap = self.rest_landmarks[lower, 1] + moved[lower, 1] - self.rest_landmarks[upper, 1] - moved[upper, 1]
            extra[upper, 1] = closed * max(gap - 0.4, 0) * 0.88 + min(gap - 0.4, 0)
            extra[lower, 1] = -closed * max(gap - 0.4, 0) * 0.12
        return extra

    def project(self, points: np.ndarray, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Points (..., 3) turned about the neck, in millimetres, and projected: (..., 3) pixels x, y and depth."""
        pivot = np.array([0, 70, -90], np.float32)
        turned = (points.astype(np.float32) - pivot) @ rotation(pose.turn).T + pivot
        turned[..., :2] += f32(pose.shift)
        near = _DISTANCE / (_DISTANCE - turned[..., 2:])
        centre = f32([self.scene.centre[0] * self.scene.width, self.scene.centre[1] * self.scene.height])
        pixels = turned[..., :2] * (near * f32(self.scene.scale)) + centre
        return turned, np.concatenate([pixels, turned[..., 2:]], axis=-1)

    def _pixels(self, points: np.ndarray, pose: Pose) -> np.ndarray:
        """Points (N, 3) in millimetres, projected to (N, 2) pixels."""
        return self.project(points, pose)[1][:, :2]

    def _lit(self, grid: np.ndarray, pose: Pose) -> np.ndarray:
        """(ROWS, COLS, 4) square root of the diffuse light (red, green, blue) for albedo 1, and the highlight."""
        normal = normals(grid)
        strands = self._skin.strands @ rotation(pose.turn).T
        light = np.zeros((head.ROWS, head.COLS, 4), np.float32)
        sky = (0.85 - 0.3 * normal[..., 1]) * self._occlusion
        light[..., :3] = f32(self.scene.ambient) * sky[..., None]
        for lamp, seen in zip(self.scene.lights, self._shadows, strict=True):
            facing = normal @ f32(lamp.towards)
            reached = 0.275 * self._occlusion + 0.825 * seen
            # subsurface scattering: red light wraps further around than blue
            for channel, wrap in enumerate((0.30, 0.20, 0.16)):
                soft = np.clip((facing + wrap) / (1 + wrap), 0, None)
                light[..., channel] += lamp.colour[channel] * soft * soft * reached
            half = f32(lamp.towards) + f32([0, 0, 1])
            half /= np.linalg.norm(half)
            glint = np.clip(normal @ half, 0, 1) ** 8
            skin_shine = (0.35 * glint + 0.65 * glint**3) * self._skin.gloss
            # hair shines where its strands are perpendicular to the light
            hair_shine = self._skin.sheen * (1 - (strands @ half) ** 2) ** 10 * np.clip(facing + 0.3, 0, 1)
            light[..., 3] += (skin_shine + hair_shine) * seen * lamp.colour[1]
        light[..., :3] = np.sqrt(light[..., :3] * self.scene.exposure)
        light[..., 3] *= 0.16 * 255 * self.scene.exposure
        return light

    def _draw_head(
        self, picture: np.ndarray, on_screen: np.ndarray, light: np.ndarray, pose: Pose, marks: np.ndarray, lift: float
    ) -> None:
        places, cover, (left, top) = rasterise(on_screen, picture.shape[:2])
        self._texture[..., 3] = wrinkles.shading(self._skin.relief, pose.units, self.person.age)
        texel = places * f32(TEXELS_PER_VERTEX) + f32((TEXELS_PER_VERTEX - 1) / 2)
        colour = cv2.remap(self._texture, texel, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        falling = cv2.remap(light, places, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        seen = falling[..., :3] * colour[..., :3]
        seen += falling[..., 3:]
        seen *= colour[..., 3:] * f32(1 / 128)
        here = marks - (left, top)
        paint.eyes(seen, self.person, here, pose, self.scene.lights[0].towards, self.scene.scale)
        paint.mouth(seen, self.person, here, lift, self.scene.scale)
        under = picture[top : top + cover.shape[0], left : left + cover.shape[1]]
        under += (seen - under) * cover[..., None]

    def _draw_clothes(self, picture: np.ndarray) -> None:
        top = int(np.argmax(self._clothes_cover.any(1)))
        under = picture[top:]
        under += (self._clothes[top:] - under) * self._clothes_cover[top:, :, None]

    def _photograph(self, picture: np.ndarray) -> np.ndarray:
        """The camera: saturation, blur, noise."""
        seen = cv2.convertScaleAbs(picture)
        if self.scene.blur > 0:
            seen = cv2.GaussianBlur(seen, (0, 0), self.scene.blur)
        if self.scene.grey:
            seen = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
        dy, dx = self._rng.integers(0, _NOISE_MARGIN, 2)
        seen = cv2.add(seen, self._grain[dy : dy + seen.shape[0], dx : dx + seen.shape[1]], dtype=cv2.CV_8U)
        return cv2.cvtColor(seen, cv2.COLOR_GRAY2RGB) if self.scene.grey else seen


def render_frames(renderer: Renderer, poses: Sequence[Pose], landmarks: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield a recording's frames (H, W, 3) uint8 RGB; append the true landmarks (68, 2) of each to ``landmarks``."""
    for pose in poses:
        frame, true = renderer.frame(pose)
        landmarks.append(true)
        yield frame


def _rest_shape(person: Person, texture: skin.Skin) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (ROWS, COLS, 3), hair included, and landmarks (68, 3) of a person at rest."""
    grid = head.with_features(person.features)
    places = head.grid_positions()[:68]
    change = (person.shape.astype(np.float32).T @ head.influence()).T
    grid += change[:-68].reshape(grid.shape)
    points = head.sample(grid, places)
    points[:17] = head.respace_outline(points[:17])
    size = np.array(person.proportions)
    grid, points = grid * size, points * size
    outwards = normals(cv2.GaussianBlur(f32(grid), (0, 0), 9))  # blurred, so that hair does not intersect itself
    lift = texture.hair + head.feature_heights()["ears"] * np.clip(1 - texture.hair / 12, 0, 1)
    return f32(grid + outwards * lift[..., None]), f32(points)


def _occlusion(grid: np.ndarray) -> np.ndarray:
    """(ROWS, COLS) ambient occlusion: share of the ambient light, less in hollows and under the jaw."""
    normal = normals(grid)
    open_sky = np.ones(grid.shape[:2], np.float32)
    for spread, strength in ((2.5, 0.16), (7, 0.075)):
        hollow = ((cv2.GaussianBlur(grid, (0, 0), spread) - grid) * normal).sum(-1)
        open_sky *= np.exp(-strength * np.clip(hollow, 0, 12))
    return f32(open_sky * (1 - 0.5 * _below_jaw()))


def _below_jaw() -> np.ndarray:
    """(ROWS, 1) 1 where throat meets jaw, 0 down the neck: it outlines the chin in any light."""
    rows = np.arange(head.ROWS)[:, None]
    return np.clip((rows - 130) / 6, 0, 1) * np.clip((172 - rows) / 30, 0, 1)


def _shadow(grid: np.ndarray, lamp: Light) -> np.ndarray:
    """(ROWS, COLS) shadow map of one light: 0 where the head shades itself, 1 where not, soft between."""
    forward = np.array(lamp.towards) / np.linalg.norm(lamp.towards)
    right = np.cross([0, 1, 0], forward)
    right /= np.linalg.norm(right)
    basis = np.stack([right, np.cross(forward, right), forward]).astype(np.float32)
    seen = grid @ basis.T
    dense = cv2.resize(seen, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    cell, size = 3.0, 140
    index = np.floor(dense[..., :2] / cell).astype(int) + size // 2
    index = index.clip(0, size - 1)
    nearest = np.full(size * size, -1e9, np.float32)
    np.maximum.at(nearest, (index[..., 1] * size + index[..., 0]).ravel(), dense[..., 2].ravel())
    at = (np.floor(seen[..., :2] / cell).astype(int) + size // 2).clip(0, size - 1)
    gap = nearest[at[..., 1] * size + at[..., 0]] - seen[..., 2]
    clear = f32((1 - np.clip((gap - 7) / 5, 0, 1)) * (1 - 0.45 * _below_jaw()))
    return cv2.GaussianBlur(clear, (0, 0), 1.6)
