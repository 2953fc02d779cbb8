"""A run's folder: whether it is finished, what is refused, and predictions of the network that it left."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dots import PROFILE, moving_dots, results, with_network, with_training
from safetensors import safe_open

from fer3d import files, labels
from fer3d.data import splits
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.model import weights
from fer3d.own_video import Weights
from fer3d.training import caveats
from fer3d.training.inference import predict
from fer3d.training.pretraining import pretrain
from fer3d.training.run import load_model, read_config, read_metrics, read_network_settings
from fer3d.training.train import train


def test_a_finished_run_is_returned_as_it_is(store, straight, monkeypatch):
    before = results(straight)
    monkeypatch.setattr("fer3d.training.train.Network", None)
    assert train([store], straight, PROFILE) == json.loads((straight / "metrics.json").read_text())
    assert results(straight) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": with_training(seed=1)}, r"training\.seed = 0, not 1"),
        ({"profile": with_network(variant="2d")}, "2d"),
        ({"profile": PROFILE, "fold": 1}, "fold = 0, not 1"),
        ({"profile": PROFILE, "stores": [moving_dots(seed=1)]}, "mmi-0-32"),
    ],
)
def test_the_folder_of_another_run_is_refused(store, straight, arguments, message):
    before = results(straight)
    with pytest.raises(InputError, match=message):
        train(**{"stores": [store], "out": straight, **arguments})
    assert results(straight) == before


def test_a_run_of_other_folds_is_refused(store, straight, monkeypatch):
    """As another release of scikit-learn draws them: the clips to be tested would have been trained on."""
    fold_of, before = splits.fold_of, results(straight)
    monkeypatch.setattr(splits, "fold_of", lambda *args, **options: (fold_of(*args, **options) + 1) % PROFILE.folds)
    with pytest.raises(InputError, match=r"data\.split\.test_clips = "):
        train([store], straight, PROFILE)
    assert results(straight) == before


@pytest.mark.parametrize("change", ["settings", "data", "version", "format"])
def test_another_run_can_be_replaced(store, straight, tmp_path, monkeypatch, interrupted, change):
    run = shutil.copytree(straight, tmp_path / "run")
    (run / "curves.png").touch()
    train([store], run, PROFILE, replace=True)
    assert (run / "curves.png").exists() and results(run) == results(straight), "the same run stays"
    if change == "version":
        monkeypatch.setattr("fer3d.training.task.__version__", "99")
    if change == "format":
        (run / "model.json").write_text("{}")
    profile = with_training(seed=1) if change == "settings" else PROFILE
    with interrupted("fer3d.training.loop.fit", 1):
        train([moving_dots(seed=change == "data")], run, profile, replace=True)
    assert [file.name for file in run.iterdir()] == ["model.json"]


def test_a_run_removed_half_way_is_still_another_run(straight, tmp_path, interrupted):
    run = shutil.copytree(straight, tmp_path / "run")
    with interrupted("pathlib.Path.unlink", 3):
        train([moving_dots(seed=1)], run, PROFILE, replace=True)
    assert (run / "model.json").exists() and not (run / "metrics.json").exists()
    with pytest.raises(InputError, match="holds another run"):
        train([moving_dots(seed=1)], run, PROFILE)


@pytest.mark.parametrize("contents", ["[]", "3", "{}"])
def test_a_folder_with_a_foreign_config_is_one_line(store, tmp_path, contents):
    (tmp_path / "model.json").write_text(contents)
    with pytest.raises(InputError, match=r"model\.json"):
        train([store], tmp_path, PROFILE)


@pytest.mark.parametrize("name", ["log.csv", "predictions.csv", "prepared.json"])
def test_a_folder_with_something_else_is_left_alone(store, tmp_path, name):
    (tmp_path / name).write_text("mine")
    (tmp_path / ".film.mkv.part").write_text("mine")
    with pytest.raises(InputError, match=rf"holds {name}: expected a new or empty folder, or a run; try another --out"):
        train([store], tmp_path, PROFILE, replace=True)
    (tmp_path / name).unlink()
    train([store], tmp_path, PROFILE)
    assert (tmp_path / ".film.mkv.part").read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", "frame1.png", "labels.csv", "people/anna.avi", "Emotion/S005/1.txt"])
def test_nothing_is_scattered_among_other_things(store, tmp_path, name):
    files.write_text(tmp_path / name, "mine")
    for begin in (lambda: train([store], tmp_path, PROFILE), lambda: pretrain(tmp_path, PROFILE, workers=1)):
        with pytest.raises(InputError, match=rf"holds {name.partition('/')[0]}: expected a new or empty folder"):
            begin()
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()] == [Path(name)]


def test_the_workflow_trains_beside_its_notebooks(store, straight, tmp_path):
    files.write_text(tmp_path / "04_training.failed.ipynb", "of an earlier try")
    train([store], tmp_path, PROFILE, replace=True)
    assert results(tmp_path) == results(straight) and (tmp_path / "04_training.failed.ipynb").exists()


def test_a_file_where_a_run_should_be_is_one_line(store, tmp_path):
    (tmp_path / "text.mp4").write_text("mine")
    with pytest.raises(InputError, match=r"text\.mp4 cannot be written: Not a directory; try another path"):
        train([store], tmp_path / "text.mp4", PROFILE)
    assert (tmp_path / "text.mp4").read_text() == "mine"


@pytest.mark.parametrize(
    "damage",
    [
        *(lambda metrics, name=name: metrics.pop(name) for name in ("n", "accuracy", "uar", "majority", "interval")),
        lambda metrics: metrics.update(accuracy="high"),
        lambda metrics: metrics.update(interval=["low", 1]),
    ],
)
def test_metrics_that_no_training_wrote_are_one_line(straight, tmp_path, damage):
    metrics = json.loads((straight / "metrics.json").read_text())
    damage(metrics)
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(InputError, match="is not the metrics of a training"):
        read_metrics(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_damaged_metrics_name_the_command_that_makes_them(tmp_path, content):
    with pytest.raises(InputError, match=r"metrics\.json does not exist: the training has not finished"):
        read_metrics(tmp_path)
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(InputError, match="try another run, or the training's command again, which makes it anew"):
        read_metrics(tmp_path)


def test_a_refused_training_leaves_its_folder_to_the_next(store, tmp_path, interrupted):
    out = tmp_path / "run"
    with pytest.raises(InputError, match="a smaller lr"):
        train([store], out, with_training(lr=1e30))
    with interrupted("fer3d.training.loop.moves", 5):
        train([store], out, PROFILE)
    assert (out / "checkpoint.safetensors").exists()
    with pytest.raises(InputError, match=r"holds another run \(profile\.training\.lr = "):
        train([store], out, with_training(lr=1e30))


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
        ("model.json", lambda d: d.replace(b'"size": 32', b'"size": 3200000')),
        ("model.safetensors", lambda d: b""),
        ("model.safetensors", lambda d: d[:-10]),
        ("model.safetensors", lambda d: b"PK" * 99),
    ],
)
def test_a_damaged_model_is_one_line(straight, tmp_path, name, damage):
    for file in ("model.json", "model.safetensors"):
        (tmp_path / file).write_bytes((straight / file).read_bytes())
    spoilt = damage((tmp_path / name).read_bytes())
    assert spoilt != (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(spoilt)
    with pytest.raises(InputError) as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((place, None) for place in ("fer3d", "labels", "profile", "data", "network", "training", "clips", "train")),
        *(("labels", value) for value in ("fear", 3, {"fear": 1}, [["fear"], ["anger"]], ["fear", None])),
        *((place, [1]) for place in ("profile", "network", "training", "clips", "data", "titles", "split")),
        *(("train", value) for value in (3, "mmi", {"mmi": 1}, [3], [{}], [{"database": ["mmi"], "fingerprint": "x"}])),
        *(("titles", value) for value in ("MMI", 3, {"mmi": ["MMI"]})),
    ],
)
def test_a_config_of_another_shape_is_one_line(straight, tmp_path, place, value):
    run = shutil.copytree(straight, tmp_path / "run")
    info = files.read_json(run / "model.json")
    holder = {"network": "profile", "training": "profile", "clips": "profile", "train": "data", "split": "data"}
    (info[holder[place]] if place in holder else info)[place] = value
    files.write_json(run / "model.json", info)
    stored, _ = weights.read(run / "model.safetensors", files.fingerprint(read_config(straight)))
    same = {name: info[name] for name in ("fer3d", "profile", "labels", "data")}
    weights.write(run / "model.safetensors", stored, files.fingerprint(same))
    for read in (load_model, Weights.load, train_from, read_network_settings, read_config):
        with pytest.raises(InputError, match="another version of fer3d: expected a run") as error:
            read(run)
        assert "\n" not in str(error.value)


def train_from(run):
    """A training that starts from the run's weights."""
    train([moving_dots()], run.with_name("next"), PROFILE, pretrained=run)


