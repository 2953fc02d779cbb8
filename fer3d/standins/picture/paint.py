"""Eyes, lips and teeth, painted between the projected landmarks.

Not part of the paper: used by the stand-in databases. An eye or a mouth is a slit between two
corners. In coordinates along and across the slit, each edge is the graph of a smooth curve
through landmarks, so the distance of each pixel to each edge is known.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from fer3d.standins.people.person import Person, Pose, Vector
from fer3d.standins.picture.raster import f32, rgb

_EYES = (((36, 37, 38, 39), (36, 41, 40, 39)), ((42, 43, 44, 45), (42, 47, 46, 45)))
_FAR_EYE = 48.0
"""Degrees of yaw beyond which the nose hides the far eye."""
_IRIS, _PUPIL = 6.5, 2.3
"""Radii in millimetres."""


def _curve(knots: int, fine: int = 40) -> np.ndarray:
    """(fine, knots) weights of a Catmull-Rom curve through ``knots`` points."""
    weights = np.zeros((fine, knots))
    for row, at in enumerate(np.linspace(0, knots - 1, fine)):
        k = min(int(at), knots - 2)
        t = at - k
        shares = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3)
        for offset, share in zip((-1, 0, 1, 2), shares, strict=True):
            weights[row, min(max(k + offset, 0), knots - 1)] += share / 2
    return weights


_CURVES = {knots: _curve(knots) for knots in (4, 5, 7)}


@dataclass(frozen=True)
class _Slit:
    """A window of the picture around a slit, with coordinates along and across it."""

    under: np.ndarray
    """(3, h, w) the window, a view of the picture."""
    along: np.ndarray
    """(h, w) 0 at the left corner, 1 at the right."""
    across: np.ndarray
    """(h, w) pixels below the line through the corners."""
    left: np.ndarray
    axis: np.ndarray
    length: float
    """Pixels from corner to corner."""

    def edge(self, points: np.ndarray) -> np.ndarray:
        """(h, w) pixels from the corners' line down to the curve through ``points``, at each pixel's position along."""
        fine = _CURVES[len(points)] @ points - self.left
        u = (fine @ self.axis) / self.length
        v = fine[:, 1] * self.axis[0] - fine[:, 0] * self.axis[1]
        return f32(np.interp(self.along, np.maximum.accumulate(u), v))

    def ends(self, millimetres: float, scale: float) -> np.ndarray:
        """(h, w) 1 inside, fading to 0 within ``millimetres`` of both corners."""
        return np.clip(np.minimum(self.along, 1 - self.along) * self.length / (millimetres * scale), 0, 1)

    def arch(self) -> np.ndarray:
        """(h, w) 0 at the corners, 1 in the middle."""
        return np.sin(np.pi * np.clip(self.along, 0, 1)).clip(0)  # the sine of pi is not exactly 0


def _slit(picture: np.ndarray, points: np.ndarray, left: np.ndarray, right: np.ndarray, margin: float) -> _Slit | None:
    """The window around ``points`` with a margin in pixels; None outside the picture."""
    axis = right - left
    length = float(np.hypot(*axis)) + 1e-6
    axis = f32(axis / length)  # float32 as all that is computed for each pixel
    low = np.floor(points.min(0) - margin).astype(int).clip(0)
    high = np.minimum(np.ceil(points.max(0) + margin).astype(int) + 1, picture.shape[:0:-1])
    if (high <= low).any():
        return None
    y, x = f32(np.mgrid[low[1] : high[1], low[0] : high[0]])
    dx, dy = x - f32(left[0]), y - f32(left[1])
    along = (dx * axis[0] + dy * axis[1]) / length
    return _Slit(picture[:, low[1] : high[1], low[0] : high[0]], along, dy * axis[0] - dx * axis[1], left, axis, length)


def _extend_corners(landmarks: np.ndarray, corners: tuple[tuple[int, int, float], ...], scale: float) -> np.ndarray:
    """Landmarks with each corner (itself, its opposite, millimetres) moved outwards.

    Annotators mark the end of a slit where it is still visible, not where it closes.
    """
    flat = landmarks.copy()
    for corner, opposite, beyond in corners:
        outwards = landmarks[corner] - landmarks[opposite]
        flat[corner] += outwards * (beyond * scale / (np.hypot(*outwards) + 1e-6))
    return flat


def _over(under: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    """Blend a colour over the picture, in place."""
    under += (colour - under) * cover


def _dim(under: np.ndarray, share: np.ndarray) -> None:
    """Darken the picture by a share, in place."""
    under *= np.clip(1 - share, 0.08, 1)


def _line(distance: np.ndarray, width: float) -> np.ndarray:
    """1 on a line, falling off within ``width`` pixels of it."""
    return np.exp(-((distance / width) ** 2))


def _between(v: np.ndarray, top: np.ndarray, bottom: np.ndarray, soft: float = 1.0) -> np.ndarray:
    """Coverage of the band between two edges that are ``soft`` pixels wide."""
    return np.clip((v - top) / soft + 0.5, 0, 1) * np.clip((bottom - v) / soft + 0.5, 0, 1)


def eyes(picture: np.ndarray, person: Person, landmarks: np.ndarray, pose: Pose, key: Vector, scale: float) -> None:
    """Paint both eyes, in place. ``landmarks`` (68, 2) pixels; ``key`` towards the main light; ``scale`` pixels/mm."""
    flat = _extend_corners(landmarks, ((36, 39, 3.9), (39, 36, 1.2), (42, 45, 1.2), (45, 42, 3.9)), scale)
    far = int(pose.turn[1] > 0)  # the eye on the far side of a turned head
    for k, (upper, lower) in enumerate(_EYES):
        if abs(pose.turn[1]) > _FAR_EYE and k == far:
            continue
        lids = flat[list(upper)], flat[list(lower)]
        slit = _slit(picture, np.concatenate(lids), lids[0][0], lids[0][-1], 14 * scale)
        if slit is not None:
            _eye(slit, person, *lids, pose, key, scale, inner=0.97 if k == 0 else 0.03)


def _eye(
    slit: _Slit, person: Person, upper: np.ndarray, lower: np.ndarray, pose: Pose, key: Vector, s: float, inner: float
) -> None:
    v = slit.across
    top = slit.edge(upper)
    bottom = np.maximum(slit.edge(lower), top)
    open_eye = (slit.along > 0) & (slit.along < 1)
    light = max(float(slit.under.mean()), 12.0) / (np.sqrt(np.mean(person.skin)) * 255)
    lit = float(np.clip(0.38 + 0.75 * light, 0.6, 1.2))
    shade = (1 - 0.34 * np.exp(-np.clip(v - top, 0, None) / (1.8 * s))) * (1 - 0.25 * np.abs(2 * slit.along - 1) ** 3)
    ball = _eyeball(slit, person.iris, _middle(slit, upper, lower), shade, lit, pose, key, s, inner)
    _over(slit.under, ball, _between(v, top, bottom) * open_eye)
    ends = np.clip((slit.along + 0.02) / 0.05, 0, 1) * np.clip((1.02 - slit.along) / 0.05, 0, 1)
    outwards = np.clip(1 - slit.along if inner > 0.5 else slit.along, 0, 1)
    # detected landmarks follow dark lids to a fraction of a pixel; paler lids halve the opening that is found
    lashes = _line(v - top + s, 2 * s) * ends * (0.75 + 0.25 * outwards)
    wet = _line(v - bottom + 1.1 * s, 1.4 * s) * ends
    opening = float(((bottom - top) * open_eye).max()) / s
    arch = np.sqrt(np.cos(1.3 * np.clip(2 * slit.along - 1, -1, 1)))
    fold_at = top - np.clip(6.5 - 0.35 * opening, 1.6, 5) * s * arch  # an opening lid slides under the crease
    fold = _line(v - fold_at, 0.75 * s) * np.clip(1.4 - np.abs(2 * slit.along - 1), 0, 1)
    _dim(slit.under, 0.92 * lashes + 0.92 * wet + 0.28 * person.eye_fold * fold)


def _middle(slit: _Slit, upper: np.ndarray, lower: np.ndarray) -> float:
    """Coordinate across of the eyeball's centre, which a closing lid does not move."""

    def height(points: np.ndarray) -> float:
        x, y = (points[1] + points[2]) / 2 - slit.left
        return float(y * slit.axis[0] - x * slit.axis[1])

    low = height(lower)
    return (low + max(height(upper), low - 0.5 * slit.length)) / 2


