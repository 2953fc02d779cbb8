"""kill -9 at random moments, then the same call again: the bits of a straight run."""

import contextlib
import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from dots import PROFILE, moving_dots, results, written

from fer3d.data.store import open_store
from fer3d.training.train import train


def train_in_a_process(store, out, profile, threads):
    torch.set_num_threads(threads)  # the bits depend on it
    train([open_store(store)], out, profile)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts a training in a process of its own and waits until it has begun."""
    store = written(moving_dots(), tmp_path_factory.mktemp("stores") / "dots").path
    context = multiprocessing.get_context("forkserver")  # torch is imported once, in a process without threads
    context.set_forkserver_preload(["fer3d.training.train", "dots"])

    def started(out, profile):
        process = context.Process(target=train_in_a_process, args=(store, out, profile, torch.get_num_threads()))
        process.start()
        while not (out / "model.json").exists() and process.is_alive():
            time.sleep(0.002)
        return process

    return started


@pytest.fixture(scope="module")
def straight(start, tmp_path_factory):
    """A run that nobody disturbs, and how long it takes."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    process, begun = start(out, PROFILE), time.monotonic()
    process.join()
    assert process.exitcode == 0
    return out, time.monotonic() - begun


@pytest.mark.parametrize("number", range(5))
def test_killed_at_a_random_moment_and_resumed_is_the_straight_run(start, straight, tmp_path, number):
    undisturbed, seconds = straight
    for attempt in range(20):  # another moment in every test run; one that comes too late kills nothing
        out = tmp_path / str(attempt)
        process = start(out, PROFILE)
        time.sleep(random.uniform(0, seconds))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == -signal.SIGKILL and not (out / "metrics.json").exists():
            break
    else:
        pytest.fail("twenty kills came too late")
    again = start(out, PROFILE)
    again.join()
    assert again.exitcode == 0
    assert results(out) == results(undisturbed)
    assert {file.name for file in out.iterdir()} == {
        "log.csv", "metrics.json", "model.json", "model.safetensors", "predictions.csv",
    }  # fmt: skip
