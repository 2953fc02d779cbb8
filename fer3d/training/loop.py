"""The loop: Section 3.3's stochastic gradient descent on the cross-entropy, resumed exactly after any interruption.

`fit` goes over the epochs, `train_one_epoch` over their steps; `schedule` decides beforehand what each step does.
On the CPU and with the same number of threads, a resumed training ends with the same bits as a straight one.

Under ``torchrun`` each process takes its share of every batch, and PyTorch's DDP averages the gradients. Two things
differ from the training in one process:

- Each process draws dropout for its own share.
- On the CPU, batch normalisation takes the statistics of each process's share, as if ``batch_size`` were smaller, and
  the first process's running statistics are kept. On GPUs it takes those of the whole batch (`SyncBatchNorm`).

Without these two the result is that of one process, up to rounding. See `asynchronous` for the paper's own way.
"""

import math
import os
import shutil
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from fer3d.config import ClipNorm, TrainingSettings
from fer3d.errors import InputError
from fer3d.model.network import Network
from fer3d.training.augment import move_landmarks, move_pictures, moves
from fer3d.training.batches import Clips, batches, network_input, normalise_clips, to_device
from fer3d.training.checkpoint import Checkpoint, Log
from fer3d.training.schedule import Epoch, derive_seed, epochs

if TYPE_CHECKING:  # see `devices`
    from lightning_fabric import Fabric