def _eyeball(
    slit: _Slit,
    iris: Vector,
    middle: float,
    shade: np.ndarray,
    lit: float,
    pose: Pose,
    key: Vector,
    s: float,
    inner: float,
) -> np.ndarray:
    """(3, h, w) the eyeball without lids: white, iris, pupil and reflection."""
    pink = 0.5 * _line(slit.along - inner, 0.06) * rgb([0.1, 0.6, 0.55])
    ball = rgb([234, 225, 220]) * (0.93 * lit * shade) * (1 - pink)
    px = (slit.along - 0.5) * slit.length - (0.19 * pose.gaze[0] + 4 * math.sin(math.radians(pose.turn[1]))) * s
    py = slit.across - middle - 0.19 * pose.gaze[1] * s
    r = np.hypot(px, py) / s
    ring = np.clip(1.25 - 0.55 * np.abs(r / _IRIS - 0.55), 0.3, 1.3) * (1 - 0.6 * np.clip((r - 4.7) / 1.2, 0, 1))
    glow = ring * (0.8 + 0.35 * np.clip(py / (6 * s), -1, 1)) * (0.45 + 0.55 * shade)
    _over(ball, np.sqrt(rgb(iris)) * 170 * (lit * glow), np.clip((_IRIS - r) * s + 0.5, 0, 1))
    ball *= 1 - 0.93 * np.clip((_PUPIL - r) * s + 0.5, 0, 1)
    spark = _line(px / s - 2.4 * key[0], 0.8) * _line(py / s - 2.6 * key[1], 0.8)
    return ball + (190 * spark * min(lit, 1.0))


