"""Damaged copies of releases: small sound releases of each database, and ways to spoil one file of them.

    python tests/helpers/damage.py [--mutations 2400] [--seed 0]

Each mutation spoils one file, folder or name of a release, indexes it and decodes what is offered
of the spoilt recording. It passes if every other recording comes out as before; the spoilt one
comes out, is skipped with a reason, or the whole release is refused in one line; nothing crashes,
takes longer than the longest search for a video's next frame, or holds too much memory; and the
release is not written to. Runs without privileges, so that forbidden files are forbidden to it.
Prints a line of JSON per mutation; the last one before a crash is the seed before it.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from trees import BUILD

from fer3d.data import databases
from fer3d.data.databases import Sequence, Skipped
from fer3d.data.file_kinds import VideoError
from fer3d.data.video import STALL_SECONDS, read_frames
from fer3d.errors import InputError

SECONDS = STALL_SECONDS + 0.5
"""Processor time that indexing a spoilt release may take, and decoding one spoilt recording."""
MEMORY = 2**30
"""Bytes that the process may ever hold."""
NOBODY = 65534


Mutation = Callable[[Path, random.Random], None]


# ---- any file: what disks, archives, downloads and other systems do to it ----


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 64)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def truncate(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def splice(path: Path, rng: random.Random) -> None:
    """A part cut out, repeated, or replaced by random bytes."""
    content = path.read_bytes()
    start, end = sorted(rng.sample(range(len(content) + 1), 2))
    middle = rng.choice([b"", content[start:end] * rng.randint(2, 50), rng.randbytes(rng.randint(1, 4096))])
    path.write_bytes(content[:start] + middle + content[end:])


def empty(path: Path, _rng: random.Random) -> None:
    path.write_bytes(b"")


def huge(path: Path, rng: random.Random) -> None:
    """Grown by zeros to 100 MB and more, as an interrupted download; sparse on the disk."""
    os.truncate(path, rng.randint(100, 4000) * 2**20)


def other_kind(path: Path, rng: random.Random) -> None:
    """A folder, a pipe, or a link to something outside, to nothing, to itself, to an endless device."""
    path.unlink()
    kind = rng.choice(["folder", "pipe", "/etc/hostname", "/dev/zero", "nothing", path.name, "/", "."])
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(kind)


def forbidden(path: Path, _rng: random.Random) -> None:
    path.chmod(0)


def forbidden_folder(path: Path, _rng: random.Random) -> None:
    path.parent.chmod(0)


def renamed(path: Path, rng: random.Random) -> None:
    names = ["...", "-rf", "a\nb", "\x1b[31m", "\udcff\udcfe", "x" * 240, " ", "\u202e"]
    names += [f"{name}{path.suffix}" for name in ("%05d", "con", "`id`")]
    path.rename(path.parent / rng.choice(names))


def neighbour(path: Path, rng: random.Random) -> None:
    """A second file of the same number or kind."""
    name = rng.choice([f"{path.stem}{path.suffix.upper()}", f"0{path.name}", f"{path.stem}.{path.name}"])
    if not (path.parent / name).exists():
        shutil.copy(path, path.parent / name)


ANY = [flip, truncate, splice, empty, huge, other_kind, forbidden, forbidden_folder, renamed, neighbour]


def codec(path: Path, rng: random.Random) -> None:
    kinds = [b"H264", b"XVID", b"HFYU", b"FFV1", b"MSVC", b"cvid", b"DIB ", b"\0\0\0\0", b"RLE ", b"png "]
    content, kind = path.read_bytes(), rng.choice(kinds)
    path.write_bytes(content.replace(b"MJPG", kind).replace(b"mp4v", kind))


def outcome(database: str, sound: Path, seed: int) -> dict[str, object]:
    """Spoil a copy of a release as ``seed`` says, read it, and return the outcome."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "release").resolve()
        shutil.copytree(sound, root)
        before = [entry for entry in databases.scan(database, root) if isinstance(entry, Sequence)]
        target = pick_file(root, rng)
        mutation = rng.choice([*ANY, codec] if target.suffix in (".avi", ".mp4") else ANY)
        where = target.parent if mutation is forbidden_folder else target
        spoilt = {s.name for s in before if _place(s) in f"{where}/"} or {s.name for s in before}
        mutation(target, rng)
        state = _state(root)
        seconds, result, problem = [0.0], "", ""
        try:
            result, after = _read(database, root, spoilt, seconds)
            if any(after.get(s.name) != _essence(s) for s in before if s.name not in spoilt):
                problem = "another recording changed"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if max(seconds) > SECONDS:
            problem = problem or f"{max(seconds):.1f} s"
        if _state(root) != state:
            problem = problem or "the release was written to"
        target.parent.chmod(0o755)
    about = {"seed": seed, "database": database, "file": target.name, "mutation": mutation.__name__}
    return {**about, "result": result, "problem": problem, "seconds": max(seconds)}