def fit(
    fabric: "Fabric", network: Network, clips: Clips, settings: TrainingSettings, checkpoint_file: Path, run_id: str
) -> pd.DataFrame:
    """Train in place, from the checkpoint where there is one; returns the log, one row per epoch.

    Raises:
        InputError: more processes than clips in a batch, an unusable checkpoint, no compiler for ``compile``, or a loss
            that is not finite.
    """
    _check_shares(fabric, clips, settings)
    # Channels last pays in bf16; in fp32 on one core a step takes 0.74 of the time at 64 pixels and 0.95 at 299.
    network.to(device=fabric.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if fabric.world_size > 1 and fabric.device.type == "cuda":  # SyncBatchNorm refuses the CPU
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
    sgd = optimiser(network, settings)
    checkpoint = Checkpoint(checkpoint_file, run_id, network, sgd)
    log = checkpoint.resume()
    trainer = Trainer(fabric, network, sgd, clips, settings)
    with progress(log, clips, settings, silent=not fabric.is_global_zero) as bar:
        for epoch in epochs(len(log), len(clips), settings):
            started = time.perf_counter()
            totals = train_one_epoch(trainer, epoch, bar)
            log.append(log_row(epoch, totals, started))
            if fabric.is_global_zero and (len(log) == settings.epochs or checkpoint.is_due):
                checkpoint.save(log)
    return pd.DataFrame(log)


class Trainer:
    """What every step of a training uses: network and optimiser, wrapped by Fabric, the clips and the settings."""

    def __init__(
        self, fabric: "Fabric", network: Network, sgd: torch.optim.SGD, clips: Clips, settings: TrainingSettings
    ) -> None:
        self.fabric, self.network, self.clips, self.settings = fabric, network, clips, settings
        module = StreamLogits(network, settings.clip_norm)
        self.stream_logits, self.optimizer = fabric.setup(compiled(module) if settings.compile else module, sgd)
        self.stream_logits.train()
        self.class_weights = balanced_weights(clips).to(fabric.device) if settings.class_weights == "balanced" else None


class StreamLogits(nn.Module):
    """From bytes to `Network.stream_logits` in one ``forward``, since DDP and `torch.compile` wrap that of a module."""

    def __init__(self, network: Network, clip_norm: ClipNorm) -> None:
        super().__init__()
        self.network, self.clip_norm = network, clip_norm

    def forward(self, frames: Sequence[Tensor], landmarks: Tensor, theta: Tensor) -> Tensor:
        """Logits (S, B, K) of B clips (T, H, W, 3) uint8, moved as ``theta``, and landmarks that have moved already."""
        pictures = move_pictures(normalise_clips(frames, self.clip_norm), theta)
        return self.network.stream_logits(network_input(pictures), landmarks)


def train_one_epoch(trainer: Trainer, epoch: Epoch, bar: tqdm) -> Tensor:
    """All steps of an epoch; returns the sums over all clips of their losses and of correct predictions, (2,)."""
    fabric = trainer.fabric
    torch.manual_seed(derive_seed(trainer.settings.seed, epoch.number + 1, fabric.global_rank))  # dropout
    totals = torch.zeros(2, device=fabric.device)
    for batch, rate in zip(epoch.batches, epoch.rates, strict=True):
        trainer.optimizer.param_groups[0]["lr"] = rate
        totals += train_one_step(trainer, batch, epoch.augment_params)
        bar.update()
    return fabric.all_reduce(totals, reduce_op="sum")  # type: ignore[return-value]


def train_one_step(trainer: Trainer, batch: np.ndarray, augment_params: Tensor) -> Tensor:
    """One step on this process's share of a batch; returns its sum of losses and number of correct predictions, (2,).

    ``augment_params`` (N, 5) are those of all clips, of which ``batch`` holds the rows.
    """
    fabric = trainer.fabric
    share = np.array_split(batch, fabric.world_size)[fabric.global_rank]
    *earlier, last = np.array_split(share, min(trainer.settings.accumulate, len(share)))
    trainer.optimizer.zero_grad()
    totals = torch.zeros(2, device=fabric.device)
    with fabric.no_backward_sync(trainer.stream_logits, enabled=bool(earlier)):
        for part in earlier:
            totals += _add_gradients(trainer, part, augment_params[part], len(batch))
    totals += _add_gradients(trainer, last, augment_params[last], len(batch))
    trainer.optimizer.step()
    return totals


def _add_gradients(trainer: Trainer, part: np.ndarray, augment_params: Tensor, batch_size: int) -> Tensor:
    """Add the gradients of some clips of a batch to the network's; as `train_one_step` for the rest."""
    fabric, settings = trainer.fabric, trainer.settings
    frames, landmarks, targets = trainer.clips.batch(part, fabric.device)
    size = trainer.network.size
    places = moves(augment_params, size, settings)
    landmarks = move_landmarks(landmarks, places, size, settings)
    streams = trainer.stream_logits(frames, landmarks, to_device(places.theta, fabric.device))
    # Each stream has a loss of its own: with one for their sum, the stronger would leave the others little to learn.
    logits, wanted = streams.float().flatten(0, 1), targets.repeat(len(streams))
    loss = functional.cross_entropy(logits, wanted, trainer.class_weights, reduction="sum")
    # The mean over the whole batch: DDP averages over processes, whatever the size of their shares.
    fabric.backward(loss * (fabric.world_size / batch_size))
    correct = trainer.network.combine(streams).argmax(dim=1) == targets
    return torch.stack([loss.detach(), correct.sum()])


def balanced_weights(clips: Clips) -> Tensor:
    """(K,) the weight of each class in the loss, N / (K * N_k) for N_k of the N clips; 0 for a class without clips."""
    counts = torch.bincount(clips.targets, minlength=len(clips.classes))
    return torch.where(counts > 0, len(clips) / (int((counts > 0).sum()) * counts.clamp(min=1)), 0.0)


def optimiser(network: Network, settings: TrainingSettings) -> torch.optim.SGD:
    """SGD for the network's weights. Its momentum is 0 and there from the start, for the checkpoint to find."""
    sgd = torch.optim.SGD(
        network.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        fused=True,  # one pass over the weights in place of one for each term
    )
    for parameter in network.parameters():
        sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd


def compiled(module: nn.Module) -> nn.Module:
    """The module compiled, with the same weights; an `InputError` where there is no compiler for it."""
    compiler = os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        raise InputError(f"--compile needs a C++ compiler, and there is no {compiler}", "installing g++")
    warnings.filterwarnings("ignore", "TensorFloat32", UserWarning)  # its advice; fp32 means fp32 here
    # A dynamic graph would serve all sizes of batch; there are two, and each is faster with its own.
    return torch.compile(module, dynamic=False)  # type: ignore[return-value]


def progress(log: Log, clips: Clips, settings: TrainingSettings, silent: bool = False) -> tqdm:
    """The progress bar of a training that has come as far as its log."""
    steps = -(-len(clips) // settings.batch_size)
    done, total = len(log) * steps, settings.epochs * steps
    return tqdm(total=total, initial=done, desc="train", unit="step", disable=silent or None)


def log_row(epoch: Epoch, totals: Tensor, started: float) -> dict[str, float]:
    """The epoch's row of the log; an `InputError` where the loss is not finite."""
    loss, accuracy = (float(total) / len(epoch.augment_params) for total in totals)
    if not math.isfinite(loss):
        raise InputError(f"the loss became {loss} in epoch {epoch.number + 1}", "a smaller lr in another folder")
    return {
        "epoch": epoch.number + 1,
        "lr": epoch.rates[-1],
        "loss": loss,
        "train_accuracy": accuracy,
        "seconds": time.perf_counter() - started,
    }


def _check_shares(fabric: "Fabric", clips: Clips, settings: TrainingSettings) -> None:
    smallest = min(len(batch) for batch in batches(np.arange(len(clips)), settings.batch_size))
    if smallest < fabric.world_size:
        raise InputError(
            f"{fabric.world_size} processes can't share batches of {smallest} clips",
            "fewer processes, or a larger batch_size",
        )
