"""CK+, the Extended Cohn-Kanade database (Lucey et al. 2010), as its release unpacks.

Section 4.1 of the paper. Images (``S005/001/S005_001_00000011.png``), emotion, FACS and
landmark files are in four folders with the same subjects and sequences. Names and depth of
these folders do not matter: every folder that holds ``S###`` folders counts, and all files
of one sequence are brought together. Its images come from one folder (`release.Release.choose`).

The number in the name of a label file is that of the peak frame; a sequence without a label file
has no label. The 68 landmarks of the release are ignored: the paper computes its own.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fer3d.config import ClipSettings
from fer3d.data.databases.release import Published, Recording, Release, merged, read_numbers, skipped, whole
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.file_kinds import IMAGE_SUFFIXES, UnusableFile
from fer3d.data.images import number_in
from fer3d.labels import CKPLUS_CODES, CLASSES

LAYOUT = "folders S###/###/ with images, and the Emotion labels next to them"
PUBLISHED = Published(
    sequences=593,
    subjects=123,
    labelled=327,
    labelled_subjects=118,
    classes={"anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83},
    source="Lucey et al. 2010 and the release's read-me",
)

FRAME_RATE = 30.0
"""Frames a second; the images hold no time (Lucey et al. 2010)."""

_SUBJECT = re.compile(r"S\d{3,4}", re.IGNORECASE)  # three digits in the original; a large stand-in has some of four
_SEQUENCE = re.compile(r"\d{3}")
_EMOTION = "_emotion.txt"


def looks_like(release: Release) -> bool:
    """Whether there is a folder of a sequence."""
    subjects = (subject for level in release.walk(_SUBJECT) for subject in level.matched_dirs)
    return any(_SEQUENCE.fullmatch(folder.name) for subject in subjects for folder in release.listing(subject)[0])


def people(release: Release) -> dict[str, int | None]:
    """The subjects of the sequences with images and an emotion, by the names of the files; no fold is given."""
    found: dict[str, int | None] = {}
    for subject, _, folders in _places(release):
        names = [file.name.lower() for folder in folders for file in release.listing(folder)[1]]
        labelled = any(name.endswith(_EMOTION) for name in names)
        if labelled and any(Path(name).suffix in IMAGE_SUFFIXES for name in names):
            found[subject] = None
    return found


def scan(root: Path, _settings: ClipSettings) -> Iterator[Sequence | Skipped]:
    """Every sequence, labelled or not, subject by subject."""
    release = Release(root)
    labels_seen = False
    for subject, name, folders in _places(release):
        try:
            sequence = _sequence(release, subject, name, folders)
            labels_seen = labels_seen or sequence.label is not None
            yield sequence
        except UnusableFile as reason:
            yield skipped(name, reason)
        yield from release.take_skipped()
    if not labels_seen:
        yield Skipped(
            "Emotion",
            "not one emotion label below this folder",
            remedy="Emotion_labels.zip unpacked next to the images",
        )


def _places(release: Release) -> Iterator[tuple[str, str, list[Path]]]:
    """The subject, the name and all folders of each sequence."""
    for subject, places in merged(folder for level in release.walk(_SUBJECT) for folder in level.matched_dirs).items():
        numbers = [folder for place in places for folder in release.listing(place)[0]]
        for number, folders in merged(folder for folder in numbers if _SEQUENCE.fullmatch(folder.name)).items():
            yield subject, f"{subject}_{number}", folders


def _sequence(release: Release, subject: str, name: str, folders: list[Path]) -> Sequence:
    files = [file for folder in folders for file in release.listing(folder)[1]]
    places: dict[Path, list[Path]] = {}
    for file in files:
        if file.suffix.lower() in IMAGE_SUFFIXES:
            places.setdefault(file.parent, []).append(file)
    if not places:
        raise UnusableFile("no images", remedy="cohn-kanade-images unpacked next to the labels")
    recording = release.choose(Recording(folder, tuple(images)) for folder, images in places.items())
    release.check(recording)
    emotions = _distinct(file for file in files if file.name.lower().endswith(_EMOTION))
    if len(emotions) > 1:
        raise UnusableFile(f"{len(emotions)} emotion labels", remedy="one emotion file in the folder")
    _check_whole(recording.images, emotions)
    units: list[tuple[int, float]] = []
    for file in _distinct(file for file in files if file.name.lower().endswith("_facs.txt")):
        units += release.read_extra(_action_units, file) or []
    return Sequence(
        database="ckplus",
        subject=subject,
        name=name,
        source=recording.source,
        images=recording.images,
        frame_rate=FRAME_RATE,
        label=_emotion(emotions[0]) if emotions else None,
        action_units=tuple(units),
        origin=release.shown(emotions[0]) if emotions else "",
    )


def _check_whole(images: tuple[Path, ...], emotions: list[Path]) -> None:
    """An `UnusableFile` where the images end before the peak frame, whose number the label's file name has."""
    last = max((number for image in images if (number := number_in(image)) is not None), default=None)
    for file in emotions:
        peak = number_in(file)
        if last is not None and peak is not None and last < peak:
            why = f"the images end at {last}, and the label is that of image {peak}"
            raise UnusableFile(why, remedy="cohn-kanade-images unpacked again")


def _distinct(files: Iterable[Path]) -> list[Path]:
    """The label files, one of several of the same name: an archive unpacked twice counts once."""
    return list({file.name.lower(): file for file in files}.values())


def _emotion(path: Path) -> str:
    """The emotion of the one number in an emotion file, such as ``   3.0000000e+00``."""
    rows = read_numbers(path)
    if len(rows) != 1 or len(rows[0]) != 1:
        raise UnusableFile(f"{sum(map(len, rows))} numbers instead of 1", path.name)
    code = whole(rows[0][0], path)
    label = CKPLUS_CODES.get(code)
    if label not in CLASSES["ckplus"]:
        raise UnusableFile(f"emotion code {code} is not one of 1 to 7", path.name, remedy="")
    return label


def _action_units(path: Path) -> list[tuple[int, float]]:
    """The (unit, intensity) lines of a FACS file; intensity 1 to 5 is A to E, 0 is present but not scored."""
    rows = read_numbers(path)
    if any(len(row) != 2 or not 0 <= row[1] <= 5 for row in rows):
        raise UnusableFile("not action units with intensities 0 to 5", path.name)
    return [(whole(unit, path), intensity) for unit, intensity in rows]
