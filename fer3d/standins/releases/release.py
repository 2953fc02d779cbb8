"""Writes a whole stand-in release: subject by subject, in parallel, whole or not at all.

The release grows under a hidden name beside its place and takes its name when it is
complete; a subject that a killed run had finished is not written again. What the
generator meant (labels, action units, true landmarks) lies in ``<out>.truth/``, where
no reader looks.
"""

import dataclasses
import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from fer3d import files, labels
from fer3d.config import StandinSettings
from fer3d.errors import InputError
from fer3d.standins.people import person as people
from fer3d.standins.releases import ckplus, disfa, fera, mmi
from fer3d.standins.releases.hostile import spoil
from fer3d.workers import map_processes

_LAYOUTS: dict[str, ModuleType] = {"ckplus": ckplus, "mmi": mmi, "fera": fera, "disfa": disfa}


def write(
    database: str,
    out: Path,
    subjects: int,
    seed: int = 0,
    hostile: bool = False,
    workers: int | None = None,
    recordings: int = StandinSettings.recordings,
) -> dict[str, Any]:
    """Write the stand-in of ``database`` with ``subjects`` invented people to the folder ``out``.

    ``recordings`` is what each person shows at most (see `StandinSettings`). The same arguments
    give the same bytes, also after ``kill -9`` and a second call; a release that is already there
    is left as it is. ``hostile`` adds the quirks and faults that real copies of the database have.
    ``workers`` processes render (default: one a core).

    Returns ``{"database", "sequences", "labelled", "subjects", "frames", "classes": {name: count}}`` of what a
    reader can use; classes count sequences, or frames where the database labels frames.
    Raises `InputError` for an unknown database, fewer than one subject or recording, or a folder with other things
    in it.
    """
    layout = _LAYOUTS[labels.check_database(database)]
    for name, number in (("subjects", subjects), ("recordings", recordings)):
        if number < 1:
            raise InputError(f"{number} {name}", "at least 1", f"--{name} 3")
    out = Path(out)
    truth = truth_folder(out)
    plan = {"database": database, "subjects": subjects, "recordings": recordings, "seed": seed, "hostile": hostile}
    plan["code"] = code()
    with files.lock(out):
        if _is_written(out, truth, plan):
            return files.read_json(truth / "counts.json")
        growing = out.parent / f".{out.name}.growing"
        _clear_stale(truth, growing, plan)
        everyone = layout.jobs(subjects, seed, recordings)
        waiting = [job for job in everyone if not (truth / "subjects" / f"{job.subject}.json").exists()]
        try:
            _render(database, waiting, growing, truth, workers)
        except OSError as error:
            raise InputError(f"{error.strerror} while writing {out}", "a disk with room", "another --out") from error
        counts = _counts(database, meant(out))
        _finish(database, growing, truth, everyone, people.stream("hostile", database, seed) if hostile else None)
        if out.exists():
            shutil.rmtree(out)
        growing.rename(out)
        files.write_json(truth / "counts.json", counts)
        return counts


def truth_folder(out: Path) -> Path:
    """Where the truth of the release at ``out`` lies."""
    return out.parent / f"{out.name}.truth"


def _is_written(out: Path, truth: Path, plan: dict[str, Any]) -> bool:
    """Whether exactly this release is there; an `InputError` where something else is."""
    ours = (truth / "plan.json").exists()
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}, which holds other things", "a new or empty folder", "another --out")
    complete = out.exists() and ours and (truth / "counts.json").exists()
    return complete and files.read_json(truth / "plan.json") == plan


def _clear_stale(truth: Path, growing: Path, plan: dict[str, Any]) -> None:
    """Forget what was begun for another plan."""
    begun = (truth / "plan.json").exists() and files.read_json(truth / "plan.json") == plan and growing.exists()
    if begun and not (truth / "finishing").exists():
        return
    shutil.rmtree(growing, ignore_errors=True)
    shutil.rmtree(truth, ignore_errors=True)
    growing.mkdir(parents=True, exist_ok=True)
    files.write_json(truth / "plan.json", plan)


def _render(database: str, waiting: list[Any], growing: Path, truth: Path, workers: int | None) -> None:
    one = partial(_write_subject, database, growing, truth)
    with tqdm(total=len(waiting), desc=f"{labels.TITLES[database]} stand-in", unit="subject", disable=None) as progress:
        for _ in map_processes(one, waiting, workers):
            progress.update()


def _finish(database: str, growing: Path, truth: Path, everyone: list[Any], faults: np.random.Generator | None) -> None:
    """What belongs to no subject. A run that is killed in here begins again from nothing."""
    (truth / "finishing").touch()
    left_out = fera.write_tables(growing, everyone) if database == "fera" else []
    if faults is not None:
        left_out += spoil(database, growing, faults)
    files.write_json(truth / "left_out.json", [dataclasses.asdict(one) for one in left_out])


def _write_subject(database: str, growing: Path, truth: Path, job: Any) -> None:
    """One subject's files; its truth comes last and says that it is complete. One thread: the same bytes anywhere."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            meant = _LAYOUTS[database].write_job(job, growing)
    finally:
        cv2.setNumThreads(threads)
    rows = []
    for one in meant:
        (truth / one.subject).mkdir(exist_ok=True)
        np.save(truth / one.subject / f"{one.name}.points.npy", one.points.astype(np.float32))
        np.save(truth / one.subject / f"{one.name}.units.npy", one.units.astype(np.float32))
        told = {name: value for name, value in dataclasses.asdict(one).items() if name not in ("points", "units")}
        rows.append(told | {"frames": len(one.points)})
    files.write_json(truth / "subjects" / f"{job.subject}.json", rows)


def meant(out: Path) -> list[dict[str, Any]]:
    """What a reader must find in the release at ``out``: for each recording the fields of `studio.Meant` as JSON has
    them, ``frames`` in place of the arrays."""
    return [row for row in _recordings(truth_folder(out)) if row["left_out"] is None]


def left_out(out: Path) -> list[dict[str, str]]:
    """What a reader must leave out or note, each ``{"what", "why"}`` as `studio.LeftOut` has them."""
    truth = truth_folder(out)
    unusable = [row["left_out"] for row in _recordings(truth) if row["left_out"] is not None]
    return [*unusable, *files.read_json(truth / "left_out.json")]


def _recordings(truth: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((truth / "subjects").glob("*.json")) for row in files.read_json(path)]


def _counts(database: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    told = [row["label"] for row in rows if row["label"] is not None]
    by_frame = [row["frame_labels"] for row in rows if row["frame_labels"] is not None]
    told_frames = [label for labels_of_one in by_frame for label in labels_of_one if label is not None]
    return {
        "database": database,
        "sequences": len(rows),
        "labelled": len(told) + len(by_frame),
        "subjects": len({row["subject"] for row in rows}),
        "frames": sum(row["frames"] for row in rows),
        "classes": {name: (told + told_frames).count(name) for name in labels.ordered(told + told_frames)},
    }


def code() -> str:
    """A digest of the program that draws, so that a changed renderer makes its releases stale."""
    folder = Path(__file__).parents[1]
    sources = sorted(path for name in ("people", "picture", "releases") for path in (folder / name).glob("*.py"))
    return hashlib.sha256(json.dumps([path.read_text() for path in sources]).encode()).hexdigest()[:16]
