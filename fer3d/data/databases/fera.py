"""GEMEP-FERA (the FERA 2011 challenge): its action unit partition and its emotion partition.

Section 4.1 of the paper, whose count (87 sequences of 7 subjects) is that of the action
unit partition, which comes without emotions. Both are read. How the emotion partition
stores its labels is not known for certain, so they are searched in this order:

1. the user's ``actors.csv`` (in the release's folder or next to it), if it names an emotion;
2. an emotion word in the name of the video or of a folder that it is in, the innermost first;
3. a word in a ``.dat`` or ``.txt`` next to the video, or below a folder ``labels``;
4. a single number in such a file, if the user's ``emotion_codes.csv`` says what it means.

The actor, without whom there are no subject-independent folds, comes from ``actors.csv``
or, for the training videos with action units, from their known division::

    sequence,subject,emotion          code,emotion
    train_001,actor1,                 1,anger
    au_train_001,actor1,joy           2,fear

A sequence has the name of its video, in small letters; names of the action unit partition begin
with ``au_``, since both partitions count from 001.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from fer3d.config import ClipSettings
from fer3d.data.databases.release import (
    Level,
    Published,
    Recording,
    Release,
    read_bytes,
    read_numbers,
    read_users_table,
    recordings,
    skipped,
    whole,
)
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.file_kinds import UnusableFile
from fer3d.labels import FERA_WORDS

LAYOUT = "folders train_###/ with train_###.avi and its label file"
PUBLISHED = Published(
    sequences=155,
    subjects=7,
    labelled=155,
    labelled_subjects=7,
    classes={"anger": 32, "fear": 31, "happiness": 30, "sadness": 31, "relief": 31},
    source="emotion training partition (87 in the action unit partition); counts by class from memory",
)
UNITS = (1, 2, 4, 6, 7, 10, 12, 15, 17, 18, 25, 26)
"""The action units that are coded."""
ACTORS: Final[Mapping[range, str]] = {
    range(1, 19): "actor1",
    range(19, 33): "actor2",
    range(33, 42): "actor3",
    range(42, 57): "actor4",
    range(57, 64): "actor5",
    range(64, 80): "actor6",
    range(80, 88): "actor7",
}
"""The actor of each training sequence of the action unit partition."""

_COLUMNS = 100
"""Action units have smaller numbers."""
_TABLE = "a line for it in actors.csv (sequence,subject,emotion) in the release's folder"
_PREFIX = {"au": "au_", "emotion": ""}
"""The prefix of a partition's names, by the suffix of its label files."""
_LABEL = re.compile(r"(.+)-(au|emotion)\.(?:dat|txt)")
_NAMED = re.compile(r"(?:train|test)", re.IGNORECASE)
_FOLDER = re.compile(r"(?:train|test)_\d{3}", re.IGNORECASE)
"""The name of a folder whose images are a sequence."""
_WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(FERA_WORDS)})(?![a-z])")


@dataclass(frozen=True)
class _Known:
    """The contents of the user's two tables."""

    actors: Mapping[str, str]
    emotions: Mapping[str, str]
    codes: Mapping[int, str]


def looks_like(release: Release) -> bool:
    """Whether there is a video with ``train`` or ``test`` in its name or its folder's, or a label file ``-au.dat``."""
    return any(
        any(file.name.lower().endswith("-au.dat") for file in level.files)
        or any(_NAMED.search(release.shown(one.source)) for one in _recordings(level))
        for level in release.walk()
    )


def people(release: Release) -> dict[str, int | None]:
    """The actors of the videos with an emotion, by names, label files and the user's tables; no fold is given."""
    known, found = _users_tables(release.root), dict[str, int | None]()
    for level in release.walk():
        for recording in _recordings(level):
            about = _about(recording.name.lower(), level)
            name = _name(release, recording, about)
            actor = known.actors.get(name) or _actor(name)
            with contextlib.suppress(UnusableFile):
                if actor and _emotion(release, recording.source, about, name, known)[0]:
                    found[actor] = None
    return found


def scan(root: Path, _settings: ClipSettings) -> Iterator[Sequence | Skipped]:
    """Every video whose actor is known, labelled or not."""
    release = Release(root)
    known = _users_tables(release.root)
    unlabelled = 0
    found: dict[str, list[tuple[Recording, list[Path]]]] = {}
    for level in release.walk():
        for recording in _recordings(level):
            about = _about(recording.name.lower(), level)
            found.setdefault(_name(release, recording, about), []).append((recording, about))
        for name in _without_video(level):
            yield Skipped(name, "no video", remedy="the videos unpacked next to the labels")
        yield from release.take_skipped()
    for name, places in found.items():
        chosen = release.choose(recording for recording, _ in places)
        about = next(files for recording, files in places if recording is chosen)
        try:
            sequence = _sequence(release, chosen, name, about, known)
            unlabelled += sequence.label is None
            yield sequence
        except UnusableFile as reason:
            yield skipped(name, reason)
        yield from release.take_skipped()
    if unlabelled:
        yield Skipped("emotions", f"{unlabelled} sequences have no emotion", remedy=_TABLE)


def read_units(path: Path) -> pd.DataFrame:
    """A ``-au.dat`` file: a row per frame (index 1 ..), a 0/1 column for each of `UNITS` and one for ``speech``.

    Column k of the file is action unit k; the last column, whatever its number, is the speech flag.
    Raises `UnusableFile`.
    """
    rows = read_numbers(path)
    width = len(rows[0])
    if not max(UNITS) < width <= _COLUMNS or any(len(row) != width or not {0.0, 1.0}.issuperset(row) for row in rows):
        raise UnusableFile(f"not columns of 0 and 1 for the units up to {max(UNITS)}", path.name)
    table = pd.DataFrame(rows, index=range(1, len(rows) + 1), columns=range(1, width + 1)).astype(int)
    return table[list(UNITS)].assign(speech=table[width])


