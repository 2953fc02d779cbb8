"""Training at the paper's size on one GPU: clips a second, memory, share of the ceiling, where the time goes.

    python -m benchmarks.training.gpu [--batch 32] [--steps 20] [--out FOLDER] [--rehearse]

Each way takes the workbook's own training steps (`fer3d.training.loop`) from a memory-mapped store: bytes are
uploaded; normalisation, augmentation and landmark filters happen on the device. The plain loops are
eager, NCDHW and without fused SGD, once in strict fp32 and once in TF32, cuDNN's default. The
ceiling is the faster of one large bf16 matrix product and one 3 x 3 x 3 convolution, measured in the
same run. The profile is drawn as ``gpu_profile`` in the reports' folder.

Without a GPU it says so and ends well. ``--rehearse`` runs all of its code on the CPU at the tiny
profile's size; what it then prints says nothing about a GPU.
"""

import argparse
import dataclasses
import gc
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.common import LABELS, Way, random_store, report, synchronise
from fer3d import config, paths
from fer3d.evaluation import plots
from fer3d.model.network import Network
from fer3d.model.summary import shape_table
from fer3d.training import loop
from fer3d.training.augment import draw
from fer3d.training.batches import Clips
from fer3d.training.devices import best_precision

KINDS = {
    "fused norm, ReLU, sum": ("triton",),  # first: its names list all that it joins
    "optimiser": ("sgd", "multi_tensor", "optimizer"),
    "copies": ("memcpy", "memset", "copy_", "to_copy"),
    "sampling": ("grid_sampl", "affine_grid"),
    "pooling": ("pool",),
    "LSTM": ("lstm", "rnn"),
    "batch norm": ("batch_norm", "bn_fw", "bn_bw", "batchnorm"),
    "convolution": ("conv", "gemm", "cutlass", "xmma", "wgrad", "dgrad", "fprop", "nvjet", "cudnn"),
}
"""Kinds of kernels by what their names contain; the first that fits counts."""


WAYS = (
    Way("strict fp32, eager"),
    Way("TF32, eager", tf32=True),
    Way("bf16, eager", bf16=True, channels_last=True, tf32=True),
    Way("bf16, everything on", bf16=True, channels_last=True, tf32=True, compiled=True),
)


class TimedTraining:
    """A network, its optimiser and a batch of stored clips, trained in one of the ways."""

    def __init__(self, way: Way, picked: config.Profile, clips: Clips, device: torch.device) -> None:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = way.tf32
        torch.backends.cudnn.benchmark = way.bf16
        network = Network(picked.network, LABELS, picked.clips.size).to(device, memory_format=way.layout)  # type: ignore
        sgd = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, nesterov=True, fused=way.bf16)
        precision = "bf16-mixed" if way.bf16 else "32-true"
        one = LightningEnvironment()
        self.fabric = Fabric(accelerator=device.type, devices=1, precision=precision, plugins=one)
        settings = dataclasses.replace(picked.training, compile=way.compiled)
        self.trainer = loop.Trainer(self.fabric, network, sgd, clips, settings)
        self.augment_params = draw(len(clips), torch.Generator().manual_seed(0))
        self.number = 0

    def step(self) -> None:
        batch_size, clips = self.trainer.settings.batch_size, self.trainer.clips
        chosen = (np.arange(batch_size) + self.number * batch_size) % len(clips)
        loop.train_one_step(self.trainer, chosen, self.augment_params)
        self.number += 1

    def steps(self, number: int) -> float:
        """Seconds of that many steps. The device is waited for only at the end, as in training."""
        synchronise(self.fabric.device)
        started = time.perf_counter()
        for _ in range(number):
            self.step()
        synchronise(self.fabric.device)
        return time.perf_counter() - started


