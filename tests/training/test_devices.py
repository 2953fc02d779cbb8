"""The precision follows what the processor says of itself."""

from pathlib import Path

import pytest
import torch

from fer3d.training.devices import best_device, best_precision


def test_the_device():
    assert best_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("able", "precision"),
    [
        ({"avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_the_precision(monkeypatch, able, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert best_precision("cpu") == precision


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
def test_agrees_with_the_kernel():
    flags = Path("/proc/cpuinfo").read_text().split()
    assert (best_precision("cpu") == "bf16") == ("avx512_bf16" in flags or "amx_bf16" in flags)
