"""The network as tables: the output, parameters and multiply-adds of each stage, and its layers branch by branch."""

import math
from collections.abc import Callable
from typing import Any, cast

import pandas as pd
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from fer3d.data.landmarks import COUNT
from fer3d.model.layers import Convolution, MaxPool
from fer3d.model.network import STAGES, Network


def shape_table(network: Network, num_frames: int = 10) -> pd.DataFrame:
    """The shapes of one clip on its way through the network, as observed: one row per stage, in order.

    Columns: ``stage``, ``shape`` (C, T, H, W; K for the head and the landmark streams), ``grid`` (side; 0 for these),
    ``parameters``, ``gmac`` (10^9 multiply-adds of a forward pass), ``share`` of all of them. A copy is run on
    PyTorch's fake tensors, which have shapes but no numbers, so even the full size costs nothing.
    """
    stages = [*STAGES, *(name for name in ("landmark_stream", "shape_stream") if getattr(network, name) is not None)]
    shapes: dict[str, tuple[int, ...]] = {}
    counter = FlopCounterMode(display=False, depth=1, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: _lstm_flops})
    with counter:
        copy = _observe(network, num_frames, stages, lambda stage, _, shape: shapes.update({stage: shape}))
    counted = counter.get_flop_counts()
    table = pd.DataFrame(
        {
            "stage": stages,
            "shape": [shapes[stage] for stage in stages],
            "grid": [shapes[stage][-1] if len(shapes[stage]) == 4 else 0 for stage in stages],
            "parameters": [sum(p.numel() for p in copy.get_submodule(stage).parameters()) for stage in stages],
            "gmac": [sum(counted[f"Network.{stage}"].values()) / 2e9 for stage in stages],
        }
    )
    return table.assign(share=table["gmac"] / table["gmac"].sum())


def layer_table(network: Network, num_frames: int = 10) -> pd.DataFrame:
    """The paper's Figure 2 layer by layer: one row per convolution and pool, in the order in which they are computed.

    Columns: ``stage``; ``branch`` (``branch0`` .. and ``project`` within a block, empty in the stem); ``kind``
    (``convolution``, ``linear`` without ReLU, ``pool``); ``kernel`` (T, H, W); ``stride`` in space; ``padding``
    (``S`` same, ``V`` valid, as in the figure); ``shape`` of the output (C, T, H, W); ``parameters``.
    """
    names = [name for name, module in network.named_modules() if isinstance(module, Convolution | MaxPool)]
    rows: list[dict[str, Any]] = []

    def add(name: str, module: nn.Module, shape: tuple[int, ...]) -> None:
        parts = name.split(".")
        branch = next((part for part in parts[1:] if part.startswith(("branch", "project"))), "")
        count = sum(p.numel() for p in module.parameters())
        rows.append({"stage": parts[0], "branch": branch, **_layer(module), "shape": shape, "parameters": count})

    _observe(network, num_frames, names, add)
    return pd.DataFrame(rows)


def _layer(module: nn.Module) -> dict[str, Any]:
    if isinstance(module, MaxPool):
        stride, valid = cast(int, module.stride), module.padding == 0
        return {"kind": "pool", "kernel": (1, 3, 3), "stride": stride, "padding": "V" if valid else "S"}
    convolution = cast(nn.Conv3d, cast(Convolution, module)[0])
    kind = "convolution" if any(isinstance(part, nn.ReLU) for part in module.children()) else "linear"
    valid = max(convolution.kernel_size[1:]) > 1 and max(convolution.padding[1:]) == 0
    stride = convolution.stride[1]
    return {"kind": kind, "kernel": convolution.kernel_size, "stride": stride, "padding": "V" if valid else "S"}


def _observe(
    network: Network, num_frames: int, names: list[str], see: Callable[[str, nn.Module, tuple[int, ...]], None]
) -> Network:
    """Run a copy of the network on PyTorch's fake tensors, and call ``see`` with each named part's output shape."""
    with FakeTensorMode():
        copy = Network(network.settings, network.classes, network.size).eval()
        for name in names:
            copy.get_submodule(name).register_forward_hook(
                lambda module, _inputs, output, name=name: see(name, module, tuple(output.shape[1:]))
            )
        copy(torch.empty(1, 3, num_frames, network.size, network.size), torch.empty(1, num_frames, COUNT, 2))
    return copy


def _lstm_flops(x: tuple[int, ...], inputs: tuple[int, int], states: tuple[int, int], *_: Any, **__: Any) -> int:
    """Operations of the CPU's fused LSTM, which PyTorch's counter doesn't know, from its operands' shapes."""
    return 2 * x[0] * x[1] * (math.prod(inputs) + math.prod(states))
