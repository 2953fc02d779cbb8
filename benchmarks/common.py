"""What benchmarks share: ways to compute a network, made-up stores and people, medians, and the printed result."""

import argparse
import dataclasses
import datetime
import json
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from fer3d import config
from fer3d.data.store import FLAWLESS, Store, open_store
from fer3d.data.writer import writer
from fer3d.labels import CLASSES
from fer3d.standins.people.person import make_person, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights
from fer3d.training.devices import best_precision
from fer3d.workers import processor_name

LABELS = CLASSES["ckplus"]


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to compute the same network."""

    name: str
    bf16: bool = False
    channels_last: bool = False
    compiled: bool = False
    tf32: bool = False
    fused: bool = False
    """Inference only, as in the test of a training and in `fer3d predict`."""

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last_3d if self.channels_last else torch.contiguous_format


def ways(device: torch.device, compiled: bool) -> list[Way]:
    """Plain fp32 first: the others are given as ratios to it."""
    found = [Way("fp32 NCDHW"), Way("fp32 channels_last_3d", channels_last=True)]
    if device.type == "cuda":
        found.append(Way("TF32 NCDHW", tf32=True))
    if best_precision(device) == "bf16":
        found.append(Way("bf16 channels_last_3d", bf16=True, channels_last=True))
    if compiled:
        found.append(dataclasses.replace(found[-1], name=f"{found[-1].name} compiled", compiled=True))
    return found


class Subject:
    """A network in one of its ways, ready to run forward or to take a training step on a made-up batch."""

    def __init__(self, network: nn.Module, way: Way, batch: int, size: int, device: torch.device) -> None:
        self.way, self.size, self.device = way, size, device
        self.network = network.to(device, memory_format=way.layout)
        self.call = torch.compile(self.network) if way.compiled else self.network
        self.clips = torch.randn(batch, 3, 10, size, size).to(device, memory_format=way.layout)
        self.landmarks = torch.rand(batch, 10, 66, 2).mul(size).to(device)
        self.targets = torch.arange(batch, device=device) % len(LABELS)
        self.optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, nesterov=True, fused=True)

    def _logits(self) -> Tensor:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.way.tf32
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.way.bf16):
            return self.call(self.clips, self.landmarks)

    @torch.no_grad()
    def forward(self) -> None:
        self.network.eval()
        self._logits()

    def step(self) -> None:
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        functional.cross_entropy(self._logits(), self.targets).backward()
        self.optimiser.step()


def medians(
    parts: Mapping[str, Callable[[], object]], repeats: int, device: torch.device | None = None
) -> dict[str, float]:
    """Seconds of each part: the median of ``repeats`` rounds after one to warm up, all parts in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats + 1):
        for name, part in parts.items():
            synchronise(device)
            start = time.perf_counter()
            part()
            synchronise(device)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def synchronise(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def random_store(out: Path, settings: config.ClipSettings, clips: int) -> Store:
    """A prepared store of noise, written clip by clip."""
    rng = np.random.default_rng(0)
    T, S = settings.num_frames, settings.size
    names = rng.choice(LABELS, clips)
    same = {**FLAWLESS, "database": "ckplus"}
    with writer(out, settings, {"database": "ckplus", "source_fingerprint": "noise"}) as store:
        for k, label in enumerate(names):
            row = {**same, "clip": str(k), "subject": str(k), "sequence": str(k), "label": label}
            arrays = {
                "frames": rng.integers(0, 256, (1, T, S, S, 3), dtype=np.uint8),
                "landmarks": rng.uniform(0, S, (1, T, 66, 2)),
                "detections": np.ones((1, T, 3)),
                "numbers": np.arange(T)[None],
                "squares": np.tile((S / 2, S / 2, S, 0.0), (1, T, 1)),
            }
            store.put([row], arrays)
    return open_store(out)


def invented(k: int) -> tuple[np.random.Generator, Renderer]:
    """A person of no stand-in database before a camera of 640 x 480, and their random numbers."""
    rng = random_stream("benchmark", k)
    who = make_person("benchmark", k)
    scene = Scene(
        height=480,
        scale=float(rng.uniform(0.9, 1.3)),
        lights=three_point_lights(rng, 0.75, 0.3, 0.25),
        exposure=auto_exposure(who),
        blur=float(rng.uniform(0.5, 0.9)),
        seed=k,
    )
    return rng, Renderer(who, scene)


def report(name: str, table: pd.DataFrame, about: Mapping[str, Any]) -> None:
    """The table for people and one JSON line for programs, which is also appended to the file ``FER3D_BENCH``."""
    print(f"\n{name} ({', '.join(f'{key} {value}' for key, value in about.items())})")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}", na_rep=""))
    line = {
        "benchmark": name,
        "command": command(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "about": dict(about),
        "rows": json.loads(table.to_json(orient="records", double_precision=7)),
    }
    print(json.dumps(line), flush=True)
    if lines := os.environ.get("FER3D_BENCH"):
        with Path(lines).open("a") as file:
            file.write(json.dumps(line) + "\n")


def command() -> str:
    """How this benchmark was called."""
    module = sys.modules["__main__"].__spec__
    return shlex.join(["python", "-m", module.name if module else Path(sys.argv[0]).stem, *sys.argv[1:]])


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": processor_name().replace("(R)", ""),
        "cores": os.cpu_count(),
        "bf16": instructions(),
        "torch": torch.__version__,
    }


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--profiles", nargs="+", choices=["laptop", "paper"], default=["laptop"], help="sizes")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; at full size at most 3 of them on a CPU")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--compile", action="store_true", help="also through torch.compile (needs a C++ compiler)")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    return chosen


def about(chosen: argparse.Namespace) -> dict[str, Any]:
    """The device, where it is a GPU, or the number of threads."""
    return {"device": torch.cuda.get_device_name()} if chosen.device == "cuda" else {"threads": chosen.threads}


def instructions() -> str:
    """What a CPU computes bf16 with, as far as oneDNN is allowed to."""
    if best_precision("cpu") != "bf16":
        return "no bf16"
    cap = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    amx = torch.cpu.get_capabilities().get("amx_bf16") and (cap in ("ALL", "DEFAULT") or "AMX" in cap)
    return "bf16 by AMX" if amx else "bf16 by AVX-512"
