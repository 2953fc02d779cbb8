"""The explorers: live pictures that follow sliders, for JupyterLab and Voila. The only room that imports ipywidgets.

An explorer is a few value widgets and an ``ipywidgets.Image`` whose bytes a callback
replaces. There is no ``Output`` and no ``interact``: both can block a notebook that is
executed without a browser. What a reader without a kernel sees is the first picture.
"""

import base64
import functools
import io
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import ipywidgets as widgets
import matplotlib
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from fer3d import faces, filters, plots
from fer3d.config import ClipSettings
from fer3d.standins import people, render, scene, studio
from fer3d.store import Store


class Explorer(widgets.VBox):
    """Controls over a picture. ``draw`` gets each control's value under the control's name.

    It returns a figure, or the picture itself (H, W, 3) uint8 RGB where it has to be quick.
    """

    def __init__(self, draw: Callable[..., Figure | np.ndarray], **controls: widgets.ValueWidget) -> None:
        self.draw, self.controls = draw, controls
        self.picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", object_fit="contain"))
        super().__init__([widgets.HBox(list(controls.values()), layout=_WRAP), self.picture])
        for control in controls.values():
            control.observe(self._redraw, names="value")
        self._redraw()

    def _redraw(self, _change: Any = None) -> None:
        values = {name: control.value for name, control in self.controls.items()}
        self.picture.value = _png(self.draw(**values))

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The live widget, and for readers without a kernel its first picture."""
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        names = ", ".join(self.controls)
        picture = base64.b64encode(self.picture.value).decode()
        return bundle | {"image/png": picture, "text/plain": f"Explorer ({names}): run this cell to use it"}


def _png(drawn: Figure | np.ndarray) -> bytes:
    if isinstance(drawn, Figure):
        buffer = io.BytesIO()
        drawn.savefig(buffer, format="png", metadata={"Software": "fer3d"})
        return buffer.getvalue()
    written, encoded = cv2.imencode(".png", drawn[..., ::-1], (cv2.IMWRITE_PNG_COMPRESSION, 1))
    assert written
    return encoded.tobytes()


_WRAP = widgets.Layout(flex_flow="row wrap")


def slider(name: str, value: float, low: float, high: float, step: float = 1) -> widgets.ValueWidget:
    """A slider over whole numbers, or over floats where a bound or the step is one. It acts when it is let go."""
    kind = widgets.IntSlider if all(isinstance(v, int) for v in (value, low, high, step)) else widgets.FloatSlider
    return kind(value, min=low, max=high, step=step, description=name, continuous_update=False)


def choice(name: str, options: Any) -> widgets.ValueWidget:
    """A drop-down list of the options, the first of them chosen."""
    return widgets.Dropdown(options=list(options), description=name)


def landmark_filter(frames: np.ndarray, points: np.ndarray) -> Explorer:
    """Notebook 02: the filter of one clip, frames (T, H, W, 3) uint8 and points (T, 66, 2) px, by Eq. 2's settings."""
    size = frames.shape[1]

    def draw(frame: int, grid: int, distance: filters.Distance, window: int, slope: float) -> Figure:
        one = torch.from_numpy(np.ascontiguousarray(points[None, frame : frame + 1]))
        grid_of = filters.landmark_filter(one, size, grid, window, slope, distance)[0, 0, 0].numpy()
        name = f"{grid} x {grid}, {np.mean(grid_of > 0):.0%} covered"
        return plots.face_filters(
            frames[frame], points[frame], {name: grid_of}, f"Landmark filter, {distance} distance"
        )

    return Explorer(
        draw,
        frame=slider("frame", 0, 0, len(frames) - 1),
        grid=choice("grid", (38, 18, 16, 7)),
        distance=choice("distance", ("manhattan", "euclidean", "chebyshev")),
        window=slider("window", 7, 1, 15, 2),
        slope=slider("slope", 0.1, 0.0, 0.3, 0.02),
    )


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
"""Action units of the Facial Action Coding System that the invented people have, by number."""


@functools.lru_cache(maxsize=10)
def _renderer(person: int) -> render.Renderer:
    who = people.person("board", person)
    return render.Renderer(who, scene.Scene(300, 330, 1.1, (0.5, 0.45), exposure=studio.exposure(who), noise=1.0))


@functools.lru_cache(maxsize=64)
def _lit(person: int, light: int) -> render.Renderer:
    """A person with a lamp that stands so many degrees to the right of the camera, and a weak one opposite."""
    across, forward = np.sin(np.radians(light)), np.cos(np.radians(light))
    key = scene.Light((0.87 * across, -0.5, 0.87 * forward), (0.9, 0.9, 0.9))
    return _renderer(person).relit((key, scene.Light((-across, 0.0, 0.3), (0.15, 0.15, 0.15))))


def posed(
    person: int,
    units: Mapping[int, float],
    turn: tuple[float, float, float] = (0, 0, 0),
    light: int = -40,
    size: int = 160,
) -> tuple[np.ndarray, np.ndarray]:
    """An invented person with action units at intensities 0 to 5, as the detector sees them.

    ``turn`` is pitch, yaw and roll in degrees, ``light`` where the lamp stands, degrees to the right of the camera.
    Returns the crop (size, size, 3) uint8 and the 66 points found in it, NaN where no face is found.
    """
    intensity = people.neutral()
    for unit, value in units.items():
        intensity[:, people.UNITS.index(unit)] = value
    frame, _ = _lit(person, light).frame(people.Pose(intensity, turn=turn))
    settings = ClipSettings(size=size)
    face = faces.detect(frame, settings)
    if face is None:
        return cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA), np.full((66, 2), np.nan, np.float32)
    return faces.crop(frame, face, settings)


