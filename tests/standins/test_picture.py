"""Rendering: near surfaces hide far ones; hair, beard, glasses and clothes are a person's own and hide no landmark."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fer3d.standins.people import head
from fer3d.standins.people.person import ACTION_UNITS, BEARDS, GLASSES, HAIR_STYLES, Pose, make_person, neutral_units
from fer3d.standins.picture import glasses, hair, surroundings, wrinkles
from fer3d.standins.picture.geometry import Geometry
from fer3d.standins.picture.raster import rasterise
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure
from fer3d.standins.picture.texture import texel_positions

PERSON = make_person("looks", 5)


def test_z_buffer_shows_the_nearer_surface() -> None:
    """Two sheets, one behind the other: the right half of the columns is nearer, then farther."""
    u = np.linspace(0, 1, head.COLS, dtype=np.float32)
    x = u % 0.5 * 400 + 20
    depth = np.where(u < 0.5, 0.0, 50.0)
    y = np.linspace(20, 180, head.ROWS, dtype=np.float32)[:, None]
    for nearer, expected in ((1, True), (-1, False)):
        sheets = np.stack(np.broadcast_arrays(x[None], y, nearer * depth[None])).astype(np.float32)
        positions, cover, (left, top) = rasterise(sheets, (200, 200))
        seen = positions[100 - top, 60 - left]
        assert cover[100 - top, 60 - left] == 1
        assert (seen[0] > head.COLS / 2) == expected
        assert abs(seen[1] - (100.5 - 20) / 160 * (head.ROWS - 1)) < 0.5


@pytest.mark.parametrize("yaw", [-40, -20, 0, 20, 40])
def test_a_turned_head_has_no_holes(renderer: Renderer, yaw: float) -> None:
    pose = Pose(neutral_units(), turn=(0.0, yaw, 0.0))
    grid, _, _ = renderer.deform(pose)
    _, cover, _ = rasterise(renderer.project(grid, pose)[1], (490, 640))
    solid = (cover > 0.5).astype(np.uint8)
    holes = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)) - solid
    assert holes.sum() < 0.002 * solid.sum()


def test_landmarks_lie_where_a_picture_would_show_them(renderer: Renderer) -> None:
    units = np.random.default_rng(0).uniform(0, 3, neutral_units().shape)
    pose = Pose(units, blink=0.5, turn=(5.0, 20.0, -4.0), shift=(3.0, 2.0))
    without = Geometry(renderer.person, renderer.scene)
    assert np.array_equal(without.landmarks(pose), renderer.frame(pose)[1])
    nearer = replace(renderer.scene, scale=2 * renderer.scene.scale)
    assert np.ptp(without.in_scene(nearer).landmarks(pose)[:, 0]) > 1.9 * np.ptp(without.landmarks(pose)[:, 0])


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_hair_never_covers_the_brows(style: str) -> None:
    made = hair.make_hair(replace(PERSON, style=style, hairline=np.zeros(3)), np.random.default_rng(0))
    here = texel_positions()
    brows = (np.abs(here.x) < 54) & (here.y > -34) & (here.y < 60) & (here.off < 52)
    assert made.cover[brows].mean() < 0.02
    assert made.cover.max() > 0.6, "no hair at all"


@pytest.mark.parametrize("beard", BEARDS)
def test_a_beard_leaves_the_lips_free(beard: str) -> None:
    here = texel_positions()
    lips = (np.abs(here.x) < 27) & (here.y > 71) & (here.y < 84) & (here.off < 60)
    bare, painted = (np.full((3, *here.x.shape), 0.5, np.float32) for _ in range(2))
    hair.paint_beard(replace(PERSON, beard=beard), painted, np.zeros_like(here.x), np.random.default_rng(0))
    assert np.abs(painted - bare)[:, lips].mean() < 0.02
    assert (beard == "none") == (np.abs(painted - bare).max() < 0.1)


def test_wrinkles_are_deeper_in_old_skin() -> None:
    units = neutral_units()
    units[:, ACTION_UNITS.index(1)] = 4
    flat = np.zeros(texel_positions().x.shape, np.float32)
    young, old = (wrinkles.shading(flat, units, age).astype(int) for age in (20, 70))
    assert 128 - young.min() > 10
    assert 128 - old.min() > 1.3 * (128 - young.min())
    assert (wrinkles.shading(flat, neutral_units(), 70) == 128).all()


@pytest.mark.parametrize("kind", [kind for kind in GLASSES if kind != "none"])
def test_the_far_arm_of_glasses_is_hidden(kind: str) -> None:
    person = replace(PERSON, glasses=kind, style="bald")
    renderer = Renderer(person, Scene(exposure=auto_exposure(person)))
    fitted = glasses.fit(person, renderer.rest_landmarks)

    def drawn_columns(yaw: float) -> np.ndarray:
        white = np.full((3, 490, 640), 255, np.float32)
        glasses.draw(white, person, fitted, lambda line: 3 * line[:, :2] + [320, 240], yaw, 3.0)
        return np.asarray((white < 200).any((0, 1)))

    left, right = drawn_columns(30), drawn_columns(-30)
    assert left[:90].any() and not left[550:].any()
    assert right[550:].any() and not right[:90].any()


def test_clothes_are_the_persons_own_in_any_scene() -> None:
    first, again = (surroundings.clothes(PERSON, Scene(seed=seed))[0] for seed in (1, 2))
    assert np.array_equal(first, again)
