"""Ten-frame clips: cut from sequences, written as a prepared store, opened again.

Section 4.1 of the paper. CK+: the last ten frames of each labelled sequence. The other
databases: successive tens; what is left over at the end goes unused (and is counted).
Where single frames are labelled (DISFA), tens are cut from each run of frames with one
label. What the paper leaves open:

- a sequence of fewer than ten frames is padded, resampled or dropped (``settings.short``);
  a shorter run of a frame-labelled recording is dropped;
- a clip needs a face on ``settings.min_found`` of its frames. A frame without one is cut
  out by the square of the nearest frame that has one, and its landmarks are NaN;
- a sequence with an image that can't be read is left out whole.

Everything left out stands in ``rejected.csv`` with its reason. Only the last ten frames
of a CK+ sequence are read and tracked. Nothing grows with the database but the store on
disk: each sequence goes at once into a folder of its own in ``<out>.partial``, named by
what it depends on, so that a run started again redoes no finished sequence; at the end
the parts are joined into the store, which has the same bytes whoever worked on it.
"""

import dataclasses
import hashlib
import itertools
import multiprocessing
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
import pandas as pd
from tqdm import tqdm

from fer3d import __version__, databases, files, labels
from fer3d.config import ClipSettings
from fer3d.databases.sequence import Sequence, Skipped
from fer3d.errors import InputError
from fer3d.faces import Face, FaceTracker, Rejected, choose_view, crop, crop_square
from fer3d.video import VideoError, read_frames, upright

FORMAT = 1
"""Version of the store's layout."""
LAST_FRAMES = frozenset({"ckplus"})
"""Databases whose sequences end at the apex: only their last ten frames are used (paper)."""
LANDMARKS = 66

MANIFEST = ("clip", "database", "subject", "sequence", "first_frame", "padded", "missing", "label", "n_faces", "score")
"""Columns of ``manifest.csv``. ``first_frame`` counts from 0; ``padded`` and ``missing`` count frames that repeat
another and frames without a face; ``n_faces`` is the clip's largest and ``score`` its smallest."""
REJECTED = ("database", "subject", "sequence", "what", "first_frame", "reason")
"""Columns of ``rejected.csv``; ``what`` is a frame (of a clip that was kept), a clip, a sequence, or a
recording that the reader could not use."""

_INFO = {"database", "settings", "release", "fingerprint", "clips", "padded", "rejected", "frames"}
_MOST_TABLE_BYTES = 2**28


@dataclass(frozen=True)
class Clip:
    """Ten consecutive frames of one face with one label."""

    first_frame: int
    label: str
    padded: int
    pictures: np.ndarray
    """(T, H, W, 3) uint8 RGB."""
    landmarks: np.ndarray
    """(T, 66, 2) float32, pixels of the crop; NaN where a frame has no face."""
    n_faces: int
    score: float
    missing: tuple[Rejected, ...]
    """The frames without a face."""


@dataclass(frozen=True)
class Omitted:
    """A clip, or a run too short for one, that was left out."""

    first_frame: int
    reason: str


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
    rejected: pd.DataFrame
    """What was left out and why, columns `REJECTED`."""
    info: dict[str, Any]
    """``prepared.json``: settings, versions, counts, fingerprints."""

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def database(self) -> str:
        return str(self.info["database"])

    @property
    def settings(self) -> ClipSettings:
        """What the store was prepared with."""
        return ClipSettings.from_params(self.info["settings"])

    @property
    def labels(self) -> np.ndarray:
        """(N,) the emotion of each clip, by name."""
        return self.manifest["label"].to_numpy(dtype=str)

    @property
    def classes(self) -> tuple[str, ...]:
        """The emotions that occur, in the order of `labels.EMOTIONS`."""
        return labels.ordered(self.manifest["label"])


# --- cutting -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shot:
    """One decoded frame and what the tracker says of it."""

    index: int
    label: str | None
    frame: np.ndarray
    face: Face | Rejected


def cut(sequence: Sequence, tracker: FaceTracker) -> Iterator[Clip | Omitted]:
    """The clips of one sequence in order, and what had to be left out, by a new tracker. Raises `VideoError`."""
    settings = tracker.settings
    whole_tens = 0
    for shots in _tens(_shots(sequence, tracker), settings.num_frames):
        if len(shots) == settings.num_frames:
            whole_tens += 1
            yield _clip(shots, settings)
        elif sequence.frame_labels is not None:
            yield Omitted(shots[0].index, f"run of {len(shots)} frames with one label")
        elif not whole_tens and settings.short == "drop":
            yield Omitted(shots[0].index, f"sequence of {len(shots)} frames")
        elif not whole_tens:
            yield _clip(_lengthened(shots, settings), settings, padded=settings.num_frames - len(shots))


