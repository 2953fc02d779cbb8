"""Writes a stand-in release subject by subject, in parallel, and completely or not at all.

A release is built under a hidden name and renamed when it is complete; subjects that a killed
run had finished are not written again. The ground truth (labels, action units, landmarks) is
in ``<out>.truth/``, which no reader opens.
"""

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import cv2
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from fer3d import files, labels, program
from fer3d.config import StandinSettings
from fer3d.errors import InputError
from fer3d.standins.people.person import make_person, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.releases import ckplus, cremad, disfa, fera, mmi, ravdess
from fer3d.standins.releases.recording import GroundTruth, SubjectPlan
from fer3d.workers import map_processes

_CONTENTS, _MAX_CONTENTS = "files.json", 2**28
"""What lists a release's files, and its largest size in bytes."""

LAYOUTS: Final[Mapping[str, ModuleType]] = {
    "ckplus": ckplus,
    "mmi": mmi,
    "fera": fera,
    "disfa": disfa,
    "ravdess": ravdess,
    "cremad": cremad,
}
"""One module per database.

``plan(subjects, seed, recordings)`` lists the subjects, ``scene(rng, person, plan)`` describes how one of them is
filmed, ``write_recording(rng, renderer, plan, recording, root)`` writes the files of one recording.
"""


def write(
    database: str,
    out: Path,
    subjects: int,
    seed: int = 0,
    workers: int | None = None,
    recordings: int = StandinSettings.recordings,
) -> dict[str, Any]:
    """Write the stand-in of a database. The same arguments give the same bytes, also after ``kill -9``.

    Args:
        database: one of `LAYOUTS`.
        out: folder of the release; left as it is if it already holds this release. One made by other arguments, or by
            an earlier version, is replaced.
        subjects: number of synthetic people.
        seed: of the random numbers.
        workers: rendering processes (default: one per core).
        recordings: at most so many per person (see `StandinSettings`).

    Returns:
        ``{"database", "sequences", "labelled", "subjects", "frames", "classes": {name: count}}`` of what a
        reader can use; classes count sequences, or frames where the database labels frames.

    Raises:
        InputError: an unknown database, no subject or recording, a full disk, or a folder that holds anything but an
            earlier stand-in of the database.
    """
    if labels.check_database(database) not in LAYOUTS:
        raise InputError(f"{labels.TITLES[database]} have no stand-in: expected one of {', '.join(LAYOUTS)}")
    for name, number in (("subjects", subjects), ("recordings", recordings)):
        if number < 1:
            raise InputError(f"{number} {name} requested: expected at least 1", f"--{name} 3")
    out = Path(out)
    truth = truth_folder(out)
    arguments = {"database": database, "subjects": subjects, "recordings": recordings, "seed": seed}
    arguments["code"] = program.digest(__name__)
    with files.lock(out):
        plan = files.read_json(truth / "plan.json") if (truth / "plan.json").exists() else {}
        begun = plan == arguments
        if begun and out.exists() and (truth / "counts.json").exists():
            return files.read_json(truth / "counts.json")
        known = plan.get("database") if isinstance(plan, dict) else None
        ours = known == database or (known is not None and not out.exists())  # which was moved or removed
        made = f"a stand-in of {labels.TITLES[database]} alone"
        files.check_folder(truth, made, lambda found: [] if ours else found)
        files.check_folder(out, made, lambda found: _not_written(out, truth) if ours else found)
        growing = out.parent / f".{out.name}.growing"
        if not (begun and growing.exists()):  # nothing to resume
            shutil.rmtree(growing, ignore_errors=True)
            _empty(truth)
            growing.mkdir(parents=True, exist_ok=True)
            files.write_json(truth / "plan.json", arguments)
        plans = LAYOUTS[database].plan(subjects, seed, recordings)
        try:
            _render(database, seed, plans, growing, truth, workers)
        except OSError as error:
            raise files.explained(error, out) from error
        if out.exists():
            shutil.rmtree(out)
        files.write_json(truth / _CONTENTS, sorted(str(file.relative_to(growing)) for file in _files(growing)))
        growing.rename(out)
        counts = _counts(database, ground_truth(out))
        files.write_json(truth / "counts.json", counts)
        return counts


