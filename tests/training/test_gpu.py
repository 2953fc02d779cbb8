"""The GPU's code path: rehearsed on the CPU everywhere, compared with the CPU where there is a GPU."""

import dataclasses
import importlib
import json

import numpy as np
import pytest
import torch
from augmented import augment
from dots import with_training
from torch.nn import functional

from fer3d.config import TrainingSettings, profile
from fer3d.data import splits
from fer3d.evaluation import metrics
from fer3d.model.network import STAGES, Network
from fer3d.training.augment import draw
from fer3d.training.batches import normalise_clips
from fer3d.training.inference import predict
from fer3d.training.run import load_model
from fer3d.training.train import train

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def gpu():
    return importlib.import_module("benchmarks.training.gpu")


def test_without_a_gpu_the_benchmark_says_so(gpu, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main([])
    assert capsys.readouterr().out == "no GPU here: skipped\n"


def test_a_rehearsal_runs_every_way(gpu, tmp_path, capsys):
    gpu.main(["--rehearse", "--batch", "2", "--steps", "1", "--out", str(tmp_path)])
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    table, shares = (report["rows"] for report in reports)
    assert [row["way"] for row in table] == [way.name for way in gpu.WAYS]
    assert all(0 < row["of bf16 ceiling"] < 1 for row in table) and table[-1]["everything on is faster by"] == 1
    assert sum(row["share"] for row in shares) == pytest.approx(1, abs=0.01)
    assert {path.name for path in tmp_path.iterdir()} == {f"gpu_profile.{end}" for end in ("csv", "png", "svg")}


def gradients(device):
    """All gradients of one step, from stored bytes to the loss, with a landmark missing.

    The convolutions in double precision: in single precision a few of the ReLU's inputs change their sign.
    """
    torch.manual_seed(0)
    settings = TrainingSettings()
    network = Network(dataclasses.replace(profile("tiny").network, dropout=0.0), ("fear", "anger"), 64)
    network.to(device=device, memory_format=torch.channels_last_3d)
    for stage in set(STAGES) - {"head"}:
        network.get_submodule(stage).double()
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.integers(0, 256, (4, 10, 64, 64, 3), np.uint8)).to(device)
    landmarks = torch.from_numpy(rng.uniform(0, 64, (4, 10, 66, 2)).astype(np.float32)).to(device)
    landmarks[0, 0, 0] = torch.nan
    params = draw(4, torch.Generator().manual_seed(0))
    clips, landmarks = augment(normalise_clips(frames, settings.clip_norm), landmarks, settings, params)
    logits = network(clips.double(), landmarks)
    functional.cross_entropy(logits, torch.tensor([0, 1, 0, 1], device=device)).backward()
    return {name: parameter.grad.cpu() for name, parameter in network.named_parameters()}


@NEEDS_GPU
def test_a_step_on_the_gpu_gives_the_cpus_gradients(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # that of the head's LSTM
    there, here = gradients("cuda"), gradients("cpu")
    for name, gradient in here.items():
        assert (there[name] - gradient).norm() <= 1e-2 * gradient.norm() + 1e-5, name


@NEEDS_GPU
def test_pooling_and_every_stage_keep_bfloat16_on_the_gpu():
    network = Network(profile("tiny").network, ("fear", "anger"), 64).to("cuda", memory_format=torch.channels_last_3d)
    types = []
    network.block_c.register_forward_hook(lambda _module, _inputs, output: types.append(output.dtype))
    with torch.autocast("cuda", torch.bfloat16):
        logits = network(torch.randn(2, 3, 10, 64, 64).cuda(), torch.rand(2, 10, 66, 2).cuda() * 64)
    assert types == [torch.bfloat16] and logits.dtype == torch.float32


@NEEDS_GPU
def test_a_training_on_the_gpu_resumes_and_predicts_as_the_cpu_does(store, tmp_path, interrupted):
    out, there = tmp_path / "run", with_training(device="cuda")
    with interrupted("fer3d.training.loop.moves", 8):
        train([store], out, there)
    assert train([store], out, there)["epochs"] == there.training.epochs
    on_gpu = metrics.read_predictions(out).filter(like="p_").to_numpy()
    model = load_model(out)
    model = dataclasses.replace(model, training=dataclasses.replace(model.training, device="cpu"))
    _, tested = splits.fold_split(store.manifest, 0, there.folds)
    assert np.abs(predict(model, store, tested).filter(like="p_").to_numpy() - on_gpu).max() < 0.05
