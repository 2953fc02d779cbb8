"""CREMA-D (Cao et al. 2014): 91 actors speak twelve sentences in six emotions.

Not a database of the paper. https://github.com/CheyneyComputerScience/CREMA-D, licences ODbL 1.0 and DbCL 1.0. A file
name has four parts, ``VideoFlash/1001_DFA_ANG_XX.flv``: actor, sentence, emotion, level. Files are known by their
names alone, in whatever folders they lie. The label is the emotion that the actor was asked to show; people who saw
the face alone named it in 58 % of the clips.

Four clips are faulty, as the owners say; they are left out by name. The repository keeps its videos in git LFS:
without it a clone holds pointers, which are recognised. Of several files of one clip the fuller and larger one is used;
those that differ from it are listed.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from fer3d.config import ClipSettings
from fer3d.data.databases.release import Published, Recording, Release, recordings, skipped
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.file_kinds import UnusableFile
from fer3d.labels import CREMAD_CODES

LAYOUT = "videos named by four parts, such as VideoFlash/1001_DFA_ANG_XX.flv"
PUBLISHED = Published(
    sequences=7442,
    subjects=91,
    labelled=7442,
    labelled_subjects=91,
    classes={
        **dict.fromkeys(("anger", "disgust", "fear", "happiness", "sadness"), 1271),
        "neutral": 1087,
    },
    source="the repository; four of the clips are faulty and left out",
)
ACTORS = range(1001, 1092)
FAULTY: Final[Mapping[str, str]] = {
    "1064_IEO_DIS_MD": "a minute long, with all emotions",
    "1064_TIE_SAD_XX": "without duration",
    "1076_MTI_NEU_XX": "very short",
    "1076_MTI_SAD_XX": "an error picture",
}
"""Clips that do not show what their names say (the repository's read-me)."""

_CLIP = re.compile(r"(1\d{3})_([A-Z]{3})_([A-Z]{3})_(?:XX?|LO|MD|HI)")
"""Actor, sentence, emotion, level; one recording of the release, 1040_ITH_SAD_X, has a single X."""


def looks_like(release: Release) -> bool:
    """Whether there is a video with such a name."""
    return any(clip_of(recording.name) for level in release.walk() for recording in recordings(level))


def people(release: Release) -> dict[str, int | None]:
    """The actors of the clips that are used, by the names of the files; no fold is given."""
    clips = (clip_of(recording.name) for level in release.walk() for recording in recordings(level))
    return {clip[1]: None for clip in clips if clip and int(clip[1]) in ACTORS and clip[0] not in FAULTY}


def scan(root: Path, _settings: ClipSettings) -> Iterator[Sequence | Skipped]:
    """Every clip once, actor by actor."""
    release = Release(root)
    clips: dict[str, list[Recording]] = {}
    for level in release.walk():
        for recording in recordings(level):
            if match := clip_of(recording.name):
                clips.setdefault(match[0], []).append(recording)
            elif not recording.images:
                release.note(recording.source, "a video whose name is not actor, sentence, emotion and level")
    yield from release.take_skipped()
    for name, files in sorted(clips.items()):
        try:
            yield _sequence(release, name, files)
        except UnusableFile as reason:
            yield skipped(name, reason)
        yield from release.take_skipped()
    if repeats := sum(map(len, clips.values())) - len(clips):
        yield Skipped("clips", f"{repeats} repeated: a second copy")


def _sequence(release: Release, name: str, files: list[Recording]) -> Sequence:
    actor, _, emotion, _ = name.split("_")
    if int(actor) not in ACTORS:
        raise UnusableFile(f"actor {actor} is not one of 1001 to {ACTORS[-1]}", remedy="")
    if name in FAULTY:
        raise UnusableFile(f"faulty in the release: {FAULTY[name]}", remedy="")
    if emotion not in CREMAD_CODES:
        raise UnusableFile(f"emotion {emotion} is not one of {', '.join(CREMAD_CODES)}", remedy="")
    chosen = release.choose(files)
    release.check(chosen)
    return Sequence(
        database="cremad",
        subject=actor,
        name=name,
        source=chosen.source,
        images=chosen.images,
        label=CREMAD_CODES[emotion],
        origin=release.shown(chosen.source),
    )


def clip_of(name: str) -> re.Match[str] | None:
    """The name of a recording taken apart: actor, sentence, emotion; None for another one."""
    return _CLIP.fullmatch(name.upper())