def ceiling(device: torch.device, side: int) -> float:
    """10^12 operations a second of the faster of one square bf16 product and one 3 x 3 x 3 convolution.

    In fp32 where the device does not compute in bf16: there bf16 is slower, and no ceiling.
    """
    kind = torch.bfloat16 if best_precision(device) == "bf16" else torch.float32
    a, b = (torch.randn(side, side).to(device, kind) for _ in range(2))
    channels, grid = min(side, 256), 38
    layer = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
    layer = layer.to(device, kind, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    x = torch.randn(max(1, side // 256), channels, 10, grid, grid)
    x = x.to(device, kind, memory_format=torch.channels_last_3d)
    cases: tuple[tuple[Callable[[], object], float], ...] = (
        (lambda: a @ b, 2e-12 * side**3),
        (lambda: layer(x), 2e-12 * layer.weight.numel() * x[:, 0].numel()),
    )
    best = 0.0
    with torch.no_grad():
        for run, work in cases:
            for _ in range(3):
                run()
            synchronise(device)
            started = time.perf_counter()
            for _ in range(10):
                run()
            synchronise(device)
            best = max(best, 10 * work / (time.perf_counter() - started))
    return best


def where(training: TimedTraining, number: int = 3) -> pd.DataFrame:
    """Shares of the time of ``number`` steps: each kind of kernel's, and the rest in which the device waits."""
    on_gpu = training.fabric.device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=kinds, acc_events=True) as watched:  # PyTorch 2.11 warns that it would drop earlier cycles
        seconds = training.steps(number)
    spent: dict[str, float] = {}
    for event in watched.key_averages():
        if (event.device_type == DeviceType.CUDA) == on_gpu and not event.is_user_annotation:  # those span kernels
            name = event.key.lower()
            kind = next((kind for kind, parts in KINDS.items() if any(p in name for p in parts)), "other kernels")
            spent[kind] = spent.get(kind, 0.0) + 1e-6 * (
                event.self_device_time_total if on_gpu else event.self_cpu_time_total
            )
    spent["waiting for the host"] = max(0.0, seconds - sum(spent.values()))
    shares = pd.Series(spent).sort_values(ascending=False) / sum(spent.values())
    return shares.rename_axis("kind").rename("share").reset_index()


def compare(
    picked: config.Profile, clips: Clips, device: torch.device, steps: int, compiled: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a way; and where the last way's time goes."""
    on_gpu = device.type == "cuda"
    limit = ceiling(device, 8192 if on_gpu else 256)
    gmac = shape_table(Network(picked.network, LABELS, picked.clips.size))["gmac"].sum()
    rows, shares = [], pd.DataFrame()
    for way in WAYS:
        training = TimedTraining(dataclasses.replace(way, compiled=way.compiled and compiled), picked, clips, device)
        training.steps(3)  # choose kernels, compile
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        rate = steps * picked.training.batch_size / training.steps(steps)
        rows.append(
            {
                "way": way.name,
                "training clips/s": rate,
                "TFLOP/s": 6e-3 * gmac * rate,
                "of bf16 ceiling": 6e-3 * gmac * rate / limit,
                "peak GiB": torch.cuda.max_memory_allocated(device) / 2**30 if on_gpu else math.nan,
            }
        )
        if way is WAYS[-1]:
            shares = where(training)
        del training
        gc.collect()
        if on_gpu:
            torch.cuda.empty_cache()
    table = pd.DataFrame(rows)
    fastest = table["training clips/s"].iloc[-1]
    return table.assign(**{"everything on is faster by": fastest / table["training clips/s"]}), shares


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=32, help="clips in a step")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, default=None, help="folder of the figure; without one, the reports' folder")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, tiny and not compiled")
    chosen = parser.parse_args(given)
    if not (torch.cuda.is_available() or chosen.rehearse):
        print("no GPU here: skipped")
        return
    device = torch.device("cpu" if chosen.rehearse else "cuda")
    picked = config.profile("tiny" if chosen.rehearse else "paper")
    picked = dataclasses.replace(picked, training=dataclasses.replace(picked.training, batch_size=chosen.batch))
    with tempfile.TemporaryDirectory() as folder:
        store = random_store(Path(folder, "store"), picked.clips, 4 * chosen.batch)
        clips = Clips([(store, np.arange(len(store)))], LABELS)
        table, shares = compare(picked, clips, device, chosen.steps, compiled=not chosen.rehearse)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU, a rehearsal"
    about = {"device": name, "batch": chosen.batch, "steps": chosen.steps}
    report("GPU training", table, about)
    report("GPU profile", shares, about)
    print("; ".join(f"{row.kind} {row.share:.0%}" for row in shares.itertuples()))
    bars = (100 * shares.set_index("kind")).rename(lambda kind: kind.replace(" ", "\n"))
    figure = plots.class_bars(bars, f"Where a training step's time goes ({name})", "% of the time")
    plots.save(figure, (chosen.out or paths.reports()) / "gpu_profile", shares)


if __name__ == "__main__":
    main()
