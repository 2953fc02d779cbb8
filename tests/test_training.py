"""The loop: it learns, it resumes to the same bits, and it refuses what doesn't fit."""

import dataclasses
import errno
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fer3d import evaluation, labels, splits, training
from fer3d.config import ClipSettings, NetworkSettings, Profile, TrainingSettings
from fer3d.errors import InputError
from fer3d.store import Store

SIZE, FRAMES = 32, 4
PROFILE = Profile(
    name="test",
    clips=ClipSettings(size=SIZE, num_frames=FRAMES),
    network=NetworkSettings(width=0.125, stem_strides=(2, 2, 1), window=3, lstm_units=16),
    training=TrainingSettings(epochs=3, batch_size=8, lr=0.02, device="cpu"),
    folds=3,
)


def moving_dots(database="mmi", subjects=9, clips=4, size=SIZE, seed=0, names=None):
    """A store in which only the direction of a dot's motion tells the class."""
    rng = np.random.default_rng(seed)
    names = names or labels.CLASSES[database]
    N = subjects * clips
    kind = rng.integers(len(names), size=N)
    angle = 2 * np.pi * kind / len(names)
    way = np.stack([np.cos(angle), np.sin(angle)], -1)[:, None] * np.linspace(0, size / 4, FRAMES)[None, :, None]
    points = rng.uniform(0.4 * size, 0.6 * size, (N, 1, 2)) + way
    y, x = np.mgrid[:size, :size]
    distance = (x - points[..., 0, None, None]) ** 2 + (y - points[..., 1, None, None]) ** 2
    picture = 255 * np.exp(-distance / 8) * 0.8 + rng.uniform(0, 20, (N, FRAMES, size, size))
    manifest = pd.DataFrame(
        {
            "clip": [f"{database}-{i}" for i in range(N)],
            "database": database,
            "subject": [f"S{i // clips:03d}" for i in range(N)],
            "label": np.asarray(names)[kind],
        }
    )
    settings = ClipSettings(size=size, num_frames=FRAMES).as_dict()
    return Store(
        path=Path(),
        manifest=manifest,
        frames=np.repeat(picture[..., None], 3, axis=-1).astype(np.uint8),
        landmarks=np.repeat(points[:, :, None], 66, axis=2).astype(np.float32),
        rejected=pd.DataFrame(),
        info={"database": database, "settings": settings, "fingerprint": f"{database}-{seed}-{size}"},
    )


def results(run):
    """What a run leaves, without the times."""
    metrics = json.loads((run / "metrics.json").read_text())
    log = pd.read_csv(run / "log.csv")
    return (
        (run / "model.safetensors").read_bytes(),
        (run / "predictions.csv").read_bytes(),
        log.drop(columns="seconds").to_csv(),
        {name: value for name, value in metrics.items() if name != "seconds"},
    )


@pytest.fixture(scope="module")
def store():
    return moving_dots()


