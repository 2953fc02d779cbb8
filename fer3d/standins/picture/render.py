"""Rendering: the head's grid posed, lit, drawn through a z-buffer, and photographed.

Not part of the paper: used by the stand-in databases. Skin and hair are one grid of
vertices, splatted densely into a z-buffer at half the picture's resolution. The grid position
of each pixel is then refined by the local slope, so that texture and silhouette are smooth at
any yaw. Eyes and lips are painted between the projected landmarks, so that the true landmarks
and the picture agree. Light is handled as its square root, in which albedo and shading
multiply. A frame computes what moves, in a window around the head; the rest of the picture is a
renderer's own and made once. Coordinates and colours are planes (3, height, width): numpy is
several times as fast over them as over a last axis of three.
"""

import copy
from dataclasses import replace
from typing import Self

import cv2
import numpy as np

from fer3d.standins.people import head
from fer3d.standins.people.person import Pose
from fer3d.standins.picture import glasses, paint, skin, surroundings, wrinkles
from fer3d.standins.picture.geometry import Geometry
from fer3d.standins.picture.raster import NO_SECOND_MAP, f32, normals, rasterise, rgb, rotation
from fer3d.standins.picture.scene import Light, Scene
from fer3d.standins.picture.texture import TEXELS_PER_VERTEX

_NOISE_MARGIN = 64
"""Pixels by which the noise is larger than the picture: each frame uses another part of it."""
_RIM = 16
"""Pixels by which the window drawn in each frame reaches beyond the head; half as far nothing of the head blurs."""


