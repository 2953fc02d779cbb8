"""Weights come back as they were written, or not at all. Damaged files of a run: see test_run."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from fer3d.errors import InputError
from fer3d.model import weights


def test_tensors_and_state_come_back(tmp_path: Path) -> None:
    strided = torch.arange(12.0).reshape(3, 4).T
    weights.write(tmp_path / "w", {"a": strided, "b": torch.tensor(7)}, "id", [{"epoch": 1}])
    tensors, state = weights.read(tmp_path / "w", "id")
    assert torch.equal(tensors["a"], strided) and torch.equal(tensors["b"], torch.tensor(7))
    assert state == [{"epoch": 1}]


def test_another_runs_weights_are_refused(tmp_path: Path) -> None:
    weights.write(tmp_path / "w", {"a": torch.arange(6)}, "id")
    with pytest.raises(InputError, match="another run"):
        weights.read(tmp_path / "w", "another id")


@pytest.mark.parametrize(
    "metadata", [None, {"fer3d": "{"}, {"fer3d": "[]"}, {"fer3d": '{"run_id": "id"}'}, {"pt": "id"}]
)
def test_a_file_of_another_program_is_refused(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(save({"a": torch.arange(6)}, metadata=metadata))
    with pytest.raises(InputError, match="fer3d did not write it"):
        weights.read(tmp_path / "w", "id")
