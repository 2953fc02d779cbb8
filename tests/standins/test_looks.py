"""What an invented person wears and grows: nothing hides what landmarks mark, and it is the person's own."""

from dataclasses import replace

import numpy as np
import pytest

from fer3d.standins.people import person as people
from fer3d.standins.picture import folds, glasses, hair, room, studio
from fer3d.standins.picture.canvas import place
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene

SOMEONE = people.person("looks", 5)


@pytest.mark.parametrize("style", people.STYLES)
def test_hair_never_covers_the_brows(style: str) -> None:
    grown = hair.grow(replace(SOMEONE, style=style, hairline=np.zeros(3)), np.random.default_rng(0))
    here = place()
    brows = (np.abs(here.x) < 54) & (here.y > -34) & (here.y < 60) & (here.off < 52)
    assert grown.cover[brows].mean() < 0.02
    assert grown.cover.max() > 0.6, "no hair at all"


@pytest.mark.parametrize("beard", people.BEARDS)
def test_a_beard_leaves_the_lips_free(beard: str) -> None:
    here = place()
    lips = (np.abs(here.x) < 27) & (here.y > 71) & (here.y < 84) & (here.off < 60)
    bare, painted = (np.full((*here.x.shape, 3), 0.5, np.float32) for _ in range(2))
    hair.paint_beard(replace(SOMEONE, beard=beard), painted, np.zeros_like(here.x), np.random.default_rng(0))
    assert np.abs(painted - bare)[lips].mean() < 0.02
    assert (beard == "none") == (np.abs(painted - bare).max() < 0.1)


def test_old_skin_folds_deeper() -> None:
    shown = people.neutral()
    shown[:, people.UNITS.index(1)] = 4
    flat = np.zeros(place().x.shape, np.float32)
    young, old = (folds.brightness(flat, shown, age).astype(int) for age in (20, 70))
    assert 128 - young.min() > 10
    assert 128 - old.min() > 1.3 * (128 - young.min())
    assert (folds.brightness(flat, people.neutral(), 70) == 128).all()


@pytest.mark.parametrize("kind", [kind for kind in people.GLASSES if kind != "none"])
def test_the_far_arm_of_glasses_is_hidden(kind: str) -> None:
    who = replace(SOMEONE, glasses=kind, style="bald")
    renderer = Renderer(who, Scene(exposure=studio.exposure(who)))
    worn = glasses.wear(who, renderer._rest_points)

    def touched(yaw: float) -> np.ndarray:
        white = np.full((490, 640, 3), 255, np.float32)
        glasses.draw(white, who, worn, lambda line: 3 * line[:, :2] + [320, 240], yaw, 3.0)
        return np.asarray((white < 200).any((0, 2)))

    left, right = touched(30), touched(-30)
    assert left[:90].any() and not left[550:].any()
    assert right[550:].any() and not right[:90].any()


def test_clothes_are_the_persons_own_in_any_scene() -> None:
    first, again = (room.clothes(SOMEONE, Scene(seed=seed))[0] for seed in (1, 2))
    assert np.array_equal(first, again)
