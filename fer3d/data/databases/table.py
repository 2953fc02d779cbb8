"""One's own recordings: a folder with videos or with folders of images, and a table ``labels.csv`` in it.

Not a database of the paper. One line for each recording or part of one::

    path,label,subject,start,end,fold
    kitchen/anna.mp4,happy,anna,1.5,4,0
    kitchen/ben,boredom,ben,,,1
    *,boredom,,,,

``path`` is a video or a folder of images, from the table's folder. ``label`` is a word of `labels.WORDS`, or a class
that a line with the path ``*`` declares. ``subject`` names the person: no person is in two folds. Optional are
``start`` and ``end`` in seconds (or ``start_frame`` and ``end_frame``, from 0, the end not included), and ``fold``, a
whole number that is the same in all lines of a subject.

A line that cannot be used is left out, with its number and the reason. So is one that gives frames of an earlier
line another label or subject, also where the recording is a copy. Columns may be separated by commas, semicolons or
tabs; letter case does not matter, not for people either.
"""

import csv
import difflib
import io
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from fer3d.config import ClipSettings
from fer3d.data.databases.release import Copies, Published, Recording, Release, read_bytes, skipped
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.file_kinds import IMAGE_SUFFIXES, UnusableFile
from fer3d.data.video import MAX_FRAMES, VideoFacts
from fer3d.errors import InputError, printable
from fer3d.labels import EMOTIONS, WORDS

FILE = "labels.csv"
LAYOUT = f"a file {FILE} with the columns path,label,subject next to videos or folders of images"
PUBLISHED = Published(source="nothing: the recordings are your own")
MAX_BYTES = 2**24
"""Size of the table."""

_COLUMNS = frozenset({"path", "label", "subject", "start", "end", "start_frame", "end_frame", "fold"})
_REQUIRED = ("path", "label", "subject")
_CLASS = re.compile(r"\w[\w -]{0,39}")
_WHOLE = re.compile(r"[0-9]+")
_FOLD = re.compile(r"[0-9]{1,3}")


class _Found(NamedTuple):
    """A recording, which several lines may have parts of."""

    recording: Recording
    facts: VideoFacts
    original: Path
    """The recording itself, or the first found of which it is a copy."""


class _Files:
    """The recordings below a folder, by their paths in any letter case and Unicode form; each is opened once."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._names: dict[Path, dict[str, Path]] = {}
        self._found: dict[Path, _Found | UnusableFile] = {}
        self._copies = Copies()

    def recording(self, path: str) -> _Found:
        """The recording of that path; raises `UnusableFile`."""
        source = self.find(path)
        if source not in self._found:
            try:
                self._found[source] = self._look(source, path)
            except UnusableFile as reason:
                self._found[source] = reason
        found = self._found[source]
        if isinstance(found, UnusableFile):
            raise found
        return found

    def _look(self, source: Path, path: str) -> _Found:
        images: tuple[Path, ...] = ()
        if source.is_dir():
            images = tuple(file for file in self._release.listing(source)[1] if file.suffix.lower() in IMAGE_SUFFIXES)
            if not images:
                raise UnusableFile(
                    "a folder without images", path, remedy="a folder of PNG, JPEG or BMP images, or a video"
                )
        recording = Recording(source, images)
        facts = self._release.check(recording)
        return _Found(recording, facts, self._copies.original(recording).source)

    def find(self, path: str) -> Path:
        """The file or folder of that path; raises `UnusableFile` where there is none, as for one outside."""
        found = self._release.root
        for part in filter(lambda part: part not in ("", "."), re.split(r"[/\\]", path)):
            if found not in self._names:
                entries = [entry for kind in self._release.listing(found) for entry in kind]
                exact = {entry.name: entry for entry in entries}
                self._names[found] = {_folded(entry.name): entry for entry in entries} | exact
            below = self._names[found].get(part) or self._names[found].get(_folded(part))
            if below is None:
                raise UnusableFile("no such file", path, remedy=f"its path from the folder of {FILE}")
            found = below
        return found


def looks_like(release: Release) -> bool:
    """Whether the folder has a table of that name."""
    return _table_path(release) is not None


def people(release: Release) -> dict[str, int | None]:
    """The subjects of the labelled recordings, and the fold of each."""
    rows = [row for row in _rows(release) if row["subject"] and row["label"] and row["path"] not in ("", "*")]
    return {row["subject"]: int(row["fold"]) if _FOLD.fullmatch(row["fold"]) else None for row in rows}


def classes(release: Release) -> set[str]:
    """The classes that the lines of the table name, by the words for them; unknown words don't count."""
    rows, known = list(_rows(release)), _Known()
    for row in rows:
        known.declare(row)
    words = {row["label"].lower() for row in rows if row["path"] != "*"}
    return {known.words[word] for word in words if word in known.words}


