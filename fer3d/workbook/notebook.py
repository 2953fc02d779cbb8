"""Executing a notebook with papermill, without papermill's leniency.

Papermill ignores a misspelt parameter and takes any type; here both are an `InputError`
that lists what the notebook knows. The executed notebook appears whole or not at all; a
failed one is kept beside it as ``<name>.failed.ipynb``. A notebook that hangs is ended by
the clock: a time limit on cells alone does not see a kernel that died.
"""

import asyncio
import contextlib
import logging
import re
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from fer3d import config, files, labels
from fer3d.errors import InputError

TIMEOUT = 24 * 3600.0
"""Seconds that a notebook may take, all cells together."""

_KINDS: Mapping[str, type[Any]] = {"int": int, "float": float, "str": str, "bool": bool}


class NotebookError(Exception):
    """A notebook that was started well and failed: one line that tells what failed and where it is kept."""


def parameters_of(notebook: Path) -> dict[str, type[Any]]:
    """The parameters that a notebook declares, with their types.

    Read from the cell tagged ``parameters``, lines of the form ``name: int = 3  # help``
    with a bare ``int``, ``float``, ``str`` or ``bool``.

    Raises:
        InputError: no such notebook, a file that is none, or a parameter without such a type.
    """
    import papermill

    if not notebook.is_file():
        raise InputError(f"no notebook {notebook}", "an .ipynb file", "notebooks/02_landmark_filters.ipynb")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = papermill.inspect_notebook(str(notebook))
    except Exception as error:  # whatever nbformat makes of a file that is no notebook
        raise InputError(f"{notebook}, which is no notebook ({error})", "an .ipynb file", "another file") from error
    for name, entry in found.items():
        if entry["inferred_type_name"] not in _KINDS:
            raise InputError(
                f"parameter {name!r} of {notebook.name} without a plain type", ", ".join(_KINDS), f"{name}: int = ..."
            )
    return {name: _KINDS[entry["inferred_type_name"]] for name, entry in found.items()}


def checked(notebook: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters with the notebook's types; text from a command line is read as the wanted type.

    Raises:
        InputError: an unknown name or an ill-typed value, listing the known parameters.
    """
    known = parameters_of(notebook)
    for name in given:
        if name not in known:
            names = ", ".join(f"{name}: {kind.__name__}" for name, kind in known.items())
            raise InputError(
                f"parameter {name!r} of {notebook.name}", f"one of {names or 'none'}", "-p with one of these names"
            )
    typed = {name: _typed(name, value, known[name]) for name, value in given.items()}
    for name, check in _MEANINGS.items():
        for part in filter(None, typed.get(name, "").split(",")):
            check(part)
    return typed


def _check_variant(variant: str) -> None:
    config.NetworkSettings.from_params({"variant": variant})


_MEANINGS: Mapping[str, Callable[[str], object]] = {
    "profile": config.profile,
    "variant": _check_variant,
    "variants": _check_variant,
    **dict.fromkeys(("database", "databases", "trained_on", "tests", "train"), labels.check_database),
}
"""What the notebooks' parameters of these names hold, one or several separated by commas: checked before a kernel
is started."""


def _typed(name: str, value: Any, kind: type[Any]) -> Any:
    if type(value) is kind or (kind is float and type(value) is int):
        return kind(value)
    if isinstance(value, str) and kind is bool and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    raise InputError(f"{name} = {value!r}", f"a value of type {kind.__name__}", f"-p {name} with such a value")


def execute(notebook: Path, out: Path, parameters: Mapping[str, Any], timeout: float = TIMEOUT, skip: str = "") -> None:
    """Execute a notebook with parameters and write the result to ``out``.

    The kernel is this very interpreter, started in the notebook's folder. Cells tagged ``skip`` stay as they are.

    Raises:
        InputError: unknown or ill-typed parameters; ``out`` is the notebook itself.
        NotebookError: a cell failed, the kernel died, or ``timeout`` seconds went by.
    """
    typed = checked(notebook, parameters)
    if out.resolve() == notebook.resolve():
        raise InputError(f"--out {out}, the notebook itself", "another file", f"--out {out.stem}.executed.ipynb")
    failed = out.with_name(f"{out.stem}.failed.ipynb")
    with files.lock(out), tempfile.TemporaryDirectory() as scratch:
        executed = Path(scratch) / "executed.ipynb"
        try:
            with _deadline(timeout):
                _papermill(notebook.resolve(), executed, typed, out.stem, skip)
        except KeyboardInterrupt:
            logging.getLogger("asyncio").disabled = True  # of the cells that were dropped
            raise
        except Exception as error:
            if executed.exists():
                files.write_text(failed, executed.read_text(encoding="utf-8"))
            raise NotebookError(f"{notebook.name} failed: {_last_line(error)}; kept as {failed}") from error
        files.write_text(out, executed.read_text(encoding="utf-8"))
        failed.unlink(missing_ok=True)


def _papermill(notebook: Path, out: Path, parameters: dict[str, Any], title: str, skip: str) -> None:
    import papermill

    bar = {"desc": title, "unit": "cell", "disable": None, "leave": False, "file": sys.stderr}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the Jupyter libraries say about themselves
        papermill.execute_notebook(
            str(notebook),
            str(out),
            parameters,
            kernel_name="python3",
            cwd=str(notebook.parent),
            progress_bar=bar,
            extra_arguments=["--log-level=CRITICAL"],  # what a kernel says of itself, not of the notebook
            on_notebook_start=_take_back_signals,
            skip_cells_with_tag=skip,
        )


def _take_back_signals(**_: Any) -> None:
    """Ctrl-C is a KeyboardInterrupt here: nbclient would end the kernel instead and might then wait for it for ever."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` in the main thread once that many seconds have gone by, whatever it waits for."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not finished after {seconds:.0f} s")

    before, started = signal.signal(signal.SIGALRM, ring), time.monotonic()
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 0.001) if left else 0)


def _last_line(error: Exception) -> str:
    """The last line of an error as a person reads it, without the terminal's colours."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
