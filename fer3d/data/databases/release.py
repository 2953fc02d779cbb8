"""What all readers share: the folders and small files of a release, none of which is trusted.

Files of the operating system or an archiver are ignored; names match in any letter case and sort
by number (``au2`` before ``au10``); folders may be nested; a link that leaves the release is not
followed; label files have a maximum size.
"""

import csv
import filecmp
import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree

from fer3d import files
from fer3d.data.databases.sequence import Skipped
from fer3d.data.file_kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, UnusableFile
from fer3d.data.images import image_size, missing_images
from fer3d.data.video import VideoFacts, check_video
from fer3d.errors import InputError, printable

MAX_TEXT_BYTES = 2**20
"""Size of one label file."""
MAX_DEPTH = 10
"""Levels of folders that are searched, the root included."""
MAX_FOLDERS = 20_000
"""Folders searched in one level, so that a whole disk given by mistake ends soon."""
_STRAY = re.compile(r"\.|__MACOSX$|Thumbs\.db$|desktop\.ini$", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)")

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Published:
    """The owners' counts (of papers where the owners give none), printed next to what was found; None: not known."""

    sequences: int | None = None
    subjects: int | None = None
    labelled: int | None = None
    labelled_subjects: int | None = None
    classes: Mapping[str, int] | None = None
    source: str = ""
    """Where the counts come from, and how reliable they are."""


class Level(NamedTuple):
    """One folder visited by `Release.walk`."""

    folder: Path
    matched_dirs: list[Path]
    """Its folders whose name matched; they are not entered."""
    files: list[Path]


@dataclass(frozen=True)
class Recording:
    """A video, or a folder whose images are its frames."""

    source: Path
    images: tuple[Path, ...] = ()
    """In the order of the numbers in their names; empty for a video."""

    @property
    def name(self) -> str:
        """The name of the video without its suffix, or of the folder."""
        return self.source.name if self.images else self.source.stem

    @property
    def files(self) -> list[Path]:
        """The images, or the video."""
        return list(self.images) or [self.source]


def recordings(level: Level) -> list[Recording]:
    """The videos of a folder, and the folder itself where it holds two images or more."""
    images = tuple(file for file in level.files if file.suffix.lower() in IMAGE_SUFFIXES)
    videos = [Recording(file) for file in level.files if file.suffix.lower() in VIDEO_SUFFIXES]
    return [*videos, *([Recording(level.folder, images)] if len(images) > 1 else [])]


class Copies:
    """Recordings by the contents of their files, which tell that one is there twice under two names."""

    def __init__(self) -> None:
        self._alike: dict[str, list[Recording]] = {}

    def original(self, recording: Recording) -> Recording:
        """The recording itself, or the first one of which it is a copy or a link."""
        sampled = files.fingerprint([files.state(file)[::2] for file in recording.files])  # size and contents
        alike = self._alike.setdefault(sampled, [])
        for other in alike:
            if all(filecmp.cmp(*pair, shallow=False) for pair in zip(other.files, recording.files, strict=True)):
                return other
        alike.append(recording)
        return recording


