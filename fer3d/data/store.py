"""The prepared store: ten-frame clips on disk, opened memory-mapped.

A folder with the clips' pictures, landmarks, detections, squares and numbers as plain arrays, one row per
clip in ``manifest.csv``, what was left out and why in ``rejected.csv``, and settings, counts and
fingerprints in ``prepared.json``. `writer` writes it. Opening checks that all of it fits
together and unpickles nothing.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer3d import files, labels
from fer3d.config import ClipSettings
from fer3d.data import landmarks
from fer3d.errors import InputError

FORMAT = 6
"""Version of the store's layout."""
MANIFEST = (
    *("clip", "database", "subject", "sequence", "first_frame", "seconds", "frame_rate"),
    *("padded", "missing", "small", "doubtful", "label", "n_faces", "score", "confidence"),
)
"""Columns of ``manifest.csv``. ``first_frame`` counts from 0, and ``seconds`` is its time; ``frame_rate`` is that of
the clip's frames; ``padded``, ``missing``, ``small`` and ``doubtful`` count frames that repeat another, have no face,
a face smaller than `face_fit.SMALL`, or doubtful landmarks; ``n_faces`` is the clip's largest, ``score`` and
``confidence`` are its smallest. What is not known is empty."""
FLAWLESS = {"first_frame": 0, "padded": 0, "missing": 0, "small": 0, "doubtful": 0, "n_faces": 1, "score": 1.0}
"""Of these columns, the values for a clip that was made, not recorded: one face in each frame, and nothing missing."""
REJECTED = ("database", "subject", "sequence", "what", "first_frame", "seconds", "reason")
"""Columns of ``rejected.csv``; ``what`` is a frame (of a clip that was kept), a clip, a sequence, a flaw of a recording
that is used (frames that it lacks), or a recording that the reader could not use."""
MAX_TABLE_BYTES = 2**28
"""Size of one table."""

_REQUIRED = {"database", "settings", "source_fingerprint", "fingerprint", "manifest"}
_REQUIRED |= {"clips", "padded", "rejected", "frames"}


