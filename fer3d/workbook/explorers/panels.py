"""Panels of the explorers' pictures, drawn by OpenCV: matplotlib would take a tenth of a second for each picture."""

from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np

from fer3d.evaluation import canvas

POINTS, CROP, BOX, NO_FACE = (236, 225, 51), (0, 114, 178), (230, 159, 0), (213, 94, 0)
"""Colours (RGB) of the landmarks, as in the figures, of the square that is cropped, of the detected box and of a frame
without a face."""

SIDE = 400
"""Height of a panel in pixels."""


def with_points(picture: np.ndarray, points: np.ndarray, scale: float = 1, radius: float = 2.5) -> np.ndarray:
    """A copy of the picture with the points (66, 2) as dots with a dark edge; missing ones (NaN) are not drawn.

    ``scale``: the picture's side divided by that of the picture in whose pixels the points are given.
    """
    picture = picture.copy()
    placed = (points + 0.5) * scale - 0.5  # the middle of a pixel has whole coordinates
    for x, y in placed[~np.isnan(placed).any(axis=1)]:
        for colour, size in (((0, 0, 0), radius + 0.5), (POINTS, radius)):
            cv2.circle(picture, (round(16 * x), round(16 * y)), round(16 * size), colour, -1, cv2.LINE_AA, 4)
    return picture


def side_by_side(
    panels: Sequence[np.ndarray], titles: Sequence[str], edge: tuple[int, int, int] = (255, 255, 255)
) -> np.ndarray:
    """Panels of one height under their titles, (H, W, 3) uint8."""
    framed = []
    for panel, title in zip(panels, titles, strict=True):
        panel = cv2.copyMakeBorder(panel, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=edge)
        framed.append(cv2.copyMakeBorder(panel, 40, 5, 5, 5, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
        letters = panel.shape[1] // 8
        write(framed[-1], title[:letters], (8, 27), 0.42)
    return np.hstack(framed)


def write(
    picture: np.ndarray, words: str, at: tuple[int, int], size: float, colour: tuple[int, int, int] = (0, 0, 0)
) -> None:
    """Write into a picture, in place; ``at``: left end of the base line."""
    cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def darkened(picture: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A square picture, bright where the filter (G, G) has a weight of 1, and dark where it has 0."""
    kept = cv2.resize(weights, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST).clip(0, 1)
    return (picture * (0.25 + 0.75 * kept[..., None])).astype(np.uint8)


def enlarged(picture: np.ndarray, how: int = cv2.INTER_CUBIC) -> np.ndarray:
    """The picture (H, W) or (H, W, 3) as a square panel."""
    return cv2.resize(picture, (SIDE, SIDE), interpolation=how)


def coloured(values: np.ndarray, highest: float) -> np.ndarray:
    """A map (G, G) of values from 0 to ``highest`` as a panel with large cells."""
    colours = _COLOURS[(255 * np.clip(values / max(highest, 1e-9), 0, 1)).astype(np.uint8)]
    return enlarged(colours, cv2.INTER_NEAREST)


_COLOURS = matplotlib.colormaps[canvas.SEQUENTIAL](np.arange(256), bytes=True)[:, :3]
