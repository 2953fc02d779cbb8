"""Emotion names, their order, and each database's class set. Written nowhere else.

Sections 4.1 and 4.2.2 of the paper. A class is always passed as its name, never as a
number; a number exists only as an index into an ordered tuple of names that travels
with it (in a store's manifest, in a run's ``model.json``).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from fer3d.errors import InputError

EMOTIONS = (
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
    "relief",
)
"""Every class of any database, in the one order that tables, figures and logits follow."""

TITLES: Mapping[str, str] = MappingProxyType({"ckplus": "CK+", "mmi": "MMI", "fera": "FERA", "disfa": "DISFA"})
"""The databases of the paper, by the name the program uses, with the printed name."""


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """The given emotions once each, in the order of `EMOTIONS`."""
    wanted = set(names)
    if unknown := wanted.difference(EMOTIONS):
        raise InputError(f"emotion {sorted(unknown)}", f"names among {', '.join(EMOTIONS)}", "one of those names")
    return tuple(name for name in EMOTIONS if name in wanted)


_BASIC = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ckplus": ordered((*_BASIC, "contempt")),
        "mmi": ordered(_BASIC),
        "fera": ordered(("anger", "fear", "happiness", "relief", "sadness")),
        "disfa": ordered((*_BASIC, "neutral")),
        "people": ordered((*_BASIC, "contempt")),
    }
)
"""The classes that the paper recognises in each database (Section 4.1); FERA's joy is happiness. ``people`` is no
database of the paper: it is rendered for pre-training."""

CKPLUS_CODES: Mapping[int, str] = MappingProxyType(
    {0: "neutral", 1: "anger", 2: "contempt", 3: "disgust", 4: "fear", 5: "happiness", 6: "sadness", 7: "surprise"}
)
"""The number in a CK+ ``*_emotion.txt``. 0 never occurs among the 327 labelled sequences."""

MMI_CODES: Mapping[int, str] = MappingProxyType(
    {1: "anger", 2: "disgust", 3: "fear", 4: "happiness", 5: "sadness", 6: "surprise"}
)
"""The value of MMI's ``Emotion`` metatag. Larger values occur and are left out, counted."""

FERA_WORDS: Mapping[str, str] = MappingProxyType(
    {
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
)
"""Words for FERA's five classes in file names, label files and the user's tables."""


def check_database(database: str) -> str:
    """The name itself, or an `InputError` that lists the known ones."""
    if database not in TITLES:
        raise InputError(f"database {database!r}", f"one of {', '.join(TITLES)}", "one of those names")
    return database


def cross_database(train: Iterable[str], test: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes to train on and to test on when ``test`` is held out whole (Section 4.2.2).

    The network learns every class of the training databases. What the test database
    alone has (contempt for CK+, relief for FERA, neutral for DISFA) is left out of the
    test, as in the paper. Returns ``(train_classes, test_classes)``, both ordered.
    """
    names = tuple(train)
    if check_database(test) in names or not names:
        raise InputError(
            f"training databases {names} for the test database {test!r}", "other databases", "leave it out"
        )
    learned = ordered(c for name in names for c in CLASSES[check_database(name)])
    return learned, tuple(c for c in CLASSES[test] if c in learned)
