"""The network as a table: what each stage gives, what it weighs and what it costs."""

import math
from typing import Any

import pandas as pd
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from fer3d.model.network import STAGES, Network


def shape_table(network: Network, num_frames: int = 10) -> pd.DataFrame:
    """The shapes of one clip on its way through the network, as observed: one row per stage, in order.

    Columns: ``stage``, ``shape`` (C, T, H, W; K for head and landmark stream), ``grid`` (side; 0 for those two),
    ``parameters``, ``gmac`` (10^9 multiply-adds of a forward pass), ``share`` of all of them. A copy is run on
    PyTorch's fake tensors, which have shapes but no numbers, so even the full size costs nothing.
    """
    shapes_only = FakeTensorMode()
    with shapes_only:
        copy = Network(network.settings, network.classes, network.size).eval()
        clip, points = torch.empty(1, 3, num_frames, network.size, network.size), torch.empty(1, num_frames, 66, 2)
    shapes: dict[str, tuple[int, ...]] = {}
    stages = [*STAGES, *(name for name in ("landmark_stream", "shape_stream") if getattr(copy, name) is not None)]
    for stage in stages:
        copy.get_submodule(stage).register_forward_hook(
            lambda _module, _inputs, output, stage=stage: shapes.update({stage: tuple(output.shape[1:])})
        )
    counter = FlopCounterMode(display=False, depth=1, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: _lstm_flops})
    with counter, shapes_only:
        copy(clip, points)
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


def _lstm_flops(x: tuple[int, ...], inputs: tuple[int, int], states: tuple[int, int], *_: Any, **__: Any) -> int:
    """Operations of the CPU's fused LSTM, which PyTorch's counter doesn't know, from its operands' shapes."""
    return 2 * x[0] * x[1] * (math.prod(inputs) + math.prod(states))
