"""The loop: Section 3.3's stochastic gradient descent on the cross-entropy, resumed exactly after any interruption.

All that chance decides in an epoch follows from the seed and the epoch's number, and is drawn
for all clips at once: which clips a step sees, and how each is augmented. A checkpoint after
an epoch holds the rest: weights, running statistics, momentum, log. So, on the CPU and with the
same number of threads, a resumed training ends with the same bits as a straight one.

Under ``torchrun`` each process takes its share of every batch, and the gradients are averaged:
the same steps as in one process. See `asynchronous` for the paper's own way, which gives that up.
"""

import math
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from fer3d.config import TrainingSettings
from fer3d.errors import InputError
from fer3d.model import weights
from fer3d.model.network import Network
from fer3d.training.augment import augment, draw
from fer3d.training.batches import Clips, batches, normalised
from fer3d.training.processes import see_the_whole_batch

Log = list[dict[str, float]]

_RARELY = 10
"""Epochs go on unsaved for so many times as long as the last checkpoint took to write: on a GPU an epoch of some
hundred clips can be shorter than that."""


def fit(
    fabric: Fabric, network: Network, clips: Clips, settings: TrainingSettings, checkpoint: Path, run: str
) -> pd.DataFrame:
    """Train in place, from the checkpoint where there is one; returns the log, a row an epoch."""
    # Channels last pays in bf16; in fp32 on a CPU it is worth 4 % at 64 pixels and costs 10 % at 299.
    network.to(device=fabric.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    sgd = optimiser(network, settings)
    log = resume(checkpoint, run, network, sgd)
    _check_shares(fabric, clips, settings)
    if fabric.world_size > 1:
        see_the_whole_batch(network, fabric.device)
    streams = Streams(network)
    wrapped, optimizer = fabric.setup(compiled(streams) if settings.compile else streams, sgd)
    wrapped.train()
    saved, saving = time.monotonic(), 0.0
    with progress(log, clips, settings, silent=not fabric.is_global_zero) as bar:
        for number in range(len(log), settings.epochs):
            started = time.perf_counter()
            torch.manual_seed(seed(settings, number + 1))  # dropout
            epoch = Epoch.of(number, len(clips), settings)
            told: Any = torch.zeros(2, device=fabric.device)
            for batch, rate in zip(epoch.batches, epoch.rates, strict=True):
                sgd.param_groups[0]["lr"] = rate
                told += step(fabric, wrapped, optimizer, clips, batch, epoch.drawn, settings)
                bar.update()
            told = fabric.all_reduce(told, reduce_op="sum")
            log.append(row(epoch, told, started))
            if fabric.is_global_zero and (len(log) == settings.epochs or time.monotonic() > saved + _RARELY * saving):
                before = time.monotonic()
                save(checkpoint, run, network, sgd, log)
                saved = time.monotonic()
                saving = saved - before
    return pd.DataFrame(log)


class Streams(nn.Module):
    """A network whose call gives the logits of its streams.

    Fabric's precision and `torch.compile` only reach what is called as a module, not its other methods.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor, landmarks: Tensor) -> Tensor:
        return self.network.stream_logits(clips, landmarks)


def compiled(network: nn.Module) -> nn.Module:
    """The network compiled, with the same weights; an `InputError` where there is no compiler for it."""
    compiler = os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        raise InputError(f"compile without {compiler}", "a C++ compiler", "compile = False, or installing g++")
    # A dynamic graph would serve all sizes of batch; there are two, and each is faster with its own.
    return torch.compile(network, dynamic=False)  # type: ignore[return-value]


def _check_shares(fabric: Fabric, clips: Clips, settings: TrainingSettings) -> None:
    smallest = min(len(batch) for batch in batches(np.arange(len(clips)), settings.batch_size))
    if smallest < fabric.world_size:
        raise InputError(
            f"batches of {smallest} clips for {fabric.world_size} processes",
            "a clip for each process",
            "fewer processes, or a larger batch_size",
        )


@dataclass(frozen=True)
class Epoch:
    """One pass over the clips, with all that chance decides in it. The same in every process."""

    number: int
    """From 0."""
    batches: list[np.ndarray]
    """The clips of each step."""
    rates: list[float]
    """The learning rate of each step."""
    drawn: Tensor
    """What `augment` is to do, a row a clip."""

    @classmethod
    def of(cls, number: int, clips: int, settings: TrainingSettings) -> Self:
        """The pass of that number over so many clips."""
        generator = torch.Generator().manual_seed(seed(settings, number + 1))
        cut = batches(torch.randperm(clips, generator=generator).numpy(), settings.batch_size)
        steps, warmup = settings.epochs * len(cut), round(settings.warmup_epochs * len(cut))
        rates = [learning_rate(number * len(cut) + k, steps, warmup, settings) for k in range(len(cut))]
        return cls(number, cut, rates, draw(clips, generator))


def step(
    fabric: Fabric,
    network: Any,
    optimizer: Any,
    clips: Clips,
    batch: np.ndarray,
    drawn: Tensor,
    settings: TrainingSettings,
) -> Tensor:
    """One step on this process's share of a batch; returns its summed losses and how many it recognised."""
    mine = np.array_split(batch, fabric.world_size)[fabric.global_rank]
    frames, landmarks, targets = clips.batch(mine, fabric.device)
    moved = augment(normalised(frames, settings.clip_norm), landmarks, settings, drawn[mine])
    streams = network(*moved)
    logits = network.network.combine(streams)
    # Each stream learns by itself: joined, the stronger would leave the other nothing to learn.
    loss = functional.cross_entropy(streams.float().flatten(0, 1), targets.repeat(len(streams)), reduction="sum")
    optimizer.zero_grad()
    # The mean over the batch. Between processes gradients are averaged, whatever their shares.
    fabric.backward(loss * (fabric.world_size / len(batch)))
    optimizer.step()
    return torch.stack([loss.detach(), (logits.argmax(dim=1) == targets).sum()])


def learning_rate(step: int, steps: int, warmup: int, settings: TrainingSettings) -> float:
    """The rate at a step: linear warm-up to ``lr``, then constant or half a cosine down to 0."""
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.lr
    return settings.lr * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def optimiser(network: Network, settings: TrainingSettings) -> torch.optim.SGD:
    """SGD for the network's weights, its momentum at rest."""
    sgd = torch.optim.SGD(
        network.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        fused=True,  # one pass over the weights, where otherwise each term takes its own
    )
    for parameter in network.parameters():
        sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd


def seed(settings: TrainingSettings, *which: int) -> int:
    """A seed for each use, from the one of the settings."""
    return int(np.random.SeedSequence([settings.seed, *which]).generate_state(1)[0])


def progress(log: Log, clips: Clips, settings: TrainingSettings, silent: bool = False) -> tqdm:
    """The bar of a training that has come as far as its log."""
    steps = math.ceil(len(clips) / settings.batch_size)
    done, total = len(log) * steps, settings.epochs * steps
    return tqdm(total=total, initial=done, desc="train", unit="step", disable=silent or None)


def row(epoch: Epoch, told: Tensor, started: float) -> dict[str, float]:
    """The epoch's row of the log; an `InputError` when the loss is no number."""
    clips = len(epoch.drawn)
    loss, recognised = (float(value) / clips for value in told)
    if not math.isfinite(loss):
        raise InputError(f"a loss of {loss} in epoch {epoch.number + 1}", "a number", "a smaller lr")
    seconds = time.perf_counter() - started
    return {
        "epoch": epoch.number + 1,
        "lr": epoch.rates[-1],
        "loss": loss,
        "train_accuracy": recognised,
        "seconds": seconds,
    }


def state(network: Network, sgd: torch.optim.SGD) -> dict[str, Tensor]:
    """All that training changes, by name and in place: weights, running statistics, momentum."""
    learned = {f"weight.{name}": value for name, value in network.state_dict().items()}
    momentum = {
        f"momentum.{name}": sgd.state[parameter]["momentum_buffer"] for name, parameter in network.named_parameters()
    }
    return learned | momentum


def save(path: Path, run: str, network: Network, sgd: torch.optim.SGD, log: Log) -> None:
    """Write the checkpoint of a finished epoch."""
    weights.write(path, state(network, sgd), run, log)


def resume(path: Path, run: str, network: Network, sgd: torch.optim.SGD) -> Log:
    """Fill network and optimiser from the checkpoint and return its log; without one, the empty log."""
    if not path.exists():
        return []
    stored, log = weights.read(path, run)
    current = state(network, sgd)
    if {name: value.shape for name, value in stored.items()} != {name: value.shape for name, value in current.items()}:
        raise weights.damaged(path, "tensors that are not this network's")
    for name, value in current.items():
        value.copy_(stored[name])
    return list(log)
