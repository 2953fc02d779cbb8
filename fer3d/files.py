"""The one place that writes results: whole or not at all, one writer at a time.

A result is written under a temporary name in the same folder, flushed to the disk and
renamed, so that a reader (or a process started after ``kill -9``) sees the old file, the new
file or none, never half of one.
"""

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import multiprocessing
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer3d.errors import InputError

if TYPE_CHECKING:  # only the callers of `write_csv` need it
    import pandas as pd


@contextlib.contextmanager
def atomic(path: Path, folder: bool = False) -> Iterator[Path]:
    """A temporary file (or folder) that takes the place of ``path`` when the block ends without an error.

    Otherwise it is removed, and so are those of writers of ``path`` that were killed. The folder round ``path`` is
    created. Any `OSError` in the block becomes an `InputError` that says that ``path`` cannot be written, and why.
    """
    temporary = handle = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in _leftovers(path, "part"):
            _remove_unless_held(leftover)
        temporary = _temporary(path, "part", folder)
        while (handle := _hold(temporary)) is None:  # another writer has taken it for a leftover
            temporary = _temporary(path, "part", folder)
        yield temporary
        for written in [*sorted(temporary.rglob("*")), temporary]:
            _flush(written)
        temporary.chmod(0o755 if folder else 0o644)
        while not _renamed(temporary, path):  # only a file can be replaced in one step
            outgoing = _temporary(path, "old", folder)
            with contextlib.suppress(FileNotFoundError):  # another writer was faster
                path.rename(outgoing / path.name)
            shutil.rmtree(outgoing)
        _flush(path.parent)
    except OSError as error:
        raise explained(error, path) from error
    finally:
        if temporary is not None:
            _remove(temporary)
        if handle is not None:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write text (UTF-8), whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table without its index, whole or not at all."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, errors="backslashreplace")  # names of files need not be UTF-8


def for_spreadsheets(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table for people who open it in a spreadsheet: no text is taken for a formula, and each is on one line."""
    return table.map(_harmless)


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in value)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line


def read_json(path: Path, max_bytes: int = 16 * 2**20) -> Any:
    """The JSON in a file; an `InputError` for a missing, oversized or broken file."""
    try:
        check_size(path, max_bytes)
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"there is no readable {path}: {error.strerror}", "the command that writes it") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error})", "the command that writes it, once more") from error


def check_size(path: Path, max_bytes: int, hint: str = "") -> None:
    """An `InputError` for what is not a regular file (a pipe would never end) or too large; `OSError` if missing."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} is not a regular file", hint)
    if found.st_size > max_bytes:
        raise InputError(f"{path} has {found.st_size} bytes: at most {max_bytes} are read", hint)


def check_folder(folder: Path, made: str, others: Callable[[list[Path]], list[Path]]) -> None:
    """An `InputError` where a command would spoil what a folder holds. Call it before the work.

    Args:
        folder: where results are to go. It may be absent or empty.
        made: what the command writes; an earlier one may lie there (for the message).
        others: picks what is something else from the folder's sorted contents. The message names the first of it.
    """
    try:
        found = sorted(folder.iterdir()) if folder.exists() else []
        strange = others(found)
    except OSError as error:
        raise explained(error, folder) from error
    if strange:
        expected = f"expected a new or empty folder, or {made}"
        raise InputError(f"{folder} holds {strange[0].relative_to(folder)}: {expected}", "another --out")


def check_writable(folder: Path) -> None:
    """An `InputError` where nothing can be written into a folder, or into the one in which it is to be made."""
    try:
        place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=place, prefix="."):  # permissions are not enough: the disk may be read-only
            pass
    except OSError as error:
        raise explained(error, folder) from error


def check_suffix(file: Path, suffix: str, option: str) -> None:
    """An `InputError` where the name of a file to write has another suffix: it may be given by mistake."""
    if not file.name:
        raise InputError(f"{option} {file} is a folder", f"{option} {file / f'name{suffix}'}")
    if file.suffix.lower() != suffix:
        raise InputError(f"{option} {file} does not end in {suffix}", f"{option} {file.with_suffix(suffix)}")


@contextlib.contextmanager
def lock(path: Path, on_wait: Callable[[], object] = lambda: None) -> Iterator[int]:
    """Hold the lock of ``path`` (a hidden file next to it) and remove what a killed writer of ``path`` left.

    A second process waits, after a call of ``on_wait``. The kernel frees the lock of a process
    that died. Yields the lock's file descriptor: a process that inherits it holds the lock, too.
    The last holder removes the hidden file.
    """
    if path.name in ("", ".."):
        raise InputError(f"the folder {path} has no name", "its whole path")
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # else it would wait for its starter
        guard = "if __name__ == '__main__': before its work"
        raise InputError("a worker process runs the script that started it", guard)
    file = path.parent / f".{path.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked(file, on_wait)
    except OSError as error:
        raise explained(error, path) from error
    try:
        remove_leftovers(path)
        yield handle
    finally:
        os.close(handle)
        _remove_unless_held(file)


