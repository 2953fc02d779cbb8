"""The layers of the network's blocks, with work-arounds where PyTorch is slow or wrong on a CPU or a GPU."""

import copy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fer3d.config import NetworkSettings

_Module = TypeVar("_Module", bound=nn.Module)


def scale_channels(channels: int, width: float) -> int:
    """Channels of the full network at a share of its width: a multiple of 8, at least 8."""
    return max(8, 8 * round(channels * width / 8))


class Convolution(nn.Sequential):
    """Convolution, batch normalisation (``norm="batch"``) and ReLU (unless linear). Variant ``2d`` has depth 1."""

    def __init__(
        self,
        settings: NetworkSettings,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int, int],
        stride: int = 1,
        valid: bool = False,
        linear: bool = False,
    ) -> None:
        depth, height, width = (kernel, kernel, kernel) if isinstance(kernel, int) else kernel
        depth = 1 if settings.variant == "2d" else depth
        normed = settings.norm == "batch"
        layer = Pointwise if (depth, height, width, stride) == (1, 1, 1, 1) else Conv3d
        convolution = layer(
            in_channels,
            out_channels,
            kernel_size=(depth, height, width),
            stride=(1, stride, stride),
            padding=(depth // 2, 0, 0) if valid else (depth // 2, height // 2, width // 2),
            bias=not normed,
        )
        if not convolution.weight.is_meta:  # its weights are loaded later; PyTorch would import its compiler
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="linear" if linear else "relu")
        layers: list[nn.Module] = [convolution]
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        if normed:
            layers.append(BatchNorm(out_channels))
        if not linear:
            layers.append(nn.ReLU())  # in place it takes a CPU's bf16 twice as long
        super().__init__(*layers)


class Conv3d(nn.Conv3d):
    """A convolution whose gradient is also right on a CPU in bf16 for clips that are shorter than the kernel.

    There PyTorch (2.13, on AVX-512 BF16) reads uninitialised memory, for example with kernels of three steps on clips
    of two. Here the padding's zeros are added to the clip beforehand, which makes it long enough.
    """

    def forward(self, input: Tensor) -> Tensor:
        """``input`` (B, C, T, H, W) -> (B, O, T', H', W')."""
        bf16 = input.is_cpu and torch.is_autocast_enabled("cpu")
        if not bf16 or input.shape[2] >= self.kernel_size[0]:
            return super().forward(input)
        time, height, width = cast(tuple[int, int, int], self.padding)
        padded = functional.pad(input, (0, 0, 0, 0, time, time))
        return functional.conv3d(padded, self.weight, self.bias, self.stride, (0, height, width))


class Pointwise(nn.Conv3d):
    """A convolution of 1 x 1 x 1, which on a CPU in fp32 is computed as the matrix product that it is.

    On one thread PyTorch's own kernel needs the channels first: it copies its input, and its output has a layout that
    every later layer copies again. Without these copies a training step on one thread takes 0.7 of the time.
    """

    def forward(self, input: Tensor) -> Tensor:
        fp32 = input.is_cpu and not torch.is_autocast_enabled("cpu")
        if not fp32 or not input.is_contiguous(memory_format=torch.channels_last_3d):
            return super().forward(input)
        return functional.linear(input.movedim(1, -1), self.weight.flatten(1), self.bias).movedim(-1, 1)


class BatchNorm(nn.BatchNorm3d):
    """Batch normalisation that several threads of a CPU compute plane by plane where channels are few.

    With the channels last, PyTorch's threads write their sums of 8 channels into one cache line: two threads took ten
    times as long. One thread is faster with the channels last.
    """

    def forward(self, input: Tensor) -> Tensor:
        eager = not (input.is_cuda or torch.compiler.is_compiling())
        shared = eager and input.shape[1] < 32 and torch.get_num_threads() > 1
        if not shared or input.is_contiguous():
            return super().forward(input)
        return super().forward(input.contiguous()).contiguous(memory_format=torch.channels_last_3d)


class MaxPool(nn.MaxPool2d):
    """Pooling over 3 x 3 cells of each frame, in its input's type: (B, C, T, H, W) -> (B, C, T, h, w).

    In two dimensions, as the frames lie in memory: a GPU's three-dimensional pooling has no repeatable gradient.
    A CPU's autocast would widen bf16 to fp32 here, and with it everything that is joined to the result.
    """

    def __init__(self, stride: int, valid: bool = False) -> None:
        super().__init__(3, stride=stride, padding=0 if valid else 1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            frames = super().forward(x.transpose(1, 2).flatten(0, 1))
        return frames.unflatten(0, (-1, x.shape[2])).transpose(1, 2)


def lstm_with_forget_bias(inputs: int, units: int) -> nn.LSTM:
    """An LSTM (Eq. 1) that remembers at first: all biases 0 but the forget gate's, which is 1."""
    lstm = nn.LSTM(inputs, units, batch_first=True)
    with torch.no_grad():
        lstm.get_parameter("bias_ih_l0").zero_()[units : 2 * units] = 1  # gates in the order i, f, g, o
        lstm.get_parameter("bias_hh_l0").zero_()
    return lstm


def fuse_batchnorm(network: _Module) -> _Module:
    """A copy for prediction, in evaluation mode, in which each `Convolution` has taken in its batch normalisation.

    It computes the same up to rounding, and is a seventh faster at full size on a CPU, since each normalisation is a
    pass over all values. ``r3d_18`` has no `Convolution` and keeps its normalisations.
    """
    network = copy.deepcopy(network).eval()
    for block in [module for module in network.modules() if isinstance(module, Convolution)]:
        convolution, *others = block
        if others and isinstance(others[0], BatchNorm):
            block[0] = fuse_conv_bn_eval(cast(nn.Conv3d, convolution), others[0])
            del block[1]
    return network