class Renderer(Geometry):
    """One person in front of one camera, as pictures. On one core the set-up takes 0.3 s, a frame 0.02 s."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._skin = skin.bake_texture(self.person)
        self._texture = np.dstack([self._skin.albedo, wrinkles.factors(self._skin.relief)])
        self._rest = _with_hair(self.bald, self._skin.hair)
        self._occlusion = _occlusion(self._rest)
        if self.person.glasses != "none":
            self._glasses = glasses.fit(self.person, self.rest_landmarks)
        self._set_up()

    def _set_up(self) -> None:
        """Camera, light and what stands round the head."""
        self._rng = np.random.default_rng(self.scene.seed)
        self._wall = surroundings.wall(self.scene, self._rng)
        size = (self.scene.height + _NOISE_MARGIN, self.scene.width + _NOISE_MARGIN) + (() if self.scene.grey else (3,))
        grain = self._rng.normal(0, self.scene.noise, size)
        np.rint(grain, out=grain)
        self._brighter, self._darker = (np.clip(part, 0, 255).astype(np.uint8) for part in (grain, -grain))
        self._set_up_light()

    def _set_up_light(self) -> None:
        """What depends on the lights: shadows, clothes, and the picture without the head."""
        self._shadows = [_shadow(self._rest, lamp) for lamp in self.scene.lights]
        self._clothes = surroundings.clothes(self.person, self.scene)
        empty = self._wall.copy()
        self._draw_clothes(empty, 0, 0)
        self._without_head = self._photograph(empty)

    def with_lights(self, lights: tuple[Light, ...]) -> "Renderer":
        """The same person and camera in other light, without painting the person again."""
        other = copy.copy(self)
        other.scene = replace(self.scene, lights=lights)
        other._set_up_light()
        return other

    def in_scene(self, scene: Scene) -> Self:
        """The same person before another camera, without painting the person again."""
        other = super().in_scene(scene)
        other._set_up()
        return other

    def frame(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """One frame (height, width, 3) uint8 RGB, and its true landmarks (68, 2) float32 in pixels."""
        grid, points, lift = self.deform(pose)
        turned, on_screen = self.project(grid, pose)
        marks = self.pixels(points, pose)
        places, cover, (x, y) = rasterise(on_screen, (self.scene.height, self.scene.width))
        left, top = max(x - _RIM, 0), max(y - _RIM, 0)  # a rim of background, for what blurs into it
        window = self._wall[:, top : y + cover.shape[0] + _RIM, left : x + cover.shape[1] + _RIM].copy()
        under = window[:, y - top : y - top + cover.shape[0], x - left : x - left + cover.shape[1]]
        under += (self._head(places, self._lit(turned, pose), pose, marks - (x, y), lift) - under) * cover
        self._draw_clothes(window, left, top)
        if self.person.glasses != "none":
            glasses.draw(
                window,
                self.person,
                self._glasses,
                lambda line: self.pixels(line, pose) - (left, top),
                pose.turn[1],
                self.scene.scale,
            )
        return self._with_noise(self._developed(window, left, top)), marks.astype(np.float32)

    def deform(self, pose: Pose) -> tuple[np.ndarray, np.ndarray, float]:
        """The head with an expression: vertices (3, ROWS, COLS), landmarks (68, 3), lift of the upper lip, in mm."""
        points, moved, lift = self.express(pose)
        change = f32(moved.T) @ head.influence()[:, :-68]
        return self._rest + change.reshape(self._rest.shape), points, lift

    def _lit(self, grid: np.ndarray, pose: Pose) -> np.ndarray:
        """(ROWS, COLS, 4) square root of the diffuse light (red, green, blue) for albedo 1, and the highlight."""
        normal = normals(grid).reshape(3, -1)
        towards = f32([lamp.towards for lamp in self.scene.lights])
        half = towards + f32([0, 0, 1])
        half /= np.linalg.norm(half, axis=1, keepdims=True)
        shape = (len(towards), head.ROWS, head.COLS)
        facing, mirrored = (towards @ normal).reshape(shape), (half @ normal).reshape(shape)
        # the light turned back, in place of all strands turned with the head
        along = (half @ rotation(pose.turn) @ self._skin.strands.reshape(3, -1)).reshape(shape)
        sky = (f32(0.85) - f32(0.3) * normal[1].reshape(shape[1:])) * self._occlusion
        light = np.empty((4, *shape[1:]), np.float32)
        np.multiply(rgb(self.scene.ambient), sky, out=light[:3])
        light[3] = 0
        for k, (lamp, seen) in enumerate(zip(self.scene.lights, self._shadows, strict=True)):
            reached = f32(0.275) * self._occlusion + f32(0.825) * seen
            # subsurface scattering: red light wraps further around than blue
            for channel, wrap in enumerate((0.30, 0.20, 0.16)):
                soft = np.maximum(facing[k] + f32(wrap), 0)
                soft *= soft
                soft *= f32(lamp.colour[channel] / (1 + wrap) ** 2)
                soft *= reached
                light[channel] += soft
            glint = np.square(np.square(np.square(np.clip(mirrored[k], 0, 1))))
            shine = glint * (f32(0.35) + f32(0.65) * glint * glint)
            shine *= self._skin.gloss
            # hair shines where its strands are perpendicular to the light
            across = 1 - np.square(along[k])
            wide = np.square(across)
            across = np.square(np.square(wide)) * wide  # to the power of 10
            across *= self._skin.sheen
            across *= np.clip(facing[k] + f32(0.3), 0, 1)
            shine += across
            shine *= seen
            shine *= f32(lamp.colour[1])
            light[3] += shine
        np.sqrt(light[:3] * f32(self.scene.exposure), out=light[:3])
        light[3] *= f32(0.16 * 255 * self.scene.exposure)
        return cv2.merge(list(light))

    def _head(self, places: np.ndarray, light: np.ndarray, pose: Pose, marks: np.ndarray, lift: float) -> np.ndarray:
        """(3, h, w) the head in the window of `rasterise`. ``marks``: landmarks (68, 2) in its pixels."""
        folds = wrinkles.region()
        self._texture[*folds, 3] = wrinkles.shading(self._skin.relief, pose.units, self.person.age)
        texel = places * f32(TEXELS_PER_VERTEX)
        texel += f32((TEXELS_PER_VERTEX - 1) / 2)
        colour = cv2.remap(self._texture, texel, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        falling = cv2.remap(light, places, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        *albedo, shade = cv2.split(colour)
        *diffuse, highlight = cv2.split(falling)
        seen = np.empty((3, *shade.shape), np.float32)
        factor = shade * f32(1 / 128)
        for k in range(3):
            np.multiply(diffuse[k], albedo[k], out=seen[k])
        seen += highlight
        seen *= factor
        paint.eyes(seen, self.person, marks, pose, self.scene.lights[0].towards, self.scene.scale)
        paint.mouth(seen, self.person, marks, lift, self.scene.scale)
        return seen

    def _draw_clothes(self, window: np.ndarray, left: int, top: int) -> None:
        """Draw the clothes into a window (3, h, w) of the picture with that corner, in place."""
        colour, cover, first = self._clothes
        below = window[:, max(first - top, 0) :]
        row = max(top - first, 0)
        here = slice(row, row + below.shape[1]), slice(left, left + below.shape[2])
        below += (colour[:, *here] - below) * cover[here]

    def _developed(self, window: np.ndarray, left: int, top: int) -> np.ndarray:
        """The whole picture, with a window (3, h, w) of it that has that corner, and a rim of background."""
        picture = self._without_head.copy()
        seen = self._photograph(window)
        inner = tuple(  # without the edges whose blur lacks what lies beyond
            slice(0 if start == 0 else _RIM // 2, None if start + size >= whole else -(_RIM // 2))
            for start, size, whole in zip((top, left), seen.shape, picture.shape, strict=False)
        )
        picture[top : top + seen.shape[0], left : left + seen.shape[1]][inner] = seen[inner]
        return picture

    def _photograph(self, planes: np.ndarray) -> np.ndarray:
        """What the camera makes of colours (3, h, w) but for its noise: (h, w, 3) uint8, or (h, w) of a grey one."""
        seen = cv2.convertScaleAbs(cv2.merge(list(planes)))
        if self.scene.grey:
            seen = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
        return cv2.GaussianBlur(seen, (0, 0), self.scene.blur) if self.scene.blur > 0 else seen

    def _with_noise(self, picture: np.ndarray) -> np.ndarray:
        """(height, width, 3) the picture with the sensor's noise."""
        dy, dx = self._rng.integers(0, _NOISE_MARGIN, 2)
        part = slice(dy, dy + picture.shape[0]), slice(dx, dx + picture.shape[1])
        seen = cv2.subtract(cv2.add(picture, self._brighter[part]), self._darker[part])
        return cv2.cvtColor(seen, cv2.COLOR_GRAY2RGB) if self.scene.grey else seen


