"""Moving pictures of one real face (scikit-image's astronaut) for the tests of faces and clips."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import skimage.data

HEIGHT, WIDTH = 480, 640
_HEAD = skimage.data.astronaut()[:260, 90:350]
_MIDDLE = np.array([133.0, 125.0])
_Y, _X = np.mgrid[:260, :260]
_SOFT = np.clip((1 - np.hypot((_X - 133) / 95, (_Y - 115) / 115)) * 8, 0, 1).astype(np.float32)
COFFEE = cv2.resize(skimage.data.coffee(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
CAT = cv2.resize(skimage.data.cat(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def head(
    x: float, y: float, scale: float = 1.5, degrees: float = 0, on: np.ndarray = COFFEE, mirrored: bool = False
) -> np.ndarray:
    """A frame (480, 640, 3) with the head centred at (x, y); its box for the predictor has about ``104 * scale`` px."""
    turn = scale * cv2.getRotationMatrix2D((0, 0), -degrees, 1)[:, :2]
    matrix = np.column_stack([turn, np.array([x, y]) - turn @ _MIDDLE])
    picture = _HEAD[:, ::-1].copy() if mirrored else _HEAD
    face = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(_SOFT, matrix, (WIDTH, HEIGHT))[..., None]
    return (on * (1 - mask) + face * mask).astype(np.uint8)


def _cut(i: int) -> np.ndarray:
    return head(180, 200, 1.2) if i % 8 < 4 else head(440, 250, 1.9, on=CAT)


def _leaves_and_returns(i: int) -> np.ndarray:
    return head(330 + 33 * (i if i < 14 else 27 - i), 220)


def _second_larger(i: int) -> np.ndarray:
    return head(760 - 18 * min(i, 17), 230, 1.8, on=head(160, 200, 1.1), mirrored=True)


def _blank(i: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 128, np.uint8) if i % 5 == 3 else head(300, 220)


def _fast(i: int) -> np.ndarray:
    return head(320 + 150 * np.sin(i * 0.4), 230 + 40 * np.cos(i * 0.7), 1.4)


def _shrinks(i: int) -> np.ndarray:
    return head(300, 220, 1.0 - 0.025 * i)


def _rolls(i: int) -> np.ndarray:
    return head(300, 220, 1.5, 16 * np.sin(i / 3))


def _dark(i: int) -> np.ndarray:
    return (head(300, 220) * (1 - 0.03 * i)).astype(np.uint8)


def _none(i: int) -> np.ndarray:
    return COFFEE if i % 2 else CAT


Truth = bool | None
SCENES: dict[str, tuple[int, Callable[[int], np.ndarray], Callable[[int], Truth]]] = {
    "a cut to another position": (16, _cut, lambda i: True),
    # between: the head is partly out of the frame, and either answer is right
    "the face leaves and returns": (28, _leaves_and_returns, lambda i: {0: True, 1: None, 2: False}[_outside(i)]),
    "a second larger face enters": (24, _second_larger, lambda i: True),
    "blank frames": (15, _blank, lambda i: i % 5 != 3),
    "fast motion": (24, _fast, lambda i: True),
    # 80 px, the smallest accepted, is reached at scale 0.766
    "the face becomes too small": (20, _shrinks, lambda i: None if i in (9, 10) else i < 9),
    "the head rolls": (24, _rolls, lambda i: True),
    "it grows dark": (24, _dark, lambda i: True),
    "no face": (8, _none, lambda i: False),
}
"""Name: number of frames, frame i, and whether it shows a face (None: either may be said)."""


def _outside(i: int) -> int:
    x = 330 + 33 * (i if i < 14 else 27 - i)
    return int(x > WIDTH - 120) + int(x > WIDTH + 90)


def frames(scene: str) -> Iterator[tuple[np.ndarray, Truth]]:
    """Each frame of a scene, with a little sensor noise, and whether it shows a face."""
    rng = np.random.default_rng(0)
    count, frame, shows = SCENES[scene]
    for i in range(count):
        noisy = frame(i) + rng.normal(0, 3, (HEIGHT, WIDTH, 3))
        yield np.clip(noisy, 0, 255).astype(np.uint8), shows(i)


def walk(count: int, blank: tuple[int, ...] = ()) -> list[np.ndarray]:
    """A head that moves 3 px a frame; some frames without it."""
    return [COFFEE if i in blank else head(240 + 3 * i, 220) for i in range(count)]