def action_units() -> Explorer:
    """Notebook 02: a stand-in's face, its points and its filter at 38 x 38; sliders for each unit, pose and light."""

    def draw(person: int, pitch: int, yaw: int, roll: int, light: int, **levels: float) -> np.ndarray:
        picture, points = posed(person, {unit: levels[f"AU{unit}"] for unit in UNITS}, (pitch, yaw, roll), light, 400)
        grid = filters.landmark_filter(torch.from_numpy(points[None, None]), len(picture), 38)[0, 0, 0].numpy()
        raised = [unit for unit in UNITS if levels[f"AU{unit}"]]
        named = " + ".join(f"AU{unit}" for unit in raised) + (f" {UNITS[raised[0]]}" if len(raised) == 1 else "")
        found = "no face found" if np.isnan(points).any() else f"filter 38 x 38, {np.mean(grid > 0):.0%} covered"
        return _board(picture, points, grid, (f"Stand-in, {named or 'neutral'}", found))

    controls = {"person": slider("person", 0, 0, 9)}
    controls |= {
        "pitch": slider("pitch", 0, -20, 20),
        "yaw": slider("yaw", 0, -40, 40),
        "roll": slider("roll", 0, -20, 20),
    }
    controls |= {"light": slider("light", -40, -80, 80, 10)}
    return Explorer(draw, **controls, **{f"AU{unit}": slider(f"AU{unit}", 0, 0, 5) for unit in UNITS})


def _board(picture: np.ndarray, points: np.ndarray, grid: np.ndarray, titles: tuple[str, str]) -> np.ndarray:
    """A face with its points beside its filter, (H, W, 3) uint8: matplotlib would take most of a tenth of a second."""
    face, side = picture.copy(), len(picture)
    for x, y in points[~np.isnan(points).any(axis=1)]:
        cv2.circle(face, (round(16 * x), round(16 * y)), 40, (0, 158, 115), -1, cv2.LINE_AA, 4)
    weights = matplotlib.colormaps[plots.AMOUNT](grid, bytes=True)[..., :3]
    panels = (face, cv2.resize(weights, (side, side), interpolation=cv2.INTER_NEAREST))
    framed = [cv2.copyMakeBorder(panel, 44, 8, 8, 8, cv2.BORDER_CONSTANT, value=(255, 255, 255)) for panel in panels]
    for panel, title in zip(framed, titles, strict=True):
        cv2.putText(panel, title[:54], (8, 29), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.hstack(framed)


def clips(stores: Mapping[str, Store], titles: Mapping[str, str]) -> Explorer:
    """Notebook 01: any frame of any clip of the prepared stores, its neighbours, and their 66 points."""
    most = max(map(len, stores.values()))
    frames = next(iter(stores.values())).frames.shape[1]

    def draw(database: str, clip: int, frame: int, points: bool) -> Figure:
        store = stores[database]
        row = clip % len(store)
        about = store.manifest.iloc[row]
        title = f"{titles[database]}, clip {row} of {len(store)}: {about['sequence']}, {about['label']}"
        near = [t for t in (frame - 1, frame, frame + 1) if 0 <= t < frames]
        marks = store.landmarks[row, near] if points else None
        return plots.film_strip(store.frames[row, near], title, marks, [f"frame {t}" for t in near], columns=3)

    return Explorer(
        draw,
        database=choice("database", [(titles[name], name) for name in stores]),
        clip=slider("clip", 0, 0, most - 1),
        frame=slider("frame", frames - 1, 0, frames - 1),
        points=widgets.Checkbox(True, description="landmarks"),
    )


def activations(stages: Mapping[str, np.ndarray]) -> Explorer:
    """Notebook 03: any channel of any stage at any frame. ``stages``: name to (C, T, H, W)."""
    most = max(len(volume) for volume in stages.values())
    frames = next(iter(stages.values())).shape[1]

    def draw(stage: str, channel: int, frame: int) -> Figure:
        volume = stages[stage]
        shown = channel % len(volume)
        title = f"{stage}, channel {shown} of {len(volume)}, frame {frame} and its neighbours"
        near = {f"frame {t}": volume[shown, t] for t in range(max(0, frame - 1), min(frames, frame + 2))}
        return plots.maps(near, title, "activation")

    return Explorer(
        draw,
        stage=choice("stage", stages),
        channel=slider("channel", 0, 0, most - 1),
        frame=slider("frame", frames - 1, 0, frames - 1),
    )


def confusions(predictions: pd.DataFrame, frames: Callable[[pd.Series], np.ndarray]) -> Explorer:
    """Notebook 05: a cell of the confusion matrix and its clips. ``frames`` gives a row's frames (T, H, W, 3)."""
    cells = predictions[["label", "prediction"]].value_counts().reset_index()
    options = [(f"{true} as {said} ({n})", (true, said)) for true, said, n in cells.itertuples(index=False)]

    def draw(cell: tuple[str, str], clip: int) -> Figure:
        rows = predictions[(predictions.label == cell[0]) & (predictions.prediction == cell[1])]
        row = rows.iloc[clip % len(rows)]
        title = f"{cell[0]} recognised as {cell[1]}: clip {clip % len(rows) + 1} of {len(rows)}, {row['clip']}"
        return plots.film_strip(frames(row), title)

    return Explorer(draw, cell=choice("cell", options), clip=slider("clip", 0, 0, int(cells["count"].max()) - 1))
