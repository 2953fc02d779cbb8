"""The GPU's code path: rehearsed on the CPU everywhere, compared with the CPU where there is a GPU."""

import dataclasses
import importlib
import json

import numpy as np
import pytest
import torch
from dots import moving_dots, with_training
from torch.nn import functional

from fer3d.config import TrainingSettings, profile
from fer3d.data import splits
from fer3d.evaluation import metrics
from fer3d.model.network import Network
from fer3d.training import loop
from fer3d.training import train as training
from fer3d.training.augment import augment, draw
from fer3d.training.batches import normalised

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
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    table, shares = (one["rows"] for one in told)
    assert [row["way"] for row in table] == [way.name for way in gpu.WAYS]
    assert all(0 < row["of bf16 ceiling"] < 1 for row in table) and table[-1]["everything on is faster by"] == 1
    assert sum(row["share"] for row in shares) == pytest.approx(1, abs=0.01)
    assert {path.name for path in tmp_path.iterdir()} == {f"gpu_profile.{end}" for end in ("csv", "png", "svg")}


def gradients(device):
    """All gradients of one step, from stored bytes to the loss, with a landmark missing."""
    torch.manual_seed(0)
    settings = TrainingSettings()
    network = Network(dataclasses.replace(profile("tiny").network, dropout=0.0), ("fear", "anger"), 64)
    network.to(device=device, memory_format=torch.channels_last_3d)
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.integers(0, 256, (4, 10, 64, 64, 3), np.uint8)).to(device)
    landmarks = torch.from_numpy(rng.uniform(0, 64, (4, 10, 66, 2)).astype(np.float32)).to(device)
    landmarks[0, 0, 0] = torch.nan
    drawn = draw(4, torch.Generator().manual_seed(0))
    logits = network(*augment(normalised(frames, settings.clip_norm), landmarks, settings, drawn))
    functional.cross_entropy(logits, torch.tensor([0, 1, 0, 1], device=device)).backward()
    return {name: parameter.grad.cpu() for name, parameter in network.named_parameters()}


@NEEDS_GPU
def test_a_step_on_the_gpu_gives_the_cpus_gradients(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
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
def test_a_training_on_the_gpu_goes_on_and_answers_as_the_cpu_does(tmp_path, monkeypatch):
    store, out, original, left = moving_dots(), tmp_path / "run", loop.augment, [8]

    def interrupted(*given):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return original(*given)

    there = with_training(device="cuda")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "augment", interrupted)
        training.train([store], out, there)
    assert training.train([store], out, there)["epochs"] == there.training.epochs
    told = metrics.read_predictions(out).filter(like="p_").to_numpy()
    model = training.load_model(out)
    model = dataclasses.replace(model, training=dataclasses.replace(model.training, device="cpu"))
    _, tested = splits.fold_split(store.manifest, 0, there.folds)
    assert np.abs(training.predict(model, store, tested).filter(like="p_").to_numpy() - told).max() < 0.05
