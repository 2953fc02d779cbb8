"""A trained network on one's own recordings: who is seen, and what expression is predicted when.

The path is that of a database: `faces` finds faces, `tracks` follows each person and cuts windows of ten frames, the
network of a finished run predicts. A motion is as fast as those that the network was trained on: windows are as long
as its training clips, whatever the recording's frame rate. Memory does not grow with the length of the recording, but
for a row of numbers per window.

A prediction is one of the expression that is displayed. It does not measure what a person feels.
"""

import contextlib
import itertools
import math
import operator
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
import pydantic.dataclasses
import torch
from pydantic import BeforeValidator, Field, model_validator
from tqdm import tqdm

from fer3d import files, labels
from fer3d.config import ClipSettings, Settings
from fer3d.data import tracks
from fer3d.data.databases.release import Release
from fer3d.data.face_search import choose_view, shows_face
from fer3d.data.file_kinds import IMAGE_SUFFIXES, VideoError
from fer3d.data.tracks import Gap, Step, Window
from fer3d.data.video import CONCEALED, TURNS, Flaw, TimedFrame, View, listening, read_frames, read_timed, upright
from fer3d.errors import InputError, printable
from fer3d.training.batches import to_device
from fer3d.training.inference import Predictor
from fer3d.training.run import SHIPPED, TrainedModel, load_model, read_config, read_metrics, run_folder

NOTE = "A label is a prediction of the expression that is displayed, not of what a person feels."
FRAME_RATE = 30.0
"""Frames a second of images, which carry no time, and of networks that do not say at what rate they were trained."""
MOST_SECONDS = 10.0
"""Longest window; frames are kept so long."""
_CAMERA = re.compile("[0-9]{1,3}")
_NEUTRAL = "neutral"
_GAP = ("person", "first_frame", "last_frame", "start", "end", "reason")
_WHOLE = ("person", "first_frame", "last_frame", "n_faces", "padded")
_BEFORE = (
    *("file", "person", "first_frame", "last_frame", "start", "end", "box_x", "box_y", "box_side"),
    *("score", "confidence", "n_faces", "padded", "label"),
)

Row = dict[str, Any]


@pydantic.dataclasses.dataclass(frozen=True)
class Options(Settings):
    """How a recording is read and cut. Raises `InputError` for an unusable value."""

    window: Annotated[float, Field(ge=0.01, le=MOST_SECONDS)] | None = None
    """Seconds that the ten frames of a window span; None: as in the training clips, at most `MOST_SECONDS`."""
    step: Annotated[float, Field(ge=0.01, le=3600)] | None = None
    """Seconds from the beginning of a window to that of the next; None: windows follow each other."""
    person: Annotated[str, BeforeValidator(str)] = "all"
    """``all``, ``largest`` (one at a time, the largest central face) or a person's number."""
    min_face: int | None = None
    """Smallest face in pixels; None: as in the network's training."""
    detector: str | None = None
    """``haar`` or ``hog``, what finds faces; None: as in the network's training."""
    rotation: Annotated[str, BeforeValidator(str)] = "auto"
    """Degrees clockwise that set the recording upright; ``auto`` tries where no face is found on the first frame."""
    frame_rate: Annotated[float, Field(ge=0.01, le=1000)] | None = None
    """Of folders of images, in frames a second; None: `FRAME_RATE`. Refused where no input is a folder."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if not re.fullmatch("all|largest|0*[1-9][0-9]{0,8}", self.person):
            raise InputError(f"person {self.person!r}: expected all, largest or a number from 1")
        if self.rotation not in ("auto", *(str(view.rotation) for view in TURNS)):
            raise InputError(f"rotation {self.rotation!r}: expected auto, 0, 90, 180 or 270")
        self.clips(ClipSettings())  # their bounds are those of min_face and detector
        return self

    def clips(self, trained: ClipSettings) -> ClipSettings:
        """How a network's training clips were cut, with what these options change."""
        changes = {"min_face": self.min_face, "detector": self.detector}
        return ClipSettings.from_params({name: v for name, v in changes.items() if v is not None}, trained)


