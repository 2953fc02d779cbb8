"""Fixtures for the tests of all folders."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from fer3d import labels

PARAMETERS = """
profile: str = "tiny"  # size of everything
epochs: int = 2  # passes
lr: float = 0.1
mirror: bool = True
"""


@pytest.fixture(scope="session", autouse=True)
def no_licensed_copies() -> Iterator[None]:
    """The tests work on stand-ins, whatever licensed copies the environment names."""
    with pytest.MonkeyPatch.context() as environment:
        for name in labels.TITLES:
            environment.delenv(f"FER3D_{name.upper()}", raising=False)
        yield


@pytest.fixture
def without_rights() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """A block to whose code forbidden files are forbidden, also where the tests run as root."""

    @contextlib.contextmanager
    def block() -> Iterator[None]:
        user = os.geteuid()
        os.seteuid(user or 65534)
        try:
            yield
        finally:
            os.seteuid(user)

    return block


@pytest.fixture
def write_notebook(tmp_path: Path) -> Callable[..., Path]:
    """Writes a notebook of that name, with `PARAMETERS` and a cell for each source."""

    def write(name: str, *sources: str) -> Path:
        cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / name)
        return tmp_path / name

    return write
