"""A release made into a prepared store: faces found, clips cut, all of it on disk.

Everything left out is listed in ``rejected.csv`` with its reason. An image that cannot be read is a hole in its
sequence; a CK+ sequence is left out whole. Nothing grows with the database but the list of its sequences and the store
on disk. Each sequence is a part of its own (`write_in_parts`), so that a call that is made again repeats no finished
sequence.
"""

import dataclasses
import math
import os
import time
from pathlib import Path
from typing import Any

import cv2
import dlib

from fer3d import __version__, files, labels, program
from fer3d.config import ClipSettings
from fer3d.data import databases
from fer3d.data.clips import SPREAD, Clip, DroppedClip, cut
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.faces import FaceTracker
from fer3d.data.file_kinds import VideoError
from fer3d.data.store import FORMAT, array_specs
from fer3d.data.video import Flaw
from fer3d.data.writer import Writer, write_in_parts
from fer3d.errors import InputError


def prepare(
    database: str,
    root: Path | str,
    out: Path | str,
    settings: ClipSettings,
    workers: int | None = None,
) -> dict[str, float]:
    """Write the prepared store of the release at ``root`` to ``out``, unless it is there and up to date.

    Args:
        database: a name of `labels.TITLES`.
        root: the unpacked release.
        out: the store's folder.
        settings: how clips are cut.
        workers: processes (None: one per processor).

    Returns:
        The numbers of ``clips``, of ``padded`` clips, of sequences and clips ``rejected``, of ``frames``
        processed, and the ``seconds`` that this call took.

    Raises:
        InputError: an unusable release, setting or ``out``; not one clip.
    """
    began, root, out = time.monotonic(), Path(root), Path(out)
    labels.check_database(database)
    if settings.frame_step and database in SPREAD and settings.sampling == "whole":
        hint = "--set clips.sampling=tens, or none of both"
        raise InputError("clips.frame_step has no effect where ten frames are spread over a recording", hint)
    records = list(databases.scan(database, root, settings))
    sequences = [record for record in records if isinstance(record, Sequence)]
    skipped = [_skipped_row(database, record) for record in records if isinstance(record, Skipped)]
    labelled = {part_key(s, root, settings): s for s in sequences if s.label or any(s.frame_labels or ())}
    if not labelled:
        raise InputError(f"no sequence in {root} has a label", f"fer3d index {database} {root}")
    folds = {s.subject: s.fold for s in labelled.values() if s.fold is not None}
    metadata = {
        "database": database,
        "folds": folds,
        "source_fingerprint": files.fingerprint([FORMAT, settings.as_dict(), list(labelled), skipped, folds]),
        "versions": {"fer3d": __version__, "opencv": cv2.__version__, "dlib": dlib.__version__},
        "synthetic": databases.is_standin(root),
        "unlabelled": len(sequences) - len(labelled),
        "skipped": len(skipped),
    }
    bar = {"desc": "clips", "unit": "sequence"}
    written = write_in_parts(out, settings, metadata, _cut_sequence, labelled, skipped, workers, **bar)
    counts = {name: written[name] for name in ("clips", "padded", "rejected", "skipped", "frames")}
    return counts | {"seconds": round(time.monotonic() - began, 2)}


def program_digest(database: str) -> str:
    """A digest of the program that makes the stores of a database."""
    readers = {f"{databases.__name__}.{name}" for name in databases.READERS if name != database}
    return program.digest(__name__, frozenset(readers))


def part_key(sequence: Sequence, root: Path, settings: ClipSettings) -> str:
    """A digest of all that a sequence's clips depend on: program, settings, labels, the state of its files."""
    record = dataclasses.asdict(dataclasses.replace(sequence, source=Path(), images=(), origin="", fold=None))
    sources = sequence.images or (sequence.source,)
    made_by = [FORMAT, program_digest(sequence.database), settings.as_dict()]
    return files.fingerprint(
        [*made_by, record, [(os.path.relpath(file, root), *files.state(file)) for file in sources]]
    )


def _cut_sequence(sequence: Sequence, part: Writer) -> None:
    """The clips of one sequence, and what was left out of it."""
    tracker = FaceTracker(part.settings)
    try:
        for piece in cut(sequence, tracker):
            if isinstance(piece, Flaw):
                part.rejected.append(_rejected_row(sequence, "flaw", piece.first_frame, math.nan, piece.why))
            elif isinstance(piece, DroppedClip):
                part.rejected.append(_rejected_row(sequence, "clip", piece.first_frame, piece.seconds, piece.reason))
            else:
                arrays = {name: getattr(piece, name)[None] for name in array_specs(part.settings)}
                part.put([_manifest_row(sequence, piece)], arrays)
                part.rejected += [
                    _rejected_row(sequence, "frame", i, math.nan, why) for i, why in piece.missing.items()
                ]
        reason = part.rejected[0]["reason"] if part.rejected else "no labelled frame"
    except VideoError as error:
        part.clear()
        reason = str(error)
    if not part.clips:
        part.rejected = [_rejected_row(sequence, "sequence", None, math.nan, reason)]
    part.frames = tracker.frames


def _manifest_row(sequence: Sequence, clip: Clip) -> dict[str, Any]:
    return {
        "clip": f"{sequence.name}_{clip.first_frame:05d}",
        "database": sequence.database,
        "subject": sequence.subject,
        "sequence": sequence.name,
        "first_frame": clip.first_frame,
        "seconds": _number(clip.seconds, 3),
        "frame_rate": _number(clip.frame_rate, 3),
        "padded": clip.padded,
        "missing": len(clip.missing),
        "small": clip.small,
        "doubtful": clip.doubtful,
        "label": clip.label,
        "n_faces": clip.n_faces,
        "score": round(clip.score, 4),
        "confidence": round(clip.confidence, 4),
    }


def _rejected_row(
    sequence: Sequence, what: str, first_frame: int | None, seconds: float, reason: str
) -> dict[str, Any]:
    source = {"database": sequence.database, "subject": sequence.subject, "sequence": sequence.name}
    return source | {"what": what, "first_frame": first_frame, "seconds": _number(seconds, 3), "reason": reason}


def _number(value: float, digits: int) -> float | None:
    """Rounded; None where it is not known: JSON has no NaN."""
    return None if math.isnan(value) else round(value, digits)


def _skipped_row(database: str, record: Skipped) -> dict[str, Any]:
    """For what the reader could not use."""
    row = {"database": database, "subject": "", "sequence": record.what, "what": "recording", "first_frame": None}
    return row | {"reason": record.why}
