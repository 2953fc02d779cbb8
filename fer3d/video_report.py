"""What a prediction for a recording leaves on disk: table, summary, timeline, and the recording with an overlay.

``predictions.csv``, ``summary.json`` and ``index.html`` cover all recordings of a call; each recording has
``timeline.png`` and ``.svg``, and an overlay. Every file says which weights predicted, and what a label is.

The overlay is an H.264 video in MPEG-4 (``overlay.mp4``) where the OpenCV at hand writes it. OpenCV's wheels can't;
there it is VP8 in WebM (``overlay.webm``), which browsers play, too: their VP9 takes ten times as long.
"""

import contextlib
import errno
import itertools
import math
import os
import statistics
import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import cv2
import numpy as np
import pandas as pd
from jinja2 import Template

from fer3d import files
from fer3d.data.face_fit import Face
from fer3d.data.tracks import Step
from fer3d.errors import InputError, printable
from fer3d.own_video import NOTE, Options, Recording, Row, Weights, check, open_recording, summarise, table, watch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST, _PANEL, _FOOT, _LINE = (854, 480), 224, 40, 17
"""Width and height of the picture in an overlay at most; width of the panel beside it, height of the text below, and
of a line of text."""
_MOST_RATE = 15.0
"""Frames a second of an overlay at most (and a tenth more): writing one takes as long as finding a face. Of a
faster recording every second frame is shown, or every third."""
_CODECS = (("avc1", ".mp4"), ("VP80", ".webm"))
_OF_ALL = ("index.html", "predictions.csv", "summary.json")
_TIMELINE = ("timeline.csv", "timeline.png", "timeline.svg")
_FILES = (*_OF_ALL, *_TIMELINE, *(f"overlay{suffix}" for _, suffix in _CODECS))
"""All that a prediction writes."""
_BEGUN = ".prediction.part"
"""Lies in a folder from the beginning of a prediction to its end: what a stopped one left there may be replaced."""
_MAX_SUMMARY = 2**28
"""Largest size of a summary that is read, in bytes."""
_INK, _FAINT, _BAR, _TOP, _MARK = (40, 40, 40), (130, 130, 130), (178, 114, 0), (0, 94, 213), (115, 158, 0)
"""Colours as OpenCV takes them: blue, green, red."""


class Overlay:
    """A video of the frames with boxes, landmarks and, for each person, the probabilities of the current window.

    Where there is no room for all people's, their number stands below. With the number of a person, that person alone
    is shown.

    Frames wait until the windows that they belong to are predicted: at most as long as a window. Images of several
    sizes are shown in the place of the first: a larger one is reduced, round a smaller one it is empty.
    """

    def __init__(self, folder: Path, weights: Weights, person: str = "all") -> None:
        self._folder, self._weights = folder, weights
        self._only = int(person) if person.isdecimal() else None
        self._waiting: deque[tuple[int, float, dict[int, Face], np.ndarray, float]] = deque()
        self._rows: deque[Row] = deque()
        self._video: _Video | None = None
        self._size: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._video is not None:
            self._video.close(keep=kind is None)

    @property
    def file(self) -> str:
        """The name of the file written; empty before the first frame."""
        return self._video.path.name if self._video else ""

    def add(self, step: Step, rows: list[Row]) -> None:
        """The next step of the recording, with the rows that ended there."""
        self._rows += (row for row in rows if "label" in row)
        if step.frame is not None:
            picture = step.frame.picture
            most = self._size or _LARGEST
            scale = min(1.0, most[0] / picture.shape[1], most[1] / picture.shape[0])
            size = [max(1, round(scale * side)) for side in picture.shape[1::-1]]
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            self._size = self._size or small.shape[1::-1]
            shown = {number: face for number, face in step.people.items() if self._only in (None, number)}
            self._waiting.append((step.frame.number, step.frame.seconds, shown, small, scale))
        enough = step.frame is None or len(self._waiting) > 10  # from which the frame rate is measured
        while self._waiting and self._waiting[0][0] < step.pending and (self._video or enough):
            self._write()

    def _write(self) -> None:
        if self._video is None:
            times = [seconds for _, seconds, *_ in self._waiting]
            intervals = [after - before for before, after in itertools.pairwise(times) if after > before]
            rate = 1 / statistics.median(intervals) if intervals else 1.0
            self._video = _Video(self._folder, rate / max(1, math.ceil(rate / _MOST_RATE - 0.1)))
        number, seconds, people, small, scale = self._waiting.popleft()
        while self._rows and self._rows[0]["last_frame"] < number - 1000:
            self._rows.popleft()
        if self._video.wants(seconds):
            _draw_faces(small, people, scale)
            current = {row["person"]: row for row in self._rows if row["first_frame"] <= number <= row["last_frame"]}
            self._video.write(seconds, _canvas(small, self._size, people, current, self._weights, seconds))


