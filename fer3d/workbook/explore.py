"""The explorers: live pictures that follow sliders, for JupyterLab and Voila. The only room that imports ipywidgets.

An explorer is a few value widgets and an ``ipywidgets.Image`` whose bytes a callback
replaces. There is no ``Output`` and no ``interact``: both can block a notebook that is
executed without a browser. What a reader without a kernel sees is the first picture.
"""

import base64
import contextlib
import functools
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import ipywidgets as widgets
import matplotlib
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from fer3d.config import ClipSettings, Distance
from fer3d.data import crop, databases, faces, video
from fer3d.data.clips import pad_to_length
from fer3d.data.crop import Box
from fer3d.data.store import Store
from fer3d.evaluation import plots
from fer3d.model import filters
from fer3d.standins.people import person as people
from fer3d.standins.picture import render, scene, studio


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
    written, encoded = cv2.imencode(".png", drawn[..., ::-1])
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


def landmark_filter(frames: np.ndarray, points: np.ndarray, data: str) -> Explorer:
    """Notebook 02: the filter of one clip by Eq. 2's settings; frames (T, H, W, 3) uint8 and points (T, 66, 2) px.

    ``data`` is where the clip is from, as the title says it.
    """
    size = frames.shape[1]

    def draw(frame: int, grid: int, distance: Distance, window: int, slope: float) -> Figure:
        one = torch.from_numpy(np.ascontiguousarray(points[None, frame : frame + 1]))
        grid_of = filters.landmark_filter(one, size, grid, window, slope, distance)[0, 0, 0].numpy()
        name = f"{grid} x {grid}, {np.mean(grid_of > 0):.0%} covered"
        title = f"Landmark filter, {distance} distance ({data})"
        return plots.face_filters(frames[frame], points[frame], {name: grid_of}, title)

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


_PEOPLE = 6
"""On the board. Each takes a third of a second to make, so all are made before the first picture is drawn."""


@functools.lru_cache(maxsize=_PEOPLE)
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
    return crop.crop_face(frame, face.landmarks, settings)


def action_units() -> Explorer:
    """Notebook 02: a stand-in's face, its points and its filter at 38 x 38; sliders for each unit, pose and light."""

    def draw(person: int, pitch: int, yaw: int, roll: int, light: int, **levels: float) -> np.ndarray:
        picture, points = posed(person, {unit: levels[f"AU{unit}"] for unit in UNITS}, (pitch, yaw, roll), light, 400)
        grid = filters.landmark_filter(torch.from_numpy(points[None, None]), len(picture), 38)[0, 0, 0].numpy()
        raised = [unit for unit in UNITS if levels[f"AU{unit}"]]
        named = " + ".join(f"AU{unit}" for unit in raised) + (f" {UNITS[raised[0]]}" if len(raised) == 1 else "")
        found = "no face found" if np.isnan(points).any() else f"filter 38 x 38, {np.mean(grid > 0):.0%} covered"
        return _board(picture, points, grid, (f"Stand-in, {named or 'neutral'}", found))

    for person in range(_PEOPLE):
        _renderer(person)
    controls = {"person": slider("person", 0, 0, _PEOPLE - 1)}
    controls |= {
        "pitch": slider("pitch", 0, -20, 20),
        "yaw": slider("yaw", 0, -40, 40),
        "roll": slider("roll", 0, -20, 20),
    }
    controls |= {"light": slider("light", -40, -80, 80, 10)}
    return Explorer(draw, **controls, **{f"AU{unit}": slider(f"AU{unit}", 0, 0, 5) for unit in UNITS})


def _board(picture: np.ndarray, points: np.ndarray, grid: np.ndarray, titles: tuple[str, str]) -> np.ndarray:
    """A face with its points beside its filter."""
    weights = matplotlib.colormaps[plots.AMOUNT](grid, bytes=True)[..., :3]
    filtered = cv2.resize(weights, picture.shape[:2], interpolation=cv2.INTER_NEAREST)
    return _beside((_dotted(picture, points), filtered), titles)


