"""The checkpoint: all that an interrupted training needs to go on as if nothing had happened.

It holds weights, running statistics, momentum and log after an epoch. The random draws of later epochs follow from
the seed (see `schedule`).
"""

import time
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from fer3d import files
from fer3d.model import weights
from fer3d.model.network import Network

Log = list[dict[str, float]]
"""One row per epoch."""

PAUSE = 10
"""A checkpoint is due after this many times the time that the last one took to write. On a GPU an epoch over a few
hundred clips can be shorter than the writing."""


class Checkpoint:
    """The checkpoint file of one training."""

    def __init__(self, path: Path, run_id: str, network: Network, sgd: torch.optim.SGD) -> None:
        self._path, self._run_id, self._state = path, run_id, state(network, sgd)
        self._saved, self._took = time.monotonic(), 0.0

    def resume(self) -> Log:
        """Fill network and optimiser from the file and return its log; without a file, the empty log."""
        if not self._path.exists():
            return []
        stored, log = weights.read(self._path, self._run_id)
        if not weights.same_shapes(stored, self._state):
            raise weights.unusable(self._path, "does not fit this network")
        for name, value in self._state.items():
            value.copy_(stored[name])
        return list(log)

    def save(self, log: Log) -> None:
        """Write the state after the log's last epoch. ``log.csv`` is for people to watch: `resume` ignores it."""
        started = time.monotonic()
        weights.write(self._path, self._state, self._run_id, log)
        files.write_csv(self._path.with_name("log.csv"), pd.DataFrame(log))
        self._saved = time.monotonic()
        self._took = self._saved - started

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the last one."""
        return time.monotonic() > self._saved + PAUSE * self._took


def state(network: Network, sgd: torch.optim.SGD) -> dict[str, Tensor]:
    """All that training changes, by name and in place: weights, running statistics, momentum."""
    learned = {f"weight.{name}": value for name, value in network.state_dict().items()}
    momentum = {
        f"momentum.{name}": sgd.state[parameter]["momentum_buffer"] for name, parameter in network.named_parameters()
    }
    return learned | momentum
