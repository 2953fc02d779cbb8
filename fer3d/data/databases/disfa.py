"""DISFA (Mavadati et al. 2013): long spontaneous videos with the intensities of action units in every frame.

Section 4.1 of the paper. Each subject has one video per camera (``LeftVideoSN001_comp.avi``,
``RightVideoSN001_Comp.avi``) and twelve label files (``SN001_au1.txt`` ..) of lines
``frame,intensity``. The emotion of a frame follows from its intensities by
`emfacs.emfacs`; a frame that fits no combination, or two equally well, has none.

Row i belongs to frame i of the video. Where their numbers differ, the shorter counts: here by
the video's header if it says a few frames fewer, and in any case by the frames that decode. It
is reported. The landmarks of the release are ignored: the paper computes its own.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from fer3d.config import ClipSettings
from fer3d.data.databases.release import Published, Recording, Release, merged, read_numbers, recordings, skipped
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.emfacs import emfacs
from fer3d.data.file_kinds import UnusableFile

LAYOUT = "LeftVideoSN###_comp.avi in Videos_LeftCamera, and ActionUnit_Labels/SN###/SN###_au#.txt"
PUBLISHED = Published(
    sequences=27,
    subjects=27,
    labelled=27,
    labelled_subjects=27,
    classes={
        "anger": 436,
        "disgust": 5326,
        "fear": 4073,
        "happiness": 28404,
        "sadness": 1024,
        "surprise": 1365,
        "neutral": 48582,
    },
    source="27 subjects: the owners; images by class: a later paper of the same laboratory, from memory",
)
UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
"""The action units that are coded."""
SUBJECT = re.compile(r"SN\d{3}", re.IGNORECASE)

_VIDEO = re.compile(rf"(left|right)video({SUBJECT.pattern})(?:_comp)?", re.IGNORECASE)
_TRUSTED = 20
"""A header is trusted that says up to this many frames fewer than there are label rows."""


def looks_like(release: Release) -> bool:
    """Whether there is a camera's video or a subject's label file."""
    return any(
        any(_VIDEO.fullmatch(recording.name) for recording in recordings(level))
        or any(_label_files(release, subject) for subject in level.matched_dirs)
        for level in release.walk(SUBJECT)
    )


def people(release: Release) -> dict[str, int | None]:
    """The subjects with a video and label files, by the names of the files; no fold is given."""
    videos, labelled = set(), set()
    for level in release.walk(SUBJECT):
        videos |= {match[2].upper() for one in recordings(level) if (match := _VIDEO.fullmatch(one.name))}
        labelled |= {folder.name.upper() for folder in level.matched_dirs if _label_files(release, folder)}
    return dict.fromkeys(videos & labelled)


def scan(root: Path, settings: ClipSettings) -> Iterator[Sequence | Skipped]:
    """A sequence for each subject and chosen camera, with one emotion per frame."""
    release = Release(root)
    found: dict[tuple[str, str], list[Recording]] = {}
    subjects = []
    for level in release.walk(SUBJECT):
        subjects += level.matched_dirs
        for recording in recordings(level):
            if match := _VIDEO.fullmatch(recording.name):
                found.setdefault((match[2].upper(), match[1].lower()), []).append(recording)
    yield from release.take_skipped()
    folders = merged(subjects)
    cameras = ("left", "right") if settings.camera == "both" else (settings.camera,)
    for subject in sorted({*folders, *(subject for subject, _ in found)}):
        for camera in cameras:
            try:
                if not (places := found.get((subject, camera))):
                    remedy = f"the {camera} camera's videos unpacked next to the labels"
                    if (subject, other := "right" if camera == "left" else "left") in found:
                        remedy = f"fer3d prepare --set clips.camera={other}"
                    raise UnusableFile(f"no video of the {camera} camera", remedy=remedy)
                recording = release.choose(places)
                labelled = folders.get(subject, [])
                yield _sequence(release, subject, camera, recording, labelled, settings.au_threshold)
            except UnusableFile as reason:
                yield skipped(f"{subject}_{camera}", reason)
            yield from release.take_skipped()


def read_intensities(files: dict[int, Path]) -> pd.DataFrame:
    """Intensities 0 to 5 from the label files of the units: a row per frame (index 1 ..), a column per unit.

    NaN where a file has fewer lines than another. Raises `UnusableFile` for a missing file and
    for lines other than ``frame,intensity`` with the frames counted from 1.
    """
    if missing := [unit for unit in UNITS if unit not in files]:
        raise UnusableFile(
            f"no labels of AU {', '.join(map(str, missing))}", remedy="ActionUnit_Labels.zip unpacked again"
        )
    return pd.concat({unit: _column(files[unit]) for unit in UNITS}, axis="columns")


def _sequence(
    release: Release, subject: str, camera: str, recording: Recording, folders: list[Path], threshold: int
) -> Sequence:
    facts = release.check(recording)
    claimed = facts.claimed_frames
    files = {unit: file for folder in reversed(folders) for unit, file in _label_files(release, folder).items()}
    origin = next((file.parent for file in files.values()), None)
    frame_labels: tuple[str | None, ...] | None = None
    units: tuple[tuple[int, float], ...] = ()
    if origin:
        table = read_intensities(files)
        rows = table.dropna()
        if len(rows) < len(table):
            release.note(origin, f"label files of {len(rows)} to {len(table)} rows; cut to the shortest")
        there = facts.decodable
        if len(rows) != there:
            release.note(recording.source, f"{len(rows)} label rows for {there} frames; cut to the shorter")
        if facts.flaw:
            rows = rows.head(there)
        elif 0 < len(rows) - claimed <= _TRUSTED:
            rows = rows.head(claimed)
        frame_labels = tuple(
            emfacs({unit: value for unit, value in zip(UNITS, row, strict=True) if value >= threshold})
            for row in rows.to_numpy().tolist()
        )
        units = tuple((unit, float(rows[unit].max())) for unit in UNITS if rows[unit].any())
    return Sequence(
        database="disfa",
        subject=subject,
        name=f"{subject}_{camera}",
        source=recording.source,
        images=recording.images,
        frame_labels=frame_labels,
        action_units=units,
        origin=release.shown(origin) if origin else "",
    )


def _label_files(release: Release, folder: Path) -> dict[int, Path]:
    names = re.compile(rf"{folder.name}_au(\d{{1,2}})\.txt", re.IGNORECASE)
    matches = ((names.fullmatch(file.name), file) for file in release.listing(folder)[1])
    return {int(match[1]): file for match, file in matches if match}


def _column(path: Path) -> pd.Series:
    rows = read_numbers(path)
    if any(len(row) != 2 or row[0] != number or row[1] not in range(6) for number, row in enumerate(rows, start=1)):
        raise UnusableFile("not lines frame,intensity with frames from 1 on and intensities 0 to 5", path.name)
    return pd.Series([int(row[1]) for row in rows], index=range(1, len(rows) + 1))
