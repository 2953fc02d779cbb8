"""What a prediction for a recording leaves on disk: table, summary, timeline, and the recording with an overlay.

``predictions.csv``, ``summary.json`` and ``index.html`` cover all recordings of a call; each recording has
``timeline.png`` and ``.svg``, and an overlay. Every file says which weights predicted, and what a label is.
"""

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Template
from tqdm import tqdm

from fer3d import files
from fer3d.errors import InputError, printable
from fer3d.overlay import OVERLAYS, Overlay
from fer3d.own_video import (
    NOTE,
    Options,
    Recording,
    Row,
    Weights,
    check,
    check_frame_rate,
    open_recording,
    summarise,
    table,
    watch,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OF_ALL = ("index.html", "predictions.csv", "summary.json")
_TIMELINE = ("timeline.csv", "timeline.png", "timeline.svg")
_FILES = (*_OF_ALL, *_TIMELINE, *OVERLAYS)
"""All that a prediction writes."""
_BEGUN = ".prediction.part"
"""Lies in a folder from the beginning of a prediction to its end: what a stopped one left there may be replaced."""
_MAX_SUMMARY = 2**28
"""Largest size of a summary that is read, in bytes."""


def timeline(recording: Recording, rows: list[Row], weights: Weights) -> tuple["Figure", pd.DataFrame]:
    """The probabilities of `own_video.watch`'s rows over the time of a recording, drawn, and as numbers."""
    from fer3d.evaluation import plots  # its libraries take a second, which the first prediction need not wait for

    columns = ["person", "start", "end", *(f"p_{name}" for name in weights.classes)]
    predicted = pd.DataFrame([row for row in rows if "label" in row], columns=columns)
    people = {f"person {number}": own for number, own in predicted.groupby("person")}
    figure = plots.timeline(people, weights.classes, recording.seconds, f"{recording.name}: predicted expressions")
    figure.supxlabel(plots.drawable(f"Weights: {weights.short}. {NOTE}"), fontsize=7)
    return figure, predicted


def _save(folder: Path, figure: "Figure", numbers: pd.DataFrame) -> None:
    from fer3d.evaluation import plots

    plots.save(figure, folder / "timeline", numbers)


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


@dataclass
class _Result:
    """What was predicted for one input, and what was written of it."""

    folder: Path | None
    """Of its pictures; None where nothing is written."""
    rows: list[Row] = field(default_factory=list)
    """Those until the end, or until the file broke."""
    summary: dict[str, Any] = field(default_factory=dict)
    """Empty where the file broke."""
    overlay: str = ""
    """The name of the overlay; empty where no frame was read."""
    shown: bool = False
    """Whether the timeline is there, too."""

    def files(self) -> list[Path]:
        """The pictures that were written."""
        names = [self.overlay] if self.overlay else []
        return [self.folder / name for name in (*names, *(_TIMELINE if self.shown else ()))] if self.folder else []


def run(
    sources: list[str], weights: Weights, options: Options, out: Path | None, tell: Callable[[dict[str, Any]], object]
) -> bool:
    """Predict for several inputs, one after the other.

    Args:
        sources: as `own_video.predict` takes one.
        weights: the network.
        options: how the recordings are read and cut.
        out: the folder to write, with a folder for each input where there are several; None writes nothing. What the
            last prediction left there is replaced or removed. `check_folder` says whether it can be used. While another
            process predicts into it, this one waits.
        tell: is called with each row and each recording's summary.

    Returns:
        Whether any input shows a person for as long as a window.

    Raises:
        InputError: an input cannot be read, or its pictures not be written. All are checked before the first is
            predicted; where one breaks later, the others are still predicted and written.
    """
    check_frame_rate(sources, options)
    for source in sources if out or len(sources) > 1 else ():
        check(source, options)
    results: list[_Result] = []
    failed: list[InputError] = []
    names = Counter(Path(source).name for source in sources)
    with _alone(out) if out else contextlib.nullcontext():
        for source, folder in zip(sources, _folders(sources, out), strict=True):
            results.append(_Result(folder))
            try:
                recording = open_recording(source, weights, options)
                if names[Path(source).name] > 1:
                    recording.name = printable(source)
                if out and folder:
                    _make(folder)
                    files.write_text(out / _BEGUN, "")
                _predict(results[-1], recording, weights, options, tell)
            except InputError as error:
                failed.append(error)
        if out and any(one.rows or one.summary for one in results):
            _write(out, results, weights)
        if out:
            (out / _BEGUN).unlink(missing_ok=True)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise InputError("; ".join(map(str, failed)))
    return any(one.summary["people"] for one in results)


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One prediction at a time in a folder. The lock lies inside: the folder round it need not be writable."""

    def tell() -> None:
        tqdm.write(f"another prediction writes into {out}; waiting for it to end", file=sys.stderr)

    _make(out)
    with files.lock(out / "prediction", tell):
        yield


def _predict(
    one: _Result, recording: Recording, weights: Weights, options: Options, tell: Callable[[dict[str, Any]], object]
) -> None:
    """Predict for a recording and draw it; ``one`` holds what is known, also where the file breaks on the way."""
    with contextlib.ExitStack() as opened:
        drawn = opened.enter_context(Overlay(one.folder, weights, options.person)) if one.folder else None
        for step, ended in watch(recording, weights, options):
            one.rows += ended
            for row in ended:
                tell(row)
            if drawn:
                drawn.add(step, ended)
    one.overlay = drawn.file if drawn else ""
    one.summary = summarise(recording, one.rows, weights)
    tell(one.summary)
    if one.folder:
        _save(one.folder, *timeline(recording, one.rows, weights))
        one.shown = True


def _write(out: Path, results: list[_Result], weights: Weights) -> None:
    """The files that are about all recordings; those of the last prediction go."""
    made = [path for one in results for path in one.files()]
    names = sorted(str(path.relative_to(out)) for path in (*made, *(out / name for name in _OF_ALL)))
    _remove_others(out, names)
    rows = [row for one in results for row in one.rows]
    files.write_csv(out / "predictions.csv", files.for_spreadsheets(table(rows, weights.classes)))
    about = {"weights": weights.title, "note": NOTE, "written": names}
    files.write_json(out / "summary.json", {"recordings": [one.summary for one in results if one.summary], **about})
    recordings = [
        (one.summary, "" if one.folder == out else f"{quote(one.folder.name)}/", one.overlay)
        for one in results
        if one.folder and one.shown
    ]
    template = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"), autoescape=True)
    files.write_text(out / "index.html", template.render(recordings=recordings, note=NOTE, weights=weights.title))


def _folders(sources: Sequence[str], out: Path | None) -> list[Path | None]:
    """The folder of each input's pictures: ``out`` itself for a single one."""
    if out is None:
        return [None] * len(sources)
    if len(sources) == 1:
        return [out]
    paths = [path if path.name.strip(".") else path.resolve() for path in map(Path, sources)]
    names = [path.stem for path in paths]
    if len(set(names)) < len(names) or any(name[:1] in ("", ".") or name in _FILES for name in names):
        # "...mp4" would lead outside, "predictions.csv.mp4" take the table's place
        names = [f"{number}-{name}" for number, name in enumerate(names, start=1)]
    return [out / name for name in names]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.explained(error, folder) from error