class _Video:
    """A video at a constant rate that appears whole or not at all."""

    def __init__(self, folder: Path, rate: float) -> None:
        self._folder, self._rate, self._count = folder, rate, 0
        self.path = folder
        self._temporary = folder
        self._writer: cv2.VideoWriter | None = None

    def wants(self, seconds: float) -> bool:
        """Whether a frame of that time is shown."""
        return self._count <= seconds * self._rate + 1e-6

    def write(self, seconds: float, picture: np.ndarray) -> None:
        """The frame that is shown from that time on; (H, W, 3) RGB of one size."""
        if self._writer is None:
            self._writer = self._opened(picture.shape[1::-1])
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        with _silent():
            while self.wants(seconds):
                self._writer.write(picture)
                self._count += 1

    def close(self, keep: bool) -> None:
        """End the file, and put it into its place or remove it."""
        if self._writer is not None:
            with _silent():
                self._writer.release()
            try:
                if keep:
                    self._check_whole()
                    self._temporary.replace(self.path)
            except OSError as error:
                raise files.explained(error, self.path) from error
            finally:
                self._temporary.unlink(missing_ok=True)

    def _check_whole(self) -> None:
        """An `OSError` where the end of the file is missing, at which the number of frames is noted.

        OpenCV does not tell that it can't write. Nearly always the disk is full.
        """
        with _silent():
            found = cv2.VideoCapture(str(self._temporary), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FRAME_COUNT)
        if abs(found - self._count) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _opened(self, size: tuple[int, ...]) -> cv2.VideoWriter:
        with contextlib.suppress(OSError, UnicodeEncodeError):
            str(self._folder).encode()  # at a name that is not UTF-8 OpenCV would crash
            for codec, suffix in _CODECS:
                self.path = self._folder / f"overlay{suffix}"
                self._temporary = self._folder / f".overlay.part{suffix}"  # OpenCV takes the container from the suffix
                with _silent():
                    writer = cv2.VideoWriter(
                        str(self._temporary), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), self._rate, size
                    )
                if writer.isOpened():
                    return writer
                self._temporary.unlink(missing_ok=True)
        raise InputError(f"OpenCV writes no overlay into {printable(str(self._folder))}", "another --out")


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without what OpenCV prints on stderr about a codec that it tries, a tag that it replaces or a full disk."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _draw_faces(picture: np.ndarray, people: dict[int, Face], scale: float) -> None:
    """Boxes, numbers and landmarks into a reduced frame, in place."""
    for person, face in people.items():
        corners = np.rint(face.box.corners * scale).astype(np.int32)
        cv2.polylines(picture, [corners], True, _rgb(_MARK), 2, cv2.LINE_AA)
        _text(picture, str(person), (int(corners[0, 0]) + 4, int(corners[0, 1]) + 16), _rgb(_MARK), 0.55, 2)
        for x, y in face.landmarks * scale:
            cv2.circle(picture, (round(8 * float(x)), round(8 * float(y))), 10, (255, 255, 255), -1, cv2.LINE_AA, 3)


