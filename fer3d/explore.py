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

import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from fer3d import faces, filters, plots
from fer3d.config import ClipSettings
from fer3d.standins import people, render, scene, studio
from fer3d.store import Store


class Explorer(widgets.VBox):
    """Controls over a picture. ``draw`` gets each control's value under the control's name and returns a figure."""

    def __init__(self, draw: Callable[..., Figure], **controls: widgets.ValueWidget) -> None:
        self.draw, self.controls = draw, controls
        self.picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", object_fit="contain"))
        super().__init__([widgets.HBox(list(controls.values()), layout=_WRAP), self.picture])
        for control in controls.values():
            control.observe(self._redraw, names="value")
        self._redraw()

    def _redraw(self, _change: Any = None) -> None:
        values = {name: control.value for name, control in self.controls.items()}
        buffer = io.BytesIO()
        self.draw(**values).savefig(buffer, format="png", metadata={"Software": "fer3d"})
        self.picture.value = buffer.getvalue()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The live widget, and for readers without a kernel its first picture."""
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        names = ", ".join(self.controls)
        picture = base64.b64encode(self.picture.value).decode()
        return bundle | {"image/png": picture, "text/plain": f"Explorer ({names}): run this cell to use it"}


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
    9: "nose wrinkler",
    12: "lip corner puller",
    15: "lip corner depressor",
    20: "lip stretcher",
    26: "jaw drop",
}
"""Action units of the Facial Action Coding System on the board, by number."""


@functools.lru_cache(maxsize=4)
def _renderer(person: int) -> render.Renderer:
    who = people.person("board", person)
    return render.Renderer(who, scene.Scene(exposure=studio.exposure(who), noise=1.0))


def posed(person: int, units: Mapping[int, float], size: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """An invented person with action units at intensities 0 to 5, as the detector sees them.

    Returns the crop (size, size, 3) uint8 and the 66 points found in it, NaN where no face is found.
    """
    intensity = people.neutral()
    for unit, value in units.items():
        intensity[:, people.UNITS.index(unit)] = value
    frame, _ = _renderer(person).frame(people.Pose(intensity))
    settings = ClipSettings(size=size)
    face = faces.detect(frame, settings)
    if face is None:
        return frame, np.full((66, 2), np.nan, np.float32)
    return faces.crop(frame, face, settings)


def action_units() -> Explorer:
    """Notebook 02: a stand-in's face, its points and its filter at 38 x 38, with a slider for each action unit."""

    def draw(person: int, **levels: float) -> Figure:
        picture, points = posed(person, {unit: levels[f"AU{unit}"] for unit in UNITS})
        grid = filters.landmark_filter(torch.from_numpy(points[None, None]), len(picture), 38)[0, 0, 0].numpy()
        raised = ", ".join(f"AU{unit} {UNITS[unit]}" for unit in UNITS if levels[f"AU{unit}"]) or "neutral"
        return plots.face_filters(picture, points, {"38 x 38, window 7": grid}, f"Stand-in: {raised}")

    sliders = {f"AU{unit}": slider(f"AU{unit}", 0, 0, 5) for unit in UNITS}
    return Explorer(draw, person=slider("person", 0, 0, 9), **sliders)


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
