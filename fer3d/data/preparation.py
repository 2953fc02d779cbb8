"""A release made into a prepared store: faces found, clips cut, all of it on disk.

Everything left out stands in ``rejected.csv`` with its reason; a sequence with an image
that can't be read is left out whole. Nothing grows with the database but the list of its
sequences and the store on disk: each sequence goes at once into a folder of its own in
``.<out>.partial``, named by what it depends on, so that a run started again redoes no
finished sequence; at the end the parts are joined into the store, which has the same bytes
whoever worked on it.
"""

import contextlib
import dataclasses
import os
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
import pandas as pd
from tqdm import tqdm

from fer3d import __version__, files, labels
from fer3d.config import ClipSettings
from fer3d.data import databases
from fer3d.data.clips import Clip, Omitted, cut
from fer3d.data.databases.sequence import Sequence, Skipped
from fer3d.data.faces import FaceTracker
from fer3d.data.store import FORMAT, MANIFEST, MOST_TABLE_BYTES, REJECTED, digest, of_a_clip, open_store
from fer3d.data.video import VideoError
from fer3d.errors import InputError
from fer3d.workers import each_done


def prepare(
    database: str, root: Path, out: Path, settings: ClipSettings, workers: int | None = None, progress: bool = True
) -> dict[str, float]:
    """Write the prepared store of the release at ``root`` to ``out``, unless it is there and up to date.

    ``workers`` is the number of processes (None: one a processor). Returns the numbers of
    ``clips``, of ``padded`` clips, of sequences and clips ``rejected``, of ``frames``
    looked at, and the ``seconds`` that this call took. Raises `InputError`.
    """
    began = time.monotonic()
    labels.check_database(database)
    with files.lock(out):
        records = list(databases.scan(database, root, settings))
        sequences = [record for record in records if isinstance(record, Sequence)]
        skipped = [_skipped(database, record) for record in records if isinstance(record, Skipped)]
        parts = {_key(s, root, settings): s for s in sequences if s.label or any(s.frame_labels or ())}
        info: dict[str, Any] = {
            "format": FORMAT,
            "database": database,
            "settings": settings.as_dict(),
            "release": files.fingerprint([FORMAT, settings.as_dict(), list(parts), skipped]),
            "versions": {"fer3d": __version__, "opencv": cv2.__version__, "dlib": dlib.__version__},
            "unlabelled": len(sequences) - len(parts),
            "skipped": len(skipped),
        }
        partial = out.with_name(f".{out.name}.partial")
        there = fresh(out, info["release"])
        if there is None:
            if not parts:
                raise InputError(f"{root} without a labelled sequence", "labelled sequences", f"fer3d index {database}")
            _make_parts(parts, partial, settings, workers, progress)
            there = _join([partial / key for key in parts], skipped, out, info)
        shutil.rmtree(partial, ignore_errors=True)
    told = {name: there[name] for name in ("clips", "padded", "rejected", "frames")}
    return told | {"seconds": round(time.monotonic() - began, 2)}


def _key(sequence: Sequence, root: Path, settings: ClipSettings) -> str:
    """Names all that a sequence's part depends on: settings, record, and size and time of its files."""

    def state(file: Path) -> tuple[str, int, int]:
        try:
            found = file.stat()
        except OSError:
            return os.path.relpath(file, root), -1, -1
        return os.path.relpath(file, root), found.st_size, found.st_mtime_ns

    record = dataclasses.asdict(dataclasses.replace(sequence, source=Path(), images=()))
    sources = sequence.images or (sequence.source,)
    return files.fingerprint([FORMAT, settings.as_dict(), record, [state(file) for file in sources]])


def fresh(out: Path, release: str) -> dict[str, Any] | None:
    """``prepared.json`` of the store at ``out`` if it is whole and up to date; refuses what is no store."""
    if out.exists() and not (out / "prepared.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}, which is no prepared store", "a store or a new folder", "another --out")
    try:
        info = open_store(out).info
    except InputError:
        return None
    return info if info["release"] == release else None


def _make_parts(
    parts: dict[str, Sequence], partial: Path, settings: ClipSettings, workers: int | None, progress: bool
) -> None:
    """A folder for each sequence: one that is there stays, one that belongs to nothing goes."""
    partial.mkdir(parents=True, exist_ok=True)
    there = {folder.name for folder in partial.iterdir()}
    for stale in there - parts.keys():
        shutil.rmtree(partial / stale)
    tasks = [(sequence, settings, partial / key) for key, sequence in parts.items() if key not in there]
    silent = None if progress else True
    with tqdm(
        total=len(parts), initial=len(there & parts.keys()), desc="clips", unit="sequence", disable=silent
    ) as bar:
        for _ in each_done(_make_part, tasks, workers):
            bar.update()