@dataclass(frozen=True)
class Weights:
    """A trained network and what is known about it."""

    name: str
    trained_on: str
    tested: str
    """Accuracy on held-out clips, in words."""
    model: TrainedModel

    @classmethod
    def load(cls, weights: Path | str) -> "Weights":
        """The network of a finished run, given by its folder or by the name of weights that fer3d ships."""
        run = run_folder(weights)
        if not (run / "model.json").exists():
            known = f"the folder of a finished training or the name {' or '.join(SHIPPED)}"
            raise InputError(f"weights {weights}: expected {known}", f"--weights {SHIPPED[0]}")
        model, metrics = load_model(run), read_metrics(run)
        titles = {**labels.TITLES, "people": "rendered people"} | (
            files.read_json(run / "model.json").get("titles") or {}
        )
        data = read_config(run)["data"]
        learned = [titles.get(part["database"], part["database"]) for part in data["train"]]
        other = data["test"]["database"] if data["split"].get("kind") == "cross-database" else None
        clips = f"clips of {titles.get(other, other)}" if other else "held-out clips of these"
        tested = f"{metrics['accuracy']:.0%} of {metrics['n']} {clips} were predicted correctly"
        return cls(run.name or str(weights), ", ".join(learned), tested, model)

    @property
    def short(self) -> str:
        """Which weights, in a few words."""
        return f"{self.name}, trained on {self.trained_on}"

    @property
    def title(self) -> str:
        """The same with the accuracy, as a sentence."""
        return f"Weights: {self.short}; {self.tested}."

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.model.network.classes


@dataclass
class Recording:
    """One input: its frames, upright, and what was found out about it while it was read."""

    name: str
    kind: str
    """video, images (a folder), image (also the only one of a folder) or camera."""
    items: Iterator[TimedFrame | Flaw]
    rotation: int
    """Degrees clockwise by which the frames are turned."""
    min_face: int = 0
    """Smallest face that is used, in pixels."""
    others: set[int] = field(default_factory=set)
    """People with windows whom `Options.person` leaves out."""
    frames: int = 0
    seconds: float = 0.0
    """When the last frame ends, see `tracks.Sighting`."""
    source: Path = Path()
    """The file that `video.listening` decodes once more, of a video."""
    took: float = 0.0
    """Seconds that reading and predicting took."""


def predict(
    source: Path | str, weights: Path | str = "synthetic", *, progress: bool = True, **options: Any
) -> pd.DataFrame:
    """The predictions of a trained network for a recording: one row per window of ten frames, and one per gap.

    Args:
        source: a video, a folder of images (in the order of their numbers), an image, or the index of a camera.
        weights: the folder of a finished run, or the name of weights that fer3d ships.
        progress: whether to show a progress bar on a terminal.
        options: fields of `Options`, for example ``step=0.1``.

    Returns:
        A table in the order in which the windows end. Columns:

        - ``file``: the name of the recording; ``person``: counted from 1 in the order of appearance;
        - ``first_frame``, ``last_frame`` (from 0), ``start``, ``end`` (seconds from the first frame);
        - ``box_x``, ``box_y``, ``box_side``: centre and side of the square cut out, pixels of the upright frame;
        - ``score``: the detector's smallest in the window, above 0; ``confidence``: that of the landmarks, 0 to 1;
        - ``n_faces``: the largest number of faces in a frame; ``padded``: how many of ten frames repeat another;
        - ``label`` and ``p_<emotion>`` (0 to 1, with sum 1) in the order of the network's classes;
        - ``reason``: why frames have no prediction (then the columns of the prediction are empty);
        - ``weights``, ``note``: which weights, and what a label is.

    Raises:
        InputError: a recording that cannot be read, no finished run, or an unusable option.
    """
    chosen = Options(**options)
    check_frame_rate([str(source)], chosen)
    loaded = Weights.load(weights)
    recording = open_recording(str(source), loaded, chosen)
    rows = [row for _, ended in watch(recording, loaded, chosen, progress) for row in ended]
    return table(rows, loaded.classes)


