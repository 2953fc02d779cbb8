"""A network of r3d_18's shape, to compare the paper's with: the plain 3D residual network of Tran et al.

Stem, kernels, strides and channels are those of "A Closer Look at Spatiotemporal Convolutions for Action Recognition"
(CVPR 2018, R3D with 18 layers), the channels times `NetworkSettings.width`. It starts from random weights, knows no
landmarks, and is trained exactly as the paper's network is.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer3d.config import NetworkSettings
from fer3d.model.layers import BatchNorm, Conv3d, scale_channels
from fer3d.model.network import Network, check_classes


class ResNet3D(Network):
    """Used in place of `Network`: it has the same inputs and outputs, but none of its stages.

    >>> network = ResNet3D(NetworkSettings(variant="r3d_18", width=0.125), ("fear", "anger"), 64)
    >>> network(torch.zeros(4, 3, 10, 64, 64), torch.full((4, 10, 66, 2), 32.0)).shape
    torch.Size([4, 2])
    """

    def __init__(self, settings: NetworkSettings, classes: tuple[str, ...], size: int) -> None:
        nn.Module.__init__(self)
        check_classes(classes)
        self.settings, self.classes, self.size = settings, tuple(classes), size
        first, *others = (scale_channels(c, settings.width) for c in (64, 64, 128, 256, 512))
        self.entry = nn.Sequential(
            Conv3d(3, first, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
            BatchNorm(first),
            nn.ReLU(),
        )
        units, before = [], first
        for number, channels in enumerate(others):
            units += [ResidualUnit(before, channels, 1 if number == 0 else 2), ResidualUnit(channels, channels, 1)]
            before = channels
        self.units = nn.Sequential(*units)
        self.linear = nn.Linear(before, len(classes))
        self.landmark_stream = self.shape_stream = None

    def stream_logits(self, clips: Tensor, landmarks: Tensor) -> Tensor:
        """The logits (1, B, K) of the pictures; the landmarks are not used."""
        self.check_clips(clips)
        x = self.units(self.entry(clips))
        with torch.autocast(x.device.type, enabled=False):  # as in the paper's network: bf16 would cost it digits
            return self.linear(x.float().mean((2, 3, 4)))[None]


class ResidualUnit(nn.Module):
    """Two 3 x 3 x 3 convolutions beside a shortcut; the first one has the stride, over time and space."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(Conv3d(before, channels, 3, stride, 1, bias=False), BatchNorm(channels))
        self.second = nn.Sequential(Conv3d(channels, channels, 3, 1, 1, bias=False), BatchNorm(channels))
        other = stride > 1 or before != channels
        shortcut = nn.Sequential(Conv3d(before, channels, 1, stride, bias=False), BatchNorm(channels))
        self.shortcut = shortcut if other else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.shortcut(x) + self.second(functional.relu(self.first(x))))


def make_network(settings: NetworkSettings, classes: tuple[str, ...], size: int) -> Network:
    """The network that the settings name."""
    return (ResNet3D if settings.variant == "r3d_18" else Network)(settings, classes, size)
