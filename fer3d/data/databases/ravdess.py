"""RAVDESS (Livingstone & Russo 2018): actors who speak or sing two sentences in eight emotions.

Not a database of the paper. https://doi.org/10.5281/zenodo.1188976, licence CC BY-NC-SA 4.0. A file name has seven
numbers, ``02-01-06-01-02-01-12.mp4``: modality, channel (speech, song), emotion, intensity, statement, repetition,
actor. Files are known by their names alone, in whatever folders they lie.

Modality 01 (with sound) and 02 (without) are the same take; each take counts once, 02 before 01. Modality 03 has no
picture. Of several files of one modality the fuller and larger one is used; those that differ from it are listed.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from fer3d.config import ClipSettings
from fer3d.data.databases.release import Published, Recording, Release, recordings, skipped
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.file_kinds import UnusableFile
from fer3d.labels import RAVDESS_CODES

LAYOUT = "videos named by seven numbers, such as Actor_12/02-01-06-01-02-01-12.mp4"
PUBLISHED = Published(
    sequences=2452,
    subjects=24,
    labelled=2452,
    labelled_subjects=24,
    classes={
        **dict.fromkeys(("anger", "fear", "happiness", "sadness", "calm"), 376),
        **dict.fromkeys(("disgust", "surprise"), 192),
        "neutral": 188,
    },
    source="Livingstone & Russo 2018: 1440 spoken takes of 24 actors, 1012 sung ones of 23",
)
ACTORS = range(1, 25)
WITHOUT_SONGS = 18
"""The actor who does not sing."""

_TAKE = re.compile(r"(0[1-3])-((?:\d\d-){5}(\d\d))")
_TWO = frozenset({"01", "02"})
"""Codes of channel, intensity, statement and repetition."""
VIDEO_ONLY, _AUDIO_ONLY = "02", "03"


def looks_like(release: Release) -> bool:
    """Whether there is a video with such a name."""
    return any(take_of(recording.name) for level in release.walk() for recording in recordings(level))


def people(release: Release) -> dict[str, int | None]:
    """The actors who are seen, by the names of the files; no fold is given."""
    takes = (take_of(recording.name) for level in release.walk() for recording in recordings(level))
    seen = (take for take in takes if take and take[1] != _AUDIO_ONLY and _exists(take[2]))
    return {f"Actor_{take[3]}": None for take in seen}


def scan(root: Path, _settings: ClipSettings) -> Iterator[Sequence | Skipped]:
    """Every take once, in the order of channel, emotion, .. and actor."""
    release = Release(root)
    takes: dict[str, list[tuple[str, Recording]]] = {}
    for level in release.walk():
        for recording in recordings(level):
            if match := take_of(recording.name):
                if match[1] != _AUDIO_ONLY:
                    takes.setdefault(match[2], []).append((match[1], recording))
            elif not recording.images:
                release.note(recording.source, "a video whose name is not seven numbers as in RAVDESS")
    yield from release.take_skipped()
    for take, files in sorted(takes.items()):
        silent = [recording for modality, recording in files if modality == VIDEO_ONLY]
        copies = [same for same in (silent, [recording for _, recording in files if recording not in silent]) if same]
        try:
            yield _sequence(release, take, copies)
        except UnusableFile as reason:
            yield skipped(copies[0][0].name, reason)
        yield from release.take_skipped()
    if repeats := sum(map(len, takes.values())) - len(takes):
        yield Skipped("takes", f"{repeats} repeated: the same take with sound, or a second copy")


def _sequence(release: Release, take: str, copies: list[list[Recording]]) -> Sequence:
    _, emotion, *_, actor = take.split("-")
    if not _exists(take):
        codes = f"actors are 01 to {ACTORS[-1]}, emotions 01 to 08, the other numbers 01 or 02"
        raise UnusableFile(f"actor {actor}, emotion {emotion}: {codes}", remedy="")
    chosen = release.first_usable(release.choose(same) for same in copies)
    return Sequence(
        database="ravdess",
        subject=f"Actor_{actor}",
        name=copies[0][0].name,
        source=chosen.source,
        images=chosen.images,
        label=RAVDESS_CODES[emotion],
        origin=release.shown(chosen.source),
    )


def _exists(take: str) -> bool:
    """Whether all numbers but the modality are codes of RAVDESS."""
    channel, emotion, intensity, statement, repetition, actor = take.split("-")
    return {channel, intensity, statement, repetition} <= _TWO and emotion in RAVDESS_CODES and int(actor) in ACTORS


def take_of(name: str) -> re.Match[str] | None:
    """The name of a recording taken apart: modality, the other six numbers, actor; None for another one."""
    return _TAKE.fullmatch(name)
