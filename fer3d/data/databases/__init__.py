"""Readers: a release on disk, exactly as its owner ships it, to a stream of sequences.

Section 4.1 of the paper. A reader yields a `Sequence` for each recording that can be
used and a `Skipped` for each that cannot, with the reason, and never stops at one bad
file. It holds one sequence at a time.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from fer3d.config import ClipSettings
from fer3d.data.databases import ckplus, disfa, fera, lookalikes, mmi
from fer3d.data.databases.release import Published, Release
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.video import printable
from fer3d.errors import InputError
from fer3d.labels import CLASSES, TITLES, check_database

__all__ = ["READERS", "Published", "Reader", "Sequence", "Skipped", "scan", "summary"]


class Reader(Protocol):
    """What the module of one database holds."""

    LAYOUT: str
    """What the release's folders look like, for a message."""
    PUBLISHED: Published

    def looks_like(self, release: Release) -> bool:
        """Whether the release seems to be this database's."""

    def scan(self, root: Path, settings: ClipSettings, /) -> Iterator[Sequence | Skipped]:
        """The sequences of a release, and what is left out."""


READERS: Mapping[str, Reader] = MappingProxyType({"ckplus": ckplus, "mmi": mmi, "disfa": disfa, "fera": fera})

_PAPER = ClipSettings()


def scan(database: str, root: Path, settings: ClipSettings = _PAPER) -> Iterator[Sequence | Skipped]:
    """The sequences of ``database`` below ``root``, one at a time, and what is left out.

    Of the settings only ``camera`` and ``au_threshold`` count here (DISFA).

    Raises `InputError` at once for a missing or empty folder, a file, another database's
    release, or a collection that is often taken for this one.
    """
    _check(database, root)
    return _once(READERS[database].scan(root, settings))


def _once(found: Iterator[Sequence | Skipped]) -> Iterator[Sequence | Skipped]:
    """A name counts once. (The names are all that is kept, 100 bytes a sequence.)"""
    names = set()
    for entry in found:
        if isinstance(entry, Sequence):
            if entry.name in names:
                yield Skipped(entry.name, "a second recording of this name", remedy="one copy of the release")
                continue
            names.add(entry.name)
        yield entry


def summary(database: str, root: Path, settings: ClipSettings = _PAPER) -> dict[str, Any]:
    """Counts over a release, ready for JSON.

    ``sequences`` and ``subjects`` count labelled and unlabelled ones; ``labelled``,
    ``labelled_subjects`` and ``classes`` (in label order) only those with an emotion. Where
    every frame has a label (DISFA), ``classes`` counts frames; ``classes_of`` says which.
    ``skipped`` lists what was left out or noted, why, and what would be the remedy. Raises as
    `scan` does.
    """
    sequences = labelled = 0
    of = "sequences"
    subjects, labelled_subjects = set(), set()
    classes: Counter[str | None] = Counter()
    left_out = []
    for found in scan(database, root, settings):
        if isinstance(found, Skipped):
            left_out.append(dataclasses.asdict(found))
            continue
        sequences += 1
        subjects.add(found.subject)
        if found.label is not None or found.frame_labels is not None:
            labelled += 1
            labelled_subjects.add(found.subject)
            classes.update(found.frame_labels or (found.label,))
            of = "frames" if found.frame_labels else of
    return {
        "database": database,
        "sequences": sequences,
        "labelled": labelled,
        "subjects": len(subjects),
        "labelled_subjects": len(labelled_subjects),
        "classes_of": of,
        "classes": {name: classes[name] for name in CLASSES[database]},
        "skipped": left_out,
    }


def _check(database: str, root: Path) -> None:
    wanted = f"the unpacked {TITLES[check_database(database)]} release: {READERS[database].LAYOUT}"
    again = f"fer3d index {database} DIR with the folder that the release was unpacked into"
    shown = printable(str(root))
    try:
        missing, folder = not root.exists(), root.is_dir()
    except OSError as error:  # a name too long, a forbidden folder above
        raise InputError(f"{shown} ({error.strerror})", wanted, again) from error
    if missing:
        raise InputError(f"{shown}, which does not exist", wanted, again)
    release = Release(root)
    if folder and READERS[database].looks_like(release):
        return
    for other, reader in READERS.items():  # first: a copy of another database may have a look-alike in it
        if folder and other != database and reader.looks_like(release):
            raise InputError(f"{shown}, which looks like {TITLES[other]}", wanted, f"fer3d index {other} {shown}")
    if lookalike := lookalikes.recognise(root):
        raise InputError(f"{shown}, which is {lookalike}", wanted, again)
    if not folder:
        raise InputError(f"the file {shown}", wanted, again)
    passed_over = next(release.take_skipped(), None)
    problem = "holds no such files" if any(release.listing(release.root)) else "is empty"
    if passed_over:
        problem += f" ({passed_over.what}: {passed_over.why})"
    raise InputError(f"{shown}, which {problem}", wanted, again)