def _shots(sequence: Sequence, tracker: FaceTracker) -> Iterator[_Shot]:
    """Each frame that may go into a clip, decoded, turned upright and tracked, with its label."""
    images = sequence.images
    if sequence.database in LAST_FRAMES:
        images = images[-tracker.settings.num_frames :]
    first = len(sequence.images) - len(images)
    view = sequence.views[0]
    if len(sequence.views) > 1:
        few = itertools.islice(read_frames(sequence.source, images), 0, 81, 20)
        view = choose_view(list(few), sequence.views, tracker.settings)
    for index, stored in enumerate(read_frames(sequence.source, images), start=first):
        if sequence.frame_labels is None:
            label = sequence.label
        elif index < len(sequence.frame_labels):
            label = sequence.frame_labels[index]
        else:
            return  # more frames than labels: the rest has none
        frame = upright(stored, view)
        yield _Shot(index, label, frame, tracker.step(frame))


def _tens(shots: Iterable[_Shot], ten: int) -> Iterator[list[_Shot]]:
    """Successive tens of one label, and what is left of fewer before the label changes or the frames end."""
    group: list[_Shot] = []
    for shot in shots:
        if group and shot.label != group[0].label:
            yield group
            group = []
        if shot.label is not None:
            group.append(shot)
        if len(group) == ten:
            yield group
            group = []
    if group:
        yield group


def _lengthened(shots: list[_Shot], settings: ClipSettings) -> list[_Shot]:
    """Fewer than ten frames made ten: the first repeated in front, or all spread out evenly."""
    if settings.short == "repeat_first":
        return [shots[0]] * (settings.num_frames - len(shots)) + shots
    return [shots[i] for i in np.linspace(0, len(shots) - 1, settings.num_frames).round().astype(int)]


def _clip(shots: list[_Shot], settings: ClipSettings, padded: int = 0) -> Clip | Omitted:
    """Ten shots as a clip, if enough of them show a face."""
    faces = {i: shot.face for i, shot in enumerate(shots) if isinstance(shot.face, Face)}
    reasons = {shot.index: shot.face.reason for shot in shots if isinstance(shot.face, Rejected)}
    if len(faces) < settings.min_found:
        reason, _ = Counter(reasons.values()).most_common(1)[0]
        return Omitted(shots[0].index, f"{reason} (a face on {len(faces)} of {len(shots)} frames)")
    of_clip = crop_square(np.stack([face.points for face in faces.values()]), settings)
    pictures, landmarks = [], []
    for i, shot in enumerate(shots):
        nearest = min(faces, key=lambda j: abs(j - i))  # itself where it has a face
        square = of_clip if settings.crop_per == "clip" else crop_square(faces[nearest].points, settings)
        picture, points = crop(shot.frame, faces[nearest], settings, square)
        pictures.append(picture)
        landmarks.append(points if i in faces else np.full_like(points, np.nan))
    return Clip(
        first_frame=shots[0].index,
        label=str(shots[0].label),
        padded=padded,
        pictures=np.stack(pictures),
        landmarks=np.stack(landmarks),
        n_faces=max(face.n_faces for face in faces.values()),
        score=min(face.score for face in faces.values()),
        missing=tuple(Rejected(index, reason) for index, reason in reasons.items()),
    )


# --- preparing -----------------------------------------------------------------------


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
        partial = out.with_name(out.name + ".partial")
        there = _fresh(out, info["release"])
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


def _fresh(out: Path, release: str) -> dict[str, Any] | None:
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
        for _ in _each_done(tasks, min(workers or _processors(), len(tasks))):
            bar.update()


def _each_done(tasks: list[tuple[Sequence, ClipSettings, Path]], workers: int) -> Iterator[None]:
    if workers <= 1:
        yield from map(_make_part, tasks)
        return
    # Spawned, not forked: the caller may hold threads (a notebook's, torch's).
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _die_with_parent) as pool:
        try:
            yield from pool.map(_make_part, tasks)
        except BrokenProcessPool as error:
            raise InputError(
                "a worker process that died", "memory enough for each", "--workers 1 (what is finished stays)"
            ) from error


