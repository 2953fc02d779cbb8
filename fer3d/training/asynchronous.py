"""Asynchronous SGD, the paper's own way (Section 3.3): workers that don't wait for one another.

Each worker is a process that takes every n-th step: it computes a gradient from the shared weights as they are at
that moment, and changes them at once, without a lock (Hogwild, Recht et al. 2011, arXiv 1106.5730). Weights,
momentum and the running statistics of batch normalisation lie in shared memory; an update that another worker
overwrites is lost. Each batch is normalised by its own statistics. The number of epochs and steps, the clips of
each step, rates and augmentation are those of synchronous training; only the order in which steps end is left to
chance.

Therefore two asynchronous trainings with the same seed differ. An interrupted one resumes after its last whole
epoch, but not to the same bits. The paper does not say how many workers it had.
"""

import dataclasses
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, multiprocessing
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

from fer3d.config import TrainingSettings
from fer3d.errors import InputError
from fer3d.model.network import Network
from fer3d.training import devices, loop
from fer3d.training.batches import Clips, Location
from fer3d.training.checkpoint import Checkpoint, state
from fer3d.training.schedule import derive_seed, epochs

if TYPE_CHECKING:  # see `devices`
    from lightning_fabric import Fabric


def fit(
    fabric: "Fabric", network: Network, clips: Clips, settings: TrainingSettings, checkpoint_file: Path, run_id: str
) -> pd.DataFrame:
    """As `loop.fit`, by ``settings.async_workers`` processes on the CPU.

    Raises:
        InputError: another device than the CPU, more than one process of ``torchrun``, a worker
            that failed or died, a loss that is not finite.
    """
    if fabric.device.type != "cpu" or fabric.world_size > 1:
        raise InputError(
            "asynchronous workers need the CPU of one machine, without torchrun", "--device cpu, or --async-workers 0"
        )
    network.train().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    sgd = loop.optimiser(network, settings)
    checkpoint = Checkpoint(checkpoint_file, run_id, network, sgd)
    log = checkpoint.resume()
    if len(log) == settings.epochs:
        return pd.DataFrame(log)
    for tensor in state(network, sgd).values():
        tensor.share_memory_()
    workers = _Workers(network, sgd, clips, settings, len(log))
    try:
        with loop.progress(log, clips, settings) as bar:
            for epoch in epochs(len(log), len(clips), settings):
                started = time.perf_counter()
                while (done := workers.steps_done()) < len(epoch.batches):
                    bar.update(epoch.number * len(epoch.batches) + done - bar.n)
                    workers.watch(seconds=0.02)
                log.append(loop.log_row(epoch, workers.totals.sum(dim=0)[:2], started))
                checkpoint.save(log)
                workers.start_next_epoch()
            bar.update(bar.total - bar.n)
    finally:
        workers.end()
    return pd.DataFrame(log)


class _Workers:
    """The processes, and what they share besides the weights."""

    def __init__(
        self, network: Network, sgd: torch.optim.SGD, clips: Clips, settings: TrainingSettings, first: int
    ) -> None:
        # Spawned, not forked: the caller may hold threads. PyTorch ends them when the caller is killed.
        context, count = multiprocessing.get_context("spawn"), settings.async_workers
        # The caller takes no lock, which a killed worker might still hold: it reads `totals` and releases gates.
        self.totals = torch.zeros(count, 3).share_memory_()
        """Each worker's sum of losses, number of correct predictions and number of steps in the epoch."""
        self._gates = [context.Semaphore(0) for _ in range(count)]
        """A semaphore for each worker, which waits there for the next epoch."""
        momentum = [sgd.state[parameter]["momentum_buffer"] for parameter in network.parameters()]
        threads = max(1, torch.get_num_threads() // count)
        args = (network, momentum, clips.locations, settings, first, threads, self.totals, self._gates)
        self._processes = start_processes(_work, args, count, join=False, start_method="spawn")

    def steps_done(self) -> int:
        """Steps of the epoch that all workers have done."""
        return int(self.totals[:, 2].sum())

    def watch(self, seconds: float) -> None:
        """Wait that many seconds; an `InputError` if a worker has failed."""
        try:
            self._processes.join(timeout=seconds)
        except (ProcessRaisedException, ProcessExitedException) as error:
            what = str(error).strip().splitlines()[-1]
            raise InputError(
                f"an asynchronous worker ended ({what})",
                "the same command again, which resumes after the last epoch; or fewer workers",
            ) from error

    def start_next_epoch(self) -> None:
        """Let the workers begin the next epoch, or end after the last."""
        self.totals.zero_()
        for gate in self._gates:
            gate.release()

    def end(self) -> None:
        """End all workers at once; what they have learned is in the shared weights."""
        for process in self._processes.processes:
            process.terminate()
            process.join()


def _work(
    rank: int,
    network: Network,
    momentum: Sequence[Tensor],
    locations: Sequence[Location],
    settings: TrainingSettings,
    first: int,
    threads: int,
    totals: Tensor,
    gates: Sequence[Any],
) -> None:
    """One worker: every n-th step, on the shared weights, until no epoch is left. It opens the stores itself."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # sent by PyTorch if the caller dies; a script's jobs ignore it
    torch.set_num_threads(threads)
    clips = Clips.from_locations(locations, network.classes)
    sgd = loop.optimiser(network, settings)
    for parameter, buffer in zip(network.parameters(), momentum, strict=True):
        sgd.state[parameter]["momentum_buffer"] = buffer
    fabric = devices.single_process_fabric(settings.device, settings.precision)
    settings = dataclasses.replace(settings, compile=False)  # else each worker would compile the network again
    trainer = loop.Trainer(fabric, network, sgd, clips, settings)
    for epoch in epochs(first, len(clips), settings):
        torch.manual_seed(derive_seed(settings.seed, epoch.number + 1, rank + 1))  # dropout
        for batch, rate in list(zip(epoch.batches, epoch.rates, strict=True))[rank :: len(gates)]:
            trainer.optimizer.param_groups[0]["lr"] = rate
            totals[rank, :2] += loop.train_one_step(trainer, batch, epoch.augment_params)
            totals[rank, 2] += 1
        gates[rank].acquire()