@dataclass(frozen=True)
class Store:
    """A prepared store, opened for reading: N clips of T frames."""

    path: Path
    manifest: pd.DataFrame
    """One row per clip, columns `MANIFEST`; also ``fold`` where the user's table gives folds."""
    frames: np.ndarray
    """(N, T, H, W, 3) uint8 RGB, memory-mapped."""
    landmarks: np.ndarray
    """(N, T, 66, 2) float32 in pixels of the crop, memory-mapped; NaN = missing."""
    detections: np.ndarray
    """(N, T, 3) float32, memory-mapped: number of faces, score and confidence of each frame; 0, NaN and NaN where it
    has no face."""
    squares: np.ndarray
    """(N, T, 4) float64, memory-mapped: the `Box` of the upright frame that each picture was cut out of."""
    numbers: np.ndarray
    """(N, T) int32, memory-mapped: the number of each frame in its recording, from 0."""
    rejected: pd.DataFrame
    """What was left out and why, columns `REJECTED`."""
    metadata: dict[str, Any]
    """``prepared.json``: settings, versions, counts, fingerprints."""

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def database(self) -> str:
        return str(self.metadata["database"])

    @property
    def title(self) -> str:
        """The database's printed name, marked where the store was prepared from a stand-in."""
        return labels.title(self.database, bool(self.metadata.get("synthetic")))

    @property
    def why_rejected(self) -> str:
        """The most frequent reason, numbers aside, for which clips or sequences are left out; empty if none is."""
        if self.rejected.empty:
            return ""
        reasons = self.rejected["reason"][self.rejected["what"].isin(("clip", "sequence"))]
        kinds = reasons.str.replace(r"\d+", "", regex=True)
        alike = reasons[kinds.isin(kinds.mode()[:1])]
        return f"{alike.iloc[0]} ({len(alike)} of {len(reasons)})" if len(alike) else ""

    @property
    def settings(self) -> ClipSettings:
        """The settings by which its clips were cut."""
        return ClipSettings.from_params(self.metadata["settings"])

    @property
    def labels(self) -> np.ndarray:
        """(N,) the emotion of each clip, by name."""
        return self.manifest["label"].to_numpy(dtype=str)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that occur, in label order."""
        return labels.ordered(self.manifest["label"])


def open_store(path: Path | str) -> Store:
    """Open a prepared store; an `InputError` for one that is missing, foreign, damaged or of another version."""
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"there is no store at {path}", "fer3d prepare, which writes one")
    for name in file_names():
        if not (path / name).is_file():
            raise _damaged(path, f"{name} is missing")
    metadata = files.read_json(path / "prepared.json")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise _damaged(path, f"it is not of version {FORMAT}")
    complete = metadata.keys() >= _REQUIRED and isinstance(metadata["settings"], dict)
    if not complete or str(metadata["database"]) not in {*labels.TITLES, *labels.CLASSES}:
        raise _damaged(path, "prepared.json is incomplete")
    settings = ClipSettings.from_params(metadata["settings"])
    manifest = _table(path, "manifest.csv", MANIFEST)
    if digest(path / "manifest.csv") != metadata["manifest"]:
        raise _damaged(path, "manifest.csv was changed")
    if folds := metadata.get("folds"):
        manifest["fold"] = manifest["subject"].map(folds)
    return Store(
        path=path,
        manifest=manifest,
        **{
            name: _array(path, f"{name}.npy", dtype, (len(manifest), *shape))
            for name, (dtype, shape) in array_specs(settings).items()
        },
        rejected=_table(path, "rejected.csv", REJECTED),
        metadata=metadata,
    )


def file_names() -> list[str]:
    """The files of a store; their names are the same for all settings."""
    return ["prepared.json", "manifest.csv", "rejected.csv", *(f"{name}.npy" for name in array_specs(ClipSettings()))]


def array_specs(settings: ClipSettings) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The arrays of a store: data type, and the shape of one clip in it."""
    T, size = settings.num_frames, settings.size
    return {
        "frames": ("|u1", (T, size, size, 3)),
        "landmarks": ("<f4", (T, landmarks.COUNT, 2)),
        "detections": ("<f4", (T, 3)),
        "squares": ("<f8", (T, 4)),
        "numbers": ("<i4", (T,)),
    }


def digest(file: Path) -> str:
    """SHA-256 of a file's contents, hexadecimal; ``manifest`` in ``prepared.json`` is that of the manifest."""
    with file.open("rb") as contents:
        return hashlib.file_digest(contents, "sha256").hexdigest()


def _table(path: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    files.check_size(path / name, MAX_TABLE_BYTES, "fer3d prepare, which writes it anew")
    counts = dict.fromkeys(("padded", "missing", "small", "doubtful", "n_faces"), "int64")
    measures = dict.fromkeys(("seconds", "frame_rate", "score", "confidence"), "float64")
    dtypes = {column: {"first_frame": "Int64", **counts, **measures}.get(column, "str") for column in columns}
    empty = {column: [""] for column in ("first_frame", *measures)}
    try:
        table = pd.read_csv(path / name, dtype=dtypes, keep_default_na=False, na_values=empty)
    except (ValueError, OverflowError, OSError) as error:
        raise _damaged(path, f"{name} cannot be read") from error
    if list(table.columns) != list(columns):
        raise _damaged(path, f"{name} has other columns")
    return table


def _array(path: Path, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(path / name, mmap_mode="r", allow_pickle=False)
    except PermissionError as error:
        raise files.unreadable(error, path / name) from error
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, f"{name} cannot be read") from error
    if not isinstance(array, np.memmap) or array.dtype.str != dtype or array.shape != shape:
        raise _damaged(path, f"{name} does not fit the manifest")
    return array


def _damaged(path: Path, how: str) -> InputError:
    return InputError(f"{path} is not a whole store: {how}", "fer3d prepare, which writes it anew")