def mouth(picture: np.ndarray, person: Person, landmarks: np.ndarray, lift: float, scale: float) -> None:
    """Paint lips, teeth and tongue, in place. ``lift``: how far the upper lip is raised, in millimetres."""
    flat = _extend_corners(landmarks, ((48, 54, 3.2), (54, 48, 3.2), (60, 64, 3.2), (64, 60, 3.2)), scale)
    slit = _slit(picture, flat[48:68], flat[48], flat[54], 8 * scale)
    if slit is None:
        return

    def edge(*index: int) -> np.ndarray:
        return slit.edge(flat[list(index)])

    # landmarks are detected on the darker side of a soft edge: offset each edge accordingly
    off = scale * np.sqrt(slit.arch())
    top = edge(48, 49, 50, 51, 52, 53, 54) - 0.7 * off
    bottom = edge(48, 59, 58, 57, 56, 55, 54) + 0.8 * off
    upper, lower = edge(60, 61, 62, 63, 64), edge(60, 67, 66, 65, 64)
    off *= np.clip((lower - upper) / (2 * scale), 0, 1)
    upper = np.maximum(upper - 1.2 * off, top + 0.6)
    lower = np.clip(lower + 0.9 * off, upper, np.maximum(bottom - 0.6, upper))
    _lips(slit, person, top, upper, lower, bottom, scale)
    _cavity(slit, upper, lower, lift, scale)
    _seam(slit, (upper + lower) / 2, lower - upper, scale)


