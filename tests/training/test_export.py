"""The ONNX file gives PyTorch's probabilities, holds its class names, and appears whole or not at all."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from fer3d import labels
from fer3d.config import ClipSettings, TrainingSettings, profile
from fer3d.errors import InputError
from fer3d.model.network import Network
from fer3d.training import export
from fer3d.training.batches import normalise_clips
from fer3d.training.run import TrainedModel

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

CLASSES = labels.CLASSES["ckplus"]


@pytest.fixture
def trained(monkeypatch):
    """A network whose running statistics have moved, in place of a run's; returns how to change its settings."""

    def make(clip_norm="parts", **changes):
        torch.manual_seed(0)
        network = Network(dataclasses.replace(profile("tiny").network, **changes), CLASSES, 64)
        network(torch.randn(4, 3, 10, 64, 64), torch.rand(4, 10, 66, 2) * 64)
        model = TrainedModel(network.eval(), TrainingSettings(clip_norm=clip_norm), ClipSettings(size=64))
        monkeypatch.setattr(export, "load_model", lambda run: model)
        return model

    return make


@pytest.mark.parametrize(("variant", "clip_norm"), [("2d", "none"), ("3d+landmarks", "parts"), ("joint", "parts")])
def test_the_file_gives_the_same_probabilities(trained, tmp_path, variant, clip_norm):
    joint = {"variant": "3d", "landmark_stream": True}
    model = trained(clip_norm, **(joint if variant == "joint" else {"variant": variant}))
    summary = export.export_onnx(tmp_path / "run", tmp_path / "network.onnx")
    assert summary["labels"] == list(CLASSES) and summary["difference"] < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]

    session = onnxruntime.InferenceSession(summary["file"], providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["labels"]) == list(CLASSES) and about["size"] == "64"
    frames = torch.randint(0, 256, (5, 10, 64, 64, 3), dtype=torch.uint8)
    landmarks = torch.rand(5, 10, 66, 2) * 64
    landmarks[1] = torch.nan
    (found,) = session.run(None, {"frames": frames.numpy(), "landmarks": landmarks.numpy()})
    with torch.no_grad():
        logits = model.network(normalise_clips(frames, model.training.clip_norm), landmarks)
    assert logits.std() > 0.01
    np.testing.assert_allclose(found, logits.softmax(1), atol=1e-4)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    if variant != "2d":
        (elsewhere,) = session.run(None, {"frames": frames.numpy(), "landmarks": landmarks.flip(1).numpy()})
        assert np.abs(found - elsewhere)[[0, 2, 3, 4]].max() > 1e-4


def test_a_file_with_other_probabilities_is_not_written(trained, tmp_path, monkeypatch):
    trained()
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="differ from PyTorch's"):
        export.export_onnx(tmp_path / "run", tmp_path / "network.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_replaced_by_its_network(trained, tmp_path):
    trained()
    (tmp_path / "model.safetensors").write_text("weights")
    with pytest.raises(InputError, match=r"model\.safetensors does not end in \.onnx; try --onnx .*model\.onnx"):
        export.export_onnx(tmp_path, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").read_text() == "weights"


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"fer3d\[onnx\]"):
        export.export_onnx(tmp_path, tmp_path / "network.onnx")


def test_no_finished_run(tmp_path):
    with pytest.raises(InputError):
        export.export_onnx(tmp_path / "nothing", tmp_path / "network.onnx")
