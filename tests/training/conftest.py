"""A small store and one finished training on it, which no test changes."""

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
    """The folder of a run without interruption."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    train([store], out, PROFILE)
    return out