def scan(root: Path, _settings: ClipSettings) -> Iterator[Sequence | Skipped]:
    """A sequence for each line, in their order.

    Raises:
        InputError: a table that cannot be read, has other columns, or folds that are not counted from 0.
    """
    release = Release(root)
    rows, found, known = list(_rows(release)), _Files(release), _Known()
    for row in rows:
        known.declare(row)
    _check_folds({int(row["fold"]) for row in rows if row["path"] != "*" and _FOLD.fullmatch(row["fold"])})
    for row in rows:
        if row["path"] == "*":
            continue
        try:
            yield _sequence(release, found, known, row)
        except UnusableFile as reason:
            yield skipped(f"line {row['line']}", reason)
        yield from release.take_skipped()


def _check_folds(folds: set[int]) -> None:
    """An `InputError` for folds that are not counted from 0 without a gap: ``--fold`` would mean other people."""
    if folds and folds != set(range(len(folds))):
        found, wanted = (", ".join(map(str, numbers)) for numbers in (sorted(folds), range(len(folds))))
        raise InputError(f"the folds in {FILE} are {found}: expected {wanted}", "numbering them from 0")


class _Part(NamedTuple):
    """What a line takes of a recording."""

    first: int
    last: int | None
    seconds: tuple[float, float] | None
    """See `Sequence`. The first two are by the header's frame rate then."""


class _Known:
    """What the lines of a table say together: the classes, each subject's fold, and the recordings so far."""

    def __init__(self) -> None:
        self.words = dict(WORDS)
        self.folds: dict[str, tuple[str, str]] = {}
        self.parts: dict[Path, list[tuple[_Part, str | None, Mapping[str, str]]]] = {}
        self.has_folds = False

    def declare(self, row: Mapping[str, str]) -> None:
        """Take a class from a line ``*,class``, and notice whether there are folds."""
        self.has_folds = self.has_folds or bool(row["fold"])
        if row["path"] == "*":
            name = row["label"].lower()
            if not _CLASS.fullmatch(name):
                wanted = "letters, digits, blanks and - only, 40 at most"
                raise InputError(f"line {row['line']} of {FILE} declares the class {row['label']!r}: expected {wanted}")
            self.words[name] = name

    def label(self, row: Mapping[str, str]) -> str | None:
        """The class of a line; None where it has none."""
        word = row["label"].lower()
        if word and word not in self.words:
            remedy = f"one of {', '.join(EMOTIONS)}, or a line *,{printable(word)}, that declares it"
            raise UnusableFile(f"unknown label {row['label']!r}", row["path"], remedy)
        return self.words[word] if word else None

    def fold(self, row: Mapping[str, str]) -> int | None:
        """The fold of a line; None in a table without folds."""
        if not self.has_folds:
            return None
        if not _FOLD.fullmatch(row["fold"]):
            raise UnusableFile(f"fold {row['fold']!r} is not a whole number", row["path"], "a fold in every line")
        before, line = self.folds.setdefault(row["subject"], (row["fold"], row["line"]))
        if int(before) != int(row["fold"]):
            why = f"subject {row['subject']} is in fold {before} in line {line} and in fold {row['fold']} here"
            raise UnusableFile(why, row["path"], "one fold for each subject")
        return int(row["fold"])

    def take(self, original: Path, part: _Part, label: str | None, row: Mapping[str, str]) -> None:
        """Note a part; raises for one that an earlier line has, or whose frames it names otherwise."""
        earlier = self.parts.setdefault(original, [])
        for other, its_label, before in earlier:
            if other.first >= (part.last or math.inf) or part.first >= (other.last or math.inf):
                continue  # they share no frame
            differs = ["label"] if label and its_label and label != its_label else []
            differs += ["subject"] if row["subject"] != before["subject"] else []
            if other == part:
                named = f" with another {' and '.join(differs)}" if differs else ""
                remedy = "one line for it, the right one" if differs else "one line for it"
                raise UnusableFile(f"the same recording as in line {before['line']}{named}", row["path"], remedy)
            if differs:
                why = f"some of its frames have another {differs[0]} in line {before['line']}"
                raise UnusableFile(why, row["path"], "parts that do not overlap")
        earlier.append((part, label, row))


def _sequence(release: Release, found: _Files, known: _Known, row: Mapping[str, str]) -> Sequence:
    path = row["path"]
    if row["surplus"]:
        raise UnusableFile("more values than columns", path, remedy="quotes round a value with the separator in it")
    if not path:
        raise UnusableFile("no path", path, remedy=f"the recording's path from the folder of {FILE}")
    label = known.label(row)
    if not row["subject"]:
        raise UnusableFile("no subject", path, remedy="the person's name in the column subject")
    recording, facts, original = found.recording(path)
    part, fold = _part(row, facts), known.fold(row)
    known.take(original, part, label, row)
    if part.last is not None and part.last > facts.decodable + max(1.0, facts.frame_rate):
        release.note(recording.source, f"line {row['line']} ends behind the last of the {facts.decodable} frames")
    shown = release.shown(recording.source)
    if part.seconds is not None:
        name = f"{shown} {row['start']}-{row['end']} s"
    else:
        name = shown if part[:2] == (0, None) else f"{shown} {part.first}-{'' if part.last is None else part.last}"
    return Sequence(
        database="table",
        subject=row["subject"],
        name=name,
        source=recording.source,
        images=recording.images,
        label=label,
        origin=f"{FILE}, line {row['line']}",
        first=part.first if part.seconds is None else 0,
        last=part.last if part.seconds is None else None,
        seconds=part.seconds,
        fold=fold,
    )


