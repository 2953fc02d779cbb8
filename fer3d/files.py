"""The one place that writes results: whole or not at all, one writer at a time.

A result is written under a temporary name beside its place, flushed to the disk and
renamed, so that a reader (or a run started after ``kill -9``) sees the old file, the new
file or none, never half of one.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from fer3d.errors import InputError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; renamed onto it when the block ends well, removed when not.

    Creates the folder. A full disk and a forbidden folder become an `InputError`.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _flush(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """The same for a folder: it appears whole under its name, in place of an older one, or not at all."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        yield temporary
        for written in sorted(temporary.rglob("*")):
            _flush(written)
        temporary.chmod(0o755)
        if path.exists():
            outgoing = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".old"))
            path.rename(outgoing / path.name)
            temporary.rename(path)
            shutil.rmtree(outgoing)
        else:
            temporary.rename(path)
        _flush(path.parent)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write text (UTF-8), whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index, whole or not at all."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, errors="backslashreplace")  # names of files need not be UTF-8


def read_json(path: Path, most_bytes: int = 16 * 2**20) -> Any:
    """JSON from outside: an `InputError` for a missing, oversized or broken file."""
    wanted, then = "a file that fer3d wrote", "the command that writes it"
    try:
        check_size(path, most_bytes, then)
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"no readable {path}", wanted, then) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, which is not JSON ({error})", wanted, "writing it again") from error


def check_size(path: Path, most_bytes: int, then: str) -> None:
    """An `InputError` for what is no plain file (a pipe would never end) or a larger one; `OSError` where none is."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}, which is no file", "a file", then)
    if found.st_size > most_bytes:
        raise InputError(f"{path} of {found.st_size} bytes", f"at most {most_bytes}", then)


@contextlib.contextmanager
def lock(path: Path, on_wait: Callable[[], object] = lambda: None) -> Iterator[int]:
    """Hold ``path``'s lock (a hidden file beside it). A second process waits, after a call of ``on_wait``.

    The kernel frees the lock of a process that died. Yields the lock's file descriptor: a process that inherits it
    holds the lock, too.
    """
    if path.name in ("", ".."):
        raise InputError(f"the folder {path}", "a folder by its name", "its name, from the folder round it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (path.parent / f".{path.name}.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle.fileno()
    except OSError as error:
        raise _explained(error, path) from error


def fingerprint(value: Any) -> str:
    """A short stable digest of a JSON-ready value (64 bits of SHA-256, hexadecimal)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_ELSEWHERE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOENT,
    errno.EBUSY,
}
"""What another path would mend."""


def _explained(error: OSError, path: Path) -> Exception:
    """An OSError that the user can mend as an `InputError`; any other as it is."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(
            f"a full disk while writing {path}", "free space", "freeing some, then the same command again"
        )
    if error.errno in _ELSEWHERE:
        return InputError(f"{error.strerror} while writing {path}", "a place that can be written", "another path")
    return error
