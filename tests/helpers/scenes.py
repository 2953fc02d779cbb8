"""Moving pictures for the tests of faces and clips: one real face (scikit-image's astronaut), and stand-in people
where tracking may break."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import skimage.data

from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import make_person, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights

HEIGHT, WIDTH = 480, 640

# --- a real face

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


def walk(count: int, blank: tuple[int, ...] = ()) -> list[np.ndarray]:
    """A head that moves 3 px a frame; some frames without it."""
    return [COFFEE if i in blank else head(240 + 3 * i, 220) for i in range(count)]


# --- stand-in people

FRAMES = 16


@functools.cache
def acted(who: str, yaw: float = 0.0) -> list[np.ndarray]:
    """A smile that comes and goes, the head turning from ``-yaw`` degrees to ``yaw``. The face's box has 170 px."""
    rng, person = random_stream("scene", who), make_person("scene", who)
    lights, exposure = three_point_lights(rng, 0.75, 0.3, 0.25), auto_exposure(person)
    renderer = Renderer(person, Scene(WIDTH, HEIGHT, scale=1.0, lights=lights, exposure=exposure, seed=1))
    shown = expression.sample_apex(rng, "happiness", ExpressionStyle())
    poses = expression.animate(rng, expression.onset_apex_offset(rng, FRAMES), shown, ExpressionStyle(), fps=25)
    turns = np.linspace(-yaw, yaw, FRAMES) if yaw else [pose.turn[1] for pose in poses]
    return [
        renderer.frame(dataclasses.replace(pose, turn=(pose.turn[0], float(turn), pose.turn[2])))[0]
        for pose, turn in zip(poses, turns, strict=True)
    ]


def moved(picture: np.ndarray, dx: float = 0, dy: float = 0, zoom: float = 1) -> np.ndarray:
    """The camera panned by pixels and zoomed about the middle; beyond its edge a picture goes on as at the edge."""
    matrix = np.array([[zoom, 0, (1 - zoom) * WIDTH / 2 + dx], [0, zoom, (1 - zoom) * HEIGHT / 2 + dy]])
    kind = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=kind, borderMode=cv2.BORDER_REPLICATE)


def _cut(i: int) -> np.ndarray:
    picture = acted("one")[i]
    return moved(picture, -150, -40, 0.8) if i % 8 < 4 else moved(picture[:, ::-1], 120, 20, 1.3)


def _away(i: int) -> float:
    return 75.0 * min(i, FRAMES - 1 - i)


def _second_larger(i: int) -> np.ndarray:
    """Another picture is pushed in from the right."""
    seen = min(40 * i, 360)
    return np.hstack(
        [moved(acted("one")[i], -150, 0, 0.7)[:, : WIDTH - seen], moved(acted("two")[i], -120, 0, 1.4)[:, :seen]]
    )


def _blank(i: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 128, np.uint8) if i % 5 == 3 else acted("two")[i]


def _fast(i: int) -> np.ndarray:
    return moved(acted("one")[i], 140 * np.sin(0.5 * i), 50 * np.cos(0.8 * i))


def _smaller(i: int) -> float:
    return 0.62 - 0.015 * i


Truth = bool | None
SCENES: dict[str, tuple[Callable[[int], np.ndarray], Callable[[int], Truth]]] = {
    "a cut to another position": (_cut, lambda i: True),
    # between: the head is partly out of the frame, and either result is right
    "the face leaves and returns": (
        lambda i: moved(acted("two")[i], _away(i)),
        lambda i: None if 180 < _away(i) < 450 else _away(i) < 300,
    ),
    "a second larger face enters": (_second_larger, lambda i: True),
    "blank frames": (_blank, lambda i: i % 5 != 3),
    "fast motion": (_fast, lambda i: True),
    "a small face": (lambda i: moved(acted("two")[i], 12 * i, 5 * i, 0.54), lambda i: True),
    # 80 px, the smallest accepted, is reached at a zoom of about 0.47
    "the face becomes too small": (
        lambda i: moved(acted("one")[i], zoom=_smaller(i)),
        lambda i: None if 0.43 < _smaller(i) < 0.51 else _smaller(i) > 0.47,
    ),
    "30 degrees of yaw": (lambda i: acted("one", 30.0)[i], lambda i: True),
    "no face": (lambda i: (COFFEE, CAT, moved(acted("one")[i], -330))[i % 3], lambda i: False),
    "the head rolls": (lambda i: head(300, 220, 1.5, 16 * np.sin(i / 2)), lambda i: True),
    "it grows dark": (lambda i: (head(300, 220) * (1 - 0.04 * i)).astype(np.uint8), lambda i: True),
}
"""Name: frame i of `FRAMES`, and whether it shows a face (None: either may be said)."""


def frames(scene: str) -> Iterator[tuple[np.ndarray, Truth]]:
    """Each frame of a scene, with a little sensor noise, and whether it shows a face."""
    rng = np.random.default_rng(0)
    frame, shows = SCENES[scene]
    for i in range(FRAMES):
        noisy = frame(i) + rng.normal(0, 2, (HEIGHT, WIDTH, 3))
        yield np.clip(noisy, 0, 255).astype(np.uint8), shows(i)