def table(rows: list[Row], classes: tuple[str, ...]) -> pd.DataFrame:
    """Rows of `watch` as a table with every column."""
    columns = [*_BEFORE, *(f"p_{name}" for name in classes), "reason", "weights", "note"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_WHOLE, "Int64"))


def open_recording(source: str, weights: Weights, options: Options) -> Recording:
    """The frames of an input, set upright; the first is read at once.

    Raises:
        InputError: nothing that can be read.
    """
    path, settings = Path(source), options.clips(weights.model.clips)
    view = next((view for view in TURNS if options.rotation == str(view.rotation)), View(0))
    try:
        kind, images, items = _items(source, options)
        first = next(items)
        tries = options.rotation == "auto" and kind != "camera"
        if tries and isinstance(first, TimedFrame) and not shows_face(first.picture, settings):
            view = choose_view(itertools.islice(read_frames(path, images), 0, 81, 20), TURNS, settings)
    except VideoError as error:
        raise _unreadable(error, source) from error
    turned = (
        item._replace(picture=upright(item.picture, view)) if isinstance(item, TimedFrame) else item
        for item in itertools.chain([first], items)
    )
    return Recording(printable(path.name or source), kind, turned, view.rotation, settings.min_face, source=path)


def check(source: str, options: Options) -> None:
    """Read the first frame of an input and close it again; a camera is left to `open_recording`.

    Raises:
        InputError: nothing that can be read.
    """
    try:
        kind, _, items = _items(source, options)
        if kind != "camera":
            next(items)
    except VideoError as error:
        raise _unreadable(error, source) from error


def check_frame_rate(sources: Sequence[str], options: Options) -> None:
    """An `InputError` for a frame rate where none of the inputs takes one. One that is not there is left to `check`."""
    timed = all(_is_camera(source) or Path(source).is_file() for source in sources)
    if options.frame_rate is not None and timed:
        expected = "expected a folder of images among the inputs (a video has its own times)"
        raise InputError(f"frame rate {options.frame_rate:g}: {expected}", "the same without it")


def _is_camera(source: str) -> bool:
    return bool(_CAMERA.fullmatch(source)) and not Path(source).exists()


def _items(source: str, options: Options) -> tuple[str, tuple[Path, ...], Iterator[TimedFrame | Flaw]]:
    """The kind of an input (see `Recording`), its images, and its frames as they are read."""
    path = Path(source)
    if _is_camera(source):
        return "camera", (), _camera(int(source))
    images = _images(path)
    kind = "video" if not images else "image" if len(images) == 1 else "images"
    return kind, images, read_timed(path, images, frame_rate=options.frame_rate or FRAME_RATE)


def watch(
    recording: Recording, weights: Weights, options: Options, progress: bool = True
) -> Iterator[tuple[Step, list[Row]]]:
    """Every step of a recording (`tracks.follow`) with the rows that ended there, while it is being read.

    Raises:
        InputError: a file that breaks while it is read.
    """
    began = time.monotonic()
    predictor, settings = Predictor(weights.model), options.clips(weights.model.clips)
    most = 1 if options.person == "largest" else tracks.PEOPLE
    trained = settings.num_frames * (settings.frame_step or 1 / (weights.model.frame_rate or FRAME_RATE))
    seconds = options.window or min(trained, MOST_SECONDS)
    steps = tracks.follow(recording.items, settings, seconds, options.step, most)
    bar: dict[str, Any] = {"unit": "frame", "disable": None if progress else True, "leave": False}
    wanted = int(options.person) if options.person.isdecimal() else None
    same = {"weights": weights.short, "note": NOTE}
    try:
        for step in tqdm(_with_damage(steps, recording), recording.name, **bar):
            if step.frame is not None:
                recording.frames, recording.seconds = step.frame.number + 1, step.end
            done = [each for each in step.done if wanted in (None, each.person) or each.person is None]
            if wanted is not None:
                recording.others |= {each.person for each in step.done if isinstance(each, Window)} - {wanted}
            rows = _rows(done, predictor, weights.classes)
            recording.took = time.monotonic() - began
            yield step, [{"file": recording.name, **row, **same} for row in rows]
    except VideoError as error:
        raise _unreadable(error, recording.name) from error