def _empty(truth: Path) -> None:
    """Remove an earlier release's truth but for its plan and the list of its files, by which it is known as ours."""
    for entry in truth.glob("*"):
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name not in ("plan.json", _CONTENTS):
            entry.unlink()


def _files(release: Path) -> list[Path]:
    return [Path(folder, name) for folder, _, names in os.walk(release) for name in names]


def _not_written(release: Path, truth: Path) -> list[Path]:
    """Files in a release that fer3d has not written there; hidden ones, as a file manager leaves them, don't count."""
    found = [file for file in _files(release) if not file.name.startswith(".")]
    if (truth / _CONTENTS).exists():
        written = set(files.read_json(truth / _CONTENTS, _MAX_CONTENTS))
        return sorted(file for file in found if str(file.relative_to(release)) not in written)
    finished = truth / "counts.json"  # versions that kept no list wrote it after the release
    return sorted(file for file in found if finished.exists() and file.stat().st_mtime > finished.stat().st_mtime)


def truth_folder(out: Path) -> Path:
    """Folder of the ground truth of the release at ``out``."""
    return out.parent / f"{out.name}.truth"


def _render(
    database: str, seed: int, plans: Sequence[SubjectPlan], growing: Path, truth: Path, workers: int | None
) -> None:
    """Write the subjects that are missing, and what belongs to no subject."""
    missing = [plan for plan in plans if not (truth / "subjects" / f"{plan.subject}.json").exists()]
    work = partial(_render_subject, database, seed, growing, truth)
    with tqdm(total=len(missing), desc=f"{labels.TITLES[database]} stand-in", unit="subject", disable=None) as progress:
        for _ in map_processes(work, missing, workers):
            progress.update()
    if database == "fera":
        fera.write_tables(growing, plans)


def _render_subject(database: str, seed: int, growing: Path, truth: Path, plan: SubjectPlan) -> None:
    """Write one subject's files, then its ground truth, which marks it as complete."""
    rows = []
    for recording in write_subject(database, seed, growing, plan):
        folder = truth / recording.subject
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{recording.name}.landmarks.npy", recording.landmarks.astype(np.float32))
        np.save(folder / f"{recording.name}.units.npy", recording.units.astype(np.float32))
        row = dataclasses.asdict(recording)
        del row["landmarks"], row["units"]
        rows.append(row | {"frames": len(recording.landmarks)})
    files.write_json(truth / "subjects" / f"{plan.subject}.json", rows)


def write_subject(database: str, seed: int, root: Path, plan: SubjectPlan) -> list[GroundTruth]:
    """Write one subject's recordings below ``root``. Uses one thread, to give the same bytes on every machine."""
    layout, threads = LAYOUTS[database], cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            rng, person = random_stream(database, seed, plan.subject), make_person(database, seed, plan.number)
            renderer = Renderer(person, layout.scene(rng, person, plan))
            return [layout.write_recording(rng, renderer, plan, one, root) for one in plan.recordings]
    finally:
        cv2.setNumThreads(threads)


def ground_truth(out: Path) -> list[dict[str, Any]]:
    """The recordings of the release at ``out``, those that a reader must leave out included.

    The fields are those of `GroundTruth`, with ``frames`` (their number) in place of the arrays.
    """
    subjects = sorted((truth_folder(out) / "subjects").glob("*.json"))
    return [row for path in subjects for row in files.read_json(path)]


def _counts(database: str, recordings: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [row for row in recordings if row["usable"]]
    given = [label for row in rows for label in row["frame_labels"] or [row["label"]] if label is not None]
    return {
        "database": database,
        "sequences": len(rows),
        "labelled": sum(bool(row["label"] or row["frame_labels"]) for row in rows),
        "subjects": len({row["subject"] for row in rows}),
        "frames": sum(row["frames"] for row in rows),
        "classes": {name: given.count(name) for name in labels.ordered(given)},
    }
