"""The network: Section 3 and Figure 2 of the paper, on one page.

    clip (B, 3, T, H, W) -> stem -> 3DIR-A -> Reduction-A -> 3DIR-B -> Reduction-B -> 3DIR-C
                                     | w           | w                                |
                     landmarks (B, T, 66, 2)                      mean over space -> LSTM -> logits (B, K)
                                     |                                                            +
                                     (how far they moved -> LSTM -> logits)

Kernels up to three frames deep mix neighbouring frames, but no layer shortens time (temporal
stride 1, padding "same"): ten steps stay ten, as far as the LSTM. In 3DIR-A and 3DIR-B the
residual unit's shortcut is multiplied with the landmark filter w (Eq. 3); 3DIR-C's grid is too
small for it (Section 3.2).

The text gives the grids (38, 18 and 8 at 299 pixels), the order of the parts and the 200
units of the LSTM. Channels and kernels stand only in Figure 2; here they are those of
Inception-ResNet-v1, one module each of A, B and C, as the text calls the network slightly
shallower than the original. Departures: batch normalisation (`NetworkSettings.norm`), the
mean over the LSTM's outputs (`NetworkSettings.readout`), its forget gate biased by 1; as an
option a second stream for the landmarks' motion (`NetworkSettings.geometry`), as the
appearance and geometry networks of Jung et al. (Joint Fine-Tuning in Deep Neural Networks
for Facial Expression Recognition, ICCV 2015) stand side by side.
"""

import copy
import itertools
import math
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

from fer3d.config import NetworkSettings
from fer3d.errors import InputError
from fer3d.model.filters import landmark_filter, window_weights
from fer3d.model.geometry import displacement

Kernel = int | tuple[int, int, int]


def scaled(channels: int, width: float) -> int:
    """Channels of the full network at a share of its width: a multiple of 8, at least 8."""
    return max(8, 8 * round(channels * width / 8))


class BatchNorm(nn.BatchNorm3d):
    """Batch normalisation that several threads of a CPU do plane by plane where channels are few.

    With the channels last, PyTorch's threads write their sums of 8 channels into one line of the cache: two threads
    took ten times as long. One thread is faster with the channels last.
    """

    def forward(self, input: Tensor) -> Tensor:
        eager = not (input.is_cuda or torch.compiler.is_compiling())
        shared = eager and input.shape[1] < 32 and torch.get_num_threads() > 1
        if not shared or input.is_contiguous():
            return super().forward(input)
        return super().forward(input.contiguous()).contiguous(memory_format=torch.channels_last_3d)


class Convolution(nn.Sequential):
    """Convolution, batch normalisation (``norm="batch"``) and ReLU (unless linear). Variant ``2d`` has depth 1."""

    def __init__(
        self,
        settings: NetworkSettings,
        in_channels: int,
        out_channels: int,
        kernel: Kernel,
        stride: int = 1,
        valid: bool = False,
        linear: bool = False,
    ) -> None:
        depth, height, width = (kernel, kernel, kernel) if isinstance(kernel, int) else kernel
        depth = 1 if settings.variant == "2d" else depth
        normed = settings.norm == "batch"
        convolution = nn.Conv3d(
            in_channels,
            out_channels,
            kernel_size=(depth, height, width),
            stride=(1, stride, stride),
            padding=(depth // 2, 0, 0) if valid else (depth // 2, height // 2, width // 2),
            bias=not normed,
        )
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="linear" if linear else "relu")
        layers: list[nn.Module] = [convolution]
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        if normed:
            layers.append(BatchNorm(out_channels))
        if not linear:
            layers.append(nn.ReLU())  # in place it takes a CPU's bf16 twice as long
        super().__init__(*layers)


