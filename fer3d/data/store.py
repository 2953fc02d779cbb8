"""The prepared store: ten-frame clips on disk, opened memory-mapped.

A folder with the clips' pictures, landmarks, detections and squares as plain arrays, one row a
clip in ``manifest.csv``, what was left out and why in ``rejected.csv``, and settings, counts and
fingerprints in ``prepared.json``. `prepare` writes it. Opening checks that all of it fits
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
from fer3d.errors import InputError

FORMAT = 4
"""Version of the store's layout."""
LANDMARKS = 66
MANIFEST = ("clip", "database", "subject", "sequence", "first_frame", "padded", "missing", "label", "n_faces", "score")
"""Columns of ``manifest.csv``. ``first_frame`` counts from 0; ``padded`` and ``missing`` count frames that repeat
another and frames without a face; ``n_faces`` is the clip's largest and ``score`` its smallest."""
REJECTED = ("database", "subject", "sequence", "what", "first_frame", "reason")
"""Columns of ``rejected.csv``; ``what`` is a frame (of a clip that was kept), a clip, a sequence, or a
recording that the reader could not use."""

_INFO = {"database", "settings", "release", "fingerprint", "manifest", "clips", "padded", "rejected", "frames"}
MOST_TABLE_BYTES = 2**28


@dataclass(frozen=True)
class Store:
    """A prepared store, opened for reading: N clips of T frames."""

    path: Path
    manifest: pd.DataFrame
    """One row a clip, columns `MANIFEST`."""
    frames: np.ndarray
    """(N, T, H, W, 3) uint8 RGB, memory-mapped."""
    landmarks: np.ndarray
    """(N, T, 66, 2) float32 in pixels of the crop, memory-mapped; NaN = missing."""
    detections: np.ndarray
    """(N, T, 2) float32, memory-mapped: faces seen in each frame and its score; 0 and NaN where it has no face."""
    squares: np.ndarray
    """(N, T, 4) float64, memory-mapped: where each picture was cut out of its upright frame, a `Square`."""
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
    def settings(self) -> ClipSettings:
        """What the store was prepared with."""
        return ClipSettings.from_params(self.metadata["settings"])

    @property
    def labels(self) -> np.ndarray:
        """(N,) the emotion of each clip, by name."""
        return self.manifest["label"].to_numpy(dtype=str)

    @property
    def classes(self) -> tuple[str, ...]:
        """The emotions that occur, in the order of `labels.EMOTIONS`."""
        return labels.ordered(self.manifest["label"])


def open_store(path: Path) -> Store:
    """Open a prepared store; an `InputError` for one that is missing, foreign, damaged or of another version."""
    if not path.is_dir():
        raise InputError(f"no store at {path}", "a folder that fer3d prepare wrote", "fer3d prepare")
    files_of_arrays = [f"{name}.npy" for name in array_specs(ClipSettings())]
    for name in ("prepared.json", "manifest.csv", "rejected.csv", *files_of_arrays):
        if (path / name).is_symlink() or not (path / name).is_file():
            raise _damaged(path, f"without {name}")
    info = files.read_json(path / "prepared.json")
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise _damaged(path, "of another version")
    whole = info.keys() >= _INFO and isinstance(info["settings"], dict)
    if not whole or str(info["database"]) not in labels.CLASSES:
        raise _damaged(path, "with an incomplete prepared.json")
    clips = ClipSettings.from_params(info["settings"])
    manifest = _table(path, "manifest.csv", MANIFEST)
    if digest(path / "manifest.csv") != info["manifest"]:
        raise _damaged(path, "whose manifest.csv was changed")
    unknown = set(manifest["label"]) - set(labels.EMOTIONS)
    if unknown or manifest.empty or manifest["clip"].duplicated().any():
        raise _damaged(path, f"whose manifest is empty, repeats a clip or has unknown labels {sorted(unknown)}")
    arrays = {
        name: _array(path, f"{name}.npy", kind, (len(manifest), *shape))
        for name, (kind, shape) in array_specs(clips).items()
    }
    return Store(path=path, manifest=manifest, **arrays, rejected=_table(path, "rejected.csv", REJECTED), metadata=info)


def array_specs(settings: ClipSettings) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The arrays of a store: kind of number, and the shape that one clip has in it."""
    ten, size = settings.num_frames, settings.size
    return {
        "frames": ("|u1", (ten, size, size, 3)),
        "landmarks": ("<f4", (ten, LANDMARKS, 2)),
        "detections": ("<f4", (ten, 2)),
        "squares": ("<f8", (ten, 4)),
    }


def digest(file: Path) -> str:
    """SHA-256 of a file's contents, hexadecimal; the manifest's stands in ``prepared.json`` as ``manifest``."""
    with file.open("rb") as contents:
        return hashlib.file_digest(contents, "sha256").hexdigest()


def _table(path: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    if (path / name).stat().st_size > MOST_TABLE_BYTES:
        raise _damaged(path, f"with a {name} of more than {MOST_TABLE_BYTES} bytes")
    whole = {"first_frame": "Int64", "padded": "int64", "missing": "int64", "n_faces": "int64", "score": "float64"}
    kinds = {column: whole.get(column, "str") for column in columns}
    try:
        table = pd.read_csv(path / name, dtype=kinds, keep_default_na=False, na_values={"first_frame": [""]})
    except (ValueError, OverflowError, OSError) as error:
        raise _damaged(path, f"with an unreadable {name}") from error
    if list(table.columns) != list(columns):
        raise _damaged(path, f"with other columns in {name}")
    return table


def _array(path: Path, name: str, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(path / name, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, f"with an unreadable {name}") from error
    if not isinstance(array, np.memmap) or array.dtype.str != kind or array.shape != shape:
        raise _damaged(path, f"whose {name} does not fit its manifest")
    if (path / name).stat().st_size != array.offset + array.nbytes:
        raise _damaged(path, f"whose {name} is longer than it says")
    return array


def _damaged(path: Path, how: str) -> InputError:
    return InputError(
        f"a store {how} at {path}", f"a whole store of version {FORMAT}", "fer3d prepare to write it anew"
    )