def test_no_run_to_load(tmp_path):
    with pytest.raises(InputError, match=r"model\.json"):
        load_model(tmp_path)


def test_weights_say_what_they_are(straight):
    with safe_open(straight / "model.safetensors", "pt") as opened:
        metadata = json.loads(opened.metadata()["fer3d"])
    config = metadata["state"]
    assert metadata["run_id"] == files.fingerprint(config)
    assert config["labels"] == list(labels.CLASSES["mmi"])
    assert config["profile"]["network"] == PROFILE.network.as_dict() | {"stem_strides": [2, 2, 1]}
    assert config["profile"]["training"] == PROFILE.training.as_dict()
    assert config["data"]["train"][0]["fingerprint"] == "mmi-0-32"


def test_a_loaded_model_predicts_the_same(store, straight):
    model = load_model(straight)
    _, tested = splits.fold_split(store.manifest, 0, 3)
    assert model.network.classes == labels.CLASSES["mmi"] and not model.network.training
    again = predict(model, store, tested)
    pd.testing.assert_frame_equal(again, metrics.read_predictions(straight), check_dtype=False, rtol=1e-6)


def test_a_model_predicts_on_another_device_than_it_was_trained_on(store, straight, tmp_path):
    run = shutil.copytree(straight, tmp_path / "run")
    stored, _ = weights.read(run / "model.safetensors", files.fingerprint(read_config(run)))
    info = files.read_json(run / "model.json")
    info["profile"]["training"]["device"] = "cuda"
    files.write_json(run / "model.json", info)
    weights.write(run / "model.safetensors", stored, files.fingerprint(read_config(run)))
    assert len(predict(load_model(run), store, np.arange(3))) == 3