def pick_file(root: Path, rng: random.Random) -> Path:
    """A file of the release, each kind of file as likely as another."""
    files = sorted(file for file in root.rglob("*") if file.is_file())
    suffix = rng.choice(sorted({file.suffix for file in files}))
    return rng.choice([file for file in files if file.suffix == suffix])


def _place(s: Sequence) -> str:
    """The part of a path by which a file is known to belong to the recording."""
    if s.database in ("ckplus", "disfa"):
        return s.name.replace("_", "/") + "/" if s.database == "ckplus" else s.subject
    if s.database in ("ravdess", "cremad", "table"):
        return f"{s.source}/"
    return f"{s.source.parent}/"


def _read(database: str, root: Path, spoilt: set[str], seconds: list[float]) -> tuple[str, dict[str, object]]:
    """How it ended for the spoilt recordings, and the essence of all."""
    try:
        with _timed(seconds):
            entries = list(databases.scan(database, root))
    except InputError as error:
        assert str(error).isprintable()
        return "refused", {}
    found = {entry.name: entry for entry in entries if isinstance(entry, Sequence)}
    skipped = [entry for entry in entries if isinstance(entry, Skipped)]
    for entry in skipped:
        assert entry.why and (entry.what + entry.why + entry.file + entry.remedy).isprintable(), entry
    result = "noted" if skipped else "read"
    for name in spoilt & found.keys():
        try:
            with _timed(seconds):
                collections.deque(read_frames(found[name].source, found[name].images), maxlen=0)
        except VideoError as error:
            assert str(error).isprintable()
            result = "decoding refused"
    if not spoilt <= found.keys():
        # Nothing but the video says that there should be one, in databases whose files are known by their names.
        assert skipped or database in ("ravdess", "cremad"), "gone without a reason"
        result = "skipped"
    return result, {name: _essence(entry) for name, entry in found.items()}


@contextlib.contextmanager
def _timed(seconds: list[float]) -> Iterator[None]:
    start = time.process_time()
    try:
        yield
    finally:
        seconds.append(time.process_time() - start)


def _essence(s: Sequence) -> object:
    return (s.subject, s.label, s.frame_labels, s.action_units, s.views, len(s.images), s.source.name)


def _state(root: Path) -> object:
    return sorted((str(p), p.lstat().st_mtime_ns, p.lstat().st_size) for p in root.rglob("*"))


def peak_memory() -> int:
    """Bytes that this program has held at most. (``getrusage`` would count what its parent held, too.)"""
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2400, help="how many (default: 2400)")
    parser.add_argument("--seed", type=int, default=0, help="of the first (default: 0)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:  # whatever is imported late is imported now
        for database, build in BUILD.items():
            build(Path(temporary))
            for entry in databases.scan(database, Path(temporary)):
                assert isinstance(entry, Skipped) or next(read_frames(entry.source, entry.images)) is not None
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    with tempfile.TemporaryDirectory() as temporary:
        sound = {database: Path(temporary, database) for database in BUILD}
        for database, build in BUILD.items():
            build(sound[database])
        for seed in range(arguments.seed, arguments.seed + arguments.mutations):
            database = list(BUILD)[seed % len(BUILD)]
            result = outcome(database, sound[database], seed)
            if peak_memory() > MEMORY:
                result["problem"] = result["problem"] or f"{peak_memory() / 2**20:.0f} MiB"
            print(json.dumps(result), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
