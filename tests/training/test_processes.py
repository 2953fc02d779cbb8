"""Two processes under torchrun: the result of one, and a killed one is started again."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import together
import torch
from dots import moving_dots, results, with_training, written
from safetensors.torch import load_file
from together import TOGETHER

from fer3d.errors import InputError
from fer3d.training.train import train


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """24 clips to learn from, five per step: one process takes three of them, the other two."""
    return written(moving_dots(), tmp_path_factory.mktemp("stores") / "dots")


@pytest.fixture(scope="module")
def torchrun(store, tmp_path_factory):
    """Runs tests/helpers/together.py in two processes; returns the run's folder and what was printed."""

    def run(name, *more):
        out = tmp_path_factory.mktemp("runs") / name
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command += ["--max-restarts", "1", Path(together.__file__), store.path, out, *more]
        threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return out, done.stdout

    return run


@pytest.fixture(scope="module")
def two(torchrun):
    """An undisturbed run of two processes."""
    out, printed = torchrun("two")
    assert "resumes" not in printed
    return out


def test_two_processes_give_the_weights_of_one(store, two, tmp_path):
    """To rounding, with augmentation and the landmark stream, but without what each process does by itself."""
    one = tmp_path / "one"
    train([store], one, TOGETHER)
    ours, theirs = (load_file(run / "model.safetensors") for run in (two, one))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-5, msg=name)
    logs = [pd.read_csv(run / "log.csv").drop(columns="seconds") for run in (two, one)]
    np.testing.assert_allclose(*logs, rtol=1e-4)


def test_a_killed_process_is_started_again_and_the_result_is_the_same(two, torchrun):
    out, printed = torchrun("killed", "kill")
    assert "process 0, attempt 1: resumes" in printed and "process 1, attempt 1: resumes" in printed
    assert results(out) == results(two)


def test_fewer_clips_than_processes_are_one_line(monkeypatch, store, tmp_path):
    """Before the first step, and in every process alike."""
    monkeypatch.setattr("lightning_fabric.Fabric.world_size", 2)
    with pytest.raises(InputError, match="2 processes can't share batches of 1 clip"):
        train([store], tmp_path / "run", with_training(batch_size=1))


def test_the_others_say_in_one_line_that_a_process_died(monkeypatch, store, tmp_path):
    def lonely(*_):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer")

    monkeypatch.setattr("fer3d.training.loop.fit", lonely)
    with pytest.raises(InputError, match="another process of this training died"):
        train([store], tmp_path / "run", TOGETHER)