def test_a_model_refuses_what_does_not_fit(straight):
    model = load_model(straight)
    with pytest.raises(InputError, match="prepared with size = 48, the network's own clips with 32"):
        predict(model, moving_dots(size=48), np.arange(3))
    with pytest.raises(InputError, match="contempt"):
        predict(model, moving_dots("ckplus"), np.arange(36))
    wide = moving_dots()
    wide.metadata["settings"]["margin"] = 1.0
    with pytest.raises(InputError, match=r"margin = 1\.0, the network's own clips with 0\.15; try .*margin=0\.15"):
        predict(model, wide, np.arange(3))


def test_weights_that_may_not_be_read_are_not_to_be_removed(straight, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(weights, "safe_open", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied; try giving yourself access"):
        load_model(straight)


def test_runs_of_several_kinds_are_said_to_be(straight, tmp_path):
    other = shutil.copytree(straight, tmp_path / "other")
    info = files.read_json(other / "model.json")
    info["profile"]["network"]["variant"], info["profile"]["training"]["seed"] = "2d", 7
    info["data"]["split"]["folds"] = 5
    files.write_json(other / "model.json", info)
    assert caveats.of_runs([straight, straight])["differ"] == []
    found = caveats.of_runs([straight, other, tmp_path / "only predictions"])
    assert "they differ in: folds, network.variant" in caveats.lines(found)[0]
    for damaged in ({**info, "data": None}, {**info, "profile": ["x"]}, {"profile": info["profile"]}, []):
        files.write_json(other / "model.json", damaged)
        assert caveats.of_runs([straight, other])["differ"] == []
