"""Asynchronous SGD: shared weights, a fixed number of steps, one line when a worker dies, and none left behind."""

import dataclasses
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from dots import moving_dots, with_training, written
from orphans import all_end, children

from fer3d.data.store import open_store
from fer3d.errors import InputError
from fer3d.training.run import load_model
from fer3d.training.train import train

PROFILE = with_training(async_workers=2, epochs=6, mirror=False, rotation=0.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores") / "dots"
    return written(moving_dots(subjects=20, names=("anger", "fear", "sadness")), folder)


def after_an_epoch(out, act):
    """Calls ``act`` once the run has a checkpoint."""

    def wait():
        while not (out / "checkpoint.safetensors").exists():
            time.sleep(0.002)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_killed_worker_is_one_line_and_the_same_call_resumes_and_learns(store, tmp_path):
    out = tmp_path / "run"
    after_an_epoch(out, lambda: os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL))
    with pytest.raises(InputError, match="SIGKILL") as error:
        train([store], out, PROFILE)
    assert "\n" not in str(error.value)
    assert not multiprocessing.active_children() and not (out / "metrics.json").exists()

    metrics = train([store], out, PROFILE)
    log = pd.read_csv(out / "log.csv")
    assert list(log["epoch"]) == list(range(1, 7))
    assert log["loss"].iloc[-1] < 0.8 * log["loss"].iloc[0]
    assert log["lr"].is_monotonic_decreasing
    steps = 6 * -(-metrics["train_clips"] // 8)
    counted = [int(value) for name, value in load_model(out).network.named_buffers() if "tracked" in name]
    assert all(0.8 * steps <= count <= steps for count in counted)  # two may count as one, never one as two
    assert not multiprocessing.active_children()


def test_workers_that_fail_are_one_line(store, tmp_path):
    moved = dataclasses.replace(store, path=tmp_path / "moved")
    with pytest.raises(InputError, match=r"worker ended .*no store at") as error:
        train([moved], tmp_path / "run", PROFILE)
    assert "\n" not in str(error.value)
    assert not multiprocessing.active_children()


def test_only_on_the_cpu_of_one_machine(monkeypatch, store, tmp_path):
    monkeypatch.setattr("lightning_fabric.Fabric.world_size", 2)
    with pytest.raises(InputError, match="need the CPU of one machine"):
        train([store], tmp_path / "run", PROFILE)


def train_in_a_process(folder, out):
    train([open_store(folder)], out, PROFILE)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
def test_workers_end_with_a_killed_parent(store, tmp_path):
    out = tmp_path / "run"
    parent = multiprocessing.get_context("spawn").Process(target=train_in_a_process, args=(store.path, out))
    parent.start()
    after_an_epoch(out, lambda: None).join(60)
    workers = children(parent.pid)
    parent.kill()
    parent.join()
    assert len(workers) >= 2
    assert all_end(workers), "workers live on"