class Release:
    """An unpacked release. It collects what is skipped; `take_skipped` returns it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._skipped: list[Skipped] = []

    def shown(self, path: Path) -> str:
        """A path relative to the root, safe to print."""
        return printable(os.path.relpath(path, self.root))

    def skip(self, path: Path, reason: UnusableFile) -> None:
        """Record that ``path`` is skipped, and why."""
        self._skipped.append(skipped(self.shown(path), reason))

    def read_extra(self, read: Callable[[Path], Parsed], file: Path) -> Parsed | None:
        """What ``read`` finds in a file that is not essential; None where it is unusable, which is recorded."""
        try:
            return read(file)
        except UnusableFile as reason:
            self.skip(file, reason)
            return None

    def note(self, path: Path, what: str) -> None:
        """Record something about ``path`` that the user should know."""
        self._skipped.append(Skipped(self.shown(path), what))

    def check(self, recording: Recording) -> VideoFacts:
        """The facts about a recording. A flaw among them is recorded; raises `UnusableFile` where it can't be used."""
        if recording.images:
            (width, height), *_ = map(image_size, recording.images)
            for hole in missing_images(recording.images).values():
                self.note(recording.source, hole.why)
            count = len(recording.images)
            return VideoFacts(height, width, count, count, "", math.nan)
        facts = check_video(recording.source)
        if facts.flaw:
            self.note(recording.source, facts.flaw)
        return facts

    def first_usable(self, candidates: Iterable[Recording]) -> Recording:
        """The first of several copies of one recording that can be used; raises what is wrong with the first."""
        reasons = []
        for recording in candidates:
            try:
                self.check(recording)
                return recording
            except UnusableFile as reason:
                reasons.append(reason)
        raise reasons[0]

    def choose(self, candidates: Iterable[Recording]) -> Recording:
        """Of several recordings that claim to be the same, the one to use; the others are noted, but for its copies.

        A video that can be used comes before a folder of images, which may have been made of it. Among equals the one
        of most files counts, then the one of most pixels (own crops lie beside the originals), then the first.
        """
        places = sorted(candidates, key=lambda recording: bool(recording.images))
        videos, folders = ([place for place in places if bool(place.images) is images] for images in (False, True))
        alike = videos if not folders or any(_recorded_pixels(video.source) for video in videos) else folders
        chosen = alike[0]
        if len(alike) > 1:  # else nothing need be opened
            chosen = max(alike, key=lambda place: (len(place.files), _recorded_pixels(place.files[0])))
        for other in places:
            if other is not chosen and (other not in alike or not _copies(other.files, chosen.files)):
                self.note(other.source, f"another recording of this name; {self.shown(chosen.source)} is used")
        return chosen

    def take_skipped(self) -> Iterator[Skipped]:
        """What was recorded since the last call."""
        taken, self._skipped = self._skipped, []
        yield from dict.fromkeys(taken)  # a folder that is listed twice says the same twice

    def listing(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The folders and the files in a folder, each in numeric order, without stray files and links that leave it."""
        folders, files = [], []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if _STRAY.match(entry.name) or not self._follows(entry):
                        continue
                    if entry.is_dir():
                        folders.append(folder / entry.name)
                    elif entry.is_file():
                        files.append(folder / entry.name)
        except OSError as error:
            self.skip(folder, UnusableFile(f"cannot be read: {error.strerror}", remedy="permission to read it"))
        return sorted(folders, key=numeric), sorted(files, key=numeric)

    def walk(self, pattern: re.Pattern[str] = re.compile(r"(?!)")) -> Iterator[Level]:
        """Every folder of the release, the outermost first; a folder whose whole name matches is not entered."""
        level = [self.root]
        for _ in range(MAX_DEPTH):
            below: list[Path] = []
            for folder in level[:MAX_FOLDERS]:
                folders, files = self.listing(folder)
                matched = [child for child in folders if pattern.fullmatch(child.name)]
                below += [child for child in folders if not pattern.fullmatch(child.name)]
                yield Level(folder, matched, files)
            level = below

    def _follows(self, entry: os.DirEntry[str]) -> bool:
        """Whether an entry is not a link, or a link to a file of the release (as git-annex and DVC make them)."""
        if not entry.is_symlink():
            return True
        target = Path(os.path.realpath(entry.path))
        if target.is_file() and target.is_relative_to(self.root):
            return True
        why = "a link to a folder, out of the release, or to nothing"
        self.skip(Path(entry.path), UnusableFile(why, remedy="a copy in place of the link"))
        return False


def merged(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """Folders with the same name (in capitals) grouped, in numeric order of the names."""
    groups: dict[str, list[Path]] = {}
    for folder in sorted(folders, key=numeric):
        groups.setdefault(folder.name.upper(), []).append(folder)
    return groups


def _copies(files: list[Path], others: list[Path]) -> bool:
    """Whether two sets hold the same files."""
    try:
        return len(files) == len(others) and all(
            file.name.lower() == other.name.lower() and filecmp.cmp(file, other, shallow=False)
            for file, other in zip(files, others, strict=True)
        )
    except OSError:
        return False


def skipped(what: str, reason: UnusableFile) -> Skipped:
    """The entry for what could not be used."""
    return Skipped(printable(what), reason.why, reason.file if reason.file not in what else "", reason.remedy)


def numeric(path: Path) -> tuple[tuple[str | int, ...], str]:
    """Sort key: runs of digits by their value, letters in any case; equal keys by the name itself."""
    parts = _NUMBER.split(path.name.lower())
    return tuple(int(part) if i % 2 else part for i, part in enumerate(parts)), path.name


def _recorded_pixels(file: Path) -> int:
    """Pixels of an image, or of all frames of a video that decode; 0 for a file that can't be used."""
    try:
        if file.suffix.lower() in IMAGE_SUFFIXES:
            return math.prod(image_size(file))
        facts = check_video(file)
        return facts.decodable * facts.height * facts.width
    except UnusableFile:
        return 0


def read_bytes(path: Path, most: int = MAX_TEXT_BYTES) -> bytes:
    """A small file; raises `UnusableFile` for a missing, empty, forbidden or irregular one, or of ``most`` bytes."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would never end
            raise UnusableFile("not a file", path.name)
        if found.st_size > most:
            raise UnusableFile(f"larger than {most} bytes", path.name)
        content = path.read_bytes()
    except OSError as error:
        raise UnusableFile(f"cannot be read: {error.strerror}", path.name) from error
    if not content.strip():
        raise UnusableFile("empty", path.name)
    return content


def read_users_table(
    root: Path, name: str, parse: Callable[[Mapping[str, str]], Parsed], wanted: str
) -> Iterator[Parsed]:
    """The parsed lines of a small CSV that the user may have put into the release's folder or next to it.

    Args:
        root: the release's folder.
        name: of the file; nothing is yielded where there is none.
        parse: gets a line's values by column, stripped; may raise a `ValueError` or `KeyError`.
        wanted: the columns and their values, for a message.

    Raises:
        InputError: a line that ``parse`` refuses, or a file that is not a table.
    """
    path = next((file for file in (root / name, root.parent / name) if file.is_file()), None)
    if path is None:
        return
    try:
        rows = csv.DictReader(read_bytes(path).decode("utf-8-sig").splitlines(), strict=True)
        for row in rows:
            try:
                if None in row or None in row.values():
                    raise ValueError("another number of columns")
                yield parse({column.strip().lower(): value.strip() for column, value in row.items()})
            except (ValueError, KeyError) as error:
                raise InputError(f"line {rows.line_num} of {path} cannot be read: expected {wanted}") from error
    except (UnusableFile, ValueError, csv.Error) as error:
        raise InputError(f"{path} is not a table ({error}): expected {wanted}") from error


def read_numbers(path: Path) -> list[list[float]]:
    """The numbers of each line of a small text file, separated by blanks or commas; raises `UnusableFile`."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
        rows = [[float(word) for word in line.replace(",", " ").split()] for line in lines]
    except ValueError as error:
        raise UnusableFile("not only numbers", path.name) from error
    rows = [row for row in rows if row]
    if not rows:
        raise UnusableFile("empty", path.name)
    return rows


def read_xml(path: Path) -> Element:
    """The root element of a small XML file that declares no entities; raises `UnusableFile`."""
    try:
        return ElementTree.fromstring(read_bytes(path))
    except (ParseError, ValueError, LookupError) as error:
        raise UnusableFile(f"not valid XML ({type(error).__name__})", path.name) from error


def whole(number: float, path: Path) -> int:
    """A whole number written as a float (``3.0000000e+00``); raises `UnusableFile` for any other."""
    if not number.is_integer():
        raise UnusableFile("not a whole number", path.name)
    return int(number)