def _lips(
    slit: _Slit, person: Person, top: np.ndarray, upper: np.ndarray, lower: np.ndarray, bottom: np.ndarray, s: float
) -> None:
    """Both lips, lit as the skin around them; the upper one faces down and is darker."""
    v, ends, arch = slit.across, slit.ends(0.9, s), slit.arch()
    red = np.stack([cv2.GaussianBlur(np.ascontiguousarray(plane), (0, 0), 3.5 * s) for plane in slit.under])
    red *= np.sqrt(rgb(person.lips) / rgb(person.skin))
    u = slit.along * slit.length / s
    red *= 1 + 0.03 * np.sin(1.7 * u + 4 * np.sin(11 * slit.along))
    t = np.clip((v - top) / np.maximum(upper - top, 0.5), 0, 1)
    _over(slit.under, red * (0.70 + 0.06 * t), _between(v, top, upper, 0.7 * s) * ends)
    t = np.clip((v - lower) / np.maximum(bottom - lower, 0.5), 0, 1)
    shine = 12 * person.lip_volume * _line(t - 0.35, 0.2) * arch**2
    lip = red * (1.08 - 0.2 * t**2) + shine
    _over(slit.under, lip, _between(v, lower, bottom, 0.8 * s) * ends)
    _dim(slit.under, 0.2 * _line(v - bottom - 1.6 * s, 2.5 * s) * arch)


def _cavity(slit: _Slit, upper: np.ndarray, lower: np.ndarray, lift: float, s: float) -> None:
    """Between the lips: a dark cavity, the tongue, and a flat band of upper teeth."""
    v, gap = slit.across, lower - upper
    half = np.abs(2 * slit.along - 1)
    side = np.clip(1 - half**2, 0, 1)
    lit = float(np.clip(slit.under.mean() / 150, 0.35, 1.1))
    depth = np.clip((v - upper) / np.maximum(gap, 1), 0, 1)
    inner = rgb([62, 24, 22]) * (lit * (0.35 + 0.65 * depth))
    tongue = np.clip((v - lower + gap * (0.05 + 0.4 * side)) / (2.5 * s), 0, 1) * np.clip((gap / s - 7) / 6, 0, 1)
    _over(inner, rgb([150, 78, 74]) * 0.75 * lit, 0.85 * tongue)
    enamel = rgb([238, 226, 206]) * max(lit, 0.72)
    shade = (0.5 + 0.5 * np.sqrt(side)) * (1 - 0.55 * np.exp(-np.clip(v - upper, 0, None) / (1.5 * s)))
    seams = np.clip(1 - 7 * np.abs(np.sin((slit.along - 0.5) * slit.length / s / 7.6 * np.pi)), 0, 1)
    shown = np.clip(lift - 0.4, 0, 7) * s * (1 - 0.45 * half**2)
    above = np.clip((shown - (v - upper)) / (0.9 * s) + 0.5, 0, 1) * np.clip((0.86 - half) / 0.06, 0, 1)
    above *= np.clip((gap / s - 3.5) / 3, 0, 1)
    _over(inner, enamel * (shade * (1 - 0.1 * seams)), 0.95 * above)
    _over(slit.under, inner, _between(v, upper, lower) * np.clip(gap / 0.9, 0, 1) * slit.ends(1.6, s))


def _seam(slit: _Slit, middle: np.ndarray, gap: np.ndarray, s: float) -> None:
    """The dark line between closed lips, and the corners of the mouth."""
    off = slit.across - middle + 0.4 * s
    inside = np.clip(np.minimum(slit.along, 1 - slit.along) * slit.length / (0.8 * s) + 1, 0, 1)
    seam = _line(off, 0.95 * s) * np.clip(1.2 - gap / (1.8 * s), 0, 1) * inside
    corner = _line(np.abs(2 * slit.along - 1) - 0.95, 0.06) * _line(off, 1.4 * s)
    _dim(slit.under, 0.75 * seam + 0.85 * corner * (1 - seam))
