"""Emotion names, their order, and each database's class set. Written nowhere else.

Sections 4.1 and 4.2.2 of the paper. A class is always passed by its name, never by a
number; a number exists only as an index into an ordered tuple of names that is stored
with it (in a store's manifest, in a run's ``model.json``).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from fer3d.errors import InputError

EMOTIONS = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "relief")
"""Every class of any database, in the one order that tables, figures and logits follow."""

TITLES: Final[Mapping[str, str]] = {"ckplus": "CK+", "mmi": "MMI", "fera": "FERA", "disfa": "DISFA"}
"""The databases of the paper: the name in the program and the printed name."""


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """The given emotions once each, in the order of `EMOTIONS`."""
    wanted = set(names)
    if unknown := wanted.difference(EMOTIONS):
        raise InputError(f"unknown emotion {', '.join(map(repr, sorted(unknown)))}: expected {', '.join(EMOTIONS)}")
    return tuple(name for name in EMOTIONS if name in wanted)


_BASIC = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "ckplus": ordered((*_BASIC, "contempt")),
    "mmi": ordered(_BASIC),
    "fera": ordered(("anger", "fear", "happiness", "relief", "sadness")),
    "disfa": ordered((*_BASIC, "neutral")),
    "people": ordered((*_BASIC, "contempt", "neutral")),
}
"""The classes that the paper recognises in each database (Section 4.1); FERA's joy is happiness. ``people`` is not
a database of the paper: it is rendered for pre-training."""

CKPLUS_CODES: Final[Mapping[int, str]] = dict(
    enumerate(("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"))
)
"""The number in a CK+ ``*_emotion.txt``. 0 never occurs among the 327 labelled sequences."""

MMI_CODES: Final[Mapping[int, str]] = dict(enumerate(_BASIC, start=1))
"""The value of MMI's ``Emotion`` metatag. Sequences with larger values exist; they are left out and counted."""

FERA_WORDS: Final[Mapping[str, str]] = {
    "anger": "anger",
    "angry": "anger",
    "fear": "fear",
    "happiness": "happiness",
    "happy": "happiness",
    "joy": "happiness",
    "relief": "relief",
    "sad": "sadness",
    "sadness": "sadness",
}
"""Words for FERA's five classes in file names, label files and the user's tables."""


def check_database(database: str) -> str:
    """The name itself, or an `InputError` that lists the known ones."""
    if database not in TITLES:
        raise InputError(f"unknown database {database!r}: expected {', '.join(TITLES)}")
    return database


def cross_database(train: Iterable[str], test: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes to train on and to test on when the whole database ``test`` is held out (Section 4.2.2).

    The network learns every class of the training databases. Classes that only the test database
    has (contempt for CK+, relief for FERA, neutral for DISFA) are left out of the test, as in the
    paper. Returns ``(train_classes, test_classes)``, both ordered.
    """
    names = tuple(train)
    if check_database(test) in names or not names:
        raise InputError(f"{test} is held out: expected other databases to train on, not {', '.join(names) or 'none'}")
    learned = ordered(c for name in names for c in CLASSES[check_database(name)])
    return learned, tuple(c for c in CLASSES[test] if c in learned)
