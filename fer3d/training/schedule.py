"""What is decided before an epoch: which clips each step sees, at which learning rate, and how each is augmented.

All of it follows from the seed and the epoch's number. So a resumed training takes the same steps as one that was
never interrupted.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from fer3d.config import TrainingSettings
from fer3d.training.augment import draw
from fer3d.training.batches import batches


@dataclass(frozen=True)
class Epoch:
    """One pass over the clips with all its random choices but dropout; the same in every process."""

    number: int
    """From 0."""
    batches: list[np.ndarray]
    """The clips of each step."""
    rates: list[float]
    """The learning rate of each step."""
    augment_params: Tensor
    """(N, 5) what `augment` is to do, a row per clip."""

    @classmethod
    def plan(cls, number: int, clips: int, settings: TrainingSettings) -> Self:
        """The epoch of that number over so many clips."""
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, number + 1))
        cut = batches(torch.randperm(clips, generator=generator).numpy(), settings.batch_size)
        steps, warmup = settings.epochs * len(cut), round(settings.warmup_epochs * len(cut))
        rates = [learning_rate(number * len(cut) + k, steps, warmup, settings) for k in range(len(cut))]
        return cls(number, cut, rates, draw(clips, generator))


def epochs(done: int, clips: int, settings: TrainingSettings) -> Iterator[Epoch]:
    """The epochs that are left when so many are done."""
    for number in range(done, settings.epochs):
        yield Epoch.plan(number, clips, settings)


def learning_rate(step: int, steps: int, warmup: int, settings: TrainingSettings) -> float:
    """The rate at a step: linear warm-up to ``lr``, then constant or half a cosine down to 0."""
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.lr
    return settings.lr * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def derive_seed(seed: int, *purpose: int) -> int:
    """A seed for one purpose, from that of the settings. Zeros at the end don't count: (1, 0) and (1,) share a seed."""
    return int(np.random.SeedSequence([seed, *purpose]).generate_state(1)[0])