def _locked(file: Path, on_wait: Callable[[], object]) -> int:
    """The descriptor by which this process holds a lock's file, which it makes where there is none."""
    waited = False
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not waited:
                    on_wait()
                waited = True
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(file, handle):  # else its last holder removed it, and the next makes a new one
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files and folders of writers of ``path`` that were killed.

    Call it only while you hold the lock of ``path``.
    """
    for end in ("part", "old"):
        for leftover in _leftovers(path, end):
            _remove(leftover)


def _leftovers(path: Path, end: str) -> list[Path]:
    """What `_temporary` made for ``path`` and is still there."""
    return list(path.parent.glob(f".{glob.escape(path.name)}.{'[!.]' * 8}.{end}"))  # see `tempfile`


def _hold(temporary: Path) -> int | None:
    """Lock a temporary file or folder for its writer, and return the descriptor; None if another writer removed it.

    The system frees the lock when the writer is killed.
    """
    try:
        handle = _opened(temporary)
    except FileNotFoundError:
        return None
    with contextlib.suppress(OSError):  # a file system without such locks: what a killed writer left stays
        fcntl.flock(handle, fcntl.LOCK_EX)  # waits while another writer is about to remove it
    if temporary.exists():
        return handle
    os.close(handle)
    return None


def _remove_unless_held(leftover: Path) -> None:
    """Remove a lock's file, or a temporary file or folder, unless a living process holds it, as far as one can tell."""
    with contextlib.suppress(OSError):  # it is another user's, has just been renamed, or is held
        handle = _opened(leftover)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(leftover, handle):
                _remove(leftover)  # with the lock held: its writer may be about to take it
        finally:
            os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    """Whether a path still leads to the file or folder that is open.

    The path is opened once more: a network file system may answer for its name with what it knew half a minute ago.
    """
    try:
        again = _opened(path)
    except FileNotFoundError:
        return False
    try:
        return os.path.samestat(os.fstat(again), os.fstat(handle))
    finally:
        os.close(again)


def _opened(temporary: Path) -> int:
    return os.open(temporary, os.O_RDONLY if temporary.is_dir() else os.O_RDWR)


_WHOLE, _BLOCK, _APART = 2**16, 2**12, 2**24


def state(file: Path) -> tuple[int, int, str]:
    """A file's size, the time of its last change (ns), and a digest of a sample of its contents.

    A cheap way to see that a file is another one, even with the size and time of the old one: files of up to 64 KB
    are read whole, of larger ones 4 KB at the start, at the end and at least every 16 MB. The end of a PNG image
    holds checksums of its pixels; a change inside a video between these blocks shows only in size or time.

    The digest is empty for what can't be read or is not a regular file. `OSError` where there is nothing.
    """
    found = file.stat()
    return found.st_size, found.st_mtime_ns, _sample(file, found.st_size) if stat.S_ISREG(found.st_mode) else ""


def _sample(file: Path, size: int) -> str:
    steps = 1 + size // _APART
    starts = [0] if size <= _WHOLE else [(size - _BLOCK) * k // steps for k in range(steps + 1)]
    sampled = hashlib.sha256()
    try:
        with file.open("rb", buffering=0) as source:
            for start in starts:
                sampled.update(os.pread(source.fileno(), _WHOLE if size <= _WHOLE else _BLOCK, start))
    except OSError:
        return ""
    return sampled.hexdigest()[:16]


def fingerprint(value: Any) -> str:
    """A short stable digest of a JSON-ready value (64 bits of SHA-256, hexadecimal)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _temporary(path: Path, end: str, folder: bool) -> Path:
    """An empty file or folder next to ``path`` with a name of its own."""
    place: dict[str, Any] = {"dir": path.parent, "prefix": f".{path.name}.", "suffix": f".{end}"}
    if folder:
        return Path(tempfile.mkdtemp(**place))
    handle, name = tempfile.mkstemp(**place)
    os.close(handle)
    return Path(name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _renamed(temporary: Path, path: Path) -> bool:
    """Give a temporary file or folder its name; False where it is a folder, and something has that name."""
    try:
        temporary.replace(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False
    return True


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unreadable(error: OSError, path: Path) -> InputError:
    """The `InputError`, with what to do, for a file that exists but can't be read."""
    return InputError(f"{path} cannot be read: {error.strerror or error}", "giving yourself access to it")


def explained(error: OSError, path: Path) -> InputError:
    """The `InputError`, with what to do, for an `OSError` in writing."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(f"full disk: {path} was not written", "freeing space, then the same command again")
    return InputError(f"{path} cannot be written: {error.strerror or error}", "another path")
