"""Training: it learns, it resumes to the same bits, and it refuses what does not fit."""

import dataclasses
import errno
import functools
import json
import shutil
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from dots import PROFILE, moving_dots, results, with_training, written

from fer3d import files, labels
from fer3d.config import ClipSettings
from fer3d.data import splits
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.model import weights
from fer3d.training import checkpoint, inference, loop
from fer3d.training.batches import Clips, normalise_clips
from fer3d.training.caveats import evaluate_store
from fer3d.training.run import read_config
from fer3d.training.schedule import learning_rate
from fer3d.training.train import train


@pytest.fixture(autouse=True)
def each_epoch_is_saved(monkeypatch):
    """However long the disk takes."""
    monkeypatch.setattr(checkpoint, "PAUSE", 0)


@pytest.mark.parametrize(
    ("function", "call"),
    [("fer3d.model.weights.write", 1), ("fer3d.model.weights.write", 4), ("fer3d.training.train.predict", 1)],
)
def test_interrupted_while_writing_and_resumed_is_the_straight_run(
    store, straight, tmp_path, interrupted, function, call
):
    out = tmp_path / "run"
    with interrupted(function, call):
        train([store], out, PROFILE)
    assert not (out / "metrics.json").exists()
    (out / ".log.csv.a1b2c3d4.part").touch()  # of a process killed while writing
    torch.rand(1)  # what else the process draws makes no difference
    train([store], out, PROFILE)
    assert results(out) == results(straight)
    assert sorted(p.name for p in out.iterdir()) == [
        "log.csv", "metrics.json", "model.json", "model.safetensors", "predictions.csv",
    ]  # fmt: skip


def test_resuming_starts_at_the_checkpoint(store, tmp_path, monkeypatch, interrupted):
    """Else the tests above would hold for a training that always starts anew."""
    out = tmp_path / "run"
    with interrupted("fer3d.training.loop.moves", 8):  # three steps per epoch: in the third
        train([store], out, PROFILE)
    steps = []
    original = loop.moves
    monkeypatch.setattr(loop, "moves", lambda *args: (steps.append(1), original(*args))[1])
    train([store], out, PROFILE)
    assert len(steps) == 3


def test_resuming_in_another_precision_is_refused(store, tmp_path, interrupted):
    out = tmp_path / "run"
    with interrupted("fer3d.training.loop.moves", 8):
        train([store], out, PROFILE)
    info = files.read_json(out / "model.json")
    files.write_json(out / "model.json", info | {"made_with": info["made_with"] | {"precision": "fp16"}})
    with pytest.raises(InputError, match="begun in fp16 on cpu"):
        train([store], out, PROFILE)
    assert (out / "checkpoint.safetensors").exists()


def test_a_slow_disk_is_written_to_rarely(store, straight, tmp_path, monkeypatch):
    original, epochs = weights.write, []

    def slow(path, tensors, run_id, state):
        if path.name == "checkpoint.safetensors":
            epochs.append(len(state))
            time.sleep(1)
        original(path, tensors, run_id, state)

    monkeypatch.setattr(weights, "write", slow)
    monkeypatch.setattr(checkpoint, "PAUSE", 60)
    train([store], tmp_path / "run", PROFILE)
    assert epochs == [1, PROFILE.training.epochs] and PROFILE.training.epochs > 2
    assert results(tmp_path / "run") == results(straight)


def test_stores_cut_in_different_ways_are_refused(store, tmp_path):
    other = dataclasses.replace(
        store, metadata={**store.metadata, "settings": {**store.metadata["settings"], "margin": 0.3}}
    )
    with pytest.raises(InputError, match=r"margin = 0\.3"):
        train([store], tmp_path, PROFILE, test=other)


def test_one_training_at_a_time_in_a_folder(store, straight):
    second = threading.Thread(target=train, args=([store], straight, PROFILE), daemon=True)
    with files.lock(straight):
        second.start()
        second.join(0.5)
        assert second.is_alive()
    second.join(30)
    assert not second.is_alive()


