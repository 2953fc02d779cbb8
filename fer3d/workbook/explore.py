"""Explorers: pictures that follow sliders, for JupyterLab and Voila.

Only this module, `explore_confusions`, `controls` and `upload` import ipywidgets.

An explorer is a few value widgets and an ``ipywidgets.HTML`` whose picture a callback
replaces. There is no ``Output`` and no ``interact``: both can block a notebook that is
executed without a browser. A reader without a kernel sees the first picture.
"""

import base64
import contextlib
import functools
import html
import io
import itertools
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import ipywidgets as widgets
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fer3d import labels
from fer3d.config import ClipSettings, Distance, Overlap
from fer3d.data import crop, databases, faces, video
from fer3d.data.crop import Box
from fer3d.data.face_fit import predictor_box
from fer3d.data.file_kinds import VideoError
from fer3d.data.landmarks import KEPT
from fer3d.data.store import Store
from fer3d.evaluation import canvas
from fer3d.standins.people.expression import PROTOTYPES
from fer3d.standins.people.person import ACTION_UNITS, Pose, make_person, neutral_units
from fer3d.standins.picture import render, scene
from fer3d.workbook.controls import Choice, Slider


class Explorer(widgets.VBox):
    """A picture under its controls.

    Args:
        draw: called with each control's value under the control's name. Returns a figure, or the picture itself,
            (H, W, 3) uint8 RGB, where a figure would be too slow.
        beside: whether the controls stand beside the picture, in a column that scrolls: for many of them.
        controls: the widgets.
    """

    def __init__(
        self, draw: Callable[..., Figure | np.ndarray], *, beside: bool = False, **controls: widgets.ValueWidget
    ) -> None:
        self.draw, self.controls, self.png, self._held = draw, controls, b"", False
        self.picture = widgets.HTML(layout=_SHRINKS)  # an ipywidgets.Image has no alternative text
        if beside:
            self.panel = widgets.VBox(list(controls.values()), layout=_COLUMN)
            super().__init__([widgets.HBox([self.panel, self.picture])])
        else:
            self.panel = widgets.HBox(list(controls.values()), layout=_WRAP)
            super().__init__([self.panel, self.picture])
        for control in controls.values():
            control.observe(self._redraw, names="value")
        self._redraw()

    def set(self, **values: Any) -> None:
        """Give several controls their values and draw once."""
        with self.held():
            for name, value in values.items():
                self.controls[name].value = value
        self._redraw()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Controls may change inside without a new picture."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _redraw(self, _change: Any = None) -> None:
        if self._held:
            return
        values = {name: control.value for name, control in self.controls.items()}
        self.png = _png(self.draw(**values))
        encoded, alt = base64.b64encode(self.png).decode(), html.escape(self.alt, quote=True)
        self.picture.value = f'<img alt="{alt}" style="max-width: 100%" src="data:image/png;base64,{encoded}">'

    @property
    def alt(self) -> str:
        """The picture's alternative text: what its controls say; not those that stand at 0."""
        said = {name: _said(control) for name, control in self.controls.items()}
        return ", ".join(f"{name} {value}" for name, value in said.items() if value != "0" or len(said) < 10)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and for readers without a kernel its picture."""
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        words = f"Explorer ({', '.join(self.controls)}): run this cell to use it"
        picture = {"image/png": base64.b64encode(self.png).decode(), "text/plain": words}
        return bundle | picture, {"image/png": {"alt": f"{words}. {self.alt}"}}


def _said(control: widgets.ValueWidget) -> str:
    """A control's value, the words for it in a list of choices, or the name of an uploaded file."""
    if isinstance(control, widgets.FileUpload):
        return ", ".join(file["name"] for file in control.value) or "nothing yet"
    return str(control.label if isinstance(control, widgets.Dropdown) else control.value)


def _png(picture: Figure | np.ndarray) -> bytes:
    if isinstance(picture, Figure):
        buffer = io.BytesIO()
        picture.savefig(buffer, format="png", metadata={"Software": "fer3d"})
        return buffer.getvalue()
    _, encoded = cv2.imencode(".png", picture[..., ::-1])
    return encoded.tobytes()


_WRAP = widgets.Layout(flex_flow="row wrap")
_COLUMN = widgets.Layout(width="320px", flex="0 0 auto", height="440px", overflow="auto", display="block")
_SHRINKS = widgets.Layout(flex="1 1 auto", min_width="0")


def slider(name: str, value: float, low: float, high: float, step: float = 1) -> widgets.ValueWidget:
    """A slider. It acts on release of the mouse, and at each arrow key."""
    return Slider(value=value, min=low, max=high, step=step, description=name)


def choice(name: str, options: Any, selected: Any = None) -> widgets.ValueWidget:
    """A drop-down list of options; the first one is selected unless another is named."""
    first = {} if selected is None else {"value": selected}
    return Choice(options=list(options), description=name, **first)


