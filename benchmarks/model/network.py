"""How fast the network is here, and how near to what this machine can do.

    python -m benchmarks.model.network [--profiles laptop paper] [--threads 2] [--repeats 5] [--compile]

Every part is measured in turn, round after round, in one run, so that a ratio compares like
with like; a time is the median of its rounds. Two ceilings, on the same machine in the same run:
the fastest of a few single 3 x 3 x 3 convolutions ("of ceiling"), and the time of all of the
network's own convolutions, each run by itself ("of its convolutions"): what is missing to 1 there
are norms, ReLUs, pools and sums, what lies between the two are convolutions of few channels or of
stride 2, listed stage by stage. Beside the network stands another that readers know, of r3d_18's shape,
in rounds of its own. Prints tables and one JSON line per benchmark.

A processor with AMX runs large convolutions so fast that the rest weighs more. What one without it
would reach of its own, lower ceiling: ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 python -m benchmarks.model.network
"""

import copy
import dataclasses
from collections.abc import Callable

import pandas as pd
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import LABELS, Subject, Way, about, arguments, medians, report, ways
from fer3d.config import NetworkSettings, profile
from fer3d.model.layers import fuse_batchnorm
from fer3d.model.network import STAGES, Network
from fer3d.model.r3d import ResNet3D
from fer3d.model.summary import shape_table

STRIDES = ((2, 1, 2), (1, 2, 2), (2, 2, 1))
R3D_SIZE = 112
"""The input that r3d_18 was made for. It trains at no larger one here: at 299 pixels its last bf16 backward pass
never ended on two threads."""


def network_in(way: Way, settings: NetworkSettings, size: int) -> Network:
    network = Network(settings, LABELS, size)
    return fuse_batchnorm(network) if way.fused else network


def r3d_18(size: int) -> ResNet3D:
    return ResNet3D(NetworkSettings(variant="r3d_18"), LABELS, size)


def ceilings(device: torch.device, repeats: int) -> dict[bool, float]:
    """The fastest single 3 x 3 x 3 convolution in 10^9 operations a second, in fp32 and (True) in bf16."""
    best = {}
    for bf16 in (False, True):
        dtype = torch.bfloat16 if bf16 else torch.float32
        rates = []
        for channels, grid in ((64, 75), (128, 38), (256, 38)):
            layer = nn.Conv3d(channels, channels, 3, padding=1, bias=False).to(device, dtype)
            x = torch.randn(1, channels, 10, grid, grid).to(device, dtype)
            layer, x = (thing.to(memory_format=torch.channels_last_3d) for thing in (layer, x))
            with torch.no_grad():
                seconds = medians({"it": lambda layer=layer, x=x: layer(x)}, repeats, device)["it"]
            rates.append(2e-9 * layer.weight.numel() * 10 * grid**2 / seconds)
        best[bf16] = max(rates)
    return best


def convolutions(subject: Subject, backward: bool) -> dict[str, Callable[[], object]]:
    """Each of the network's convolutions by itself, on an input of its own: only forward, or as in a training step."""
    shapes: dict[str, torch.Size] = {}
    layers = {name: layer for name, layer in subject.network.named_modules() if isinstance(layer, nn.Conv3d)}
    hooks = [
        layer.register_forward_hook(lambda _layer, inputs, _output, name=name: shapes.update({name: inputs[0].shape}))
        for name, layer in layers.items()
    ]
    subject.forward()
    for hook in hooks:
        hook.remove()
    dtype = torch.bfloat16 if subject.way.bf16 else torch.float32
    layout = torch.channels_last_3d if subject.way.channels_last else torch.contiguous_format

    def alone(name: str) -> Callable[[], object]:
        layer = copy.deepcopy(layers[name]).to(dtype)
        x = torch.randn(shapes[name]).to(subject.device, dtype, memory_format=layout)
        x.requires_grad_(layer.in_channels > 3)  # clips need no gradient
        gradient = torch.randn_like(layer(x))

        def run() -> None:
            with torch.set_grad_enabled(backward):
                y = layer(x)
            if backward:
                layer.weight.grad = x.grad = None
                y.backward(gradient)

        return run

    return {name: alone(name) for name in layers}