class MaxPool(nn.MaxPool2d):
    """Pooling over 3 x 3 cells, each frame by itself, in the type of its input: (B, C, T, H, W) -> (B, C, T, h, w).

    In two dimensions, as the frames lie in memory: a GPU's pooling in three has no repeatable gradient.
    A CPU's autocast would widen bf16 to fp32 here, and with it all that is joined to the result.
    """

    def __init__(self, stride: int, valid: bool = False) -> None:
        super().__init__(3, stride=stride, padding=0 if valid else 1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            frames = super().forward(x.transpose(1, 2).flatten(0, 1))
        return frames.unflatten(0, (-1, x.shape[2])).transpose(1, 2)


class StemBlock(nn.Sequential):
    """(B, 3, T, 299, 299) -> (B, 256, T, 38, 38)."""

    def __init__(self, settings: NetworkSettings) -> None:
        first, pool, last = settings.stem_strides
        c32, c64, c80, c192, c256 = (scaled(c, settings.width) for c in (32, 64, 80, 192, 256))
        super().__init__(
            Convolution(settings, 3, c32, 3, stride=first),
            Convolution(settings, c32, c32, 3),
            Convolution(settings, c32, c64, 3),
            MaxPool(stride=pool),
            Convolution(settings, c64, c80, 1),
            Convolution(settings, c80, c192, 3),
            Convolution(settings, c192, c256, 3, stride=last),
        )
        self.out_channels = c256


class InceptionResnetA(nn.Module):
    """F(x) of 3DIR-A: three branches of growing depth, joined by a linear 1 x 1 x 1 convolution."""

    def __init__(self, settings: NetworkSettings, channels: int) -> None:
        super().__init__()
        c = scaled(32, settings.width)
        self.branch0 = Convolution(settings, channels, c, 1)
        self.branch1 = nn.Sequential(Convolution(settings, channels, c, 1), Convolution(settings, c, c, 3))
        self.branch2 = nn.Sequential(
            Convolution(settings, channels, c, 1), Convolution(settings, c, c, 3), Convolution(settings, c, c, 3)
        )
        self.project = Convolution(settings, 3 * c, channels, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(torch.cat((self.branch0(x), self.branch1(x), self.branch2(x)), dim=1))


class InceptionResnetB(nn.Module):
    """F(x) of 3DIR-B: a 1 x 1 branch and one that sees 7 x 7 through a row and a column."""

    def __init__(self, settings: NetworkSettings, channels: int) -> None:
        super().__init__()
        c = scaled(128, settings.width)
        self.branch0 = Convolution(settings, channels, c, 1)
        self.branch1 = nn.Sequential(
            Convolution(settings, channels, c, 1),
            Convolution(settings, c, c, (3, 1, 7)),
            Convolution(settings, c, c, (3, 7, 1)),
        )
        self.project = Convolution(settings, 2 * c, channels, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(torch.cat((self.branch0(x), self.branch1(x)), dim=1))


class InceptionResnetC(nn.Module):
    """F(x) of 3DIR-C: as B, with 3 x 3 through a row and a column."""

    def __init__(self, settings: NetworkSettings, channels: int) -> None:
        super().__init__()
        c = scaled(192, settings.width)
        self.branch0 = Convolution(settings, channels, c, 1)
        self.branch1 = nn.Sequential(
            Convolution(settings, channels, c, 1),
            Convolution(settings, c, c, (3, 1, 3)),
            Convolution(settings, c, c, (3, 3, 1)),
        )
        self.project = Convolution(settings, 2 * c, channels, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(torch.cat((self.branch0(x), self.branch1(x)), dim=1))


class LandmarkResidual(nn.Module):
    """Eq. 3: y = w * x + F(x), then ReLU. Without a filter w the shortcut is x itself, as in ResNet."""

    def __init__(self, residual: nn.Module) -> None:
        super().__init__()
        self.residual = residual

    def forward(self, x: Tensor, w: Tensor | None = None) -> Tensor:
        """``x`` (B, C, T, G, G) and ``w`` (B, 1, T, G, G), the same weight for every channel."""
        shortcut = x if w is None else w.to(x.dtype) * x
        return functional.relu(shortcut + self.residual(x))


class ReductionA(nn.Module):
    """(B, 256, T, 38, 38) -> (B, 896, T, 18, 18): a pool and two strided branches side by side."""

    def __init__(self, settings: NetworkSettings, channels: int) -> None:
        super().__init__()
        c192, c256, c384 = (scaled(c, settings.width) for c in (192, 256, 384))
        self.branch0 = MaxPool(stride=2, valid=True)
        self.branch1 = Convolution(settings, channels, c384, 3, stride=2, valid=True)
        self.branch2 = nn.Sequential(
            Convolution(settings, channels, c192, 1),
            Convolution(settings, c192, c192, 3),
            Convolution(settings, c192, c256, 3, stride=2, valid=True),
        )
        self.out_channels = channels + c384 + c256

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.branch0(x), self.branch1(x), self.branch2(x)), dim=1)


class ReductionB(nn.Module):
    """(B, 896, T, 18, 18) -> (B, 1792, T, 8, 8): a pool and three strided branches side by side."""

    def __init__(self, settings: NetworkSettings, channels: int) -> None:
        super().__init__()
        c256, c384 = (scaled(c, settings.width) for c in (256, 384))
        self.branch0 = MaxPool(stride=2, valid=True)
        self.branch1 = nn.Sequential(
            Convolution(settings, channels, c256, 1),
            Convolution(settings, c256, c384, 3, stride=2, valid=True),
        )
        self.branch2 = nn.Sequential(
            Convolution(settings, channels, c256, 1),
            Convolution(settings, c256, c256, 3, stride=2, valid=True),
        )
        self.branch3 = nn.Sequential(
            Convolution(settings, channels, c256, 1),
            Convolution(settings, c256, c256, 3),
            Convolution(settings, c256, c256, 3, stride=2, valid=True),
        )
        self.out_channels = channels + c384 + 2 * c256

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)), dim=1)


