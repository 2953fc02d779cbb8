"""A small store, one finished training on it, and how to interrupt another."""

import contextlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dots import PROFILE, moving_dots

from fer3d.data.store import Store
from fer3d.training.train import train


@pytest.fixture(scope="session")
def store() -> Store:
    return moving_dots()


@pytest.fixture(scope="session")
def straight(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run without interruption. Tests change copies only."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    train([store], out, PROFILE)
    return out


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], contextlib.AbstractContextManager[None]]:
    """A block that ends where a function, given by its whole dotted name, is called for the n-th time."""

    @contextlib.contextmanager
    def block(function: str, call: int) -> Iterator[None]:
        original, calls = pkgutil.resolve_name(function), iter(range(1, call))

        def failing(*args, **kwargs):
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(function, failing)
            yield

    return block
