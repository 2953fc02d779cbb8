"""Asynchronous SGD: shared weights, a fixed number of steps, and no process left behind."""


import pandas as pd
import pytest
from dots import moving_dots, with_training, written

from fer3d import training

PROFILE = with_training(async_workers=2, epochs=6, mirror=False, rotation=0.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores") / "dots"
    return written(moving_dots(subjects=20, names=("anger", "fear", "sadness")), folder)


def test_it_learns_with_all_steps_and_says_so(store, tmp_path):
    metrics = training.train([store], tmp_path, PROFILE)
    log = pd.read_csv(tmp_path / "log.csv")
    assert list(log["epoch"]) == list(range(1, 7))
    assert log["loss"].iloc[-1] < 0.8 * log["loss"].iloc[0]
    assert log["lr"].iloc[-1] < log["lr"].iloc[1]
    model = training.load_model(tmp_path)
    steps = 6 * -(-metrics["train_clips"] // 8)
    counted = {name: int(value) for name, value in model.network.named_buffers() if name.endswith("tracked")}
    assert all(0.8 * steps <= count <= steps for count in counted.values())  # a count may be overwritten, never added
    assert model.training.async_workers == 2