@pytest.mark.parametrize("damage", [lambda d: d[: len(d) // 2], lambda d: d[:4], lambda d: b"", lambda d: b"PK" * 99])
def test_damaged_checkpoint_is_one_line(store, tmp_path, interrupted, damage):
    out = tmp_path / "run"
    with interrupted("fer3d.training.loop.moves", 5):
        train([store], out, PROFILE)
    file = out / "checkpoint.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=r"checkpoint\.safetensors") as error:
        train([store], out, PROFILE)
    assert "\n" not in str(error.value)


def test_checkpoint_of_another_run_is_refused(store, straight, tmp_path, interrupted):
    for name, profile, message in (
        ("other", with_training(seed=1), "another run"),
        ("own", PROFILE, "does not fit this network"),
    ):
        with interrupted("fer3d.training.loop.moves", 1):
            train([store], tmp_path / name, profile)
        # That of ``own`` is of the same run, but no checkpoint.
        (tmp_path / name / "checkpoint.safetensors").write_bytes((straight / "model.safetensors").read_bytes())
        with pytest.raises(InputError, match=message):
            train([store], tmp_path / name, profile)


def test_a_run_that_lost_its_weights_is_trained_again(store, straight, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(straight, out)
    (out / "model.safetensors").unlink()
    train([store], out, PROFILE)
    assert results(out) == results(straight)


def test_cross_database(tmp_path):
    profile = with_training(epochs=2)
    test = moving_dots("ckplus", subjects=5)
    figures = train([moving_dots("mmi"), moving_dots("fera")], tmp_path / "run", profile, test=test)
    missing = int((test.manifest["label"] == "contempt").sum())
    assert figures["left_out"] == {"contempt": missing}
    assert figures["n"] == len(test) - missing
    assert figures["train_clips"] == 72
    assert figures["labels"] == [*labels.CLASSES["mmi"], "relief"]
    predictions = metrics.read_predictions(tmp_path / "run")
    assert set(predictions["database"]) == {"ckplus"}
    other = moving_dots("ckplus", subjects=5, seed=1)
    with pytest.raises(InputError, match="ckplus-1-32"):
        train([moving_dots("mmi"), moving_dots("fera")], tmp_path / "run", profile, test=other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, o: train([s], o, dataclasses.replace(PROFILE, clips=ClipSettings(size=64))), "32 pixels"),
        (lambda s, o: train([s], o, PROFILE, test=moving_dots("ckplus", size=48)), "48 pixels, those of profile"),
        (lambda s, o: train([s, s], o, PROFILE), "--test"),
        (lambda s, o: train([], o, PROFILE), "--test"),
        (lambda s, o: train([s], o, PROFILE, fold=3), "fold 3"),
        (lambda s, o: train([s], o, PROFILE, test=s), "other databases"),
        (lambda s, o: train([s, s], o, PROFILE, test=moving_dots("ckplus")), "given twice"),
        (lambda s, o: train([moving_dots(subjects=1)], o, PROFILE), "all clips are of one subject"),
        (lambda s, o: train([s], o, dataclasses.replace(PROFILE, published_folds=True)), "no published folds"),
        (lambda s, o: train([moving_dots(names=("relief", "fear"))], o, PROFILE), "relief"),
        (lambda s, o: train([s], o, with_training(epochs=0)), "epochs = 0"),
        (lambda s, o: train([s], o, with_training(warmup_epochs=4.0)), "warmup_epochs"),
        (lambda s, o: train([s], o, with_training(lr=1e30)), "a smaller lr"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_no_result(store, tmp_path, call, message):
    with pytest.raises(InputError, match=message) as error:
        call(store, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("own_folds", [True, False])
def test_of_two_people_only_one_has_clips(tmp_path, fold, own_folds):
    """Whichever fold is asked for, the line says why, and does not send to another fold."""
    rejected = pd.DataFrame({"what": ["clip", "frame"], "reason": ["no face found (a face on 0 of 10 frames)", "x"]})
    alone = dataclasses.replace(moving_dots("table", subjects=1, names=("fear", "anger")), rejected=rejected)
    if own_folds:
        alone.manifest["fold"] = 3
    told = r"one subject, table/S000: folds need two or more; left out: no face found .* \(1 of 1\); try rejected\.csv,"
    with pytest.raises(InputError, match=told):
        train([alone], tmp_path, PROFILE, fold=fold)


def test_a_fold_that_does_not_exist_is_not_offered_in_its_place(store):
    with pytest.raises(InputError, match="of one subject"):
        splits.fold_split(store.manifest.iloc[:4], 1, 1)


def test_one_class_is_too_few(tmp_path):
    with pytest.raises(
        InputError, match="all clips are of the class fear: training needs clips of two classes or more"
    ):
        train([moving_dots("table", names=("fear",))], tmp_path, PROFILE)


def test_the_log_grows_with_the_checkpoint(store, straight, tmp_path, interrupted):
    out = tmp_path / "run"
    with interrupted("fer3d.training.loop.moves", 8):  # three steps per epoch: in the third
        train([store], out, PROFILE)
    assert pd.read_csv(out / "log.csv")["epoch"].tolist() == [1, 2]
    (out / "log.csv").write_text("nobody reads it")
    train([store], out, PROFILE)
    assert results(out) == results(straight)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"n": 3}'])
def test_damaged_metrics_are_made_again(store, straight, tmp_path, content):
    out = shutil.copytree(straight, tmp_path / "run")
    (out / "metrics.json").write_text(content)
    train([store], out, PROFILE)
    assert results(out) == results(straight)


def test_weights_that_have_learned_the_test_clips_are_no_start(store, straight, tmp_path):
    profile = with_training(epochs=1)
    for test, fold in ((None, 1), (store, 0)):
        learned = [store] if test is None else [moving_dots("ckplus")]
        with pytest.raises(InputError, match="has learned clips that are tested here; try a run with the same fold"):
            train(learned, tmp_path / "run", profile, fold=fold, test=test, pretrained=straight)
    assert not (tmp_path / "run").exists()
    train([store], tmp_path / "run", profile, fold=0, pretrained=straight)


def test_what_a_run_learned_before_is_known_to_those_that_start_from_it(store, straight, tmp_path):
    brief, other = with_training(epochs=1), written(moving_dots("mmi"), tmp_path / "mmi")
    train([other], tmp_path / "between", brief, pretrained=straight)
    with pytest.raises(InputError, match="between has learned clips that are tested here"):
        train([store], tmp_path / "run", brief, fold=1, pretrained=tmp_path / "between")
    train([store], tmp_path / "run", brief, fold=0, pretrained=tmp_path / "between")
    for run, learned in ((tmp_path / "between", True), (straight, True), (tmp_path / "run", True)):
        assert evaluate_store(run, store)["trained_on"] is learned
    assert evaluate_store(straight, other)["trained_on"] is False


def test_weights_that_were_trained_anew_make_another_run(store, straight, tmp_path):
    brief, start = with_training(epochs=1), shutil.copytree(straight, tmp_path / "start")
    train([store], tmp_path / "run", brief, pretrained=start)
    stored, described = weights.read(start / "model.safetensors", files.fingerprint(read_config(start)))
    stored["head.linear.bias"] += 1
    weights.write(start / "model.safetensors", stored, files.fingerprint(read_config(start)), described)
    with pytest.raises(InputError, match=r"holds another run \(data\.pretrained\.weights"):
        train([store], tmp_path / "run", brief, pretrained=start)


def test_a_training_that_begins_anew_leaves_no_earlier_predictions(store, straight, tmp_path, interrupted):
    out = shutil.copytree(straight, tmp_path / "run")
    for name in ("metrics.json", "model.safetensors"):
        (out / name).unlink()
    with interrupted("fer3d.training.loop.Checkpoint", 1):
        train([store], out, PROFILE)
    assert not (out / "predictions.csv").exists()


def test_the_test_takes_no_more_clips_at_a_time_than_a_step(store, tmp_path, monkeypatch):
    sizes, batch = [], Clips.batch
    monkeypatch.setattr(
        Clips, "batch", lambda clips, rows, device: sizes.append(len(rows)) or batch(clips, rows, device)
    )
    train([store], tmp_path / "run", with_training(epochs=1, accumulate=4))
    assert max(sizes) <= 2


def test_nobody_tested_is_trained_on(store, straight):
    learned, tested = splits.fold_split(store.manifest, 0, 3)
    assert json.loads((straight / "metrics.json").read_text())["train_clips"] == len(learned)
    assert list(metrics.read_predictions(straight)["clip"]) == list(store.manifest["clip"].iloc[tested])


def test_the_seed_decides_where_the_weights_start(store, tmp_path, monkeypatch, interrupted):
    starts = []
    monkeypatch.setattr(loop, "optimiser", lambda network, _: starts.append(network.stem[0][0].weight.clone()))
    for seed in (0, 1):
        with interrupted("fer3d.training.loop.Checkpoint", 1):
            train([store], tmp_path / str(seed), with_training(seed=seed))
    assert not torch.equal(*starts)


def test_every_step_is_made_at_its_own_rate(store, tmp_path, monkeypatch):
    rates, original = [], loop.train_one_step

    def step(trainer, *rest):
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        return original(trainer, *rest)

    monkeypatch.setattr(loop, "train_one_step", step)
    profile = with_training(epochs=2)
    train([store], tmp_path / "run", profile)
    assert rates == [learning_rate(number, 6, 3, profile.training) for number in range(6)]


def test_clips_are_normalised_as_the_settings_say_in_training_and_in_the_test(store, tmp_path, monkeypatch):
    norms = []
    for module in (loop, inference):

        def normalise(frames, norm, module=module):
            norms.append((module, norm))
            return normalise_clips(frames, norm)

        monkeypatch.setattr(module, "normalise_clips", normalise)
    train([store], tmp_path / "run", with_training(epochs=1, clip_norm="none"))
    assert set(norms) == {(loop, "none"), (inference, "none")}


def test_class_without_a_training_clip_is_named(store, tmp_path):
    some = dataclasses.replace(store, manifest=store.manifest.replace({"label": {"fear": "anger"}}))
    figures = train([some], tmp_path / "run", with_training(epochs=2))
    assert figures["never_seen"] == ["fear"]
    assert "fear" in figures["labels"]


def test_learns_what_moves(tmp_path):
    store = moving_dots(subjects=40, names=("anger", "fear", "sadness"))
    figures = train([store], tmp_path / "run", with_training(epochs=8, mirror=False, rotation=0.0))
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
    train([store], tmp_path / "run", with_training(compile=True))
    assert "grid_sample" in str(graphs[0].graph), "normalisation and augmentation are compiled, too"
    assert results(tmp_path / "run")[1:] == results(straight)[1:]


def test_compile_without_a_compiler_is_one_line(store, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="installing g"):
        train([store], tmp_path / "run", with_training(compile=True))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError("std::bad_alloc"),
    ],
)
@pytest.mark.parametrize("where", ["fer3d.training.loop.moves", "fer3d.training.train.predict"])
def test_too_little_memory_is_one_line_with_options_that_exist(store, tmp_path, monkeypatch, error, where):
    def fail(*args):
        raise error

    monkeypatch.setattr(where, fail)
    with pytest.raises(
        InputError, match=r"8 clips at a time; try --set training\.accumulate=2, or a smaller batch size"
    ):
        train([store], tmp_path / "run", with_training(epochs=1))


def test_other_failures_are_not_taken_for_too_little_memory(store, tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("fer3d.training.loop.moves", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train([store], tmp_path / "run", PROFILE)


def test_the_callers_random_numbers_are_left_alone(store, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train([store], tmp_path / "run", with_training(epochs=2))
    assert torch.equal(torch.rand(1), expected)


def test_a_full_disk_is_one_line_and_leaves_no_half_weights(store, tmp_path, monkeypatch):
    def full(path, contents):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="full disk"):
        train([store], tmp_path / "run", PROFILE)
    assert {file.name for file in (tmp_path / "run").iterdir()} == {"model.json"}