def _with_damage(steps: Iterator[Step], recording: Recording) -> Iterator[Step]:
    """The steps; the last one has a gap more where the decoder conceals damage, and nothing else was found wrong."""
    flawed = False
    beside = listening(recording.source) if recording.kind == "video" else contextlib.nullcontext(lambda: False)
    with beside as damaged:
        for step in steps:
            flawed = flawed or any(math.isnan(each.start) for each in step.done if isinstance(each, Gap))
            if step.frame is None and not flawed and damaged():
                step.done.append(Gap(None, None, None, math.nan, math.nan, CONCEALED))
            yield step


def _rows(done: list[Window | Gap], predictor: Predictor, classes: tuple[str, ...]) -> list[Row]:
    """A row for each window and each gap, in their order; the windows are predicted together."""
    windows = [each for each in done if isinstance(each, Window)]
    probabilities = iter(_probabilities(predictor, windows) if windows else ())
    return [
        _window_row(each, classes, next(probabilities)) if isinstance(each, Window) else _gap_row(each) for each in done
    ]


def summarise(recording: Recording, rows: list[Row], weights: Weights) -> dict[str, Any]:
    """A recording in a few numbers, per person: the share of windows per expression, the longest runs, a verdict.

    The verdict is the class with the largest mean probability over the person's windows; where that is neutral, it is
    "no expression".
    """
    number = operator.itemgetter("person")
    seen = sorted((row for row in rows if "label" in row), key=number)
    people = {str(n): _summarise_person([*own], weights.classes) for n, own in itertools.groupby(seen, number)}
    return {
        "file": recording.name,
        "kind": recording.kind,
        "frames": recording.frames,
        "seconds": round(recording.seconds, 3),
        "took": round(recording.took, 2),
        "ratio": round(recording.seconds / recording.took, 2) if recording.kind == "video" and recording.took else None,
        "rotation": recording.rotation,
        "people": people,
        "nobody": "" if people else _nobody(recording),
        "gaps": [{key: row.get(key) for key in _GAP} for row in rows if "reason" in row],
        "weights": weights.title,
        "note": NOTE,
    }


def _nobody(recording: Recording) -> str:
    """Why a recording has no prediction."""
    if recording.others:
        seen = ", ".join(map(str, sorted(recording.others)))
        return f"the chosen person was not seen for as long as a window; numbers of those who were: {seen}"
    return f"no face of {recording.min_face} pixels or more was found for as long as a window"


def _summarise_person(rows: list[Row], classes: tuple[str, ...]) -> dict[str, Any]:
    pooled = {name: float(np.mean([row[f"p_{name}"] for row in rows])) for name in classes}
    best = max(pooled, key=pooled.__getitem__)
    shown = [row["label"] for row in rows]
    longest: dict[str, dict[str, float]] = {}
    for label, start, end in runs(rows):
        if label not in longest or end - start > longest[label]["end"] - longest[label]["start"]:
            longest[label] = {"start": start, "end": end}
    return {
        "windows": len(rows),
        "padded": sum(row["padded"] > 0 for row in rows),
        "start": rows[0]["start"],
        "end": rows[-1]["end"],
        "share": {name: round(shown.count(name) / len(shown), 4) for name in classes if name in shown},
        "longest": longest,
        "pooled": {name: round(p, 4) for name, p in pooled.items()},
        "verdict": "no expression" if best == _NEUTRAL else best,
    }


