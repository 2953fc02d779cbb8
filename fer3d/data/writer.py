"""Writing a prepared store: clip by clip, or from parts that several processes make.

`writer` appends clips to a new store, which appears whole or not at all. `write_in_parts` is for
long work: each part (a recording, a person) is a folder of its own in ``.<out>.partial``, made by a
worker process. A call that was killed resumes with the missing parts, and the store has the same
bytes however many calls and processes made it. Only the rows of the tables are kept in memory.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from fer3d import files, labels
from fer3d.config import ClipSettings
from fer3d.data.store import FORMAT, MANIFEST, MAX_TABLE_BYTES, REJECTED, array_specs, digest, file_names, open_store
from fer3d.errors import InputError
from fer3d.workers import map_processes

Task = TypeVar("Task")
Row = Mapping[str, Any]


class Writer:
    """Appends clips to the arrays in a folder, and collects the rows of the tables."""

    def __init__(self, folder: Path, settings: ClipSettings) -> None:
        self.settings = settings
        self.frames = 0
        """Frames processed, in a clip or not."""
        self._folder, self._specs = folder, array_specs(settings)
        self.clear()

    def clear(self) -> None:
        """Forget all clips and rejections so far."""
        self.clips: list[Row] = []
        """Rows of ``manifest.csv``."""
        self.rejected: list[Row] = []
        """Rows of ``rejected.csv``."""
        self._write_headers("wb")

    def put(self, rows: Sequence[Row], arrays: Mapping[str, np.ndarray]) -> None:
        """Append clips: a row of the manifest for each, and in each of the `array_specs` as many entries."""
        for name, (dtype, shape) in self._specs.items():
            values = np.ascontiguousarray(arrays[name], dtype)
            if values.shape != (len(rows), *shape):
                raise ValueError(f"{name} has shape {values.shape}, not {(len(rows), *shape)}")
            with (self._folder / f"{name}.npy").open("ab") as file:
                file.write(values.data)
        self.clips += rows

    def put_part(self, folder: Path) -> None:
        """Append what another `Writer` left in a folder."""
        rows = files.read_json(folder / "rows.json", MAX_TABLE_BYTES)
        self.put(rows["clips"], {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in self._specs})
        self.rejected += rows["rejected"]
        self.frames += rows["frames"]

    def finish_part(self) -> None:
        """Leave the folder as `put_part` reads it."""
        self._write_headers("r+b")
        rows = {"clips": self.clips, "rejected": self.rejected, "frames": self.frames}
        files.write_json(self._folder / "rows.json", rows)

    def finish_store(self, metadata: Mapping[str, Any]) -> None:
        """Leave the folder as `open_store` reads it."""
        self._write_headers("r+b")
        manifest = pd.DataFrame(self.clips, columns=list(MANIFEST))
        rejected = pd.DataFrame(self.rejected, columns=list(REJECTED)).astype({"first_frame": "Int64"})
        files.write_csv(self._folder / "manifest.csv", manifest)
        files.write_csv(self._folder / "rejected.csv", rejected)
        contents = {file.name: digest(file) for file in sorted(self._folder.iterdir())}
        ours = {
            "format": FORMAT,
            "settings": self.settings.as_dict(),
            "clips": len(manifest),
            "padded": int((manifest["padded"] > 0).sum()),
            "missing": int(manifest["missing"].sum()),
            "rejected": int(rejected["what"].isin(("clip", "sequence")).sum()),
            "frames": self.frames,
            "manifest": contents["manifest.csv"],
            "fingerprint": files.fingerprint(contents),
        }
        files.write_json(self._folder / "prepared.json", {**metadata, **ours})

    def _write_headers(self, mode: str) -> None:
        """The headers of the arrays, for the clips so far; they have one length, however many clips these are."""
        for name, (dtype, shape) in self._specs.items():
            header = {"descr": dtype, "fortran_order": False, "shape": (len(self.clips), *shape)}
            with (self._folder / f"{name}.npy").open(mode) as file:
                np.lib.format.write_array_header_1_0(file, header)


@contextlib.contextmanager
def writer(out: Path, settings: ClipSettings, metadata: Mapping[str, Any]) -> Iterator[Writer]:
    """A new store: it appears at ``out``, in place of an older one, when the block ends without an error.

    ``metadata`` goes into ``prepared.json``, with the settings, counts and fingerprints: at least ``database`` and
    ``source_fingerprint``, a digest of all that the store is made of.
    """
    with files.atomic(out, folder=True) as folder:
        store = Writer(folder, settings)
        yield store
        store.finish_store(metadata)


def write_in_parts(
    out: Path,
    settings: ClipSettings,
    metadata: Mapping[str, Any],
    make: Callable[[Task, Writer], None],
    tasks: Mapping[str, Task],
    rejected: Sequence[Row] = (),
    workers: int | None = None,
    **bar: Any,
) -> dict[str, Any]:
    """Write a store, unless it is there and up to date. Killed and called again, it resumes.

    Args:
        out: the store's folder.
        settings: by which the clips are cut.
        metadata: for ``prepared.json``, beside settings and counts.
        make: writes one part, in a worker process: gets the task and the part's `Writer`.
        tasks: a task for each part, in the order of the store. Its key, a file name, identifies all
            that the part depends on: a part that exists under its key is not made again.
        rejected: rows of ``rejected.csv`` that belong to no part.
        workers: processes (None: one per processor).
        bar: options of the progress bar.

    Returns:
        The contents of ``prepared.json``.

    Raises:
        InputError: something else at ``out``, no clip in any part, a worker process that died, a full disk.
    """
    with files.lock(out):
        folder = out.with_name(f".{out.name}.partial")
        if not _is_up_to_date(out, metadata):
            folder.mkdir(parents=True, exist_ok=True)
            there = {part.name for part in folder.iterdir() if part.is_dir()}  # a stray file goes with the folder
            for stale in there - tasks.keys():
                shutil.rmtree(folder / stale)
            missing = [(folder / key, task) for key, task in tasks.items() if key not in there]
            try:
                with tqdm(total=len(tasks), initial=len(tasks) - len(missing), **{"disable": None, **bar}) as progress:
                    for _ in map_processes(partial(_make_part, make, settings), missing, workers):
                        progress.update()
            except InputError:
                with contextlib.suppress(OSError):  # finished parts stay
                    folder.rmdir()
                raise
            with writer(out, settings, metadata) as store:
                store.rejected += rejected
                for key in tasks:
                    store.put_part(folder / key)
                if not store.clips:
                    shutil.rmtree(folder)  # there is nothing to resume
                    reasons = pd.Series([row["reason"] for row in store.rejected]).value_counts().head(3)
                    why = ", ".join(f"{count} x {reason}" for reason, count in reasons.items())
                    raise InputError(f"no clip could be cut: {why}")
        shutil.rmtree(folder, ignore_errors=True)
        return open_store(out).metadata


def _is_up_to_date(out: Path, metadata: Mapping[str, Any]) -> bool:
    """Whether the store at ``out`` is whole and made of this.

    Raises:
        InputError: something else is there, or a store of another database.
    """
    files.check_folder(out, "a prepared store", _no_store)
    try:
        stored = open_store(out)
    except InputError:  # a damaged one is replaced
        return False
    if stored.database != metadata["database"]:
        wanted = labels.title(metadata["database"], bool(metadata.get("synthetic")))
        raise InputError(f"{out} is a store of {stored.title}, not of {wanted}", "another --out")
    return bool(stored.metadata["source_fingerprint"] == metadata["source_fingerprint"])


def _no_store(found: list[Path]) -> list[Path]:
    """What a folder holds that is no part of a store, whole or damaged, and no hidden file beside it.

    A file manager leaves such (``.DS_Store``). Where they are alone, they are something else: ``.env``, ``.git``.
    """
    ours = file_names()
    others = [path for path in found if path.name not in ours]
    return [path for path in others if others == found or not (path.name.startswith(".") and path.is_file())]


def _make_part(make: Callable[[Task, Writer], None], settings: ClipSettings, job: tuple[Path, Task]) -> None:
    folder, task = job
    cv2.setNumThreads(1)  # the processes share the processors
    with files.atomic(folder, folder=True) as unfinished:
        part = Writer(unfinished, settings)
        make(task, part)
        part.finish_part()