def _part(row: Mapping[str, str], facts: VideoFacts) -> _Part:
    """The part of a recording that a line names."""
    rate = facts.frame_rate
    seconds, frames = (row["start"], row["end"]), (row["start_frame"], row["end_frame"])
    if any(seconds) and any(frames):
        raise UnusableFile("start or end both in seconds and in frames", row["path"], "one of the two")
    if any(seconds) and not rate > 0:
        raise UnusableFile("seconds need a frame rate, which it has not", row["path"], "start_frame and end_frame")
    start, end = seconds if any(seconds) else frames
    if not all(_WHOLE.fullmatch(value) for value in frames if value):
        raise UnusableFile("start_frame or end_frame is not a whole number", row["path"], "digits only, or nothing")
    try:
        if "_" in start + end:  # Python's separator of thousands
            raise ValueError
        bounds = float((start or "0").replace(",", ".")), float((end or "inf").replace(",", "."))
    except ValueError as error:
        raise UnusableFile("start or end is not a number", row["path"], "a number, or nothing") from error
    named = f"no frame from {start or 'the start'} to {end or 'the end'}"
    if not 0 <= bounds[0] < bounds[1]:  # NaN too
        raise UnusableFile(named, row["path"], "another part")
    first, last = (min(bound * rate, MAX_FRAMES) for bound in bounds) if any(seconds) else bounds
    if round(first) >= facts.decodable:
        raise UnusableFile(f"{named}: it has {facts.decodable} frames", row["path"], "another part")
    whole = round(first), None if bounds[1] == math.inf else max(round(min(last, MAX_FRAMES)), round(first) + 1)
    if not any(seconds):
        return _Part(*whole, None)
    half = 0.5 / rate  # times of frames and of a table are rounded differently
    return _Part(*whole, (bounds[0] - half, max(bounds[1], bounds[0] + 1 / rate) - half))


def _rows(release: Release) -> Iterator[dict[str, str]]:
    """The lines of the table that are not empty: values by column, empty where missing, and the number ``line``.

    ``surplus`` is what stands behind the last column. A subject is spelt as in the first line that names it.
    """
    path = _table_path(release) or release.root / FILE
    try:
        content = read_bytes(path, MAX_BYTES)
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        delimiter = max(",;\t", key=(text.splitlines() or [""])[0].count)
        table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        first = next(table, [])
        if first == ["sep=", ""]:  # by which spreadsheet programs name the separator, in front of the columns
            first = next(table, [])
        columns = [column.strip().lower() for column in first]
        if wrong := _wrong_columns(columns):
            raise ValueError(wrong)
        spelt: dict[str, str] = {}
        for values in table:
            row = dict(zip(columns, (value.strip() for value in values), strict=False))
            row["surplus"] = "".join(values[len(columns) :]).strip()
            if any(row.values()):
                row = {**dict.fromkeys(_COLUMNS, ""), **row, "line": str(table.line_num)}
                row["label"] = unicodedata.normalize("NFC", row["label"])
                subject = unicodedata.normalize("NFC", printable(" ".join(row["subject"].split())))
                row["subject"] = spelt.setdefault(subject.casefold(), subject)
                yield row
    except (UnusableFile, ValueError, csv.Error) as error:
        wanted = "path,label,subject and optionally start,end or start_frame,end_frame, and fold, saved as CSV in UTF-8"
        raise InputError(
            f"{printable(str(path))} is not a table that can be read ({error}): expected {wanted}"
        ) from error


def _wrong_columns(columns: list[str]) -> str:
    """The first thing that is wrong with the names of columns; empty where nothing is.

    Another column is refused: a misspelt ``start`` would else be taken for a comment, and the whole recording be used.
    """
    for name in columns:
        shown = repr(printable(name)) if name else "without a name"
        if name not in _COLUMNS:
            near = difflib.get_close_matches(name, _COLUMNS.difference(columns), 1)
            return f"there is no column {near[0]} but {shown}" if near else f"it has another column, {shown}"
        if columns.count(name) > 1:
            return f"it has the column {name} twice"
    missing = [name for name in _REQUIRED if name not in columns]
    return f"it has no column {missing[0]}" if missing else ""


def _table_path(release: Release) -> Path | None:
    return next((file for file in release.listing(release.root)[1] if file.name.lower() == FILE), None)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