def _without_video(level: Level) -> list[str]:
    """Sequences of a folder that have a label file but no video."""
    if level.folder.name.lower() == "labels":
        return []
    videos = {recording.name.lower() for recording in _recordings(level)}
    labels = (_LABEL.fullmatch(file.name.lower()) for file in level.files)
    return [_PREFIX[label[2]] + label[1] for label in labels if label and label[1] not in videos]


def _recordings(level: Level) -> list[Recording]:
    """The videos of a folder, and the folder itself where it holds images and has a video's name."""
    return [one for one in recordings(level) if not one.images or _FOLDER.fullmatch(one.name)]


def _name(release: Release, recording: Recording, about: list[Path]) -> str:
    """The recording's name, with the prefix ``au_`` in the action unit partition."""
    folders = release.shown(recording.source.parent).lower()
    coded = any(map(_is_coded, about)) or re.search(r"(?<![a-z])au(?![a-z])", folders)
    return _PREFIX["au" if coded else "emotion"] + recording.name.lower()


def _sequence(release: Release, recording: Recording, name: str, about: list[Path], known: _Known) -> Sequence:
    subject = known.actors.get(name) or _actor(name)
    if subject is None:
        raise UnusableFile("the actor is not known", remedy=_TABLE)
    release.check(recording)
    label, origin = _emotion(release, recording.source, about, name, known)
    units: tuple[tuple[int, float], ...] = ()
    for file in filter(_is_coded, about):
        if (table := release.read_extra(read_units, file)) is not None:
            units = tuple((unit, 0.0) for unit in UNITS if table[unit].any())
    return Sequence(
        database="fera",
        subject=subject,
        name=name,
        source=recording.source,
        images=recording.images,
        label=label,
        action_units=units,
        origin=origin,
    )


def _emotion(release: Release, video: Path, about: list[Path], name: str, known: _Known) -> tuple[str | None, str]:
    """The emotion and its file, in the order of the module's docstring."""
    if name in known.emotions:
        return known.emotions[name], "actors.csv"
    for part in reversed(video.relative_to(release.root).parts):
        if word := _one_word(part):
            return word, release.shown(video)
    uncoded = (file for file in about if not _is_coded(file))
    file = next(itertools.chain(uncoded, _elsewhere(release, video)), None)
    return (_written(file, known), release.shown(file)) if file else (None, "")


def _about(name: str, level: Level) -> list[Path]:
    """The label files of a video: those with its name, else those in its folder if it is the only video there."""
    texts = [file for file in level.files if file.suffix.lower() in (".dat", ".txt")]
    named = [file for file in texts if re.split(r"[-.]", file.name.lower())[0] == name]
    alone = len(_recordings(level)) == 1
    return named or [file for file in texts if alone and file.suffix.lower() == ".dat"]


def _written(file: Path, known: _Known) -> str:
    """The emotion in a label file, a word or a number."""
    if word := _one_word(read_bytes(file).decode("utf-8", errors="replace")):
        return word
    rows = read_numbers(file)
    if len(rows) != 1 or len(rows[0]) != 1:
        raise UnusableFile("neither an emotion nor a single number", file.name)
    code = whole(rows[0][0], file)
    if code not in known.codes:
        raise UnusableFile(
            f"emotion code {code} has no known meaning",
            file.name,
            remedy="emotion_codes.csv with lines code,emotion in the release's folder",
        )
    return known.codes[code]


def _elsewhere(release: Release, video: Path) -> Iterator[Path]:
    """A label file with the video's name in a folder ``labels`` next to the sequences or one level up."""
    for above in list(video.relative_to(release.root).parents)[1:3]:
        for suffix in (".dat", "-emotion.dat", ".txt", "-emotion.txt"):
            file = release.root / above / "labels" / f"{video.stem}{suffix}"
            if file.is_file() and file.resolve().is_relative_to(release.root):
                yield file


def _one_word(text: str) -> str | None:
    """The emotion that the text names, if it names exactly one."""
    named = {FERA_WORDS[word] for word in _WORD.findall(text.lower())}
    return named.pop() if len(named) == 1 else None


def _is_coded(file: Path) -> bool:
    return file.stem.lower().endswith("-au")


def _actor(name: str) -> str | None:
    number = re.fullmatch(r"au_train_(\d{3})", name)
    return next((actor for numbers, actor in ACTORS.items() if number and int(number[1]) in numbers), None)


def _users_tables(root: Path) -> _Known:
    def actor(row: Mapping[str, str]) -> tuple[str, str, str]:
        if not row["sequence"] or not row["subject"]:
            raise ValueError("an empty name")
        return row["sequence"].lower(), row["subject"], row.get("emotion", "") and FERA_WORDS[row["emotion"].lower()]

    def code(row: Mapping[str, str]) -> tuple[int, str]:
        return int(row["code"]), FERA_WORDS[row["emotion"].lower()]

    words = ", ".join(FERA_WORDS)
    people = list(
        read_users_table(root, "actors.csv", actor, f"sequence,subject,emotion with the emotions {words} or none")
    )
    codes = dict(read_users_table(root, "emotion_codes.csv", code, f"code,emotion with the emotions {words}"))
    return _Known(
        actors={sequence: subject for sequence, subject, _ in people},
        emotions={sequence: emotion for sequence, _, emotion in people if emotion},
        codes=codes,
    )
