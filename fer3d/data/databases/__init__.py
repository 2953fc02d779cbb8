"""Readers: a release on disk, exactly as its owner ships it, to a stream of sequences.

Section 4.1 of the paper. A reader yields a `Sequence` for each recording that can be
used and a `Skipped` for each that cannot, with the reason, and never stops at one bad
file. It holds one sequence at a time.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from tqdm import tqdm

from fer3d.config import ClipSettings
from fer3d.data.databases import ckplus, cremad, disfa, fera, lookalikes, mmi, ravdess, table
from fer3d.data.databases.release import Copies, Published, Recording, Release
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.errors import InputError, printable
from fer3d.labels import CLASSES, TITLES, check_database, ordered

__all__ = ["PAPER_SETTINGS", "READERS", "Published", "Reader", "Sequence", "Skipped", "scan"]


class Reader(Protocol):
    """The module of one database."""

    LAYOUT: str
    """What the release's folders look like, for a message."""
    PUBLISHED: Published

    def looks_like(self, release: Release) -> bool:
        """Whether the release seems to be this database's."""

    def people(self, release: Release) -> Mapping[str, int | None]:
        """Those who have labelled sequences, as far as names and tables tell, and the fold of each, if it is given."""

    def scan(self, root: Path, settings: ClipSettings, /) -> Iterator[Sequence | Skipped]:
        """The sequences of a release, and what is left out."""


READERS: Final[Mapping[str, Reader]] = {
    "ckplus": ckplus,
    "mmi": mmi,
    "disfa": disfa,
    "ravdess": ravdess,
    "cremad": cremad,
    "fera": fera,
    "table": table,
}
"""By the name of the database; FERA and tables last, because they are recognised by the least."""
PAPER_SETTINGS: Final = ClipSettings()
_ARCHIVE = re.compile(r"\.(?:zip|rar|7z|tar|tgz|tar\.\w+)$", re.IGNORECASE)


def scan(database: str, root: Path | str, settings: ClipSettings = PAPER_SETTINGS) -> Iterator[Sequence | Skipped]:
    """The sequences of ``database`` below ``root``, one at a time, and what is left out.

    Args:
        database: a name of `labels.TITLES`.
        root: the folder that the release was unpacked into.
        settings: only ``camera`` and ``au_threshold`` count here (DISFA).

    Raises:
        InputError: at once, for a missing or empty folder, a file, another database's release, or a
            collection that is often taken for this one.
    """
    root = Path(root)
    _check(database, root)
    found = READERS[database].scan(root, settings)
    return _unique(tqdm(found, database, unit="recording", disable=None, leave=False))


def number_of_folds(database: str, root: Path | str, folds: int) -> int:
    """The folds that can be made of a release: a table's own, else ``folds`` or, where these are fewer, the subjects.

    Opens no recording. At least one, whose training then says that there are too few subjects.

    Raises:
        InputError: as `scan`.
    """
    reader, root = READERS[check_database(database)], Path(root)
    _check(database, root)
    people = reader.people(Release(root))
    given = set(people.values()) - {None}
    return len(given) or max(1, min(folds, len(people)))


def is_standin(root: Path | str) -> bool:
    """Whether a release was written by ``fer3d standins``: the plan of one lies beside it, in ``<root>.truth``."""
    root = Path(root).resolve()
    return (root.parent / f"{root.name}.truth" / "plan.json").is_file()


def classes(database: str, root: Path | str) -> tuple[str, ...]:
    """The classes of a release: those of its database, or of a table those that its lines name. Opens no recording.

    Raises:
        InputError: as `scan`, for a table.
    """
    if check_database(database) in CLASSES:
        return CLASSES[database]
    _check(database, Path(root))
    return ordered(table.classes(Release(Path(root))))


def _unique(found: Iterator[Sequence | Skipped]) -> Iterator[Sequence | Skipped]:
    """Each name once, and each labelled video. (Only names and paths are kept, some hundred bytes per sequence.)

    A table may name several parts of one video. FERA's two challenges share some, with an emotion in only one.
    """
    names, copies, sources = set(), Copies(), dict[Path, str]()
    for entry in found:
        if isinstance(entry, Sequence):
            if entry.name in names:
                yield Skipped(entry.name, "a second recording of this name", remedy="one copy of the release")
                continue
            names.add(entry.name)
            if entry.database != "table" and entry.label is not None and not entry.images:
                original = copies.original(Recording(entry.source)).source
                if (name := sources.setdefault(original, entry.name)) != entry.name:
                    yield Skipped(
                        entry.name, f"the same file as {name}, with another name", remedy="the right name alone"
                    )
                    continue
        yield entry


def _check(database: str, root: Path) -> None:
    reader, title, shown = READERS[check_database(database)], TITLES[database], printable(str(root))

    def error(problem: str, hint: str = f"fer3d index {database} DIR with the folder of the release") -> InputError:
        return InputError(f"{shown} {problem}; expected {title}: {reader.LAYOUT}", hint)

    try:
        missing, folder = not root.exists(), root.is_dir()
    except OSError as why:  # a name too long, a forbidden folder above
        raise error(f"cannot be read ({why.strerror})") from why
    if missing:
        raise error("does not exist")
    release = Release(root)
    if folder and reader.looks_like(release):
        return
    for other, another in READERS.items():  # first: a copy of another database may have a look-alike in it
        if folder and other != database and another.looks_like(release):
            raise error(f"looks like {TITLES[other]}", f"fer3d index {other} {shown}")
    if lookalike := lookalikes.recognise(root):
        raise error(f"is {lookalike}")
    if not folder:
        raise error("is a file")
    archives = [release.shown(file) for level in release.walk() for file in level.files if _ARCHIVE.search(file.name)]
    if archives:
        named = ", ".join(archives[:3]) + (", ..." if archives[3:] else "")
        raise error(f"holds archives that are not unpacked ({named})", f"unzip, then fer3d index {database} {shown}")
    skipped = next(release.take_skipped(), None)
    reason = f" ({skipped.what}: {skipped.why})" if skipped else ""
    raise error(("holds no such files" if any(release.listing(release.root)) else "is empty") + reason)