def _die_with_parent() -> None:
    """A worker of a parent that was killed would wait for work forever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make_part(task: tuple[Sequence, ClipSettings, Path]) -> None:
    """The clips of one sequence in a folder: pictures and landmarks as plain numbers, the rest as JSON."""
    sequence, settings, folder = task
    cv2.setNumThreads(1)  # the processes share the processors
    tracker = FaceTracker(settings)
    clips: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    with files.atomic_folder(folder) as part:
        with (part / "frames").open("wb") as pictures, (part / "landmarks").open("wb") as landmarks:
            try:
                for piece in cut(sequence, tracker):
                    if isinstance(piece, Omitted):
                        rejected.append(_left_out(sequence, "clip", piece.first_frame, piece.reason))
                        continue
                    pictures.write(piece.pictures.tobytes())
                    landmarks.write(piece.landmarks.astype("<f4").tobytes())
                    clips.append(_row(sequence, piece))
                    rejected += [_left_out(sequence, "frame", m.frame, m.reason) for m in piece.missing]
                if not clips:
                    why = rejected[0]["reason"] if rejected else "no labelled frame"
                    rejected = [_left_out(sequence, "sequence", None, why)]
            except VideoError as error:
                clips, rejected = [], [_left_out(sequence, "sequence", None, str(error))]
                pictures.truncate(0)
                landmarks.truncate(0)
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
    rows = [files.read_json(part / "rows.json", _MOST_TABLE_BYTES) for part in parts]
    manifest = pd.DataFrame([clip for row in rows for clip in row["clips"]], columns=list(MANIFEST))
    rejected = pd.DataFrame(skipped + [left for row in rows for left in row["rejected"]], columns=list(REJECTED))
    if manifest.empty:
        reasons = ", ".join(f"{count} x {why}" for why, count in rejected["reason"].value_counts().head(3).items())
        raise InputError(f"not one clip ({reasons})", "faces that can be found", "fer3d index to see what is there")
    size, ten = info["settings"]["size"], info["settings"]["num_frames"]
    for stale in out.parent.glob(f".{out.name}.*.part"):  # of a run that was killed while joining
        shutil.rmtree(stale)
    with files.atomic_folder(out) as store:
        shapes = {"frames": ("|u1", (ten, size, size, 3)), "landmarks": ("<f4", (ten, LANDMARKS, 2))}
        for name, (kind, shape) in shapes.items():
            with (store / f"{name}.npy").open("wb") as array:
                header = {"descr": kind, "fortran_order": False, "shape": (len(manifest), *shape)}
                np.lib.format.write_array_header_1_0(array, header)
                for part in parts:
                    with (part / name).open("rb") as numbers:
                        shutil.copyfileobj(numbers, array)
        files.write_csv(store / "manifest.csv", manifest)
        files.write_csv(store / "rejected.csv", rejected.astype({"first_frame": "Int64"}))
        contents = {file.name: _digest(file) for file in sorted(store.iterdir())}
        info = info | {
            "clips": len(manifest),
            "padded": int((manifest["padded"] > 0).sum()),
            "missing": int(manifest["missing"].sum()),
            "rejected": int(rejected["what"].isin(("clip", "sequence")).sum()),
            "frames": sum(row["frames"] for row in rows),
            "fingerprint": files.fingerprint(contents),
        }
        files.write_json(store / "prepared.json", info)
    return info


def _digest(file: Path) -> str:
    with file.open("rb") as contents:
        return hashlib.file_digest(contents, "sha256").hexdigest()


# --- opening -------------------------------------------------------------------------


def open_store(path: Path) -> Store:
    """Open a prepared store; an `InputError` for one that is missing, foreign, damaged or of another version."""
    if not path.is_dir():
        raise InputError(f"no store at {path}", "a folder that fer3d prepare wrote", "fer3d prepare")
    for name in ("prepared.json", "manifest.csv", "rejected.csv", "frames.npy", "landmarks.npy"):
        if (path / name).is_symlink() or not (path / name).is_file():
            raise _damaged(path, f"without {name}")
    info = files.read_json(path / "prepared.json")
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise _damaged(path, "of another version")
    if not info.keys() >= _INFO or str(info["database"]) not in labels.TITLES or not isinstance(info["settings"], dict):
        raise _damaged(path, "with an incomplete prepared.json")
    clips = ClipSettings.from_params(info["settings"])
    manifest = _table(path, "manifest.csv", MANIFEST)
    unknown = set(manifest["label"]) - set(labels.EMOTIONS)
    if unknown or manifest.empty or manifest["clip"].duplicated().any():
        raise _damaged(path, f"whose manifest is empty, repeats a clip or has unknown labels {sorted(unknown)}")
    shape = (len(manifest), clips.num_frames)
    return Store(
        path=path,
        manifest=manifest,
        frames=_array(path, "frames.npy", "|u1", (*shape, clips.size, clips.size, 3)),
        landmarks=_array(path, "landmarks.npy", "<f4", (*shape, LANDMARKS, 2)),
        rejected=_table(path, "rejected.csv", REJECTED),
        info=info,
    )


def _table(path: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    if (path / name).stat().st_size > _MOST_TABLE_BYTES:
        raise _damaged(path, f"with a {name} of more than {_MOST_TABLE_BYTES} bytes")
    whole = {"first_frame": "Int64", "padded": "int64", "missing": "int64", "n_faces": "int64", "score": "float64"}
    kinds = {column: whole.get(column, "str") for column in columns}
    try:
        table = pd.read_csv(path / name, dtype=kinds, keep_default_na=False, na_values={"first_frame": [""]})
    except (ValueError, OSError) as error:
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
