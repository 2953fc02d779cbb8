"""Collections that are named after a database but hold no sequences: refused by name."""

import re
from pathlib import Path

from fer3d.data.databases import disfa
from fer3d.data.databases.release import Release
from fer3d.data.file_kinds import IMAGE_SUFFIXES
from fer3d.errors import printable

_EMOTION_FOLDER = re.compile(
    r"\d?_?(?:ang(?:er|ry)|contempt|disgust(?:ed)?|fear(?:ful)?|happ(?:y|iness)|sad(?:ness)?|surprised?|neutral)",
    re.IGNORECASE,
)


def recognise(root: Path) -> str | None:
    """What the folder or file is, if it is a known look-alike; else None."""
    if not root.is_dir():
        return _pixel_table(root)
    release = Release(root)
    for file in release.listing(release.root)[1]:
        if found := _pixel_table(file):
            return found
    if any(
        len(level.matched_dirs) >= 3 and _has_images(release, level.matched_dirs)
        for level in release.walk(_EMOTION_FOLDER)
    ):
        return "single images sorted by emotion, such as CK+48 or FER: no sequences"
    # Folders of subjects whose subfolders hold images; DISFA's hold label files.
    subjects = (subject for level in release.walk(disfa.SUBJECT) for subject in level.matched_dirs)
    if any(_has_images(release, release.listing(subject)[0]) for subject in subjects):
        return "DISFA+, folders of single images: another release than DISFA"
    return None


def _pixel_table(file: Path) -> str | None:
    """FER2013 and its descendants (ckextended.csv): one image of 48 x 48 pixels per line."""
    if file.suffix.lower() != ".csv" or not file.is_file():
        return None
    try:
        with file.open("rb") as opened:
            head = opened.read(200).lower()
    except OSError:
        return None
    if b"emotion" in head and b"pixels" in head:
        return f"a table of single images as in FER2013 ({printable(file.name)}): no sequences"
    return None


def _has_images(release: Release, folders: list[Path]) -> bool:
    return any(file.suffix.lower() in IMAGE_SUFFIXES for folder in folders for file in release.listing(folder)[1])
