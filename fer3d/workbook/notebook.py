"""Execute a notebook with papermill, strictly.

Papermill ignores a misspelt parameter and takes any type; here both are an `InputError`. The
executed notebook is written whole or not at all; a failed one is kept beside it as
``<name>.failed.ipynb``. A time limit ends a notebook that hangs: it holds for the notebook as a
whole, since papermill's limit on a cell does not notice a kernel that died.
"""

import ast
import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from traitlets import default

from fer3d import config, files, labels
from fer3d.errors import InputError
from fer3d.workbook import models

_TYPES: Mapping[str, type[Any]] = {"int": int, "float": float, "str": str, "bool": bool}

_SOCKET_NAME = 100
"""Bytes that the name of a socket may have, with some to spare."""

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
METADATA = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
"""The metadata of a notebook for this interpreter's kernel."""


class ThisInterpreter(AsyncKernelManager):
    """Starts this interpreter, whatever Jupyter has installed as ``python3``."""

    @default("connection_file")
    def _name(self) -> str:
        return str(Path(tempfile.gettempdir()) / f"kernel-{uuid.uuid4().hex}.json")

    @default("transport")
    def _no_ports(self) -> str:
        """Named sockets where the name is short enough: two notebooks that start at once could choose the same port."""
        return "ipc" if len(os.fsencode(self.connection_file)) < _SOCKET_NAME else "tcp"

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel of this interpreter."""
        return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], **KERNEL)


class NotebookError(Exception):
    """A notebook that failed while it was executed: one line with the reason and where the notebook is kept."""


def read(notebook: Path) -> NotebookNode:
    """A notebook, with this interpreter's kernel in place of the one it names; an `InputError` for another file."""
    if not notebook.is_file():
        raise InputError(f"there is no notebook {notebook}", "notebooks/02_landmark_filters.ipynb")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = nbformat.read(notebook, as_version=4)
            nbformat.validate(content)
    except Exception as error:  # nbformat raises all kinds of errors for a file that is not a notebook
        raise InputError(f"{notebook} is not a notebook: {error}") from error
    content.metadata |= METADATA
    return content


def _declared(content: NotebookNode) -> Iterator[tuple[str, str]]:
    """The name and the type of each parameter that a notebook declares; an empty type where none is written."""
    tagged = [cell for cell in content.cells if "parameters" in cell.metadata.get("tags", ())]
    source = tagged[0].source if tagged and tagged[0].cell_type == "code" else ""
    try:
        lines = ast.parse(source).body
    except SyntaxError as error:
        raise InputError(f"the cell with the parameters is not Python: {error}") from error
    for line in lines:
        if isinstance(line, ast.AnnAssign):
            yield ast.unparse(line.target), ast.unparse(line.annotation)
        elif isinstance(line, ast.Assign):
            yield from ((ast.unparse(target), "") for target in line.targets)


