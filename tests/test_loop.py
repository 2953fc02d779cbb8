"""The loop by itself: its rates, its draws, several processes."""

import dataclasses
import itertools

import pytest

from fer3d.config import TrainingSettings
from fer3d.loop import learning_rate


def test_learning_rate_warms_up_and_falls_to_nothing():
    settings = TrainingSettings(lr=0.1)
    rates = [learning_rate(step, 100, 10, settings) for step in range(100)]
    assert rates[:3] == pytest.approx([0.01, 0.02, 0.03])
    assert max(rates) == rates[9] == rates[10] == 0.1
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[99] < 1e-3
    constant = dataclasses.replace(settings, schedule="constant")
    assert learning_rate(99, 100, 0, constant) == learning_rate(0, 100, 0, constant) == 0.1
