"""Class names, their order, and each database's class set: the one place that defines them.

Sections 4.1 and 4.2.2 of the paper. A class is always passed by its name, never by a
number; a number exists only as an index into an ordered tuple of names that is stored
with it (in a store's manifest, in a run's ``model.json``).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from fer3d.errors import InputError

EMOTIONS = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "relief", "calm")
"""The classes that the program knows, in the one order that tables, figures and logits follow."""

TITLES: Final[Mapping[str, str]] = {
    "ckplus": "CK+",
    "mmi": "MMI",
    "fera": "FERA",
    "disfa": "DISFA",
    "ravdess": "RAVDESS",
    "cremad": "CREMA-D",
    "table": "own videos",
}
"""The databases: the name in the program and the printed name."""

SYNTHETIC = " (synthetic)"
"""Stands behind the printed name of a database whose release is a stand-in."""

PAPER = ("ckplus", "mmi", "fera", "disfa")
"""The databases of the paper. The others are additions: two open ones, and a folder of one's own with a table."""


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """The given classes once each: those of `EMOTIONS` in that order, then a table's own by name."""
    wanted = set(names)
    return (*(name for name in EMOTIONS if name in wanted), *sorted(wanted.difference(EMOTIONS)))


_BASIC = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "ckplus": ordered((*_BASIC, "contempt")),
    "mmi": ordered(_BASIC),
    "fera": ordered(("anger", "fear", "happiness", "relief", "sadness")),
    "disfa": ordered((*_BASIC, "neutral")),
    "ravdess": ordered((*_BASIC, "neutral", "calm")),
    "cremad": ordered(("anger", "disgust", "fear", "happiness", "sadness", "neutral")),
    "people": ordered((*_BASIC, "contempt", "neutral")),
}
"""The classes of each database: for the paper's four those that it recognises (Section 4.1), FERA's joy being
happiness. ``people`` is rendered for pre-training. A table has the classes that it names, so it is not listed."""


def classes_of(database: str, present: Iterable[str]) -> tuple[str, ...]:
    """The classes of a database; of a table those that are present among its labels."""
    return CLASSES[database] if database in CLASSES else ordered(present)


CKPLUS_CODES: Final[Mapping[int, str]] = dict(
    enumerate(("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"))
)
"""The number in a CK+ ``*_emotion.txt``. 0 never occurs among the 327 labelled sequences."""

MMI_CODES: Final[Mapping[int, str]] = dict(enumerate(_BASIC, start=1))
"""The value of MMI's ``Emotion`` metatag. Sequences with larger values exist; they are left out and counted."""

RAVDESS_CODES: Final[Mapping[str, str]] = dict(
    zip(
        ("01", "02", "03", "04", "05", "06", "07", "08"),
        ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"),
        strict=True,
    )
)
"""The third field of a RAVDESS file name."""

CREMAD_CODES: Final[Mapping[str, str]] = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
"""The third part of a CREMA-D file name: the emotion that the actor was asked to show."""

WORDS: Final[Mapping[str, str]] = {
    **{name: name for name in EMOTIONS},
    "angry": "anger",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "fearful": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "relieved": "relief",
    "sad": "sadness",
    "surprised": "surprise",
}
"""Words for the classes, in small letters, in file names, label files and the user's tables."""

FERA_WORDS: Final[Mapping[str, str]] = {word: name for word, name in WORDS.items() if name in CLASSES["fera"]}
"""Words for FERA's five classes."""


def title(database: str, synthetic: bool) -> str:
    """The printed name of a database, marked if it is a stand-in; of a store of other people the name itself."""
    return TITLES.get(database, database) + (SYNTHETIC if synthetic else "")


def check_database(database: str) -> str:
    """The name itself, or an `InputError` that lists the known ones."""
    if database not in TITLES:
        raise InputError(f"unknown database {database!r}: expected {', '.join(TITLES)}")
    return database


def cross_database(
    train: Iterable[str], test: str, tables: Mapping[str, Iterable[str]] = MappingProxyType({})
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes to train on and to test on when the whole database ``test`` is held out (Section 4.2.2).

    The network learns every class of the training databases. Classes that only the test database
    has (contempt for CK+, relief for FERA, neutral for DISFA) are left out of the test, as in the
    paper. ``tables``: the labels of databases that have no classes of their own. Two tables of one's own recordings
    are two databases of one name: "table" may be on both sides. Returns ``(train_classes, test_classes)``, both
    ordered.
    """
    names = tuple(train)
    if not names or (check_database(test) in names and test != "table"):
        raise InputError(f"{test} is held out: expected other databases to train on, not {', '.join(names) or 'none'}")
    classes = {name: classes_of(check_database(name), tables.get(name, ())) for name in (*names, test)}
    learned = ordered(c for name in names for c in classes[name])
    return learned, tuple(c for c in classes[test] if c in learned)
