"""MMI (Pantic et al. 2005), as its web site packs a selection.

Section 4.1 of the paper. ``Sessions/<number>/`` holds a video (``S###-###.avi``), its
metatags (``S###-###.xml``, the emotion among them) and ``session.xml``, which gives the view:
frontal, profile, or both through a mirror. Any selection of sessions is accepted.

Some frontal videos are stored rotated, and which half of a mirrored frame shows the front
differs by subject. So a sequence has candidate views, the likeliest first, and the face
detector decides. Where it is wrong, a file ``views.csv`` in the release's folder or next to it
gives the view of a session::

    session,rotation,half
    2,0,right
    1767,90,

``rotation`` in degrees clockwise (0, 90, 180, 270), ``half`` left, right or empty. A
session named there is used whatever its ``session.xml`` says.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from fer3d.config import ClipSettings
from fer3d.data.databases.release import (
    Level,
    Published,
    Recording,
    Release,
    read_users_table,
    read_xml,
    recordings,
    skipped,
)
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.file_kinds import IMAGE_SUFFIXES, UnusableFile
from fer3d.data.video import View
from fer3d.labels import MMI_CODES

LAYOUT = "folders Sessions/<number>/ with S###-###.avi, S###-###.xml and session.xml"
PUBLISHED = Published(
    labelled=213,
    labelled_subjects=32,
    source="a hint only: papers count 205 (frontal), 208 or 213 sequences with an emotion, of 30 to 32 subjects",
)

_SESSION = re.compile(r"\d+")
_STEM = re.compile(r"(S\d{3})-\d{3}", re.IGNORECASE)
_FRONT_RIGHT = frozenset({"S001", "S002"})
"""Subjects whose mirrored frames show the front in the right half; the others in the left."""
_UPRIGHT_HEIGHT = 480
"""Frames of this height are stored upright; the others (720 x 576) with the top to the left."""
_VIEWS: Final[Mapping[tuple[int, str], View]] = {
    (view.rotation, view.half or ""): view
    for view in (View(rotation, half) for rotation in (0, 90, 180, 270) for half in (None, "left", "right"))
}


def looks_like(release: Release) -> bool:
    """Whether there is a numbered folder with a ``session.xml`` or a file named ``S###-###``."""
    sessions = (session for level in release.walk(_SESSION) for session in level.matched_dirs)
    return any(
        file.name.lower() == "session.xml" or _STEM.fullmatch(file.stem)
        for session in sessions
        for file in release.listing(session)[1]
    )


def people(release: Release) -> dict[str, int | None]:
    """The subjects of the videos, by their names; no fold is given. Whether there is an emotion only a metatag says."""
    sessions = (session for level in release.walk(_SESSION) for session in level.matched_dirs)
    names = (recording.name.upper() for session in sessions for recording in _recordings(release, session))
    return {name.partition("-")[0]: None for name in names}


def scan(root: Path, _settings: ClipSettings) -> Iterator[Sequence | Skipped]:
    """Every session with one of the six emotions, in the order of the session numbers."""
    release = Release(root)
    overrides = _overrides(release.root)
    found: dict[str, list[tuple[Recording, Path]]] = {}
    for level in release.walk(_SESSION):
        for session in level.matched_dirs:
            recorded = _recordings(release, session)
            for recording in recorded:
                found.setdefault(recording.name.upper(), []).append((recording, session))
            if not recorded:
                images = any(file.suffix.lower() in IMAGE_SUFFIXES for file in release.listing(session)[1])
                yield Skipped(release.shown(session), "images only, no video" if images else "no video")
            yield from release.take_skipped()
    for name, places in found.items():
        chosen = release.choose(recording for recording, _ in places)
        session = next(folder for recording, folder in places if recording is chosen)
        try:
            yield _sequence(release, name, chosen, session, overrides.get(session.name))
        except UnusableFile as reason:
            yield skipped(release.shown(chosen.source), reason)
        yield from release.take_skipped()


def _recordings(release: Release, session: Path) -> list[Recording]:
    """The videos of a session, and its folders of images, that are named as a video is."""
    folders, files = release.listing(session)
    levels = [Level(session, [], files), *(Level(folder, [], release.listing(folder)[1]) for folder in folders)]
    return [one for level in levels for one in recordings(level) if _STEM.fullmatch(one.name)]


