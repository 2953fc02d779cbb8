"""Weights come back as they were written, or not at all. For damaged files of a run see tests/training."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from fer3d.errors import InputError
from fer3d.model import weights


def test_tensors_and_state_come_back(tmp_path: Path) -> None:
    strided = torch.arange(12.0).reshape(3, 4).T
    weights.write(tmp_path / "w", {"a": strided, "b": torch.tensor(7)}, "run", [{"epoch": 1}])
    tensors, state = weights.read(tmp_path / "w", "run")
    assert torch.equal(tensors["a"], strided) and torch.equal(tensors["b"], torch.tensor(7))
    assert state == [{"epoch": 1}]


@pytest.mark.parametrize(
    "other",
    [{"b": torch.arange(6)}, {"a": torch.arange(6).reshape(2, 3)}, {"a": torch.arange(6).view(torch.float64)}, {}],
    ids=["name", "shape", "type", "none"],
)
def test_the_checksum_is_of_these_tensors_alone(other: dict[str, torch.Tensor], tmp_path: Path) -> None:
    weights.write(tmp_path / "w", {"a": torch.arange(6)}, "run")
    with safe_open(tmp_path / "w", "pt") as opened:
        metadata = opened.metadata()
    (tmp_path / "w").write_bytes(save(other, metadata=metadata))
    with pytest.raises(InputError, match="checksum"):
        weights.read(tmp_path / "w", "run")