def landmark_filter(frames: np.ndarray, points: np.ndarray, data: str) -> Explorer:
    """Notebook 02: the landmark filter of one clip under other settings of Eq. 2, alone and over the face.

    Args:
        frames: (T, H, W, 3) uint8.
        points: (T, 66, 2) pixels.
        data: the clip's database, for the title.
    """
    size = frames.shape[1]

    def draw(frame: int, grid: int, distance: Distance, overlap: Overlap, window: int, slope: float) -> np.ndarray:
        t = frame - 1
        weights = _weights(points[t], size, grid, window, slope, distance, overlap)
        face = _enlarged(frames[t])
        kept = _enlarged(weights[..., None].clip(0, 1), cv2.INTER_NEAREST)
        panels = (
            with_points(face, (points[t] + 0.5) * (_SIDE / size) - 0.5, 2),
            _coloured(weights, 1.0),
            (face * (0.25 + 0.75 * kept[..., None])).astype(np.uint8),
        )
        covered = f"{grid} x {grid}: {np.mean(weights > 0):.0%} above 0, mean {weights.mean():.2f}"
        return _side_by_side(
            panels, (f"{data}, frame {frame} of {len(frames)}", covered, "bright: kept by the shortcut")
        )

    return Explorer(
        draw,
        frame=slider("frame", len(frames), 1, len(frames)),
        grid=choice("grid", (38, 18, 16, 7)),
        distance=choice("distance", typing.get_args(Distance)),
        overlap=choice("overlap", typing.get_args(Overlap)),
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
        intensities[:, ACTION_UNITS.index(unit)] = value
    return intensities


def landmarks_follow(person: int, unit: int) -> float:
    """How far the detected landmarks follow an action unit from rest to full strength: 1 as far as the true ones.

    The detected motion (66, 2) projected on the true motion, as a share of it: 0 for landmarks that stay, below 0 for
    landmarks that move the other way.
    """
    renderer, motions = _lit(person, -40), []
    rest, full = (renderer.frame(Pose(_intensities(units))) for units in ({}, {unit: 5}))
    motions.append(full[1][KEPT] - rest[1][KEPT])
    found = [faces.detect(frame, ClipSettings()) for frame, _ in (rest, full)]
    if found[0] is None or found[1] is None:
        return float("nan")
    motions.append(found[1].landmarks - found[0].landmarks)
    return float(np.sum(motions[0] * motions[1]) / np.sum(motions[0] ** 2))


EXPRESSIONS: Mapping[str, Mapping[int, int]] = {
    "neutral": {},
    **{
        emotion: {unit: round(level) for unit, level in PROTOTYPES[emotion][0].items()}
        for emotion in labels.CLASSES["ckplus"]
    },
}
"""Action units of the seven expressions of CK+, in whole steps."""


def action_units() -> Explorer:
    """Notebook 02: a synthetic face and its filter at 38 x 38, with a slider for each action unit, pose and light.

    A list sets the units of an expression; a button puts everything back.
    """

    def draw(person: int, dots: bool, pitch: int, yaw: int, roll: int, light: int, **levels: float) -> np.ndarray:
        units = {unit: levels[f"AU{unit}"] for unit in UNITS}
        picture, points = render_face(person - 1, units, (pitch, yaw, roll), light, _SIDE)
        weights = _weights(points, _SIDE, 38)
        active = [unit for unit in UNITS if units[unit]]
        shown = " + ".join(f"AU{unit}" for unit in active) + (f" {UNITS[active[0]]}" if len(active) == 1 else "")
        covered = "no face found" if np.isnan(points).any() else f"filter 38 x 38, {np.mean(weights > 0):.0%} covered"
        panels = with_points(picture, points) if dots else picture, _coloured(weights, 1.0)
        return _side_by_side(panels, (f"Synthetic, {shown or 'neutral'}", covered))

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


POINTS, CROP, BOX, NO_FACE = (236, 225, 51), (0, 114, 178), (230, 159, 0), (213, 94, 0)
"""Colours (RGB) of the landmarks, as in the figures, of the square that is cropped, of the detected box and of a frame
without a face."""

_SIDE = 400
"""Height of a panel in pixels."""


def _weights(points: np.ndarray, *settings: Any) -> np.ndarray:
    """The landmark filter (G, G) of one frame's landmarks (66, 2), with settings as `filters` takes them."""
    import torch  # takes two seconds, and notebook 01 does without it

    from fer3d.model.filters import landmark_filter

    return landmark_filter(torch.from_numpy(np.array(points[None, None])), *settings)[0, 0, 0].numpy()


def with_points(picture: np.ndarray, points: np.ndarray, radius: float = 2.5) -> np.ndarray:
    """A copy of the picture with the points (66, 2) as dots with a dark edge; missing ones (NaN) are not drawn."""
    picture = picture.copy()
    for x, y in points[~np.isnan(points).any(axis=1)]:
        for colour, size in (((0, 0, 0), radius + 0.5), (POINTS, radius)):
            cv2.circle(picture, (round(16 * x), round(16 * y)), round(16 * size), colour, -1, cv2.LINE_AA, 4)
    return picture


def _side_by_side(
    panels: Sequence[np.ndarray], titles: Sequence[str], edge: tuple[int, int, int] = (255, 255, 255)
) -> np.ndarray:
    """Panels of one height under their titles, (H, W, 3) uint8; matplotlib would take a tenth of a second."""
    framed = []
    for panel, title in zip(panels, titles, strict=True):
        panel = cv2.copyMakeBorder(panel, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=edge)
        framed.append(cv2.copyMakeBorder(panel, 40, 5, 5, 5, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
        letters = panel.shape[1] // 8
        cv2.putText(framed[-1], title[:letters], (8, 27), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.hstack(framed)


def clips(stores: Mapping[str, Store], titles: Mapping[str, str], roots: Mapping[str, Path]) -> Explorer:
    """Notebook 01: any frame of any clip, as recorded with box, crop and landmarks, and as stored.

    A frame without a face has a frame of its own colour. Where the recording is no longer there, its crop is shown
    alone.

    Args:
        stores: the prepared stores, by database.
        titles: the databases' printed names.
        roots: the releases that the stores were made from.

    Raises:
        InputError: a whole release is no longer there.
    """
    num_frames = next(iter(stores.values())).frames.shape[1]
    recordings = {
        name: {
            found.name: found
            for found in databases.scan(name, roots[name], store.settings)
            if isinstance(found, databases.Sequence)
        }
        for name, store in stores.items()
    }

    def draw(database: str, clip: int, frame: int, landmarks: bool) -> np.ndarray:
        store, row, frame = stores[database], min(clip, len(stores[database])) - 1, frame - 1
        clip_info, (n_faces, score, confidence) = store.manifest.iloc[row], store.detections[row, frame]
        points, scale = store.landmarks[row, frame], _SIDE / store.frames.shape[2]
        cropped = cv2.resize(store.frames[row, frame], (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
        cropped = with_points(cropped, (points + 0.5) * scale - 0.5) if landmarks else cropped
        rejected = bool(np.isnan(points).any())
        detection = (
            "no face: rejected" if rejected else f"faces {n_faces:.0f}, score {score:.2f}, confidence {confidence:.2f}"
        )
        title = f"{clip_info['sequence']}, {clip_info['label']}, frame {frame + 1} of {num_frames}"
        panels, recording = [cropped], recordings[database].get(str(clip_info["sequence"]))
        recorded = source_frame(store, row, frame, recording) if recording else None
        if recorded is not None:
            box = Box(*store.squares[row, frame])
            points = crop.to_frame(points, box, store.settings.size)
            panels.insert(0, _annotated(recorded, box, points, landmarks))
        names = [title, f"{titles[database]}, clip {row + 1} of {len(store)}"]
        picture = _side_by_side(panels, names[: len(panels)], *([NO_FACE] if rejected else []))
        return np.vstack([picture, _legend(picture.shape[1], detection)])

    database = choice("database", [(titles[name], name) for name in stores])
    clip = slider("clip", 1, 1, len(stores[database.value]))
    database.observe(lambda change: setattr(clip, "max", len(stores[change["new"]])), names="value")
    return Explorer(
        draw,
        database=database,
        clip=clip,
        frame=slider("frame", num_frames, 1, num_frames),
        landmarks=widgets.Checkbox(True, description="landmarks"),
    )


def _legend(width: int, detection: str) -> np.ndarray:
    """What was detected, and below it what the colours of the clip browser mean, (48, width, 3) uint8."""
    lines, x = np.full((48, width, 3), 255, np.uint8), 8
    cv2.putText(lines, detection, (x, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    for colour, name in {POINTS: "landmarks", CROP: "crop", BOX: "detected box", NO_FACE: "no face"}.items():
        cv2.rectangle(lines, (x, 30), (x + 16, 40), colour, -1)
        cv2.putText(lines, name, (x + 22, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        x += 40 + 8 * len(name)
    return lines


def source_frame(store: Store, row: int, frame: int, recording: databases.Sequence) -> np.ndarray | None:
    """The recorded frame, upright, that a stored picture was cut from.

    It is found by cutting it again: the same cut must give the same picture. The frame at the video's index is tried
    first, then the one reached by decoding all frames before it, since an index can be wrong.

    None where neither frame gives the picture: the recording is not the one that the store was made from.
    """
    settings = store.settings
    index, box = int(store.numbers[row, frame]), Box(*store.squares[row, frame])
    for start in dict.fromkeys((index, 0)):
        frames = video.read_frames(recording.source, recording.images, start)
        with contextlib.suppress(VideoError):
            for recorded in itertools.islice(frames, index - start, index - start + 1):
                for view in recording.views:
                    upright = video.upright(recorded, view)
                    if np.array_equal(crop.cut_out(upright, box, settings.size), store.frames[row, frame]):
                        return upright
    return None


def _annotated(frame: np.ndarray, cropped: Box, points: np.ndarray, landmarks: bool) -> np.ndarray:
    """A recorded frame, `_SIDE` high, with its face's box, its landmarks (66, 2) and the box that is cropped."""
    scale = _SIDE / frame.shape[0]
    picture = cv2.resize(frame, (round(frame.shape[1] * scale), _SIDE), interpolation=cv2.INTER_AREA)
    if not np.isnan(points).any():
        picture = with_points(picture, (points + 0.5) * scale - 0.5) if landmarks else picture
        corners = (scale * predictor_box(points).corners).astype(np.int32)
        cv2.polylines(picture, [corners], True, BOX, 1, cv2.LINE_AA)
    cv2.polylines(picture, [(scale * cropped.corners).astype(np.int32)], True, CROP, 2, cv2.LINE_AA)
    return picture


def network(
    frames: np.ndarray,
    points: np.ndarray,
    stages: Mapping[str, np.ndarray],
    shortcuts: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    data: str,
) -> Explorer:
    """Notebook 03: any channel of any stage at any frame of a clip, and what the landmark product removes there.

    The colours of a stage mean the same values in all its channels and frames.

    Args:
        frames: (T, H, W, 3) uint8.
        points: (T, 66, 2) pixels.
        stages: what each stage gives (C, T, G, G).
        shortcuts: what the shortcut of each stage with a landmark filter gets (C, T, G, G).
        weights: the landmark filters (T, G, G) of these stages.
        data: the clip's database, for the title.
    """
    size = frames.shape[1]
    highest = {stage: float(np.quantile(volume, 0.999)) for stage, volume in stages.items()}
    channels = {stage: np.argsort(-volume.std((1, 2, 3))) for stage, volume in stages.items()}

    def draw(stage: str, channel: int, frame: int, contours: bool) -> np.ndarray:
        t, shown = frame - 1, int(channels[stage][channel - 1])
        face = with_points(_enlarged(frames[t]), (points[t] + 0.5) * (_SIDE / size) - 0.5, 2)
        panels = [face, _coloured(stages[stage][shown, t], highest[stage])]
        titles = [
            f"{data}, frame {frame} of {len(frames)}",
            f"{stage}, channel {shown} of {len(stages[stage])}: 0 to {highest[stage]:.1f}",
        ]
        if stage in weights:
            w, x = weights[stage][t], shortcuts[stage][shown, t]
            panels.append(_coloured(x - w * x, highest[stage]))
            titles.append(f"removed: {1 - np.sum(w * x) / max(np.sum(x), 1e-9):.0%} of this channel's shortcut")
        else:
            panels.append(np.full_like(face, 235))
            titles.append("no landmark filter here: nothing is removed")
        if contours and stage in weights:
            panels[1:] = [_with_contours(panel, weights[stage][t]) for panel in panels[1:]]
        return _side_by_side(panels, titles)

    chosen = choice("stage", stages, next(iter(weights), None))
    ranks = slider("channel", 1, 1, len(stages[chosen.value]))
    chosen.observe(lambda change: setattr(ranks, "max", len(stages[change["new"]])), names="value")
    return Explorer(
        draw,
        stage=chosen,
        channel=ranks,
        frame=slider("frame", len(frames), 1, len(frames)),
        contours=widgets.Checkbox(True, description="filter over it"),
    )


def _enlarged(picture: np.ndarray, how: int = cv2.INTER_CUBIC) -> np.ndarray:
    return cv2.resize(picture, (_SIDE, _SIDE), interpolation=how)


def _coloured(values: np.ndarray, highest: float) -> np.ndarray:
    """A map (G, G) of values from 0 to ``highest`` as a panel with large cells."""
    colours = _COLOURS[(255 * np.clip(values / max(highest, 1e-9), 0, 1)).astype(np.uint8)]
    return _enlarged(colours, cv2.INTER_NEAREST)


_COLOURS = matplotlib.colormaps[canvas.SEQUENTIAL](np.arange(256), bytes=True)[:, :3]


def _with_contours(panel: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A copy of a panel with the edge of the cells that the filter (G, G) reaches."""
    inside = _enlarged((weights > 0).astype(np.uint8), cv2.INTER_NEAREST)
    edges, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(panel.copy(), edges, -1, (255, 255, 255), 2)