def _canvas(
    small: np.ndarray,
    size: tuple[int, ...],
    people: dict[int, Face],
    current: dict[int, Row],
    weights: Weights,
    seconds: float,
) -> np.ndarray:
    """The frame in a place of that width and height, with the panel beside and the text below it.

    The sides are even, as video codecs want them.
    """
    width, height = size
    tall = max(height, (len(weights.classes) + 2) * _LINE + 12)
    wide = max(width, 240) + _PANEL
    canvas = np.full((tall + _FOOT + (tall + _FOOT) % 2, wide + wide % 2, 3), 250, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    left, top = canvas.shape[1] - _PANEL + 10, 16
    _text(canvas, f"{seconds:7.2f} s", (left, top), _rgb(_INK))
    for shown, person in enumerate(sorted(people)):
        if top + (len(weights.classes) + 1) * _LINE > tall:
            _text(canvas, f"and {len(people) - shown} more", (left, top + _LINE), _rgb(_FAINT))
            break
        top = _bars(canvas, left, top + _LINE + 2, person, current.get(person), weights.classes)
    foot = tall + 15
    _text(canvas, f"Weights: {weights.short}", (6, foot), _rgb(_FAINT), 0.36)
    _text(canvas, NOTE, (6, foot + 16), _rgb(_FAINT), 0.36)
    return canvas


def _bars(canvas: np.ndarray, left: int, top: int, person: int, row: Row | None, classes: tuple[str, ...]) -> int:
    """One person's probabilities; returns where they end."""
    _text(canvas, f"person {person}" + ("" if row else ": no prediction"), (left, top), _rgb(_INK))
    for name in classes if row else ():
        top += _LINE
        best = row is not None and name == row["label"]
        p = row[f"p_{name}"] if row else 0.0
        _text(canvas, name, (left, top), _rgb(_INK if best else _FAINT), 0.4)
        end = left + 82 + round(88 * p)
        cv2.rectangle(canvas, (left + 80, top - 10), (end, top), _rgb(_TOP if best else _BAR), -1)
        _text(canvas, f"{p:4.0%}", (left + 174, top), _rgb(_INK if best else _FAINT), 0.36)
    return top


def _text(
    picture: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, ...], size: float = 0.42, thick: int = 1
) -> None:
    plain = text.encode("ascii", "replace").decode()  # OpenCV's font has no other characters
    cv2.putText(picture, plain, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, cv2.LINE_AA)


def _rgb(colour: tuple[int, int, int]) -> tuple[int, ...]:
    return colour[::-1]


def timeline(recording: Recording, rows: list[Row], weights: Weights) -> tuple["Figure", pd.DataFrame]:
    """The probabilities of `own_video.watch`'s rows over the time of a recording, drawn, and as numbers."""
    from fer3d.evaluation import plots  # its libraries take a second, which the first prediction need not wait for

    columns = ["person", "start", "end", *(f"p_{name}" for name in weights.classes)]
    predicted = pd.DataFrame([row for row in rows if "label" in row], columns=columns)
    people = {f"person {number}": own for number, own in predicted.groupby("person")}
    figure = plots.timeline(people, weights.classes, recording.seconds, f"{recording.name}: predicted expressions")
    figure.supxlabel(f"Weights: {weights.short}. {NOTE}", fontsize=7)
    return figure, predicted


def _save(folder: Path, figure: "Figure", numbers: pd.DataFrame) -> None:
    from fer3d.evaluation import plots

    plots.save(figure, folder / "timeline", numbers)


def _write_page(out: Path, shown: list[tuple[dict[str, Any], Path, str]], weights: Weights) -> None:
    """The page of all recordings: of each the summary, its folder and the overlay's name."""
    recordings = [
        (summary, "" if folder == out else f"{quote(folder.name)}/", overlay) for summary, folder, overlay in shown
    ]
    template = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"), autoescape=True)
    files.write_text(out / "index.html", template.render(recordings=recordings, note=NOTE, weights=weights.title))


def check_folder(out: Path, sources: Sequence[str]) -> None:
    """An `InputError` where predictions for these inputs must not go into a folder; call it before the work.

    It may hold an earlier prediction and files with other names, but no input, no run and no store.
    """
    for source in map(Path, sources):
        if source.exists() and source.resolve().is_relative_to(out.resolve()):
            how = "is" if source.resolve() == out.resolve() else "holds"
            raise InputError(f"{out} {how} the input {source}: expected a folder for the results", "another --out")
    foreign, earlier = {"model.json", "prepared.json"}, list(map(Path, written(out)))
    begun = os.access(out / _BEGUN, os.F_OK)
    for folder in {out, *filter(None, _folders(sources, out))}:
        within = {path.name for path in earlier if path.parent.name == folder.name}
        own = set(_FILES) if begun or (folder == out and earlier) else within
        names = {*foreign, *set(_FILES).difference(own)}
        files.check_folder(folder, "an earlier prediction", partial(_with_names, names))
        files.check_writable(folder)


