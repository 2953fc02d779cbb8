"""Pre-training: nobody is in two places, kill -9 changes nothing, weights are refused where they don't fit."""

import dataclasses
import itertools
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from dots import PROFILE, moving_dots, with_network

from fer3d import labels
from fer3d.config import PretrainingSettings
from fer3d.data.store import open_store
from fer3d.errors import InputError
from fer3d.model.network import Network
from fer3d.standins import rendered_store
from fer3d.standins.people.person import make_person
from fer3d.training.pretraining import pretrain
from fer3d.training.run import load_model, start_from
from fer3d.training.train import train

CROWD = PretrainingSettings(people=3, recordings=7, epochs=1)
JOINT = with_network(landmark_stream=True)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A finished pre-training, its people rendered by one process."""
    out = tmp_path_factory.mktemp("pretraining") / "run"
    pretrain(out, dataclasses.replace(JOINT, pretraining=CROWD), workers=1)
    return out


def contents(store: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(store.rglob("*")) if file.is_file()}


def test_nobody_is_in_two_places():
    crowds = [
        [rendered_store.person(dataclasses.replace(CROWD, seed=seed), number).seed for number in range(20)]
        for seed in (0, 1)
    ]
    standins = [
        [make_person(database, seed, number).seed for number in range(20)]
        for database, seed in itertools.product(labels.TITLES, (0, 1))
    ]
    assert len(set(sum(crowds + standins, []))) == 20 * (len(crowds) + len(standins))  # noqa: RUF017


def test_the_store_holds_faces_that_move_and_the_points_lie_on_them(pretrained):
    store = open_store(pretrained / rendered_store.DATABASE)
    assert store.manifest["subject"].nunique() == 3 and store.manifest["sequence"].nunique() > 15
    assert "neutral" in set(store.manifest["label"]) and store.manifest["label"].nunique() > 4
    assert store.manifest["clip"].is_unique
    inside = (store.landmarks > 0) & (store.landmarks < 31)  # the margin is empty, but for what a camera distorts
    assert inside.mean() > 0.99
    assert (store.landmarks.max(axis=2) - store.landmarks.min(axis=2)).max() > 15
    assert (np.abs(np.diff(store.frames.astype(int), axis=1)).mean(axis=(1, 2, 3, 4)) > 0.2).all()


def test_a_seed_and_a_number_are_one_person():
    one = dataclasses.replace(CROWD, recordings=1)
    same, again, other, else_ = (
        rendered_store.record_person(settings, PROFILE.clips, number)[1]["frames"]
        for settings, number in ((one, 0), (one, 0), (one, 1), (dataclasses.replace(one, seed=1), 0))
    )
    assert np.array_equal(same, again)
    assert not np.array_equal(same, other) and not np.array_equal(same, else_)


KILLED = """
from pathlib import Path
from fer3d.standins import rendered_store
from fer3d.config import ClipSettings, PretrainingSettings
settings = PretrainingSettings(people=3, recordings=7, epochs=1)
rendered_store.write(Path({out!r}), settings, ClipSettings(size=32, num_frames=4, min_found=4), workers=2)
"""


def test_a_killed_rendering_resumes_and_ends_the_same(pretrained, tmp_path):
    out, parts = tmp_path / "people", tmp_path / ".people.partial"
    running = subprocess.Popen([sys.executable, "-c", KILLED.format(out=str(out))])
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(parts.glob("[!.]*")):
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not out.exists() and 1 <= len(list(parts.glob("[!.]*"))) < CROWD.people
    rendered_store.write(out, CROWD, PROFILE.clips, workers=1)
    assert contents(out) == contents(pretrained / rendered_store.DATABASE)
    assert not parts.exists()


def test_weights_start_a_training_of_other_classes(pretrained, tmp_path):
    store = moving_dots("mmi")
    learned = load_model(pretrained).network
    for database in ("mmi", "disfa", "fera"):  # fewer classes, and one that nobody has shown
        network = Network(JOINT.network, labels.CLASSES[database], 32)
        last = [stream.linear.weight.clone() for stream in (network.head, network.landmark_stream)]
        norms = [net.block_b.residual.project[1] for net in (network, learned)]
        start_from(network, pretrained)
        assert torch.equal(network.stem[0][0].weight, learned.stem[0][0].weight)
        assert torch.equal(*(norm.running_var for norm in norms))
        assert torch.equal(network.landmark_stream.lstm.weight_hh_l0, learned.landmark_stream.lstm.weight_hh_l0)
        known = (learned.head, learned.landmark_stream)
        for stream, weight, given in zip((network.head, network.landmark_stream), last, known, strict=True):
            for k, name in enumerate(network.classes):
                shared = name in learned.classes
                expected = given.linear.weight[learned.classes.index(name)] if shared else weight[k]
                assert torch.equal(stream.linear.weight[k], expected), "a class keeps its weights under its name"

    brief = dataclasses.replace(JOINT, training=dataclasses.replace(JOINT.training, epochs=1))
    runs = {"scratch": None, "pretrained": pretrained}
    for name, run in runs.items():
        train([store], tmp_path / name, brief, pretrained=run)
    weights = [load_model(tmp_path / name).network.stem[0][0].weight for name in runs]
    assert not torch.equal(*weights)
    for name, other in (("scratch", pretrained), ("pretrained", None), ("pretrained", tmp_path / "scratch")):
        with pytest.raises(InputError, match="pretrained"):
            train([store], tmp_path / name, brief, pretrained=other)


def test_a_refused_pre_training_leaves_the_people_of_a_run_alone(pretrained, tmp_path):
    out = shutil.copytree(pretrained, tmp_path / "pre")
    before = contents(out)
    more = dataclasses.replace(CROWD, people=CROWD.people + 1)
    with pytest.raises(InputError, match="holds another run"):
        pretrain(out, dataclasses.replace(JOINT, pretraining=more), workers=1)
    assert contents(out) == before
    train(
        [moving_dots()],
        tmp_path / "other",
        dataclasses.replace(PROFILE, training=dataclasses.replace(PROFILE.training, epochs=1)),
    )
    with pytest.raises(InputError, match="holds another run"):
        pretrain(tmp_path / "other", dataclasses.replace(JOINT, pretraining=CROWD), workers=1)
    assert not (tmp_path / "other" / rendered_store.DATABASE).exists()


def test_the_last_layer_comes_too_where_the_classes_are_the_same(pretrained):
    network = Network(JOINT.network, labels.CLASSES["people"], 32)
    start_from(network, pretrained)
    learned = load_model(pretrained).network
    assert torch.equal(network.head.linear.weight, learned.head.linear.weight)


@pytest.mark.parametrize(
    "change", [{"landmark_stream": False}, {"width": 0.25}, {"variant": "2d"}, {"lstm_units": 8}, {"norm": "none"}]
)
def test_weights_of_another_network_are_refused(pretrained, tmp_path, change):
    with pytest.raises(InputError, match="of another network"):
        train(
            [moving_dots()], tmp_path / "run", with_network(**{"landmark_stream": True} | change), pretrained=pretrained
        )
    assert not (tmp_path / "run").exists(), "nothing that another try would stumble over"


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"model\.json"):
        train([moving_dots()], tmp_path / "run", PROFILE, pretrained=tmp_path)
