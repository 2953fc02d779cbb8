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
option further streams for the landmarks' motion (`NetworkSettings.landmark_stream`) and their
places in the face (`NetworkSettings.shape_stream`), as the appearance and geometry networks of
Jung et al. (Joint Fine-Tuning in Deep Neural Networks for Facial Expression Recognition, ICCV
2015) stand side by side.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer3d.config import NetworkSettings
from fer3d.data.landmarks import COUNT, displacement, shape
from fer3d.errors import InputError
from fer3d.model.filters import landmark_filter
from fer3d.model.layers import Convolution, MaxPool, lstm_with_forget_bias, scale_channels

STAGES = ("stem", "block_a", "reduction_a", "block_b", "reduction_b", "block_c", "head")
"""The network's parts in order, as its attributes are called."""


class StemBlock(nn.Sequential):
    """(B, 3, T, 299, 299) -> (B, 256, T, 38, 38)."""

    def __init__(self, settings: NetworkSettings) -> None:
        first, pool, last = settings.stem_strides
        c32, c64, c80, c192, c256 = (scale_channels(c, settings.width) for c in (32, 64, 80, 192, 256))
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
        c = scale_channels(32, settings.width)
        self.branch0 = Convolution(settings, channels, c, 1)
        self.branch1 = nn.Sequential(Convolution(settings, channels, c, 1), Convolution(settings, c, c, 3))
        self.branch2 = nn.Sequential(
            Convolution(settings, channels, c, 1), Convolution(settings, c, c, 3), Convolution(settings, c, c, 3)
        )
        self.project = Convolution(settings, 3 * c, channels, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(torch.cat((self.branch0(x), self.branch1(x), self.branch2(x)), dim=1))


class InceptionResnetB(nn.Module):
    """F(x) of 3DIR-B: a branch of 1 x 1 x 1, and one that sees 7 x 7 cells by kernels of 3 x 1 x 7 and 3 x 7 x 1."""

    branch_channels, side = 128, 7

    def __init__(self, settings: NetworkSettings, channels: int) -> None:
        super().__init__()
        c, side = scale_channels(self.branch_channels, settings.width), self.side
        self.branch0 = Convolution(settings, channels, c, 1)
        self.branch1 = nn.Sequential(
            Convolution(settings, channels, c, 1),
            Convolution(settings, c, c, (3, 1, side)),
            Convolution(settings, c, c, (3, side, 1)),
        )
        self.project = Convolution(settings, 2 * c, channels, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(torch.cat((self.branch0(x), self.branch1(x)), dim=1))


class InceptionResnetC(InceptionResnetB):
    """F(x) of 3DIR-C: as B, but wider, with kernels of 3 x 1 x 3 and 3 x 3 x 1."""

    branch_channels, side = 192, 3


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
        c192, c256, c384 = (scale_channels(c, settings.width) for c in (192, 256, 384))
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
        c256, c384 = (scale_channels(c, settings.width) for c in (256, 384))
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
        self.lstm = None if settings.variant == "2d" else lstm_with_forget_bias(channels, settings.lstm_units)
        self.linear = nn.Linear(channels if self.lstm is None else settings.lstm_units, classes)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # a thousandth of the work, and bf16 would cost it digits
            frames = self.dropout(self.norm(x.float().mean((3, 4))).transpose(1, 2))  # (B, T, C)
            if self.lstm is None:
                return self.linear(frames.mean(1))
            states, _ = self.lstm(frames)
            return self.linear(states.mean(1) if self.readout == "mean" else states[:, -1])


class LandmarkStream(nn.Module):
    """Landmarks (B, T, 66, 2) -> ``reads``, a function of them -> LSTM -> its last step -> logits (B, K)."""

    def __init__(self, settings: NetworkSettings, classes: int, reads: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.reads = reads
        coordinates = COUNT * 2
        self.norm = nn.Identity() if settings.norm == "none" else nn.BatchNorm1d(coordinates)
        self.dropout = nn.Dropout(settings.dropout)
        self.lstm = lstm_with_forget_bias(coordinates, settings.lstm_units)
        self.linear = nn.Linear(settings.lstm_units, classes)

    def forward(self, landmarks: Tensor) -> Tensor:
        with torch.autocast(landmarks.device.type, enabled=False):
            read = self.reads(landmarks.float()).flatten(2)  # (B, T, 132)
            states, _ = self.lstm(self.dropout(self.norm(read.transpose(1, 2)).transpose(1, 2)))
            return self.linear(states[:, -1])


class Network(nn.Module):
    """The paper's network for crops of ``size`` x ``size`` pixels and an ordered set of classes.

    ``network(clips, landmarks)`` gives logits. Its stages (`STAGES`) can be looked into by name. Variants ``3d`` and
    ``3d+landmarks`` have the same weights, so one can start from the other's. ``settings.landmark_stream`` and
    ``settings.shape_stream`` each add a stream with weights of its own.

    Raises:
        InputError: classes that are not two or more different names; a size that is too small for the stem's strides.

    >>> network = Network(NetworkSettings(width=0.125, stem_strides=(2, 1, 2), window=3), ("fear", "anger"), 64)
    >>> network(torch.zeros(4, 3, 10, 64, 64), torch.full((4, 10, 66, 2), 32.0)).shape
    torch.Size([4, 2])
    """

    def __init__(self, settings: NetworkSettings, classes: tuple[str, ...], size: int) -> None:
        super().__init__()
        check_classes(classes)
        smallest = 6 * math.prod(settings.stem_strides) + 1  # the grid of 3DIR-A then has 7 cells, that of 3DIR-C one
        if size < smallest:
            hint = f"{smallest} or more, or smaller stem_strides"
            raise InputError(f"clips of {size} pixels are too small for the stem's strides", hint)
        self.settings, self.classes, self.size = settings, tuple(classes), size
        self.stem = StemBlock(settings)
        self.block_a = LandmarkResidual(InceptionResnetA(settings, self.stem.out_channels))
        self.reduction_a = ReductionA(settings, self.stem.out_channels)
        self.block_b = LandmarkResidual(InceptionResnetB(settings, self.reduction_a.out_channels))
        self.reduction_b = ReductionB(settings, self.reduction_a.out_channels)
        self.block_c = LandmarkResidual(InceptionResnetC(settings, self.reduction_b.out_channels))
        self.head = Head(settings, self.reduction_b.out_channels, len(classes))
        self.landmark_stream = self.shape_stream = None
        if settings.landmark_stream:
            self.landmark_stream = LandmarkStream(settings, len(classes), displacement)
        if settings.shape_stream:
            self.shape_stream = LandmarkStream(settings, len(classes), shape)

    def forward(self, clips: Tensor, landmarks: Tensor) -> Tensor:
        """``clips`` (B, 3, T, H, W) float, ``landmarks`` (B, T, 66, 2) pixels, NaN where missing -> logits (B, K)."""
        return self.combine(self.stream_logits(clips, landmarks))

    def stream_logits(self, clips: Tensor, landmarks: Tensor) -> Tensor:
        """The logits of each stream (S, B, K), for inputs as in `forward`: the pictures', then those of the landmarks.

        Only ``3d+landmarks`` and the landmarks' streams use the landmarks. ``ValueError`` for clips of another size.
        """
        self.check_clips(clips)
        x = self.stem(clips)
        x = self.block_a(x, self.filter(landmarks, x.shape[-1]))
        x = self.reduction_a(x)
        x = self.block_b(x, self.filter(landmarks, x.shape[-1]))
        x = self.reduction_b(x)
        x = self.block_c(x)
        streams = [self.head(x)]
        streams += [stream(landmarks) for stream in (self.landmark_stream, self.shape_stream) if stream is not None]
        return torch.stack(streams)

    def check_clips(self, clips: Tensor) -> None:
        """A `ValueError` for clips of another shape than (B, 3, T, size, size)."""
        if clips.ndim != 5 or clips.shape[1] != 3 or clips.shape[3:] != (self.size, self.size):
            raise ValueError(f"clips of shape {tuple(clips.shape)}: expected (B, 3, T, {self.size}, {self.size})")

    def combine(self, streams: Tensor) -> Tensor:
        """The logits of the network (B, K) from those of its streams (S, B, K)."""
        if len(streams) == 1:
            return streams[0]
        s = self.settings
        weights = [s.appearance_weight, *[1.0] * s.landmark_stream, *[s.shape_weight] * s.shape_stream]
        return torch.stack([weight * logits for weight, logits in zip(weights, streams, strict=True)]).sum(0)

    def filter(self, landmarks: Tensor, grid: int) -> Tensor | None:
        """The landmark filter (B, 1, T, grid, grid) of this network; None unless its variant is ``3d+landmarks``."""
        if self.settings.variant != "3d+landmarks":
            return None
        s = self.settings
        return landmark_filter(landmarks, self.size, grid, s.window, s.slope, s.distance, s.overlap)


def check_classes(classes: tuple[str, ...]) -> None:
    """An `InputError` for classes that are not two or more different names."""
    if not 2 <= len(set(classes)) == len(classes):
        raise InputError(f"classes {', '.join(classes) or 'none'}: expected two or more different names")


def grids(size: int, stem_strides: tuple[int, ...] = (2, 2, 2)) -> tuple[int, int, int]:
    """Sides of the grids of 3DIR-A, B and C for crops of ``size`` pixels.

    >>> grids(299), grids(64, stem_strides=(2, 1, 2))
    ((38, 18, 8), (16, 7, 3))
    """
    for stride in stem_strides:
        size = -(-size // stride)
    return size, max(0, (size - 1) // 2), max(0, ((size - 1) // 2 - 1) // 2)
