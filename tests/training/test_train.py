"""The loop: it learns, it resumes to the same bits, and it refuses what doesn't fit."""

import dataclasses
import errno
import functools
import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from dots import PROFILE, moving_dots, results, with_network, with_training
from safetensors import safe_open

from fer3d import files, labels
from fer3d.config import ClipSettings
from fer3d.data import splits
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.model import weights
from fer3d.training import loop
from fer3d.training import train as training
from fer3d.training.batches import normalised


@pytest.fixture(scope="module")
def store():
    return moving_dots()


@pytest.fixture(scope="module")
def straight(store, tmp_path_factory):
    """One run without interruption."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    training.train([store], out, PROFILE)
    return out


@pytest.fixture(autouse=True)
def each_epoch_is_saved(monkeypatch):
    """However long the disk takes."""
    monkeypatch.setattr(loop, "_RARELY", 0)


class Interrupted(Exception):
    pass


def interrupt(monkeypatch, module, name, calls):
    """Let a function raise at its n-th call."""
    original, left = getattr(module, name), [calls]

    def failing(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, failing)


@pytest.mark.parametrize(
    ("module", "name", "calls"), [(weights, "write", 1), (weights, "write", 4), (training, "predict", 1)]
)
def test_interrupted_while_writing_and_gone_on_is_the_straight_run(
    store, straight, tmp_path, monkeypatch, module, name, calls
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, module, name, calls)
        training.train([store], out, PROFILE)
    assert not (out / "metrics.json").exists()
    (out / ".log.csv.0.part").touch()  # of a process killed while writing
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
        interrupt(patch, loop, "augment", 8)  # three steps an epoch: in the third
        training.train([store], out, PROFILE)
    steps = []
    original = loop.augment
    monkeypatch.setattr(loop, "augment", lambda *args: (steps.append(1), original(*args))[1])
    training.train([store], out, PROFILE)
    assert len(steps) == 3


def test_going_on_in_another_precision_is_refused(store, straight, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, loop, "augment", 8)
        training.train([store], out, PROFILE)
    card = files.read_json(out / "model.json")
    files.write_json(out / "model.json", card | {"made_with": card["made_with"] | {"precision": "16-true"}})
    with pytest.raises(InputError, match="begun in 16-true on cpu"):
        training.train([store], out, PROFILE)
    assert (out / "checkpoint.safetensors").exists()


def test_a_slow_disk_is_written_to_rarely(store, straight, tmp_path, monkeypatch):
    original, epochs = loop.save, []

    def slow(path, run, network, sgd, log):
        epochs.append(len(log))
        time.sleep(1)
        original(path, run, network, sgd, log)

    monkeypatch.setattr(loop, "save", slow)
    monkeypatch.setattr(loop, "_RARELY", 60)
    training.train([store], tmp_path / "run", PROFILE)
    assert epochs == [1, PROFILE.training.epochs] and PROFILE.training.epochs > 2
    assert results(tmp_path / "run") == results(straight)


@pytest.mark.parametrize("contents", ["[]", "3", "{}"])
def test_a_folder_with_a_foreign_card_is_one_line(store, tmp_path, contents):
    (tmp_path / "model.json").write_text(contents)
    with pytest.raises(InputError, match=r"model\.json"):
        training.train([store], tmp_path, PROFILE)


def test_stores_cut_in_different_ways_are_refused(store, tmp_path):
    other = dataclasses.replace(
        store, metadata={**store.metadata, "settings": {**store.metadata["settings"], "margin": 0.3}}
    )
    with pytest.raises(InputError, match=r"margin = 0\.3"):
        training.train([store], tmp_path, PROFILE, test=other)


def test_finished_run_is_returned_as_it_is(store, straight, monkeypatch):
    before = results(straight)
    monkeypatch.setattr(training, "Network", None)
    assert training.train([store], straight, PROFILE) == json.loads((straight / "metrics.json").read_text())
    assert results(straight) == before


@pytest.mark.parametrize(
    "damage",
    [
        *(lambda told, name=name: told.pop(name) for name in ("n", "accuracy", "uar", "majority", "interval")),
        lambda told: told.update(accuracy="high"),
        lambda told: told.update(interval=["low", 1]),
    ],
)
def test_a_run_with_other_metrics_is_one_line(store, straight, tmp_path, damage):
    run = shutil.copytree(straight, tmp_path / "run")
    told = json.loads((run / "metrics.json").read_text())
    damage(told)
    (run / "metrics.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="that no training wrote"):
        training.train([store], run, PROFILE)


def test_one_training_at_a_time_in_a_folder(store, straight):
    second = threading.Thread(target=training.train, args=([store], straight, PROFILE), daemon=True)
    with files.lock(straight):
        second.start()
        second.join(0.5)
        assert second.is_alive()
    second.join(30)
    assert not second.is_alive()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": with_training(seed=1)}, "training.seed = 0, not 1"),
        ({"profile": with_network(variant="2d")}, "2d"),
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
    "damage",
    [
        lambda d: d[: len(d) // 2],
        lambda d: d[:4],
        lambda d: b"",
        lambda d: b"PK" * 99,
        flip,
        lambda d: d.replace(b"epoch", b"epoxy", 1),
    ],
)
def test_damaged_checkpoint_is_one_line(store, tmp_path, monkeypatch, damage):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, loop, "augment", 5)
        training.train([store], out, PROFILE)
    checkpoint = out / "checkpoint.safetensors"
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(InputError, match=r"checkpoint\.safetensors") as error:
        training.train([store], out, PROFILE)
    assert "\n" not in str(error.value)


def test_checkpoint_of_another_run_is_refused(store, straight, tmp_path, monkeypatch):
    for name, profile, message in (
        ("other", with_training(seed=1), "another run"),
        ("own", PROFILE, "not this network's"),
    ):
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            interrupt(patch, loop, "augment", 1)
            training.train([store], tmp_path / name, profile)
        # Of ``own`` it is the very run's, but no checkpoint.
        (tmp_path / name / "checkpoint.safetensors").write_bytes((straight / "model.safetensors").read_bytes())
        with pytest.raises(InputError, match=message):
            training.train([store], tmp_path / name, profile)


@pytest.mark.parametrize("name", ["log.csv", "predictions.csv", "prepared.json"])
def test_a_folder_with_something_else_is_left_alone(store, tmp_path, name):
    (tmp_path / name).write_text("mine")
    (tmp_path / ".film.mkv.part").write_text("mine")
    with pytest.raises(InputError, match=f"with a {name}, but no run"):
        training.train([store], tmp_path, PROFILE)
    (tmp_path / name).unlink()
    training.train([store], tmp_path, PROFILE)
    assert (tmp_path / ".film.mkv.part").read_text() == "mine"


def test_a_run_that_lost_its_weights_is_trained_again(store, straight, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(straight, out)
    (out / "model.safetensors").unlink()
    training.train([store], out, PROFILE)
    assert results(out) == results(straight)


def test_loaded_model_predicts_the_same(store, straight):
    model = training.load_model(straight)
    _, test = splits.fold_split(store.manifest, 0, 3)
    assert model.network.classes == labels.CLASSES["mmi"] and not model.network.training
    again = training.predict(model, store, test)
    pd.testing.assert_frame_equal(again, metrics.read_predictions(straight), check_dtype=False, rtol=1e-6)


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
        ("model.json", lambda d: d.replace(b'"anger"', b'"?"').replace(b'"fear"', b'"anger"').replace(b"?", b"fear")),
        ("model.json", lambda d: d.replace(b"mmi-0-32", b"mmi-1-32")),
        ("model.safetensors", lambda d: d.replace(b"mmi-0-32", b"mmi-1-32")),
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


def test_weights_say_what_they_are(straight):
    with safe_open(straight / "model.safetensors", "pt") as opened:
        told = json.loads(opened.metadata()["fer3d"])["state"]
    assert told["labels"] == list(labels.CLASSES["mmi"])
    assert told["network"] == PROFILE.network.as_dict() | {"stem_strides": [2, 2, 1]}
    assert told["training"] == PROFILE.training.as_dict()
    assert told["data"]["train"] == [{"database": "mmi", "fingerprint": "mmi-0-32"}]


def test_no_run_to_load(tmp_path):
    with pytest.raises(InputError, match=r"model\.json"):
        training.load_model(tmp_path)


def test_cross_database(tmp_path):
    profile = with_training(epochs=2)
    test = moving_dots("ckplus", subjects=5)
    figures = training.train([moving_dots("mmi"), moving_dots("fera")], tmp_path / "run", profile, test=test)
    missing = int((test.manifest["label"] == "contempt").sum())
    assert figures["left_out"] == {"contempt": missing}
    assert figures["n"] == len(test) - missing
    assert figures["train_clips"] == 72
    assert figures["labels"] == [*labels.CLASSES["mmi"], "relief"]
    predictions = metrics.read_predictions(tmp_path / "run")
    assert set(predictions["database"]) == {"ckplus"}
    other = moving_dots("ckplus", subjects=5, seed=1)
    with pytest.raises(InputError, match="ckplus-1-32"):
        training.train([moving_dots("mmi"), moving_dots("fera")], tmp_path / "run", profile, test=other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, o: training.train([s], o, dataclasses.replace(PROFILE, clips=ClipSettings(size=64))), "32 pixels"),
        (lambda s, o: training.train([s], o, PROFILE, test=moving_dots("ckplus", size=48)), "48 pixels for profile"),
        (lambda s, o: training.train([s, s], o, PROFILE), "--test"),
        (lambda s, o: training.train([], o, PROFILE), "--test"),
        (lambda s, o: training.train([s], o, PROFILE, fold=3), "fold 3"),
        (lambda s, o: training.train([s], o, PROFILE, test=s), "other databases"),
        (lambda s, o: training.train([s], o, dataclasses.replace(PROFILE, folds=99)), "99 folds"),
        (lambda s, o: training.train([moving_dots(names=("relief", "fear"))], o, PROFILE), "relief"),
        (lambda s, o: training.train([s], o, with_training(epochs=0)), "epochs = 0"),
        (lambda s, o: training.train([s], o, with_training(batch_size=0)), "batch_size"),
        (lambda s, o: training.train([s], o, with_training(scale=1.0)), "scale"),
        (lambda s, o: training.train([s], o, with_training(momentum=0.0)), "momentum = 0"),
        (lambda s, o: training.train([s], o, with_training(momentum=1.0)), "momentum = 1"),
        (lambda s, o: training.train([s], o, with_training(weight_decay=-1.0)), "weight_decay"),
        (lambda s, o: training.train([s], o, with_training(warmup_epochs=4.0)), "warmup_epochs"),
        (lambda s, o: training.train([s], o, with_training(async_workers=-1)), "async_workers"),
        (lambda s, o: training.train([s], o, with_training(seed=-1)), "seed"),
        (lambda s, o: training.train([s], o, with_training(lr=1e30)), "a smaller lr"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_no_result(store, tmp_path, call, message):
    with pytest.raises(InputError, match=message) as error:
        call(store, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_a_refused_training_leaves_its_folder_to_the_next(store, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with pytest.raises(InputError, match="a smaller lr"):
        training.train([store], out, with_training(lr=1e30))
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, loop, "augment", 5)
        training.train([store], out, PROFILE)
    assert (out / "checkpoint.safetensors").exists()
    with pytest.raises(InputError, match=r"with another run \(training\.lr = "):
        training.train([store], out, with_training(lr=1e30))


def test_nobody_tested_is_trained_on(store, straight):
    learned, tested = splits.fold_split(store.manifest, 0, 3)
    assert json.loads((straight / "metrics.json").read_text())["train_clips"] == len(learned)
    assert list(metrics.read_predictions(straight)["clip"]) == list(store.manifest["clip"].iloc[tested])


def test_the_seed_decides_where_the_weights_start(store, tmp_path, monkeypatch):
    starts = []

    def fit(_fabric, network, *_):
        starts.append(network.stem[0][0].weight.clone())
        raise Interrupted

    monkeypatch.setattr(loop, "fit", fit)
    for seed in (0, 1):
        with pytest.raises(Interrupted):
            training.train([store], tmp_path / str(seed), with_training(seed=seed))
    assert not torch.equal(*starts)


def test_every_step_is_made_at_its_own_rate(store, tmp_path, monkeypatch):
    rates, original = [], loop.step

    def step(fabric, network, optimizer, *rest):
        rates.append(optimizer.param_groups[0]["lr"])
        return original(fabric, network, optimizer, *rest)

    monkeypatch.setattr(loop, "step", step)
    profile = with_training(epochs=2)
    training.train([store], tmp_path / "run", profile)
    assert rates == [loop.learning_rate(number, 6, 3, profile.training) for number in range(6)]


def test_clips_are_normalised_as_the_settings_say_in_training_and_in_the_test(store, tmp_path, monkeypatch):
    asked = []
    for module in (loop, training):
        monkeypatch.setattr(
            module, "normalised", lambda frames, norm, m=module: (asked.append((m, norm)), normalised(frames, norm))[1]
        )
    training.train([store], tmp_path / "run", with_training(epochs=1, clip_norm="none"))
    assert set(asked) == {(loop, "none"), (training, "none")}


def test_class_without_a_training_clip_is_named(store, tmp_path):
    some = dataclasses.replace(store, manifest=store.manifest.replace({"label": {"fear": "anger"}}))
    figures = training.train([some], tmp_path / "run", with_training(epochs=2))
    assert figures["never_seen"] == ["fear"]
    assert "fear" in figures["labels"]


def test_learns_what_moves(tmp_path):
    store = moving_dots(subjects=40, names=("anger", "fear", "sadness"))
    figures = training.train([store], tmp_path / "run", with_training(epochs=8, mirror=False, rotation=0.0))
    assert figures["interval"][0] > figures["majority"]
    log = pd.read_csv(tmp_path / "run" / "log.csv")
    assert log["loss"].iloc[-1] < 0.7 * log["loss"].iloc[0]
    assert list(log["epoch"]) == list(range(1, 9))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_network_is_trained_the_same(store, straight, tmp_path, monkeypatch):
    """With a backend that changes nothing: the real one takes minutes and rounds otherwise."""
    graphs = []
    backend = lambda graph, _examples: (graphs.append(graph), graph.forward)[1]  # noqa: E731
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    training.train([store], tmp_path / "run", with_training(compile=True))
    assert graphs
    assert results(tmp_path / "run")[1:] == results(straight)[1:]


def test_compile_without_a_compiler_is_one_line(store, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="installing g"):
        training.train([store], tmp_path / "run", with_training(compile=True))


def test_the_callers_random_numbers_are_left_alone(store, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    training.train([store], tmp_path / "run", with_training(epochs=2))
    assert torch.equal(torch.rand(1), expected)


def test_a_full_disk_is_one_line_and_leaves_no_half_weights(store, tmp_path, monkeypatch):
    def full(path, contents):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="full disk"):
        training.train([store], tmp_path / "run", PROFILE)
    assert {file.name for file in (tmp_path / "run").iterdir()} == {"model.json"}
