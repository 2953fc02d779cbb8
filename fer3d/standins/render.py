"""Pictures of invented people: the grid of `head` posed, lit, drawn through a z-buffer, photographed.

Not part of the paper: it serves the stand-in databases. Skin and hair are one grid of
vertices, splatted densely into a z-buffer at half the picture's resolution; each pixel's
place on the grid is then refined by the local slope, so that texture and silhouette are
smooth and hold at any yaw. Eyes and lips are filled between curves through the projected
landmarks, so truth and picture agree. All arithmetic on light uses its square root, in
which albedo and shading multiply.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from fer3d.standins import head, people, skin
from fer3d.standins.people import Person, Pose

_DENSE = 3
"""Splats a vertex, in both directions."""
_DISTANCE = 1300.0
"""Millimetres from the camera to the eyes."""


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


@dataclass
class Renderer:
    """One person before one camera. Set-up takes about 0.3 s, a frame about 15 ms on one core."""

    who: Person
    scene: Scene
    _skin: skin.Skin = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._skin = skin.bake(self.who)
        self._rng = np.random.default_rng(self.scene.seed)
        self._rest, self._rest_points = _rest_shape(self.who, self._skin)
        self._occlusion = _occlusion(self._rest)
        self._shadow = _shadow(self._rest, self.scene.lights[0])
        self._room = _room(self.scene, self._rng)
        self._clothes, self._clothes_cover = _clothes(self.who, self.scene, self._rng)
        self._grain = self._rng.normal(
            0, 1, (self.scene.height + 64, self.scene.width + 64, 1 if self.scene.grey else 3)
        )
        self._grain = np.clip(np.round(self._grain * self.scene.noise), -60, 60).astype(np.int16)

    def frame(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """(height, width, 3) uint8 RGB, and (68, 2) float32 the true landmarks in its pixels."""
        grid, points, lift = self._posed(pose)
        turned, on_screen = self._project(grid, pose)
        _, marks = self._project(points, pose)
        glow, shine = self._lit(turned)
        picture = self._room.copy()
        self._draw_head(picture, on_screen, glow, shine, pose)
        self._draw_clothes(picture)
        canvas = _Canvas(picture, self.scene.scale)
        canvas.eyes(self.who, marks, pose, self.scene)
        canvas.mouth(self.who, marks, lift)
        if self.who.glasses != "none":
            rims, _ = _glasses(self.who.glasses)
            lifted = rims + head_eye_shift(self._rest_points)
            canvas.glasses(self._project(lifted, pose)[1], self.who.glasses)
        return self._photograph(picture), marks[:, :2].astype(np.float32)

    def _posed(self, pose: Pose) -> tuple[np.ndarray, np.ndarray, float]:
        """Vertices (ROWS, COLS, 3), landmarks (68, 3), and how far the upper lip bares the teeth; all in millimetres."""
        moved, inner = people.controls(self.who, pose)
        moved += self._blink(moved, pose.blink)
        active = np.flatnonzero(np.abs(moved).max(1) > 1e-3)
        change = (moved[active].T @ head.influence()[active]).T
        grid = self._rest + change[:-68].reshape(head.ROWS, head.COLS, 3)
        points = self._rest_points.copy()
        points[:60] += moved[:60]
        for lip, outer in ((61, 50), (62, 51), (63, 52), (67, 58), (66, 57), (65, 56)):
            fall = inner[0] if lip < 64 else inner[1]
            side = 1.0 if lip in (62, 66) else 0.92
            points[lip] += (
                moved[outer, 0],
                fall * side + 0.5 * (moved[48, 1] + moved[54, 1]) * (1 - side),
                moved[outer, 2],
            )
        points[60] += moved[48] * 0.97
        points[64] += moved[54] * 0.97
        return grid, points, -float(inner[0])

    def _blink(self, moved: np.ndarray, closed: float) -> np.ndarray:
        """Lids that would cross are held together; a blink brings the upper one down."""
        extra = np.zeros_like(moved)
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            gap = self._rest_points[lower, 1] + moved[lower, 1] - self._rest_points[upper, 1] - moved[upper, 1]
            extra[upper, 1] = closed * max(gap - 0.4, 0) * 0.88 + min(gap - 0.4, 0)
            extra[lower, 1] = -closed * max(gap - 0.4, 0) * 0.12
        return extra

    def _project(self, points: np.ndarray, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """The turned points in millimetres, and (..., 3) pixels and depth; the head turns about the neck."""
        pivot = np.array([0, 70, -90], np.float32)
        turned = (points.astype(np.float32) - pivot) @ _rotation(pose.turn).T + pivot
        turned[..., :2] += np.float32(pose.shift)
        near = _DISTANCE / (_DISTANCE - turned[..., 2:])
        centre = np.float32([self.scene.centre[0] * self.scene.width, self.scene.centre[1] * self.scene.height])
        pixels = turned[..., :2] * (near * np.float32(self.scene.scale)) + centre
        return turned, np.concatenate([pixels, turned[..., 2:]], axis=-1)

    def _lit(self, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(ROWS, COLS, 3) square root of the light that skin sends back a unit of albedo, and (ROWS, COLS) highlight."""
        normal = _normals(grid)
        up = 0.5 - 0.5 * normal[..., 1]
        light = np.float32(self.scene.ambient) * ((0.55 + 0.6 * up) * self._occlusion)[..., None]
        shine = np.zeros(normal.shape[:2], np.float32)
        for k, lamp in enumerate(self.scene.lights):
            towards = np.float32(lamp.towards)
            facing = normal @ towards
            seen = self._shadow if k == 0 else np.sqrt(self._occlusion)
            # light that went under the skin wraps further round in red than in blue
            for channel, wrap in enumerate((0.30, 0.20, 0.16)):
                soft = np.clip((facing + wrap) / (1 + wrap), 0, None)
                light[..., channel] += lamp.colour[channel] * soft * soft * (0.25 * self._occlusion + 0.75 * seen) * 1.1
            half = towards + np.float32([0, 0, 1])
            half /= np.linalg.norm(half)
            glint = np.clip(normal @ half, 0, 1)
            glint *= glint
            glint *= glint
            glint *= glint
            shine += (0.35 * glint + 0.65 * glint**3) * seen * lamp.colour[1]
        return np.sqrt(light * self.scene.exposure), shine * self._skin.gloss * (0.16 * self.scene.exposure)

    def _draw_head(
        self, picture: np.ndarray, on_screen: np.ndarray, glow: np.ndarray, shine: np.ndarray, pose: Pose
    ) -> None:
        places, cover, corner = rasterise(on_screen, picture.shape[:2])
        where = (slice(corner[1], corner[1] + cover.shape[0]), slice(corner[0], corner[0] + cover.shape[1]))
        texture = np.dstack([self._skin.albedo, self._relief(pose)])
        texel = places * np.float32(skin.FINE) + np.float32((skin.FINE - 1) / 2)
        colour = cv2.remap(texture, texel, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        light = cv2.remap(np.dstack([glow, shine]), places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        deep = cv2.multiply(light[..., :3], cv2.merge([colour[..., 3]] * 3).astype(np.float32), scale=1 / 128)
        seen = colour[..., :3] * deep
        seen += light[..., 3:] * 255
        under = picture[where]
        under += (seen - under) * cover[..., None]

    def _relief(self, pose: Pose) -> np.ndarray:
        """(H, W) uint8 factor of brightness, 128 is 1: pores, age lines, folds of the moment."""
        relief = self._skin.lines.copy()
        for line in skin.lines():
            depth = sum(share * pose.units[line.side, people.UNITS.index(u)] / 5 for u, share in line.units.items())
            if depth > 0.02:
                (r, c), (h, w) = line.corner, line.relief.shape
                young = 0.6 + 0.4 * min(max((self.who.age - 20) / 40, 0), 1)
                relief[r : r + h, c : c + w] += (0.62 * young * min(depth, 1.1)) * line.relief
        return np.clip(128 + 128 * relief, 20, 250).astype(np.uint8)

    def _draw_clothes(self, picture: np.ndarray) -> None:
        top = int(np.argmax(self._clothes_cover.any(1)))
        if not self._clothes_cover.any():
            return
        under = picture[top:]
        under += (self._clothes[top:] - under) * self._clothes_cover[top:, :, None]

    def _photograph(self, picture: np.ndarray) -> np.ndarray:
        """Blur, tone curve, noise."""
        if self.scene.blur > 0:
            picture = cv2.GaussianBlur(picture, (0, 0), self.scene.blur)
        if self.scene.grey:
            picture = (picture @ np.float32([0.299, 0.587, 0.114]))[..., None]
        dy, dx = self._rng.integers(0, 64, 2)
        grain = self._grain[dy : dy + picture.shape[0], dx : dx + picture.shape[1]]
        digital = np.clip(picture + grain, 0, 255).astype(np.uint8)
        return np.repeat(digital, 3, axis=2) if self.scene.grey else digital


def _rest_shape(who: Person, painted: skin.Skin) -> tuple[np.ndarray, np.ndarray]:
    """This person's vertices (ROWS, COLS, 3), hair included, and landmarks (68, 3), at rest."""
    grid = head.loft().copy()
    for name, height in head.features().items():
        if name != "ears":
            grid[..., 2] += height * who.features[name]
    places = head.places()[:68]
    change = (who.shape.astype(np.float32).T @ head.influence()).T
    grid += change[:-68].reshape(grid.shape)
    points = head.sample(grid, places)
    size = np.array(who.proportions)
    grid, points = grid * size, points * size
    outwards = _normals(cv2.GaussianBlur(np.float32(grid), (0, 0), 9))  # blurred: hair must not fold into itself
    lift = painted.hair + head.features()["ears"] * np.clip(1 - painted.hair / 12, 0, 1)
    return np.float32(grid + outwards * lift[..., None]), np.float32(points)


def _normals(grid: np.ndarray) -> np.ndarray:
    """(ROWS, COLS, 3) unit normals, outwards."""
    down = np.empty_like(grid)
    across = np.empty_like(grid)
    down[1:-1], across[:, 1:-1] = grid[2:] - grid[:-2], grid[:, 2:] - grid[:, :-2]
    down[0], down[-1], across[:, 0], across[:, -1] = down[1], down[-2], across[:, 1], across[:, -2]
    (ax, ay, az), (dx, dy, dz) = np.moveaxis(across, -1, 0), np.moveaxis(down, -1, 0)
    normal = np.stack([ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx], axis=-1)
    normal /= np.sqrt((normal * normal).sum(-1, keepdims=True)) + 1e-6
    return normal


def _occlusion(grid: np.ndarray) -> np.ndarray:
    """(ROWS, COLS) share of the surroundings' light that arrives: less in hollows and under the jaw."""
    normal = _normals(grid)
    open_sky = np.ones(grid.shape[:2], np.float32)
    for spread, strength in ((2.5, 0.16), (7, 0.075)):
        hollow = ((cv2.GaussianBlur(grid, (0, 0), spread) - grid) * normal).sum(-1)
        open_sky *= np.exp(-strength * np.clip(hollow, 0, 12))
    rows = np.arange(head.ROWS)[:, None]
    below_jaw = np.clip((rows - 130) / 6, 0, 1) * np.clip((172 - rows) / 30, 0, 1)
    return np.float32(open_sky * (1 - 0.5 * below_jaw))


def _shadow(grid: np.ndarray, lamp: Light) -> np.ndarray:
    """(ROWS, COLS) 0 where the head shades itself from the lamp, 1 where not, soft between."""
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
    clear = np.float32(1 - np.clip((gap - 7) / 5, 0, 1))
    return cv2.GaussianBlur(clear, (0, 0), 1.6)


def _rotation(turn: tuple[float, float, float]) -> np.ndarray:
    """(3, 3) float32 for pitch, yaw, roll in degrees."""
    pitch, yaw, roll = np.radians(turn)
    cp, sp, cy, sy, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.float32(about_z @ about_y @ about_x)


def rasterise(on_screen: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Which place on the grid each pixel shows.

    ``on_screen`` (ROWS, COLS, 3): x and y in pixels, depth in millimetres (larger is nearer).
    Returns (h, w, 2) float32 column and row on the grid, (h, w) float32 cover in 0..1, and the
    (x, y) corner of this window in a picture of ``shape`` (height, width).
    """
    low = np.floor(on_screen[..., :2].min((0, 1)) - 4).astype(int).clip(0)
    high = np.ceil(on_screen[..., :2].max((0, 1)) + 4).astype(int).clip(None, shape[::-1])
    width, height = (int(v) // 2 for v in (high - low))
    dense = cv2.resize(on_screen, None, fx=_DENSE, fy=_DENSE, interpolation=cv2.INTER_LINEAR).reshape(-1, 3)
    x = (dense[:, 0] - low[0]) * 0.5
    y = (dense[:, 1] - low[1]) * 0.5
    inside = np.flatnonzero((x >= 0) & (y >= 0) & (x < width) & (y < height))
    pixel = y[inside].astype(np.int32) * width + x[inside].astype(np.int32)
    depth = ((dense[inside, 2] + 300) * 16).astype(np.int64)
    nearest = np.full(height * width, -1, np.int64)
    np.maximum.at(nearest, pixel, (depth << 20) | inside)
    buffer = nearest.reshape(height, width).astype(np.float64)
    filled = cv2.dilate(buffer, np.ones((3, 3)))
    hit = cv2.morphologyEx((buffer >= 0).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    buffer = np.where(buffer >= 0, buffer, filled)
    outer = cv2.dilate(buffer, np.ones((5, 5)))
    buffer = np.where(buffer >= 0, buffer, outer)
    ys, xs = np.nonzero(buffer >= 0)
    ids = buffer[ys, xs].astype(np.int64) & 0xFFFFF
    dense_row, dense_col = np.divmod(ids, head.COLS * _DENSE)
    slope = _inverse_slope(on_screen)
    vertex = (dense_row // _DENSE) * head.COLS + dense_col // _DENSE
    off_x = (xs + 0.5) * 2 + low[0] - dense[ids, 0]
    off_y = (ys + 0.5) * 2 + low[1] - dense[ids, 1]
    a, b, c, d = slope[vertex].T
    places = np.zeros((height, width, 2), np.float32)
    places[ys, xs, 0] = (dense_col + 0.5) / _DENSE - 0.5 + np.clip(a * off_x + b * off_y, -1.5, 1.5)
    places[ys, xs, 1] = (dense_row + 0.5) / _DENSE - 0.5 + np.clip(c * off_x + d * off_y, -1.5, 1.5)
    cover = cv2.GaussianBlur(hit.astype(np.float32), (0, 0), 0.8)
    full = (width * 2, height * 2)
    cover = cv2.resize(np.clip(cover * 2 - 1, 0, 1), full, interpolation=cv2.INTER_LINEAR)
    return cv2.resize(places, full, interpolation=cv2.INTER_LINEAR), cover, (int(low[0]), int(low[1]))


def _inverse_slope(on_screen: np.ndarray) -> np.ndarray:
    """(ROWS * COLS, 4) columns and rows of the grid a pixel to the right and down."""
    flat = on_screen[..., :2]
    across, down = np.empty_like(flat), np.empty_like(flat)
    across[:, 1:-1], down[1:-1] = (flat[:, 2:] - flat[:, :-2]) / 2, (flat[2:] - flat[:-2]) / 2
    across[:, 0], across[:, -1], down[0], down[-1] = across[:, 1], across[:, -2], down[1], down[-2]
    area = across[..., 0] * down[..., 1] - down[..., 0] * across[..., 1]
    area = np.where(np.abs(area) < 0.02, 0.02, area)
    slope = np.stack([down[..., 1], -down[..., 0], -across[..., 1], across[..., 0]], -1) / area[..., None]
    return slope.reshape(-1, 4)


def _room(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3) float32 the wall behind, 0..255."""
    h, w = scene.height, scene.width
    wall = np.sqrt(np.float32(scene.backdrop)) * 255
    fall = 1 + 0.12 * skin.clouds(rng, h, w, w) + 0.02 * skin.clouds(rng, h, w, 60)
    room = wall * fall[..., None]
    for _ in range(round(6 * scene.clutter)):
        x, y = rng.integers(-60, w), rng.integers(-60, h)
        dx, dy = rng.integers(40, 220), rng.integers(40, 260)
        colour = wall * rng.uniform(0.45, 1.5, 3)
        cv2.rectangle(room, (int(x), int(y)), (int(x + dx), int(y + dy)), colour.tolist(), -1)
    if scene.clutter:
        room = cv2.GaussianBlur(room, (0, 0), 6)
    return np.float32(room)


def _clothes(who: Person, scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(height, width, 3) float32 shoulders in cloth, and their (height, width) cover."""
    h, w = scene.height, scene.width
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    x = (x - scene.centre[0] * w) / scene.scale
    y = (y - scene.centre[1] * h) / scene.scale
    ax = np.abs(x)
    build = 1.12 if who.features["jaw"] > 1.2 else 0.95
    shoulder = np.interp(ax / build, [0, 50, 85, 130, 170, 195, 215, 235], [150, 158, 176, 186, 196, 212, 245, 330])
    neckline = 178 + 14 * np.sqrt(np.clip(1 - (ax / 62) ** 2, 0, None)) - np.clip(ax - 40, 0, 22) * 1.1
    top = np.where(ax < 62, np.maximum(neckline, shoulder - 6), shoulder)
    inside = np.clip((y - top) * scene.scale + 0.5, 0, 1)
    round_off = 1 - np.exp(-np.clip(y - shoulder, 0, None) / 30)
    bulge = cv2.GaussianBlur(np.float32(round_off * 45 + 10 * np.cos(x / 60)), (0, 0), 3)
    gx, gy = cv2.Sobel(bulge, cv2.CV_32F, 1, 0) / 8 * scene.scale, cv2.Sobel(bulge, cv2.CV_32F, 0, 1) / 8 * scene.scale
    normal = np.stack([-gx, -gy, np.ones_like(gx)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.float32(scene.ambient) * 0.9
    light = light + sum(
        np.clip(normal @ np.float32(lamp.towards), 0, 1)[..., None] * np.float32(lamp.colour) for lamp in scene.lights
    )
    folds = 1 + 0.10 * skin.clouds(rng, h, w, 45) + 0.03 * rng.standard_normal((h, w), dtype=np.float32)
    hem = 1 - 0.35 * np.exp(-((((y - top) - 7) / 1.2) ** 2)) * (ax < 75)
    shadow = 1 - 0.35 * np.exp(-((ax / 70) ** 2)) * np.exp(-np.clip(y - top, 0, None) / 30)
    colour = np.sqrt(np.float32(who.clothes) * light * scene.exposure) * 255 * (folds * hem * shadow)[..., None]
    return np.float32(colour), np.float32(inside)


def head_eye_shift(points: np.ndarray) -> np.ndarray:
    """(3,) where this person's glasses sit, from the corners of the eyes and the bridge of the nose."""
    return np.array([0, points[36:48, 1].mean(), points[28, 2] - 12.0])


def _glasses(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) rims, bridge and temples in millimetres, and the index where each part starts."""
    t = np.linspace(0, 2 * np.pi, 33)
    power = 1.0 if kind == "round" else 0.55
    rim = np.stack(
        [
            26 * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power,
            19 * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power + 3,
            6 - 4 * np.cos(t),
        ],
        1,
    )
    right = rim + [33, 0, 0]
    left = right * [-1, 1, 1]
    bridge = np.stack([np.linspace(-8, 8, 5), -3 - 2 * np.cos(np.linspace(-1, 1, 5)), np.full(5, 10.0)], 1)
    arms = [np.array([[s * 58, -3, 2], [s * 72, -4, -20], [s * 77, -2, -70]], float) for s in (-1, 1)]
    parts = [left, right, bridge, *arms]
    return np.concatenate(parts), np.cumsum([0, *(len(p) for p in parts)])


def _curve(knots: int, fine: int = 40) -> np.ndarray:
    """(fine, knots) weights of a Catmull-Rom curve through ``knots`` points."""
    weights = np.zeros((fine, knots))
    for row, at in enumerate(np.linspace(0, knots - 1, fine)):
        k = min(int(at), knots - 2)
        t = at - k
        for offset, share in zip(
            (-1, 0, 1, 2),
            (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3),
            strict=True,
        ):
            weights[row, min(max(k + offset, 0), knots - 1)] += share / 2
    return weights


_CURVES = {knots: _curve(knots) for knots in (4, 5, 7)}


class _Canvas:
    """Paints eyes, lips and glasses between projected landmarks, into a float32 picture."""

    def __init__(self, picture: np.ndarray, scale: float) -> None:
        self.picture, self.scale = picture, scale

    def _patch(self, left: np.ndarray, right: np.ndarray, before: float, after: float, side: float):  # type: ignore[no-untyped-def]
        """A window round two corners: its slices, along (0..1 from corner to corner) and across (pixels, down)."""
        axis = right - left
        length = float(np.hypot(*axis)) + 1e-6
        axis = axis / length
        corners = np.stack([left, right])
        reach = np.array([side, before]), np.array([side, after])
        low = np.floor(corners.min(0) - reach[0] - abs(axis[1]) * before).astype(int).clip(0)
        high = np.ceil(corners.max(0) + reach[1] + abs(axis[1]) * after).astype(int) + 1
        high = np.minimum(high, self.picture.shape[1::-1])
        if (high <= low).any():
            return None
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        dx, dy = x - left[0], y - left[1]
        along = (dx * axis[0] + dy * axis[1]) / length
        across = dy * axis[0] - dx * axis[1]
        return (slice(low[1], high[1]), slice(low[0], high[0])), along, across, length, axis

    @staticmethod
    def _height(points: np.ndarray, left: np.ndarray, axis: np.ndarray, length: float, along: np.ndarray) -> np.ndarray:
        """Pixels across of a smooth curve through ``points``, at each ``along``."""
        fine = _CURVES[len(points)] @ points - left
        u = (fine @ axis) / length
        v = fine[:, 1] * axis[0] - fine[:, 0] * axis[1]
        return np.interp(along, np.maximum.accumulate(u), v).astype(np.float32)

    def _stretched(self, marks: np.ndarray, corners: tuple[tuple[int, int], ...], beyond: float) -> np.ndarray:
        """(68, 2) the landmarks with these corners ``beyond`` millimetres further out: a slit's end is marked where it is
        still seen, not where it thins to nothing."""
        flat = marks[:, :2].copy()
        for left, right in corners:
            outwards = flat[right] - flat[left]
            outwards *= beyond * self.scale / (np.hypot(*outwards) + 1e-6)
            flat[left] -= outwards
            flat[right] += outwards
        return flat

    def eyes(self, who: Person, marks: np.ndarray, pose: Pose, scene: Scene) -> None:
        flat = self._stretched(marks, ((36, 39), (42, 45)), 1.1)
        for corners, upper, lower in (
            ((36, 39), (36, 37, 38, 39), (36, 41, 40, 39)),
            ((42, 45), (42, 43, 44, 45), (42, 47, 46, 45)),
        ):
            self._eye(who, flat[list(corners)], flat[list(upper)], flat[list(lower)], pose, scene, corners[0] == 36)

    def _eye(
        self,
        who: Person,
        corners: np.ndarray,
        upper: np.ndarray,
        lower: np.ndarray,
        pose: Pose,
        scene: Scene,
        left: bool,
    ) -> None:
        s = self.scale
        window = self._patch(corners[0], corners[1], 14 * s, 10 * s, 5 * s)
        if window is None:
            return
        where, u, v, length, axis = window
        top = self._height(upper, corners[0], axis, length, u)
        bottom = self._height(lower, corners[0], axis, length, u)
        bottom = np.maximum(bottom, top)
        between = (u > 0) & (u < 1)
        inside = np.clip(v - top + 0.5, 0, 1) * np.clip(bottom - v + 0.5, 0, 1) * between
        under = self.picture[where]
        light = np.maximum(cv2.boxFilter(under, -1, (9, 9)).mean(), 12)
        tone = np.sqrt(np.array(who.skin).mean()) * 255
        lit = np.clip(0.38 + 0.75 * light / tone, 0.6, 1.2)
        opening = float((bottom - top)[between].max()) if between.any() else 0.0
        shade = (1 - 0.42 * np.exp(-np.clip(v - top, 0, None) / (2.1 * s))) * (1 - 0.25 * np.abs(2 * u - 1) ** 3)
        white = np.float32([222, 212, 206]) * (lit * 0.93 * shade)[..., None]
        pink = np.exp(-(((u - (0.97 if left else 0.03)) / 0.06) ** 2))[..., None]
        white = white * (1 - 0.5 * pink * np.float32([0.1, 0.6, 0.55]))
        gx = pose.gaze[0] / 57 * 11 * s + np.sin(np.radians(pose.turn[1])) * 4 * s
        gy = pose.gaze[1] / 57 * 11 * s
        rest_middle = 0.5 * (self._rest_height(upper, lower, corners, axis))
        px = (u - 0.5) * length - gx
        py = v - rest_middle - gy
        r = np.hypot(px, py) / s
        iris_colour = np.sqrt(np.float32(who.iris)) * 255
        radial = np.clip(1.25 - 0.55 * np.abs(r / 5.9 - 0.55), 0.3, 1.3) * (0.8 + 0.35 * np.clip(py / (6 * s), -1, 1))
        iris = (
            iris_colour * (lit * radial * (1 - 0.6 * np.clip((r - 4.7) / 1.2, 0, 1)) * (0.45 + 0.55 * shade))[..., None]
        )
        disc = np.clip((5.9 - r) * s + 0.5, 0, 1)[..., None]
        eye = white + (iris - white) * disc
        pupil = np.clip((2.3 - r) * s + 0.5, 0, 1)[..., None]
        eye *= 1 - 0.93 * pupil
        key = scene.lights[0].towards
        spark = np.exp(-(((px / s - 2.4 * key[0]) / 0.8) ** 2 + ((py / s - 2.6 * key[1]) / 0.8) ** 2))
        eye += (190 * spark * min(lit, 1.0))[..., None]
        under += (eye - under) * inside[..., None]
        # rims of the lids: lashes above, a wet edge below
        lash = (
            np.exp(-(((v - top + 0.15 * s) / (1.2 * s)) ** 2))
            * np.clip((u + 0.02) / 0.05, 0, 1)
            * np.clip((1.02 - u) / 0.05, 0, 1)
        )
        outer = 1 - u if left else u
        lash *= 0.75 + 0.25 * np.clip(outer, 0, 1)
        wet = (
            np.exp(-(((v - bottom - 0.2 * s) / (0.7 * s)) ** 2))
            * np.clip((u + 0.02) / 0.1, 0, 1)
            * np.clip((1.02 - u) / 0.1, 0, 1)
        )
        fold_at = (
            top
            - (3.2 + 0.35 * min(opening / s, 10))
            * s
            * np.clip(np.sin(np.pi * np.clip(0.05 + 0.9 * u, 0, 1)), 0, 1) ** 0.5
        )
        fold = (
            np.exp(-(((v - fold_at) / (0.75 * s)) ** 2))
            * np.clip((u + 0.08) / 0.2, 0, 1)
            * np.clip((1.1 - u) / 0.2, 0, 1)
        )
        fade = 1 - (0.9 * lash + 0.5 * wet + 0.28 * who.eye_fold * fold)
        under *= np.clip(fade, 0.08, 1)[..., None]

    @staticmethod
    def _rest_height(upper: np.ndarray, lower: np.ndarray, corners: np.ndarray, axis: np.ndarray) -> float:
        """Twice the height of the eyeball's middle against the corners: it follows the lower lid, not the upper."""
        middle = (lower[1] + lower[2]) / 2 - corners[0]
        low = middle[1] * axis[0] - middle[0] * axis[1]
        middle = (upper[1] + upper[2]) / 2 - corners[0]
        high = middle[1] * axis[0] - middle[0] * axis[1]
        return float(low + max(high, low - 1.25 * np.hypot(*(corners[1] - corners[0])) * 0.4))

    def mouth(self, who: Person, marks: np.ndarray, lift: float) -> None:
        flat, s = self._stretched(marks, ((48, 54), (60, 64)), 1.4), self.scale
        left, right = flat[48], flat[54]
        reach = [abs(float(v)) for v in (flat[48:68, 1].min() - left[1], flat[48:68, 1].max() - left[1])]
        window = self._patch(left, right, reach[0] + 6 * s + 20, reach[1] + 8 * s + 20, 4 * s)
        if window is None:
            return
        where, u, v, length, axis = window

        def height(*index: int) -> np.ndarray:
            return self._height(flat[list(index)], left, axis, length, u)

        top, bottom = height(48, 49, 50, 51, 52, 53, 54), height(48, 59, 58, 57, 56, 55, 54)
        upper, lower = height(60, 61, 62, 63, 64), height(60, 67, 66, 65, 64)
        upper = np.maximum(upper, top + 0.6)
        lower = np.clip(lower, upper, np.maximum(bottom - 0.6, upper))
        across = np.clip(np.minimum(u, 1 - u) * length / (1.6 * s), 0, 1)
        under = self.picture[where]
        ratio = np.sqrt(np.array(who.lips) / np.array(who.skin)).astype(np.float32)
        base = cv2.GaussianBlur(under, (0, 0), 3.5 * s) * ratio
        for first, last, sign in ((top, upper, -1.0), (lower, bottom, 1.0)):
            thick = np.maximum(last - first, 0.5)
            t = np.clip((v - first) / thick, 0, 1)
            soft = 0.7 * s
            cover = np.clip((v - first) / soft + 0.5, 0, 1) * np.clip((last - v) / soft + 0.5, 0, 1) * across
            bulge = 0.78 + 0.08 * t if sign < 0 else 0.97 - 0.14 * t**1.5
            crease = 1 + 0.05 * np.sin(u * length / s * 2.2 + 3 * np.sin(u * 9))
            lip = base * (bulge * crease)[..., None]
            if sign > 0:
                lip += (
                    7
                    * who.lip_volume
                    * np.exp(-(((t - 0.33) / 0.16) ** 2))
                    * np.clip(np.sin(np.pi * np.clip(u, 0, 1)), 0, 1) ** 2
                )[..., None]
            under += (lip - under) * cover[..., None]
        edge = np.exp(-(((v - bottom - 1.6 * s) / (2.4 * s)) ** 2)) * np.clip(np.sin(np.pi * np.clip(u, 0, 1)), 0, 1)
        under *= (1 - 0.24 * edge)[..., None]
        self._cavity(under, u, v, upper, lower, across, length, lift)

    def _cavity(
        self,
        under: np.ndarray,
        u: np.ndarray,
        v: np.ndarray,
        upper: np.ndarray,
        lower: np.ndarray,
        across: np.ndarray,
        length: float,
        lift: float,
    ) -> None:
        """Between the lips: a dark hollow, tongue, one flat band of teeth above and one below."""
        s = self.scale
        gap = lower - upper
        inside = np.clip(v - upper + 0.5, 0, 1) * np.clip(lower - v + 0.5, 0, 1) * np.clip(gap / 0.9, 0, 1) * across
        side = np.clip(1 - (2 * u - 1) ** 2, 0, 1)
        lit = float(np.clip(under.mean() / 150, 0.35, 1.1))
        inner = (
            np.float32([62, 24, 22])
            * (lit * (0.35 + 0.65 * np.clip((v - upper) / np.maximum(gap, 1), 0, 1)))[..., None]
        )
        inner = np.ascontiguousarray(inner)
        tongue = np.clip((v - (lower - 0.45 * gap + (1 - side) * 0.4 * gap)) / (2.5 * s), 0, 1) * np.clip(
            (gap - 7 * s) / (6 * s), 0, 1
        )
        inner += (np.float32([150, 78, 74]) * lit * 0.75 - inner) * (0.85 * tongue)[..., None]
        half = np.abs(2 * u - 1)
        shade = (0.5 + 0.5 * np.sqrt(side)) * (1 - 0.55 * np.exp(-np.clip(v - upper, 0, None) / (1.5 * s)))
        teeth_colour = np.float32([238, 226, 206]) * max(lit, 0.72)
        seams = 1 - 0.10 * np.clip(np.abs(np.sin((u - 0.5) * length / s / 7.6 * np.pi)) * -7 + 1, 0, 1)
        upper_end = np.float32(np.clip(2.4 + lift, 0.5, 8.5) * s) * (1 - 0.45 * half**2)
        above = np.clip((upper_end - (v - upper)) / (0.9 * s) + 0.5, 0, 1) * np.clip((0.86 - half) / 0.06, 0, 1)
        above *= np.clip((gap - 2.2 * s) / (2.5 * s), 0, 1)
        inner += (teeth_colour * (shade * seams)[..., None] - inner) * (0.95 * above)[..., None]
        lower_start = np.clip(3.4 * s - np.clip(6 * s - gap, 0, None) * 0.5, 0, None) * (1 - half**2)
        below = (
            np.clip((lower_start - (lower - v)) / (0.9 * s) + 0.5, 0, 1)
            * np.clip((0.7 - half) / 0.08, 0, 1)
            * np.clip((gap - 7 * s) / (3 * s), 0, 1)
        )
        inner += (teeth_colour * (0.66 * shade)[..., None] - inner) * (0.85 * below)[..., None]
        under += (inner - under) * inside[..., None]
        line = (
            np.exp(-(((v - (upper + lower) / 2) / (0.95 * s)) ** 2))
            * np.clip(1.2 - gap / (1.8 * s), 0, 1)
            * np.clip(np.minimum(u, 1 - u) * length / (0.8 * s) + 1, 0, 1)
        )
        corner = np.exp(-(((half - 0.97) / 0.05) ** 2) - ((v - (upper + lower) / 2) / (1.4 * s)) ** 2)
        under *= (1 - 0.88 * line - 0.35 * corner * (1 - line))[..., None]

    def glasses(self, rims: np.ndarray, kind: str) -> None:
        _, starts = _glasses(kind)
        colour = (38.0, 30.0, 28.0)
        thick = max(1, round(1.8 * self.scale))
        layer = self.picture
        for k in range(len(starts) - 1):
            line = np.round(rims[starts[k] : starts[k + 1], :2] * 16).astype(np.int32)
            if kind == "half" and k < 2:
                line = line[16:]
            if k >= 3:
                continue
            cv2.polylines(layer, [line], False, colour, thick, cv2.LINE_AA, 4)