def compare(
    settings: NetworkSettings, size: int, batch: int, repeats: int, device: torch.device, compiled: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables. A row a way, and for r3d_18's shape: clips a second, ratio to plain fp32, 10^9 operations a second.

    A row a stage: how near its convolutions come to the ceiling, each run by itself in the fastest way.
    """
    fastest = ways(device, compiled=False)[-1]
    predicting = dataclasses.replace(fastest, name=f"{fastest.name}, norms fused", fused=True)
    chosen = [*ways(device, compiled), predicting]
    shapes = shape_table(Network(settings, LABELS, size)).set_index("stage")
    ours, stages = [way.name for way in chosen], shapes[["share"]]
    work = dict.fromkeys(ours, shapes["gmac"].sum())
    subjects = {way.name: Subject(network_in(way, settings, size), way, batch, size, device) for way in chosen}
    for side in sorted({size, min(size, R3D_SIZE)}, reverse=True):
        other = dataclasses.replace(fastest, name=f"r3d_18's shape, {side} pixels")
        subjects[other.name] = Subject(r3d_18(side), other, batch, side, device)
        work[other.name] = gmac_of(r3d_18(side), side)
    limit = ceilings(device, repeats)
    rows = []
    for kind, passes in (("forward", 1), ("training step", 3)):
        trains = passes == 3
        left_out = {predicting.name, *(n for n in subjects if n not in ours and subjects[n].size > R3D_SIZE)}
        measured = {name: s for name, s in subjects.items() if not (trains and name in left_out)}
        parts = {name: getattr(s, kind.split()[-1]) for name, s in measured.items()}
        seconds = medians({name: part for name, part in parts.items() if name in ours}, repeats, device)
        # in rounds of its own: what its large arrays leave behind in caches and memory slows a small network after it
        seconds |= medians({name: part for name, part in parts.items() if name not in ours}, repeats, device)
        alone = pd.Series(medians(convolutions(subjects[fastest.name], trains), repeats, device))
        by_stage = alone.groupby(lambda name: name.partition(".")[0]).sum().reindex(STAGES[:-1])
        stages = stages.assign(
            **{
                f"{kind} ms": 1e3 * by_stage,
                f"{kind} of ceiling": 2 * passes * shapes["gmac"] * batch / by_stage / limit[fastest.bf16],
            }
        )
        for name, subject in measured.items():
            rate = 2 * passes * work[name] * batch / seconds[name]
            rows.append(
                {
                    "pass": kind,
                    "way": name,
                    "clips/s": batch / seconds[name],
                    "ratio": seconds[chosen[0].name] / seconds[name] if name in ours else None,
                    "GFLOP/s": rate,
                    "of ceiling": rate / limit[subject.way.bf16],
                    "of its convolutions": alone.sum() / seconds[name]
                    if subject.way in (fastest, predicting)
                    else None,
                }
            )
    return pd.DataFrame(rows), stages.loc[list(STAGES[:-1])].reset_index()


def gmac_of(network: nn.Module, size: int) -> float:
    """10^9 multiply-adds of a clip's forward pass, counted on tensors without numbers."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter, FakeTensorMode(allow_non_fake_inputs=True):
        network(torch.empty(1, 3, 10, size, size), torch.empty(0))
    return counter.get_total_flops() / 2e9


def stem_strides(repeats: int, device: torch.device) -> pd.DataFrame:
    """Training clips a second for the three ways to leave out one of the stem's strides at 64 pixels."""
    laptop = profile("laptop")
    way = ways(device, compiled=False)[-1]
    networks = {
        strides: Network(dataclasses.replace(laptop.network, stem_strides=strides), LABELS, laptop.clips.size)
        for strides in STRIDES
    }
    gmac = {strides: shape_table(network)["gmac"].sum() for strides, network in networks.items()}
    batch = laptop.training.batch_size
    steps = {str(s): Subject(n, way, batch, laptop.clips.size, device).step for s, n in networks.items()}
    seconds = medians(steps, repeats, device)
    return pd.DataFrame(
        [{"stem_strides": str(s), "GMAC": gmac[s], "training clips/s": batch / seconds[str(s)]} for s in STRIDES]
    )


def main() -> None:
    chosen = arguments(__doc__)
    device = torch.device(chosen.device)
    on_cpu = chosen.device == "cpu"
    for name in chosen.profiles:
        picked, full = profile(name), name == "paper"
        batch = 1 if full and on_cpu else picked.training.batch_size
        repeats = min(chosen.repeats, 3) if full and on_cpu else chosen.repeats
        table, stages = compare(picked.network, picked.clips.size, batch, repeats, device, chosen.compile)
        title = f"network at {'full' if full else name} size"
        report(title, table, about(chosen) | {"batch": batch, "repeats": repeats})
        report(f"convolutions of the {title}", stages, about(chosen) | {"batch": batch, "repeats": repeats})
    if "laptop" in chosen.profiles:
        report("stem strides at laptop size", stem_strides(chosen.repeats, device), about(chosen))


if __name__ == "__main__":
    main()