def check_parameters(notebook: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters in the notebook's types; text from a command line is converted.

    A notebook declares its parameters in the cell tagged ``parameters``, in lines of the form
    ``name: int = 3  # help`` with a bare ``int``, ``float``, ``str`` or ``bool``.

    Raises:
        InputError: there is no such notebook, the file is not a notebook, it declares a parameter of another type or
            not the given one, or the value has another type or is not a known one.
    """
    types = dict(_declared(read(notebook)))
    for name, kind in types.items():
        if kind not in _TYPES:
            expected = f"expected {', '.join(_TYPES)}"
            raise InputError(f"parameter {name!r} of {notebook.name} has no plain type: {expected}", f"{name}: int")
    for name in given:
        if name not in types:
            declared = ", ".join(f"{name}: {kind}" for name, kind in types.items()) or "none"
            raise InputError(f"{notebook.name} has no parameter {name!r}: its parameters are {declared}")
    typed = {name: _convert(name, value, _TYPES[types[name]]) for name, value in given.items()}
    for name, check in _VALUE_CHECKS.items():
        for part in filter(None, typed.get(name, "").split(",")):
            check(part)
    return typed


_VALUE_CHECKS: Mapping[str, Callable[[str], object]] = {
    "profile": config.profile,
    "variant": lambda name: config.NetworkSettings.from_params({"variant": name}),
    **dict.fromkeys(("variants", "model"), models.check_model),
    **dict.fromkeys(("database", "databases", "panels", "trained_on", "tests", "train"), labels.check_database),
}
"""Checks of the parameters with these names, which hold one value or several separated by commas: a wrong one is
found before a kernel is started."""


def _convert(name: str, value: Any, kind: type[Any]) -> Any:
    if type(value) is kind or (kind is float and type(value) is int):
        return kind(value)
    if isinstance(value, str) and kind is bool and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    raise InputError(f"{name} = {value!r} is not of type {kind.__name__}")


def execute(notebook: Path, out: Path, parameters: Mapping[str, Any], timeout: float = 86400, skip: str = "") -> None:
    """Execute a notebook with parameters and write the result to ``out``.

    The kernel is this interpreter, started in the notebook's folder.

    Args:
        notebook: an ``.ipynb`` file.
        out: where the executed notebook goes, whole or not at all.
        parameters: values by name, as the notebook declares them.
        timeout: seconds for all cells together.
        skip: cells with this tag are not executed.

    Raises:
        InputError: as `check_parameters`; or ``out`` is the notebook itself.
        NotebookError: a cell failed, the kernel died, or the time was up.
    """
    typed = check_parameters(notebook, parameters)
    content = read(notebook)
    if out.resolve() == notebook.resolve():
        raise InputError(f"--out {out} is the notebook itself", f"--out {out.stem}.executed.ipynb")
    failed = out.with_name(f"{out.stem}.failed.ipynb")
    with files.lock(out), tempfile.TemporaryDirectory() as scratch:
        executed = Path(scratch) / "executed.ipynb"
        try:
            with _time_limit(timeout):
                _run_papermill(content, notebook.resolve().parent, executed, typed, out.stem, skip)
        except KeyboardInterrupt:
            logging.getLogger("asyncio").disabled = True  # it would complain about the cells not executed
            raise
        except Exception as error:
            if executed.exists():
                files.write_text(failed, executed.read_text(encoding="utf-8"))
            raise NotebookError(
                f"{notebook.name} failed{_where(error)}: {_last_line(error)}; kept as {failed}"
            ) from error
        files.write_text(out, executed.read_text(encoding="utf-8"))
        failed.unlink(missing_ok=True)


def _run_papermill(
    content: NotebookNode, folder: Path, out: Path, parameters: dict[str, Any], title: str, skip: str
) -> None:
    """Write ``out`` once, at the end; after a failure with the outputs up to then."""
    import papermill

    started: list[NotebookNode] = []

    def begin(notebook: NotebookNode) -> None:
        _remove_signal_handlers()
        started.append(notebook)

    bar = {"desc": title, "unit": "cell", "disable": None, "leave": False, "file": sys.stderr}
    # It warns of defaults that it can't parse, and of a kernel that died, which an exception also reports.
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the Jupyter libraries' own deprecations
            papermill.execute_notebook(
                content,
                str(out),
                parameters,
                kernel_name=KERNEL["name"],
                kernel_manager_class=ThisInterpreter,
                cwd=str(folder),
                progress_bar=bar,
                extra_arguments=["--log-level=CRITICAL"],  # of the kernel's own messages
                on_notebook_start=begin,
                skip_cells_with_tag=skip,
                request_save_on_cell_execute=False,  # else it writes the whole notebook before and after each cell
            )
    except Exception:
        if started and not out.exists():  # papermill itself writes where a cell failed, not where the kernel ended
            nbformat.write(started[0], out)
        raise


def _remove_signal_handlers() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt`: nbclient's handler ends the kernel and might wait for it for ever."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` in the main thread after that many seconds, whatever it waits for."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not finished after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _where(error: Exception) -> str:
    """The cell that failed, by the number that it shows."""
    return f" in cell [{error.exec_count}]" if hasattr(error, "exec_count") else ""


def _last_line(error: Exception) -> str:
    """The last line of an error's message, without terminal colours."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
