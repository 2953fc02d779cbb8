"""The network that the paper's is compared with: of r3d_18's shape, trained and stored as the paper's is."""

import dataclasses

import pytest
import torch

from fer3d import config
from fer3d.config import NetworkSettings
from fer3d.errors import InputError
from fer3d.model.network import Network
from fer3d.model.r3d import ResNet3D, make_network

CLASSES = ("anger", "fear", "sadness")
SMALL = dataclasses.replace(config.profile("tiny").network, variant="r3d_18")


def test_at_full_width_it_has_the_weights_of_r3d_18() -> None:
    """torchvision's has 33 371 472 with the last layer of 400 classes."""
    with torch.device("meta"):
        network = ResNet3D(NetworkSettings(variant="r3d_18"), CLASSES, 112)
    count = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("linear."))
    assert count == 33_371_472 - 400 * 513


def test_it_gives_logits_from_pictures_alone_and_every_weight_learns() -> None:
    torch.manual_seed(0)
    network = make_network(SMALL, CLASSES, 64)
    clips, landmarks = torch.randn(2, 3, 10, 64, 64), torch.rand(2, 10, 66, 2)
    logits = network(clips, landmarks)
    assert isinstance(network, ResNet3D) and logits.shape == (2, 3)
    assert torch.equal(logits, network(clips, torch.full_like(landmarks, torch.nan)))
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_the_papers_variants_are_the_papers_network() -> None:
    for variant in config.PAPER_VARIANTS:
        network = make_network(dataclasses.replace(SMALL, variant=variant), CLASSES, 64)
        assert type(network) is Network, variant


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="two or more different names"):
        make_network(SMALL, ("anger",), 64)