def _with_names(names: Collection[str], found: list[Path]) -> list[Path]:
    return [path for path in found if path.name in names]


def written(out: Path) -> list[str]:
    """The files that the last prediction left in a folder, by their paths in it; none where there was no prediction."""
    try:
        summary = files.read_json(out / "summary.json", _MAX_SUMMARY)
    except InputError:
        return []
    if not (isinstance(summary, dict) and isinstance(summary.get("recordings"), list)):
        return []
    names = [Path(str(name)) for name in summary.get("written", _FILES)]  # earlier versions kept no list
    inside = [name for name in names if len(name.parts) <= 2 and name.parts[:1] not in ((), ("/",), ("..",))]
    return sorted(str(name) for name in inside if name.name in _FILES)


def _remove_others(out: Path, kept: Collection[str]) -> None:
    """Remove the files of the last prediction but for those that this one has written, too."""
    for path in (out / name for name in set(written(out)).difference(kept)):
        with contextlib.suppress(OSError):  # the user has put something else there
            path.unlink(missing_ok=True)
            if path.parent != out:
                path.parent.rmdir()  # where it is empty


def run(
    sources: list[str], weights: Weights, options: Options, out: Path | None, tell: Callable[[dict[str, Any]], object]
) -> bool:
    """Predict for several inputs, one after the other.

    Args:
        sources: as `own_video.predict` takes one.
        weights: the network.
        options: how the recordings are read and cut.
        out: the folder to write, with a folder for each input where there are several; None writes nothing. What the
            last prediction left there is replaced or removed. `check_folder` says whether it can be used.
        tell: is called with each row and each recording's summary.

    Returns:
        Whether any input shows a person for as long as a window.

    Raises:
        InputError: an input cannot be read, or its pictures not be written. All are checked before the first is
            predicted; where one breaks later, the others are still predicted and written.
    """
    for source in sources if len(sources) > 1 else ():
        check(source, options)
    rows: list[Row] = []
    summaries: list[dict[str, Any]] = []
    failed: list[InputError] = []
    shown: list[tuple[dict[str, Any], Path, str]] = []
    made: list[Path] = []
    names = Counter(Path(source).name for source in sources)
    for source, folder in zip(sources, _folders(sources, out), strict=True):
        own, overlay = len(rows), None
        try:
            recording = open_recording(source, weights, options)
            if names[Path(source).name] > 1:
                recording.name = printable(source)
            with contextlib.ExitStack() as opened:
                if out and folder:
                    _make(folder)
                    files.write_text(out / _BEGUN, "")
                    overlay = opened.enter_context(Overlay(folder, weights, options.person))
                for step, ended in watch(recording, weights, options):
                    rows += ended
                    for row in ended:
                        tell(row)
                    if overlay:
                        overlay.add(step, ended)
            if folder and overlay and overlay.file:
                made.append(folder / overlay.file)
            summary = summarise(recording, rows[own:], weights)
            tell(summary)
            summaries.append(summary)
            if folder and overlay:
                _save(folder, *timeline(recording, rows[own:], weights))
                made += [folder / name for name in _TIMELINE]
                shown.append((summary, folder, overlay.file))
        except InputError as error:
            failed.append(error)
    if out and (rows or summaries):
        files_made = sorted(str(path.relative_to(out)) for path in (*made, *(out / name for name in _OF_ALL)))
        _remove_others(out, files_made)
        files.write_csv(out / "predictions.csv", files.for_spreadsheets(table(rows, weights.classes)))
        about = {"weights": weights.title, "note": NOTE, "written": files_made}
        files.write_json(out / "summary.json", {"recordings": summaries, **about})
        _write_page(out, shown, weights)
    if out:
        (out / _BEGUN).unlink(missing_ok=True)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise InputError("; ".join(map(str, failed)))
    return any(summary["people"] for summary in summaries)


def _folders(sources: Sequence[str], out: Path | None) -> list[Path | None]:
    """The folder of each input's pictures: ``out`` itself for a single one."""
    if out is None:
        return [None] * len(sources)
    if len(sources) == 1:
        return [out]
    paths = [path if path.stem.strip(".") else path.resolve() for path in map(Path, sources)]  # ".." would lead outside
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [f"{number}-{name}" for number, name in enumerate(names, start=1)]
    return [out / name for name in names]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.explained(error, folder) from error