def runs(rows: list[Row]) -> Iterator[tuple[str, float, float]]:
    """Label, start and end of each run of a person's windows with one label and without a gap between them."""
    label, start, end = rows[0]["label"], rows[0]["start"], rows[0]["end"]
    for row in rows[1:]:
        if row["label"] != label or row["start"] - end > 0.5 * (row["end"] - row["start"]):
            yield label, start, end
            label, start = row["label"], row["start"]
        end = row["end"]
    yield label, start, end


def _images(path: Path) -> tuple[Path, ...]:
    """The images of a folder in the order of their numbers, or the image itself; empty for a video."""
    if not path.is_dir():
        return (path,) if path.suffix.lower() in IMAGE_SUFFIXES else ()
    folder = Release(path)
    found = tuple(file for file in folder.listing(path)[1] if file.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        refused = next(folder.take_skipped(), None)
        why = f" ({refused.what}: {refused.why})" if refused else ""
        remedy = "the folder that holds the frames as PNG, JPEG or BMP images, or a video"
        raise VideoError(f"a folder without images{why}", path.name, refused.remedy if refused else remedy)
    return found


def _camera(index: int) -> Iterator[TimedFrame]:
    """The frames of a camera until Ctrl-C, one at least, each with the time at which it came."""
    import cv2  # not above `fer3d.data`, which says what to do where it can't be loaded

    capture = cv2.VideoCapture(index)
    try:
        if not capture.isOpened():
            others = "0, the first camera, or a video file" if index else "a video file"
            raise VideoError("no such camera", f"camera {index}", others)
        began = time.monotonic()
        with _first_interrupt() as stopped:
            for number in itertools.count():
                there, frame = capture.read()
                if stopped.is_set() and not number:
                    raise KeyboardInterrupt  # nothing was seen that could be written
                if not there and not number:
                    remedy = "closing the program that uses it, or allowing this one to use it"
                    raise VideoError("the camera gives no picture", f"camera {index}", remedy)
                if stopped.is_set() or not there:
                    return
                yield TimedFrame(number, time.monotonic() - began, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    finally:
        capture.release()


@contextlib.contextmanager
def _first_interrupt() -> Iterator[threading.Event]:
    """What the first Ctrl-C sets instead of interrupting, so that what was seen until then is written."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only that one is interrupted
        yield stopped
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _unreadable(error: VideoError, source: str) -> InputError:
    expected = "expected a video that OpenCV reads, a folder of images or an image"
    if isinstance(error.__cause__, FileNotFoundError):
        return InputError(f"{source}: no such file or folder: {expected}", "the path of one, or 0 for the first camera")
    return InputError(f"{error}: {expected}", error.remedy)


def _probabilities(predictor: Predictor, windows: list[Window]) -> np.ndarray:
    """(B, K) for B windows."""
    frames = torch.from_numpy(np.stack([window.frames for window in windows]))
    landmarks = torch.from_numpy(np.stack([window.landmarks for window in windows]))
    return predictor(to_device(frames, predictor.device), to_device(landmarks, predictor.device))


def _window_row(window: Window, classes: tuple[str, ...], probabilities: np.ndarray) -> Row:
    return {
        "person": window.person,
        "first_frame": window.first.frame,
        "last_frame": window.last.frame,
        "start": round(window.first.seconds, 3),
        "end": round(window.end, 3),
        "box_x": round(window.box.x, 1),
        "box_y": round(window.box.y, 1),
        "box_side": round(window.box.side, 1),
        "score": round(window.score, 4),
        "confidence": round(window.confidence, 4),
        "n_faces": window.n_faces,
        "padded": window.padded,
        "label": classes[int(probabilities.argmax())],
        **{f"p_{name}": round(float(p), 4) for name, p in zip(classes, probabilities, strict=True)},
    }


def _gap_row(gap: Gap) -> Row:
    row = {name: getattr(gap, name) for name in _GAP}
    return row | {name: None if math.isnan(row[name]) else round(row[name], 3) for name in ("start", "end")}