def _dotted(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A copy with its points (66, 2); those that are missing are not drawn."""
    picture = picture.copy()
    for x, y in points[~np.isnan(points).any(axis=1)]:
        cv2.circle(picture, (round(16 * x), round(16 * y)), 40, _GREEN, -1, cv2.LINE_AA, 4)
    return picture


def _beside(
    panels: Sequence[np.ndarray], titles: Sequence[str], edge: tuple[int, int, int] = (255, 255, 255)
) -> np.ndarray:
    """Panels of one height under their titles, (H, W, 3) uint8: matplotlib alone would take a tenth of a second."""
    framed = []
    for panel, title in zip(panels, titles, strict=True):
        panel = cv2.copyMakeBorder(panel, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=edge)
        framed.append(cv2.copyMakeBorder(panel, 40, 5, 5, 5, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
        letters = panel.shape[1] // 8
        cv2.putText(framed[-1], title[:letters], (8, 27), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.hstack(framed)


_GREEN, _BLUE, _ORANGE, _RED = (0, 158, 115), (0, 114, 178), (230, 159, 0), (213, 94, 0)


def clips(stores: Mapping[str, Store], titles: Mapping[str, str], roots: Mapping[str, Path]) -> Explorer:
    """Notebook 01: any frame of any clip, as recorded with box, crop and points, and as stored; rejected frames marked.

    ``roots`` are the releases that the stores were made from. A recording that is no longer there shows its crop alone.
    """
    most = max(map(len, stores.values()))
    ten = next(iter(stores.values())).frames.shape[1]
    recordings = {name: _recordings(name, roots[name], store.settings) for name, store in stores.items()}

    def draw(database: str, clip: int, frame: int, landmarks: bool) -> np.ndarray:
        store, row = stores[database], clip % len(stores[database])
        about, (n_faces, score) = store.manifest.iloc[row], store.detections[row, frame]
        points, grow = store.landmarks[row, frame], _SIDE / store.frames.shape[2]
        cropped = cv2.resize(store.frames[row, frame], (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
        cropped = _dotted(cropped, (points + 0.5) * grow - 0.5) if landmarks else cropped
        rejected = bool(np.isnan(points).any())
        told = "no face: rejected" if rejected else f"faces {n_faces:.0f}, score {score:.2f}"
        title = f"{about['sequence']}, {about['label']}, frame {frame} of {ten}"
        panels, recording = [cropped], recordings[database].get(str(about["sequence"]))
        recorded = _recorded(store, row, frame, recording) if recording else None
        if recorded is not None:
            box, size = Box(*store.squares[row, frame]), store.settings.size
            points = crop.to_frame(points, box, size)
            panels.insert(0, _marked(recorded, box, points, landmarks))
        names = [title, f"{titles[database]}, clip {row} of {len(store)}: {told}"]
        return _beside(panels, names[: len(panels)], *([_RED] if rejected else []))

    return Explorer(
        draw,
        database=choice("database", [(titles[name], name) for name in stores]),
        clip=slider("clip", 0, 0, most - 1),
        frame=slider("frame", ten - 1, 0, ten - 1),
        landmarks=widgets.Checkbox(True, description="landmarks"),
    )


_SIDE = 400


def _recordings(database: str, root: Path, settings: ClipSettings) -> dict[str, databases.Sequence]:
    """A release's recordings by name."""
    scanned = databases.scan(database, root, settings)
    return {found.name: found for found in scanned if isinstance(found, databases.Sequence)}


def _recorded(store: Store, row: int, frame: int, recording: databases.Sequence) -> np.ndarray | None:
    """The upright frame that a stored picture was cut from.

    It is the one of which the same cut gives the same picture: the frame that the video's index
    names, or else the one that is reached by decoding all before it. None where neither does:
    the recording is another than the store was made from.
    """
    about, settings = store.manifest.iloc[row], store.settings
    ten = pad_to_length(list(range(settings.num_frames - int(about["padded"]))), settings)
    index, box = int(about["first_frame"]) + ten[frame], Box(*store.squares[row, frame])
    for start in dict.fromkeys((index, 0)):
        frames = video.read_frames(recording.source, recording.images, start)
        with contextlib.suppress(video.VideoError):
            for stored in itertools.islice(frames, index - start, index - start + 1):
                for view in recording.views:
                    whole = video.upright(stored, view)
                    if np.array_equal(crop.cut_out(whole, box, settings.size), store.frames[row, frame]):
                        return whole
    return None


def _marked(frame: np.ndarray, cropped: Box, points: np.ndarray, landmarks: bool) -> np.ndarray:
    """A recorded frame, `_SIDE` high, with its landmarks (66, 2), its face's box (orange) and the crop's (blue)."""
    scale = _SIDE / frame.shape[0]
    picture = cv2.resize(frame, (round(frame.shape[1] * scale), _SIDE), interpolation=cv2.INTER_AREA)
    if not np.isnan(points).any():
        picture = _dotted(picture, (points + 0.5) * scale - 0.5) if landmarks else picture
        corners = (scale * faces.predictor_box(points).corners).astype(np.int32)
        cv2.polylines(picture, [corners], True, _ORANGE, 1, cv2.LINE_AA)
    cv2.polylines(picture, [(scale * cropped.corners).astype(np.int32)], True, _BLUE, 2, cv2.LINE_AA)
    return picture


def activations(stages: Mapping[str, np.ndarray], data: str) -> Explorer:
    """Notebook 03: any channel of any stage at any frame of a clip of ``data``. ``stages``: name to (C, T, H, W)."""
    most = max(len(volume) for volume in stages.values())
    frames = next(iter(stages.values())).shape[1]

    def draw(stage: str, channel: int, frame: int) -> Figure:
        volume = stages[stage]
        shown = channel % len(volume)
        title = f"{stage}, channel {shown} of {len(volume)} ({data})"
        near = {f"frame {t}": volume[shown, t] for t in range(max(0, frame - 1), min(frames, frame + 2))}
        return plots.maps(near, title, "activation")

    return Explorer(
        draw,
        stage=choice("stage", stages),
        channel=slider("channel", 0, 0, most - 1),
        frame=slider("frame", frames - 1, 0, frames - 1),
    )


def confusions(predictions: pd.DataFrame, frames: Callable[[pd.Series], np.ndarray], data: str) -> Explorer:
    """Notebook 05: a cell of the confusion matrix and its clips.

    ``frames`` gives a row's frames (T, H, W, 3); ``data`` is the database's title, which says whether it is a stand-in.
    """
    cells = predictions[["label", "prediction"]].value_counts().reset_index()
    options = [(f"{true} as {said} ({n})", (true, said)) for true, said, n in cells.itertuples(index=False)]

    def draw(cell: tuple[str, str], clip: int) -> Figure:
        rows = predictions[(predictions.label == cell[0]) & (predictions.prediction == cell[1])]
        row = rows.iloc[clip % len(rows)]
        title = f"{cell[0]} recognised as {cell[1]}: clip {clip % len(rows) + 1} of {len(rows)}, {row['clip']} ({data})"
        return plots.film_strip(frames(row), title)

    return Explorer(draw, cell=choice("cell", options), clip=slider("clip", 0, 0, int(cells["count"].max()) - 1))