def _with_hair(grid: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """(3, ROWS, COLS) the vertices of a bald head moved outwards by hair and ears."""
    outwards = normals(_blurred(f32(grid), 9))  # blurred, so that hair does not intersect itself
    return f32(grid + outwards * (hair + head.feature_heights()["ears"] * np.clip(1 - hair / 12, 0, 1)))


def _blurred(grid: np.ndarray, spread: float) -> np.ndarray:
    """(3, ROWS, COLS) each coordinate blurred by a Gaussian of ``spread`` vertices."""
    return np.stack([cv2.GaussianBlur(np.ascontiguousarray(plane), (0, 0), spread) for plane in grid])


def _occlusion(grid: np.ndarray) -> np.ndarray:
    """(ROWS, COLS) ambient occlusion: share of the ambient light, less in hollows and under the jaw."""
    normal = normals(grid)
    open_sky = np.ones(grid.shape[1:], np.float32)
    for spread, strength in ((2.5, 0.16), (7, 0.075)):
        hollow = ((_blurred(grid, spread) - grid) * normal).sum(0)
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
    seen = np.tensordot(basis, grid, 1)
    cell, size = f32(3), 140

    def cells(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        column, row = ((np.floor(v / cell).astype(np.int32) + size // 2).clip(0, size - 1) for v in (x, y))
        return row * size + column

    x, y, depth = (cv2.resize(plane, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR) for plane in seen)
    nearest = np.full(size * size, -1e9, np.float32)
    np.maximum.at(nearest, cells(x, y).ravel(), depth.ravel())
    gap = nearest[cells(seen[0], seen[1])] - seen[2]
    clear = f32((1 - np.clip((gap - 7) / 5, 0, 1)) * (1 - 0.45 * _below_jaw()))
    return cv2.GaussianBlur(clear, (0, 0), 1.6)