class Head(nn.Module):
    """Section 3.3: (B, 1792, T, 8, 8) -> one vector a frame -> LSTM -> logits (B, K). ``2d``: mean over frames."""

    def __init__(self, settings: NetworkSettings, channels: int, classes: int) -> None:
        super().__init__()
        self.readout = settings.readout
        self.norm = nn.Identity() if settings.norm == "none" else nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(settings.dropout)
        self.lstm = None if settings.variant == "2d" else forgetful_lstm(channels, settings.lstm_units)
        self.linear = nn.Linear(channels if self.lstm is None else settings.lstm_units, classes)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # a thousandth of the work, and bf16 would cost it digits
            frames = self.dropout(self.norm(x.float().mean((3, 4))).transpose(1, 2))  # (B, T, C)
            if self.lstm is None:
                return self.linear(frames.mean(1))
            states, _ = self.lstm(frames)
            return self.linear(states.mean(1) if self.readout == "mean" else states[:, -1])


class GeometryStream(nn.Module):
    """Landmarks (B, T, 66, 2) -> `displacement` -> LSTM -> its last step -> logits (B, K)."""

    def __init__(self, settings: NetworkSettings, classes: int) -> None:
        super().__init__()
        coordinates = 66 * 2
        self.norm = nn.Identity() if settings.norm == "none" else nn.BatchNorm1d(coordinates)
        self.dropout = nn.Dropout(settings.dropout)
        self.lstm = forgetful_lstm(coordinates, settings.lstm_units)
        self.linear = nn.Linear(settings.lstm_units, classes)

    def forward(self, landmarks: Tensor) -> Tensor:
        with torch.autocast(landmarks.device.type, enabled=False):
            moved = displacement(landmarks.float()).flatten(2)  # (B, T, 132)
            states, _ = self.lstm(self.dropout(self.norm(moved.transpose(1, 2)).transpose(1, 2)))
            return self.linear(states[:, -1])


def forgetful_lstm(inputs: int, units: int) -> nn.LSTM:
    """An LSTM (Eq. 1) that remembers at first: all biases 0, the forget gate's 1."""
    lstm = nn.LSTM(inputs, units, batch_first=True)
    with torch.no_grad():
        lstm.get_parameter("bias_ih_l0").zero_()[units : 2 * units] = 1  # gates in the order i, f, g, o
        lstm.get_parameter("bias_hh_l0").zero_()
    return lstm


class Network(nn.Module):
    """The paper's network for ``size`` x ``size`` pixels and an ordered set of classes.

    ``network(clips, landmarks)`` gives logits. Its stages can be tapped by name: ``stem``,
    ``block_a``, ``reduction_a``, ``block_b``, ``reduction_b``, ``block_c``, ``head``. Variants
    ``3d`` and ``3d+landmarks`` have the same weights, so one can start from the other's.
    With ``settings.geometry`` there is a second stream, ``geometry``, of weights of its own.
    Raises `InputError` for settings that give no network; for a size below the smallest, it says that.

    >>> network = Network(NetworkSettings(width=0.125, stem_strides=(2, 1, 2), window=3), ("fear", "anger"), 64)
    >>> network(torch.zeros(4, 3, 10, 64, 64), torch.full((4, 10, 66, 2), 32.0)).shape
    torch.Size([4, 2])
    """

    def __init__(self, settings: NetworkSettings, classes: tuple[str, ...], size: int) -> None:
        super().__init__()
        check(settings, classes, size)
        self.settings, self.classes, self.size = settings, tuple(classes), size
        self.stem = StemBlock(settings)
        self.block_a = LandmarkResidual(InceptionResnetA(settings, self.stem.out_channels))
        self.reduction_a = ReductionA(settings, self.stem.out_channels)
        self.block_b = LandmarkResidual(InceptionResnetB(settings, self.reduction_a.out_channels))
        self.reduction_b = ReductionB(settings, self.reduction_a.out_channels)
        self.block_c = LandmarkResidual(InceptionResnetC(settings, self.reduction_b.out_channels))
        self.head = Head(settings, self.reduction_b.out_channels, len(classes))
        self.geometry = GeometryStream(settings, len(classes)) if settings.geometry else None

    def forward(self, clips: Tensor, landmarks: Tensor) -> Tensor:
        """``clips`` (B, 3, T, H, W) float, ``landmarks`` (B, T, 66, 2) pixels, NaN where missing -> logits (B, K).

        Only ``3d+landmarks`` and the geometry stream look at the landmarks. ``ValueError`` for clips of another size.
        """
        return self.combine(self.stream_logits(clips, landmarks))

    def stream_logits(self, clips: Tensor, landmarks: Tensor) -> Tensor:
        """The logits of each stream (S, B, K), the pictures' first."""
        if clips.ndim != 5 or clips.shape[1] != 3 or clips.shape[3:] != (self.size, self.size):
            raise ValueError(f"clips of shape {tuple(clips.shape)}, wanted (B, 3, T, {self.size}, {self.size})")
        x = self.stem(clips)
        x = self.block_a(x, self.filter(landmarks, x.shape[-1]))
        x = self.reduction_a(x)
        x = self.block_b(x, self.filter(landmarks, x.shape[-1]))
        x = self.reduction_b(x)
        x = self.block_c(x)
        streams = [self.head(x)]
        if self.geometry is not None:
            streams.append(self.geometry(landmarks))
        return torch.stack(streams)

    def combine(self, streams: Tensor) -> Tensor:
        """The network's logits (B, K) from those of its streams (S, B, K)."""
        return streams[0] if len(streams) == 1 else self.settings.picture_share * streams[0] + streams[1]

    def filter(self, landmarks: Tensor, grid: int) -> Tensor | None:
        """The landmark filter (B, 1, T, grid, grid) that this network uses; none but in ``3d+landmarks``."""
        if self.settings.variant != "3d+landmarks":
            return None
        s = self.settings
        return landmark_filter(landmarks, self.size, grid, s.window, s.slope, s.distance, s.overlap)


