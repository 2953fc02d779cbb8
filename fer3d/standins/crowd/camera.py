"""What cheap cameras, codecs and bad light do to a face: for the rendered crowd, whose pictures must not look alike.

Not part of the paper: used by `rendered_store`. Everything is drawn once per clip and is the same on all its frames,
but for the noise and a hand that moves.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fer3d.standins.picture.raster import NO_SECOND_MAP, f32

_GRID = 5
"""Control points of the warp, in both directions."""


@dataclass(frozen=True)
class Camera:
    """A random camera, light and codec of one clip."""

    side: int
    """Pixels across the crop of the face."""
    warp: np.ndarray
    """(grid, grid, 2) displacement as a share of the side: other heads than the renderer's."""
    gain: np.ndarray
    """(3,) factor on each colour."""
    gamma: float
    slope: np.ndarray
    """(2,) change of brightness from one edge to the other, across and down, as a share."""
    grey: bool
    blur: float
    """Standard deviation in pixels."""
    noise: float
    """Standard deviation in grey levels."""
    smear: float
    """Share of the frame before that a codec leaves."""
    quality: int
    """Of JPEG; above 95 none."""
    hand: bool
    """Whether a hand covers the mouth."""


def draw_camera(rng: np.random.Generator) -> Camera:
    """A random camera; about a fifth of them is nearly perfect."""
    perfect = rng.random() < 0.2
    bad = 0.0 if perfect else 1.0
    return Camera(
        side=int(np.exp(rng.uniform(np.log(30), np.log(110)))) if not perfect else 96,
        warp=rng.normal(0, rng.uniform(0, 0.018), (_GRID, _GRID, 2)) + _stretch(rng),
        gain=rng.uniform(0.7, 1.2) * rng.normal(1, 0.05 * bad, 3),
        gamma=float(np.exp(rng.normal(0, 0.25 * bad))),
        slope=rng.normal(0, 0.25 * bad, 2),
        grey=bool(rng.random() < 0.4),
        blur=bad * float(rng.uniform(0, 0.016)),
        noise=bad * float(np.exp(rng.uniform(np.log(0.4), np.log(9)))) + 0.5,
        smear=bad * float(rng.uniform(0, 0.6)) if rng.random() < 0.3 else 0.0,
        quality=int(rng.integers(15, 95)) if bad and rng.random() < 0.65 else 100,
        hand=bool(rng.random() < 0.06),
    )


def _stretch(rng: np.random.Generator) -> np.ndarray:
    """(grid, grid, 2) displacement that makes the head wider or longer."""
    at = np.linspace(-0.5, 0.5, _GRID)
    return np.stack(np.meshgrid(at * rng.normal(0, 0.05), at * rng.normal(0, 0.05)), -1)


def photograph(
    rng: np.random.Generator, camera: Camera, frames: np.ndarray, landmarks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The frames and landmarks of one clip as that camera gives them.

    Args:
        rng: noise, and the hand's movement.
        camera: of `draw_camera`.
        frames: (T, S, S, 3) uint8 RGB.
        landmarks: (T, 66, 2) in their pixels.

    Returns:
        (T, S, S, 3) uint8 RGB and (T, 66, 2) in their pixels.
    """
    size, side = frames.shape[1], camera.side
    y, x = np.mgrid[:size, :size].astype(np.float32)
    source = np.stack([x, y], -1) + _field(camera, size)
    moved = warped(camera, landmarks, size)
    table = _table(camera)
    light = 1 + np.add.outer(
        np.linspace(-0.5, 0.5, side) * camera.slope[1], np.linspace(-0.5, 0.5, side) * camera.slope[0]
    )
    fingers = _hand(rng, moved * (side / size), side) if camera.hand else None
    seen, last = [], None
    for t, frame in enumerate(frames):
        small = cv2.remap(frame, source, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        small = cv2.resize(small, (side, side), interpolation=cv2.INTER_AREA)
        if fingers is not None:
            _cover(small, *fingers, t)
        small = cv2.LUT(small, table)
        if camera.grey:
            small = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        values = f32(small) * f32(light)[..., None]
        if camera.blur * side > 0.3:
            values = cv2.GaussianBlur(values, (0, 0), camera.blur * side)
        values += rng.standard_normal((side, side, 1 if camera.grey else 3), dtype=np.float32) * camera.noise
        if last is not None and camera.smear:
            values = (1 - camera.smear) * values + camera.smear * last
        last = values
        out = cv2.convertScaleAbs(np.maximum(values, 0))
        if camera.quality <= 95:
            out = cv2.imdecode(
                cv2.imencode(".jpg", out, (cv2.IMWRITE_JPEG_QUALITY, camera.quality))[1], cv2.IMREAD_COLOR
            )
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        seen.append(cv2.resize(out, (size, size), interpolation=how))
    return np.stack(seen), moved


def warped(camera: Camera, landmarks: np.ndarray, size: int) -> np.ndarray:
    """Landmarks (T, 66, 2) of pictures of ``size`` pixels, in the pixels of that camera's pictures."""
    field, moved = _field(camera, size), landmarks
    for _ in range(2):  # the warp is small: two steps invert it to a fraction of a pixel
        flat = f32(moved.reshape(1, -1, 2))
        moved = landmarks - cv2.remap(
            field, flat, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).reshape(landmarks.shape)
    return moved


def _field(camera: Camera, size: int) -> np.ndarray:
    """(size, size, 2) pixels from each place of that camera's picture to where it was taken from."""
    return cv2.resize(f32(camera.warp), (size, size), interpolation=cv2.INTER_CUBIC) * size


def _table(camera: Camera) -> np.ndarray:
    """(256, 1, 3) uint8 what becomes of each brightness."""
    levels = 255 * (np.arange(256)[:, None] / 255) ** camera.gamma * camera.gain
    return np.clip(levels, 0, 255).astype(np.uint8)[:, None]


def _hand(rng: np.random.Generator, landmarks: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, int]:
    """A hand before the mouth: (T, 2) its place, (fingers, 2, 2) lines around it, and their width, all in pixels."""
    place = landmarks[:, 48:].mean(1) + rng.normal(0, 0.06 * side, 2)
    place = place + np.cumsum(rng.normal(0, 0.006 * side, place.shape), 0)
    angle, width = rng.uniform(0, np.pi), 0.1 * side * rng.uniform(0.8, 1.3)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    lines = [
        np.stack([offset * across - along * rng.uniform(0.15, 0.3) * side, offset * across + along * 0.6 * side])
        for offset in (np.arange(4) - 1.5) * width * 0.95
    ]
    return place, np.stack(lines), max(2, round(width))


def _cover(picture: np.ndarray, place: np.ndarray, lines: np.ndarray, width: int, t: int) -> None:
    """Draw the hand, in place: fingers as dark as the middle of the face, darker between them."""
    middle = picture[picture.shape[0] // 3 : picture.shape[0] // 2, picture.shape[1] // 3 : -(picture.shape[1] // 3)]
    skin = np.median(middle.reshape(-1, 3), 0)
    for thick, shade in ((width, 0.6), (max(1, round(0.75 * width)), 1.0)):
        for line in lines:
            a, b = (tuple(int(v) for v in np.rint(end + place[t])) for end in line)
            cv2.line(picture, a, b, (shade * skin).tolist(), thick, cv2.LINE_AA)