@pytest.fixture(scope="module")
def straight(store, tmp_path_factory):
    """One run without interruption."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    training.train([store], out, PROFILE)
    return out


class Interrupted(Exception):
    pass


def interrupt(monkeypatch, name, calls):
    """Let a function of the training raise at its n-th call."""
    original, left = getattr(training, name), [calls]

    def failing(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted
        return original(*args, **kwargs)

    monkeypatch.setattr(training, name, failing)


@pytest.mark.parametrize(
    ("name", "calls"),
    [("augment", k) for k in random.Random(0).sample(range(1, 10), 3)]
    + [("_write_tensors", 1), ("_write_tensors", 4), ("predict", 1)],
)
def test_interrupted_and_gone_on_is_the_straight_run(store, straight, tmp_path, monkeypatch, name, calls):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, name, calls)
        training.train([store], out, PROFILE)
    assert not (out / "metrics.json").exists()
    torch.rand(1)  # what else the process draws makes no difference
    training.train([store], out, PROFILE)
    assert results(out) == results(straight)
    assert sorted(p.name for p in out.iterdir()) == [
        "log.csv", "metrics.json", "model.json", "model.safetensors", "predictions.csv",
    ]  # fmt: skip


def test_going_on_starts_at_the_checkpoint(store, straight, tmp_path, monkeypatch):
    """Else the tests above would hold for a training that always starts anew."""
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, "augment", 8)  # three steps an epoch: in the third
        training.train([store], out, PROFILE)
    steps = []
    original = training.augment
    monkeypatch.setattr(training, "augment", lambda *args: (steps.append(1), original(*args))[1])
    training.train([store], out, PROFILE)
    assert len(steps) == 3


def test_killed_process_gone_on_is_the_straight_run(straight, tmp_path):
    out = tmp_path / "run"
    code = f"import test_training as t; t.training.train([t.moving_dots()], t.Path({str(out)!r}), t.PROFILE)"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)
    patience = time.monotonic() + 60
    while not (out / "checkpoint.safetensors").exists() and child.poll() is None and time.monotonic() < patience:
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL and not (out / "metrics.json").exists()
    again = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert results(out) == results(straight)


def test_finished_run_is_returned_as_it_is(store, straight, monkeypatch):
    before = results(straight)
    monkeypatch.setattr(training, "Network", None)
    assert training.train([store], straight, PROFILE) == json.loads((straight / "metrics.json").read_text())
    assert results(straight) == before


def with_training(**changes):
    return dataclasses.replace(PROFILE, training=dataclasses.replace(PROFILE.training, **changes))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": with_training(seed=1)}, "training.seed = 0, not 1"),
        ({"profile": dataclasses.replace(PROFILE, network=dataclasses.replace(PROFILE.network, variant="2d"))}, "2d"),
        ({"profile": PROFILE, "fold": 1}, "fold = 0, not 1"),
        ({"profile": PROFILE, "stores": [moving_dots(seed=1)]}, "mmi-0-32"),
    ],
)
def test_folder_of_another_run_is_refused(store, straight, arguments, message):
    before = results(straight)
    with pytest.raises(InputError, match=message):
        training.train(**{"stores": [store], "out": straight, **arguments})
    assert results(straight) == before


def flip(data):
    spoilt = bytearray(data)
    spoilt[-5] ^= 1
    return bytes(spoilt)


@pytest.mark.parametrize(
    "damage", [lambda d: d[: len(d) // 2], lambda d: d[:4], lambda d: b"", lambda d: b"PK" * 99, flip]
)
def test_damaged_checkpoint_is_one_line(store, tmp_path, monkeypatch, damage):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, "augment", 5)
        training.train([store], out, PROFILE)
    checkpoint = out / "checkpoint.safetensors"
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(InputError, match=r"checkpoint\.safetensors") as error:
        training.train([store], out, PROFILE)
    assert "\n" not in str(error.value)


def test_checkpoint_of_another_run_is_refused(store, straight, tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes((straight / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="another run"):
        training.train([store], tmp_path, with_training(seed=1))
    (tmp_path / "model.json").unlink()
    with pytest.raises(InputError, match="not this network's"):  # the very run, but no checkpoint
        training.train([store], tmp_path, PROFILE)


def test_loaded_model_predicts_the_same(store, straight):
    model = training.load_model(straight)
    _, test = splits.fold_split(store.manifest, 0, 3)
    assert model.network.classes == labels.CLASSES["mmi"]
    again = training.predict(model, store, test)
    pd.testing.assert_frame_equal(again, evaluation.read_predictions(straight), check_dtype=False, rtol=1e-6)


def test_model_refuses_what_does_not_fit(straight):
    model = training.load_model(straight)
    with pytest.raises(InputError, match="store of 48 pixels for a network of 32"):
        training.predict(model, moving_dots(size=48), np.arange(3))
    with pytest.raises(InputError, match="contempt"):
        training.predict(model, moving_dots("ckplus"), np.arange(36))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.json", lambda d: b"{"),
        ("model.json", lambda d: b"[]"),
        ("model.json", lambda d: d.replace(b"0.125", b"0.25")),
        ("model.json", lambda d: d.replace(b'"width"', b'"wide"')),
        ("model.json", lambda d: d.replace(b'"fear"', b'"fright"')),
        ("model.json", lambda d: d.replace(b'"size": 32', b'"size": 3200000')),
        ("model.json", lambda d: d.replace(b'"width": 0.125', b'"width": 1e12')),
        ("model.safetensors", lambda d: b""),
        ("model.safetensors", lambda d: d[:-10]),
        ("model.safetensors", flip),
    ],
)
def test_damaged_model_is_one_line(straight, tmp_path, name, damage):
    for file in ("model.json", "model.safetensors"):
        (tmp_path / file).write_bytes((straight / file).read_bytes())
    spoilt = damage((tmp_path / name).read_bytes())
    assert spoilt != (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(spoilt)
    with pytest.raises(InputError) as error:
        training.load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_no_run_to_load(tmp_path):
    with pytest.raises(InputError, match=r"model\.json"):
        training.load_model(tmp_path)


def test_cross_database(tmp_path):
    profile = with_training(epochs=2)
    test = moving_dots("ckplus", subjects=5)
    metrics = training.train([moving_dots("mmi"), moving_dots("fera")], tmp_path / "run", profile, test=test)
    missing = int((test.manifest["label"] == "contempt").sum())
    assert metrics["left_out"] == {"contempt": missing}
    assert metrics["n"] == len(test) - missing
    assert metrics["train_clips"] == 72
    assert metrics["labels"] == [*labels.CLASSES["mmi"], "relief"]
    predictions = evaluation.read_predictions(tmp_path / "run")
    assert set(predictions["database"]) == {"ckplus"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, o: training.train([s], o, dataclasses.replace(PROFILE, clips=ClipSettings(size=64))), "32 pixels"),
        (lambda s, o: training.train([s, s], o, PROFILE), "--test"),
        (lambda s, o: training.train([], o, PROFILE), "--test"),
        (lambda s, o: training.train([s], o, PROFILE, fold=3), "fold 3"),
        (lambda s, o: training.train([s], o, PROFILE, test=s), "other databases"),
        (lambda s, o: training.train([s], o, dataclasses.replace(PROFILE, folds=99)), "99 folds"),
        (lambda s, o: training.train([moving_dots(names=("relief", "fear"))], o, PROFILE), "relief"),
        (lambda s, o: training.train([s], o, with_training(epochs=0)), "epochs = 0"),
        (lambda s, o: training.train([s], o, with_training(batch_size=0)), "batch_size"),
        (lambda s, o: training.train([s], o, with_training(scale=1.0)), "scale"),
        (lambda s, o: training.train([s], o, with_training(lr=1e30)), "a smaller lr"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_no_result(store, tmp_path, call, message):
    with pytest.raises(InputError, match=message) as error:
        call(store, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_class_without_a_training_clip_is_named(store, tmp_path):
    some = dataclasses.replace(store, manifest=store.manifest.replace({"label": {"fear": "anger"}}))
    metrics = training.train([some], tmp_path / "run", with_training(epochs=2))
    assert metrics["never_seen"] == ["fear"]
    assert "fear" in metrics["labels"]


def test_learns_what_moves(tmp_path):
    store = moving_dots(subjects=40, names=("anger", "fear", "sadness"))
    metrics = training.train([store], tmp_path / "run", with_training(epochs=8, mirror=False, rotation=0.0))
    assert metrics["interval"][0] > metrics["majority"]
    log = pd.read_csv(tmp_path / "run" / "log.csv")
    assert log["loss"].iloc[-1] < 0.7 * log["loss"].iloc[0]
    assert list(log["epoch"]) == list(range(1, 9))


def test_the_callers_random_numbers_are_left_alone(store, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    training.train([store], tmp_path / "run", with_training(epochs=2))
    assert torch.equal(torch.rand(1), expected)


def test_learning_rate_warms_up_and_falls_to_nothing():
    settings = TrainingSettings(lr=0.1)
    rates = [training.learning_rate(step, 100, 10, settings) for step in range(100)]
    assert rates[:3] == pytest.approx([0.01, 0.02, 0.03])
    assert max(rates) == rates[9] == rates[10] == 0.1
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[99] < 1e-3
    constant = dataclasses.replace(settings, schedule="constant")
    assert training.learning_rate(99, 100, 0, constant) == training.learning_rate(0, 100, 0, constant) == 0.1


def test_each_clip_is_normalised_by_itself():
    frames = torch.randint(0, 256, (2, 3, 8, 8, 3), dtype=torch.uint8)
    frames[1] //= 4
    clips = training.normalised(frames, "whole")
    assert clips.shape == (2, 3, 3, 8, 8)
    assert torch.allclose(clips.mean((1, 2, 3, 4)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(clips.std((1, 2, 3, 4), correction=0), torch.ones(2), atol=1e-5)
    assert torch.allclose(
        clips[1, 1, 2] * frames[1].float().std(correction=0), frames[1, 2, :, :, 1] - frames[1].float().mean()
    )
    assert torch.allclose(training.normalised(frames, "none")[0, 1, 2], frames[0, 2, :, :, 1] / 127.5 - 1)


def test_still_picture_and_motion_weigh_the_same():
    """However faint the motion is, and whoever moves."""
    person = torch.randint(0, 200, (2, 1, 8, 8, 3), dtype=torch.uint8).expand(2, 4, 8, 8, 3).clone()
    person[:, 0, 2:4] += 9
    person[1, 0, 2:4] += 36
    clips = training.normalised(person, "parts")
    still = clips.mean(2, keepdim=True)
    motion = clips - still
    for part in (still, motion):
        assert torch.allclose(part.std((1, 2, 3, 4), correction=0), torch.ones(2), atol=1e-4)
    assert torch.allclose(motion[0], motion[1], atol=1e-4)
    person[:, 0] = person[:, 1]
    unmoved = training.normalised(person, "parts")
    assert torch.allclose(unmoved, unmoved[:, :, :1].expand_as(unmoved)) and torch.isfinite(unmoved).all()


def test_batches_are_of_nearly_equal_size():
    sizes = [len(part) for part in training._batches(np.arange(33), 16)]
    assert sizes == [11, 11, 11]


def test_a_full_disk_is_one_line_and_leaves_no_half_weights(store, tmp_path, monkeypatch):
    def full(path, contents):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="full disk"):
        training.train([store], tmp_path / "run", PROFILE)
    assert {file.name for file in (tmp_path / "run").iterdir()} == {"model.json"}
