"""The second explorer of notebook 02: a synthetic face that shows action units, and its landmark filter."""

import functools
from collections.abc import Mapping
from typing import Any

import cv2
import ipywidgets as widgets
import numpy as np

from fer3d import labels
from fer3d.config import ClipSettings
from fer3d.data import crop, faces
from fer3d.data.landmarks import KEPT
from fer3d.standins.people.expression import PROTOTYPES
from fer3d.standins.people.person import UNIT_INDEX, Pose, make_person, neutral_units
from fer3d.standins.picture import render, scene
from fer3d.workbook.explorers.explorer import Explorer, choice, slider
from fer3d.workbook.explorers.landmark_filter import weights_of
from fer3d.workbook.explorers.panels import SIDE, coloured, side_by_side, with_points

UNITS = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
}
"""The action units of the Facial Action Coding System that the stand-ins' people have, by number."""

_PEOPLE = 6
"""People to choose from. Each takes a third of a second to make, so all are made before the first picture is drawn."""


@functools.lru_cache(maxsize=_PEOPLE)
def _renderer(person: int) -> render.Renderer:
    who = make_person("board", person)
    return render.Renderer(who, scene.Scene(300, 330, 1.1, (0.5, 0.45), exposure=scene.auto_exposure(who), noise=1.0))


@functools.lru_cache(maxsize=64)
def _lit(person: int, light: int) -> render.Renderer:
    """A person lit by a lamp ``light`` degrees to the right of the camera and a weak one on the other side."""
    across, forward = np.sin(np.radians(light)), np.cos(np.radians(light))
    key = scene.Light((0.87 * across, -0.5, 0.87 * forward), (0.9, 0.9, 0.9))
    return _renderer(person).with_lights((key, scene.Light((-across, 0.0, 0.3), (0.15, 0.15, 0.15))))


def render_face(
    person: int,
    units: Mapping[int, float],
    turn: tuple[float, float, float] = (0, 0, 0),
    light: int = -40,
    size: int = 160,
) -> tuple[np.ndarray, np.ndarray]:
    """Render a synthetic person who shows some action units, and detect the face.

    Args:
        person: which of the synthetic people, from 0.
        units: intensities from 0 to 5, by action unit.
        turn: pitch, yaw and roll of the head, degrees.
        light: direction of the lamp, degrees to the right of the camera.
        size: side of the crop, pixels.

    Returns:
        The crop (size, size, 3) uint8 and the detected landmarks (66, 2) in its pixels; without a face the whole
        picture at that size and NaN.
    """
    frame, _ = _lit(person, light).frame(Pose(_intensities(units), turn=turn))
    settings = ClipSettings(size=size)
    face = faces.detect(frame, settings)
    if face is None:
        return cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA), np.full((66, 2), np.nan, np.float32)
    return crop.crop_face(frame, face.landmarks, settings)


def _intensities(units: Mapping[int, float]) -> np.ndarray:
    intensities = neutral_units()
    for unit, value in units.items():
        intensities[:, UNIT_INDEX[unit]] = value
    return intensities


def landmarks_follow(person: int, unit: int) -> float:
    """How far the detected landmarks follow an action unit from rest to full strength: 1 as far as the true ones.

    The detected motion (66, 2) projected on the true motion, as a share of it: 0 for landmarks that stay, below 0 for
    landmarks that move the other way; NaN where no face is found.
    """
    renderer = _lit(person, -40)
    rest, full = (renderer.frame(Pose(_intensities(units))) for units in ({}, {unit: 5}))
    found = [faces.detect(frame, ClipSettings()) for frame, _ in (rest, full)]
    if found[0] is None or found[1] is None:
        return float("nan")
    true, detected = full[1][KEPT] - rest[1][KEPT], found[1].landmarks - found[0].landmarks
    return float(np.sum(true * detected) / np.sum(true**2))


EXPRESSIONS: Mapping[str, Mapping[int, int]] = {
    "neutral": {},
    **{
        emotion: {unit: round(level) for unit, level in PROTOTYPES[emotion][0].items()}
        for emotion in labels.CLASSES["ckplus"]
    },
}
"""Action units of the seven expressions of CK+, in whole steps."""


def explore_action_units() -> Explorer:
    """A synthetic face and its filter at 38 x 38, with a slider for each action unit, pose and light.

    A list sets the units of an expression; a button puts everything back.
    """

    def draw(person: int, dots: bool, pitch: int, yaw: int, roll: int, light: int, **levels: float) -> np.ndarray:
        units = {unit: levels[f"AU{unit}"] for unit in UNITS}
        picture, points = render_face(person - 1, units, (pitch, yaw, roll), light, SIDE)
        weights = weights_of(points, SIDE, 38)
        active = [unit for unit in UNITS if units[unit]]
        shown = " + ".join(f"AU{unit}" for unit in active) + (f" {UNITS[active[0]]}" if len(active) == 1 else "")
        covered = "no face found" if np.isnan(points).any() else f"filter 38 x 38, {np.mean(weights > 0):.0%} covered"
        panels = with_points(picture, points) if dots else picture, coloured(weights, 1.0)
        return side_by_side(panels, (f"Synthetic, {shown or 'neutral'}", covered))

    for person in range(_PEOPLE):
        _renderer(person)
    controls = {"person": slider("person", 1, 1, _PEOPLE), "dots": widgets.Checkbox(True, description="landmarks")}
    controls |= {f"AU{unit}": slider(f"AU{unit} {words}", 0, 0, 5) for unit, words in UNITS.items()}
    controls |= {
        "pitch": slider("pitch", 0, -20, 20),
        "yaw": slider("yaw", 0, -40, 40),
        "roll": slider("roll", 0, -20, 20),
        "light": slider("light", -40, -80, 80, 10),
    }
    start = {name: control.value for name, control in controls.items()}
    explorer = Explorer(draw, beside=True, **controls)
    expression, reset = choice("expression", EXPRESSIONS), widgets.Button(description="reset")

    def show(change: Any) -> None:
        explorer.set(**{f"AU{unit}": EXPRESSIONS[change["new"]].get(unit, 0) for unit in UNITS})

    def put_back(_button: Any) -> None:
        expression.value = "neutral"
        explorer.set(**start)

    expression.observe(show, names="value")
    reset.on_click(put_back)
    explorer.panel.children = (expression, reset, *explorer.panel.children)
    return explorer