def _make_part(task: tuple[Sequence, ClipSettings, Path]) -> None:
    """The clips of one sequence in a folder: arrays as plain numbers, the rest as JSON."""
    sequence, settings, folder = task
    cv2.setNumThreads(1)  # the processes share the processors
    tracker = FaceTracker(settings)
    clips: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    with files.atomic_folder(folder) as part:
        with contextlib.ExitStack() as opened:
            arrays = [opened.enter_context((part / name).open("wb")) for name in of_a_clip(settings)]
            try:
                for piece in cut(sequence, tracker):
                    if isinstance(piece, Omitted):
                        rejected.append(_left_out(sequence, "clip", piece.first_frame, piece.reason))
                        continue
                    values = (piece.pictures, piece.landmarks, piece.detections, piece.squares)
                    for array, numbers in zip(arrays, values, strict=True):
                        array.write(numbers.tobytes())
                    clips.append(_row(sequence, piece))
                    rejected += [_left_out(sequence, "frame", m.frame, m.reason) for m in piece.missing]
                if not clips:
                    why = rejected[0]["reason"] if rejected else "no labelled frame"
                    rejected = [_left_out(sequence, "sequence", None, why)]
            except VideoError as error:
                clips, rejected = [], [_left_out(sequence, "sequence", None, str(error))]
                for array in arrays:
                    array.truncate(0)
        files.write_json(part / "rows.json", {"clips": clips, "rejected": rejected, "frames": tracker.frames})


def _row(sequence: Sequence, clip: Clip) -> dict[str, Any]:
    """The clip's row of ``manifest.csv``."""
    return {
        "clip": f"{sequence.name}_{clip.first_frame:05d}",
        "database": sequence.database,
        "subject": sequence.subject,
        "sequence": sequence.name,
        "first_frame": clip.first_frame,
        "padded": clip.padded,
        "missing": len(clip.missing),
        "label": clip.label,
        "n_faces": clip.n_faces,
        "score": round(clip.score, 4),
    }


def _left_out(sequence: Sequence, what: str, first_frame: int | None, reason: str) -> dict[str, Any]:
    """A row of ``rejected.csv``."""
    source = {"database": sequence.database, "subject": sequence.subject, "sequence": sequence.name}
    return source | {"what": what, "first_frame": first_frame, "reason": reason}


def _skipped(database: str, record: Skipped) -> dict[str, Any]:
    """A row of ``rejected.csv`` for what the reader could not use."""
    row = {"database": database, "subject": "", "sequence": record.what, "what": "recording", "first_frame": None}
    return row | {"reason": record.why}


def _join(parts: list[Path], skipped: list[dict[str, Any]], out: Path, info: dict[str, Any]) -> dict[str, Any]:
    """The store from its parts, in the reader's order; returns its ``prepared.json``."""
    rows = [files.read_json(part / "rows.json", MOST_TABLE_BYTES) for part in parts]
    manifest = pd.DataFrame([clip for row in rows for clip in row["clips"]], columns=list(MANIFEST))
    rejected = pd.DataFrame(skipped + [left for row in rows for left in row["rejected"]], columns=list(REJECTED))
    if manifest.empty:
        reasons = ", ".join(f"{count} x {why}" for why, count in rejected["reason"].value_counts().head(3).items())
        raise InputError(f"not one clip ({reasons})", "faces that can be found", "fer3d index to see what is there")
    for end in ("part", "old"):  # of a run that was killed while joining
        for stale in out.parent.glob(f".{out.name}.*.{end}"):
            shutil.rmtree(stale)
    with files.atomic_folder(out) as store:
        for name, (kind, shape) in of_a_clip(ClipSettings.from_params(info["settings"])).items():
            with (store / f"{name}.npy").open("wb") as array:
                header = {"descr": kind, "fortran_order": False, "shape": (len(manifest), *shape)}
                np.lib.format.write_array_header_1_0(array, header)
                for part in parts:
                    with (part / name).open("rb") as numbers:
                        shutil.copyfileobj(numbers, array)
        files.write_csv(store / "manifest.csv", manifest)
        files.write_csv(store / "rejected.csv", rejected.astype({"first_frame": "Int64"}))
        contents = {file.name: digest(file) for file in sorted(store.iterdir())}
        info = info | {
            "clips": len(manifest),
            "padded": int((manifest["padded"] > 0).sum()),
            "missing": int(manifest["missing"].sum()),
            "rejected": int(rejected["what"].isin(("clip", "sequence")).sum()),
            "frames": sum(row["frames"] for row in rows),
            "manifest": contents["manifest.csv"],
            "fingerprint": files.fingerprint(contents),
        }
        files.write_json(store / "prepared.json", info)
    return info