def folded(network: Network) -> Network:
    """A copy that only answers, in evaluation mode: each batch normalisation is part of its convolution.

    The same function but for rounding, and a seventh faster at full size on a CPU: each norm is one pass over all
    values less.
    """
    network = copy.deepcopy(network).eval()
    blocks = [module for module in network.modules() if isinstance(module, Convolution)]
    for block in blocks if network.settings.norm == "batch" else ():
        block[0] = fuse_conv_bn_eval(cast(nn.Conv3d, block[0]), cast(nn.BatchNorm3d, block[1]))
        del block[1]
    return network


def grids(size: int, stem_strides: tuple[int, int, int] = (2, 2, 2)) -> tuple[int, int, int]:
    """Sides of the grids of 3DIR-A, B and C for crops of ``size`` pixels.

    >>> grids(299), grids(64, stem_strides=(2, 1, 2))
    ((38, 18, 8), (16, 7, 3))
    """
    for stride in stem_strides:
        size = -(-size // stride)
    return size, max(0, (size - 1) // 2), max(0, ((size - 1) // 2 - 1) // 2)


def check(settings: NetworkSettings, classes: tuple[str, ...], size: int) -> None:
    """An `InputError` for settings, classes or a size that give no network."""
    NetworkSettings.from_params(settings.as_dict())
    window_weights(settings.window, settings.slope, settings.distance)
    if not 0 < settings.width < math.inf:
        raise InputError(f"width = {settings.width}", "a share above 0", "width = 0.25")
    if min(settings.stem_strides) < 1:
        raise InputError(f"stem_strides = {settings.stem_strides}", "strides of 1 or more", "stem_strides = [2, 2, 2]")
    if not 0 <= settings.dropout < 1:
        raise InputError(f"dropout = {settings.dropout}", "a share from 0 to below 1", "dropout = 0.2")
    if not 0 <= settings.picture_share < math.inf:
        raise InputError(f"picture_share = {settings.picture_share}", "0 or more", "picture_share = 0.4")
    if settings.lstm_units < 1:
        raise InputError(f"lstm_units = {settings.lstm_units}", "1 or more", "lstm_units = 200")
    if not 2 <= len(set(classes)) == len(classes):
        raise InputError(f"classes {classes}", "two or more different names", "another label set")
    smallest = next(side for side in itertools.count(1) if min(grids(side, settings.stem_strides)) >= 1)
    if size < smallest:
        raise InputError(f"size = {size}", f"{smallest} pixels or more for these stem strides", f"size = {smallest}")


STAGES = ("stem", "block_a", "reduction_a", "block_b", "reduction_b", "block_c", "head")


def shape_table(network: Network, num_frames: int = 10) -> pd.DataFrame:
    """One clip's way through the network, observed: a row a stage, in order.

    Columns: ``stage``, ``shape`` (C, T, H, W; K for head and geometry), ``grid`` (side; 0 for those two),
    ``parameters``, ``gmac`` (10^9 multiply-adds forward), ``share`` of those. A copy is run
    on PyTorch's fake tensors, which have shapes but no numbers, so that even the full size costs nothing.
    """
    shapes_only = FakeTensorMode()
    with shapes_only:
        copy = Network(network.settings, network.classes, network.size).eval()
        clip, points = torch.empty(1, 3, num_frames, network.size, network.size), torch.empty(1, num_frames, 66, 2)
    shapes: dict[str, tuple[int, ...]] = {}
    stages = STAGES if copy.geometry is None else (*STAGES, "geometry")
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
