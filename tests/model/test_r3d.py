"""The network that the paper's is compared with: of r3d_18's shape, trained and stored as the paper's is."""

import dataclasses

import pytest
import torch

from fer3d import config
from fer3d.config import NetworkSettings
from fer3d.errors import InputError
from fer3d.model.layers import Conv3d
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


def test_its_logits_are_in_single_precision_and_clips_of_another_size_are_refused() -> None:
    network = make_network(SMALL, CLASSES, 64).eval()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.randn(1, 3, 2, 64, 64), torch.rand(1, 2, 66, 2))
    assert logits.dtype == torch.float32
    with pytest.raises(ValueError, match=r"expected \(B, 3, T, 64, 64\)"):
        network(torch.randn(1, 3, 2, 32, 32), torch.rand(1, 2, 66, 2))


def spoil_free_memory() -> None:
    """Fill blocks of many sizes with NaN and free them, so that what reads memory nobody wrote finds NaN."""
    del [torch.full((numbers,), torch.nan) for numbers in (100, 1_000, 10_000, 100_000, 500_000, 1_000_000)][:]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_in_bf16_weights_learn_from_clips_shorter_than_the_kernel(frames: int) -> None:
    """PyTorch's own layer gives NaN for two frames on a processor with AVX-512 BF16; others compute it otherwise."""
    torch.manual_seed(0)
    layer = Conv3d(32, 32, 3, padding=1, bias=False).to(memory_format=torch.channels_last_3d)
    clips = torch.randn(8, 32, frames, 4, 4).bfloat16().float()
    layer.weight.data = layer.weight.data.bfloat16().float()
    wanted = torch.randn(8, 32, frames, 4, 4)
    (layer(clips) * wanted).sum().backward()
    assert layer.weight.grad is not None
    exact = layer.weight.grad.clone()
    for _ in range(4):
        layer.zero_grad()
        spoil_free_memory()
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(clips.to(memory_format=torch.channels_last_3d))
        (found.float() * wanted).sum().backward()
        assert (layer.weight.grad - exact).abs().max() < 0.02 * exact.abs().max()


def test_the_papers_variants_are_the_papers_network() -> None:
    for variant in config.PAPER_VARIANTS:
        network = make_network(dataclasses.replace(SMALL, variant=variant), CLASSES, 64)
        assert type(network) is Network, variant


def test_it_has_no_landmark_streams() -> None:
    network = make_network(SMALL, CLASSES, 64)
    assert network.landmark_stream is None and network.shape_stream is None


@pytest.mark.parametrize(
    "ignored", [{"norm": "none"}, {"norm": "head"}, {"landmark_stream": True}, {"shape_stream": True}]
)
def test_settings_that_it_would_ignore_are_refused(ignored: dict[str, object]) -> None:
    with pytest.raises(InputError, match="r3d_18 has batch normalisation and no landmark streams"):
        NetworkSettings.from_params({"variant": "r3d_18", **ignored})


@pytest.mark.parametrize("recipe", ["paper", "joint"])
def test_recipes_for_the_papers_network_are_refused(recipe: str) -> None:
    with pytest.raises(InputError, match="try --recipe default"):
        config.make_profile("tiny", "r3d_18", recipe)


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="two or more different names"):
        make_network(SMALL, ("anger",), 64)