def _sequence(release: Release, stem: str, recording: Recording, session: Path, override: View | None) -> Sequence:
    files = {file.name.lower(): file for file in release.listing(session)[1]}
    subject = stem.partition("-")[0]
    tags = files.get(f"{stem}.xml".lower())
    if tags is None:
        raise UnusableFile("no metatags", f"{stem}.xml", remedy="")
    label = _emotion(tags)
    view = "" if override else _view(files, stem)
    if view == "1":
        raise UnusableFile("profile view only", remedy="views.csv, if that is wrong")
    size = release.check(recording)
    units: tuple[tuple[int, float], ...] = ()
    if coded := files.get(f"{stem}-oao_aucs.xml".lower()):
        units = release.read_extra(_action_units, coded) or ()
    return Sequence(
        database="mmi",
        subject=subject,
        name=stem,
        source=recording.source,
        images=recording.images,
        label=label,
        action_units=units,
        views=(override,) if override else _candidates(view, subject, size.height, size.width),
        origin=release.shown(tags),
    )


def _emotion(path: Path) -> str:
    """The emotion of the ``Emotion`` metatag."""
    values = {
        _attribute(element, "value")
        for element in _elements(read_xml(path), "metatag")
        if _attribute(element, "name").lower() == "emotion"
    }
    if not values:
        raise UnusableFile("no Emotion tag", path.name, remedy="")
    if len(values) > 1:
        raise UnusableFile(f"{len(values)} different Emotion tags", path.name, remedy="")
    value = values.pop()
    label = MMI_CODES.get(int(value)) if value.isdecimal() and len(value) < 4 else None
    if label is None:
        raise UnusableFile(f"emotion code {value[:20]!r} is not one of 1 to 6", path.name, remedy="")
    return label


def _view(files: Mapping[str, Path], stem: str) -> str:
    """``view`` of the session's track (0 front, 1 profile, 2 both); empty where it is missing."""
    if "session.xml" not in files:
        return ""
    tracks = [track for track in _elements(read_xml(files["session.xml"]), "track") if _attribute(track, "view")]
    ours = [track for track in tracks if any(stem in " ".join(e.attrib.values()).upper() for e in track.iter())]
    return _attribute((ours or tracks)[0], "view") if tracks else ""


def _action_units(path: Path) -> tuple[tuple[int, float], ...]:
    """The coded action units, each once, without an intensity (0); ``12L`` and ``12R`` are both 12."""
    numbers = [re.match(r"\d{1,3}", _attribute(unit, "number")) for unit in _elements(read_xml(path), "actionunit")]
    return tuple((unit, 0.0) for unit in sorted({int(number[0]) for number in numbers if number}))


def _candidates(view: str, subject: str, height: int, width: int) -> tuple[View, ...]:
    """The likeliest view first. There is no specification: this follows what other readers found."""
    upright = height in (_UPRIGHT_HEIGHT, width) or height > width
    turns = (0, 90, 270, 180) if upright else (90, 270, 0, 180)
    halves = ("right", "left") if subject in _FRONT_RIGHT else ("left", "right")
    if view == "0":
        return tuple(_VIEWS[turn, ""] for turn in turns)
    if view == "2":
        return tuple(_VIEWS[turn, half] for turn in (0, 90, 270, 180) for half in halves)
    return (*(_VIEWS[turn, ""] for turn in turns), *(_VIEWS[0, half] for half in halves))


def _overrides(root: Path) -> dict[str, View]:
    """The views of the user's table, by session."""

    def view(row: Mapping[str, str]) -> tuple[str, View]:
        return row["session"], _VIEWS[int(row["rotation"]), row["half"].lower()]

    wanted = "session,rotation,half with rotation 0, 90, 180 or 270 and half left, right or empty"
    return dict(read_users_table(root, "views.csv", view, wanted))


def _elements(root: Element, tag: str) -> Iterator[Element]:
    """The elements of that name (small letters), in any namespace and letter case."""
    return (e for e in root.iter() if isinstance(e.tag, str) and e.tag.rpartition("}")[2].lower() == tag)


def _attribute(element: Element, name: str) -> str:
    """An attribute by its name in any letter case; empty where there is none."""
    return next((value.strip() for key, value in element.attrib.items() if key.lower() == name), "")
