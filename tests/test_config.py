"""Settings are strict: an unknown name, a value of another type or a value out of bounds never passes."""

import ast
import dataclasses
import inspect
import json
import operator
import re

import pytest

from fer3d import config, labels
from fer3d.config import (
    ClipSettings,
    FinetuningSettings,
    NetworkSettings,
    PretrainingSettings,
    Profile,
    StandinSettings,
    TrainingSettings,
)
from fer3d.errors import InputError

LAPTOP = config.profile("laptop")


def test_names_and_values_become_settings() -> None:
    settings = TrainingSettings.from_params({"epochs": 3, "lr": 1, "mirror": False})
    assert (settings.epochs, settings.lr, settings.mirror) == (3, 1.0, False)
    assert type(settings.lr) is float
    assert NetworkSettings.from_params({"stem_strides": [2, 1, 2]}).stem_strides == (2, 1, 2)


def test_what_is_not_named_comes_from_the_base() -> None:
    base = TrainingSettings(epochs=7)
    assert TrainingSettings.from_params({"seed": 1}, base) == dataclasses.replace(base, seed=1)
    with pytest.raises(InputError, match="no setting 'epoch' here; try epochs"):
        TrainingSettings.from_params({"epoch": 5}, base)


def test_settings_survive_json() -> None:
    for name in config.PROFILES:
        stored = json.loads(json.dumps(config.profile(name).as_dict()))
        assert Profile.from_params(stored) == config.profile(name)


@pytest.mark.parametrize("params", [None, 3, "size", [1], ["size"]])
def test_settings_are_made_of_names_and_values_only(params: object) -> None:
    with pytest.raises(InputError, match=re.escape(f"ClipSettings = {params!r} should be names and values")):
        ClipSettings.from_params(params)
    with pytest.raises(InputError, match=r"ClipSettings = .* should be "):
        Profile.from_params({"name": "own", "clips": params})


def test_a_setting_without_a_value_is_named() -> None:
    with pytest.raises(InputError, match="Profile without name"):
        Profile.from_params({})


OUT_OF_BOUNDS = """
    clips.size=0 clips.num_frames=0 clips.min_face=0 clips.min_found=0 clips.min_found=11 clips.au_threshold=0
    clips.margin=-0.1 clips.margin=NaN
    network.width=0 network.width=Infinity network.stem_strides=[2,0,2] network.window=0 network.window=4
    network.slope=-0.1 network.lstm_units=0 network.dropout=-0.1 network.dropout=1.0 network.appearance_weight=-0.1
    training.epochs=0 training.batch_size=0 training.lr=0 training.momentum=0 training.momentum=1.0
    training.weight_decay=-1 training.warmup_epochs=-1 training.warmup_epochs=41 training.rotation=-1
    training.scale=-1 training.scale=1.0 training.shift=-1 training.seed=-1 training.async_workers=-1
    pretraining.people=1 pretraining.recordings=0 pretraining.epochs=0 pretraining.batch_size=0 pretraining.lr=0
    standins.ckplus=0 standins.mmi=0 standins.fera=0 standins.fera=11 standins.disfa=0 standins.disfa=28
    standins.recordings=0 folds=1
"""


@pytest.mark.parametrize("assignment", OUT_OF_BOUNDS.split())
def test_a_setting_out_of_bounds_is_one_line_that_names_it(assignment: str) -> None:
    name = assignment.partition("=")[0].rpartition(".")[2]
    with pytest.raises(InputError, match=f"{name}.* should ") as error:
        LAPTOP.changed([assignment], LAPTOP.names())
    assert "\n" not in str(error.value)


def test_every_setting_can_be_set_by_its_dotted_name() -> None:
    names = LAPTOP.names()
    assert {"name", "folds", "published_folds", "training.lr", "network.window", "clips.margin", "standins.mmi"} <= set(
        names
    )
    kinds = (ClipSettings, NetworkSettings, TrainingSettings, PretrainingSettings, FinetuningSettings, StandinSettings)
    assert len(names) == 3 + sum(len(dataclasses.fields(kind)) for kind in kinds)
    defaults = [f"{name}={json.dumps(operator.attrgetter(name)(LAPTOP))}" for name in names]
    assert LAPTOP.changed(defaults, names) == LAPTOP


def test_assignments_change_only_what_they_name() -> None:
    given = ["training.lr=1", "training.schedule=constant", "network.stem_strides=[1, 1, 2]", "folds=3"]
    changed = LAPTOP.changed(given, LAPTOP.names())
    assert changed == dataclasses.replace(
        LAPTOP,
        training=dataclasses.replace(LAPTOP.training, lr=1.0, schedule="constant"),
        network=dataclasses.replace(LAPTOP.network, stem_strides=(1, 1, 2)),
        folds=3,
    )
    assert LAPTOP.changed(["training.lr=1", "training.lr=2"], LAPTOP.names()).training.lr == 2, "the last one counts"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.lr", "'training.lr' is not of the form NAME=VALUE"),
        ("lr=0.1", "no setting 'lr' here; try training.lr"),
        ("training.learning_rate=0.1", "no setting 'training.learning_rate' here; try training"),
        ("clips.size=96", "no setting 'clips.size' here"),
        ("training.lr=fast", "lr = 'fast' should be a valid number"),
        ('training.epochs="5"', "epochs = '5' should be a valid integer"),
        ("training.epochs=true", "integer"),
        ("training.mirror=1", "boolean"),
        ("network.stem_strides=[2, 2]", "should have at least 3 items"),
        ('network.stem_strides=["2", 2, 2]', "stem_strides.0 = '2' should be a valid integer"),
        ("training.schedule=linear", "schedule = 'linear' should be 'cosine' or 'constant'"),
        ('training.lr={"a": 1}', "lr = {'a': 1} should be a valid number"),
    ],
)
def test_a_wrong_assignment_is_one_line_with_what_is_near(text: str, message: str) -> None:
    names = [name for name in LAPTOP.names() if name.startswith(("training.", "network."))]
    with pytest.raises(InputError, match=re.escape(message)) as error:
        LAPTOP.changed([text], names)
    assert "\n" not in str(error.value)


def test_an_unknown_profile_lists_the_known() -> None:
    with pytest.raises(InputError, match="tiny, laptop, tables, paper"):
        config.profile("big")


def test_recipes() -> None:
    laptop = config.profile("laptop")
    paper = config.in_recipe(laptop, "paper")
    stated = {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": False, "schedule": "constant"}
    without = {"warmup_epochs": 0, "clip_norm": "none", "mirror": False, "rotation": 0, "scale": 0, "shift": 0}
    assert paper.training == dataclasses.replace(laptop.training, **stated, **without)
    assert paper.network == dataclasses.replace(laptop.network, norm="none")
    assert config.in_recipe(laptop, "default") == laptop
    joint = config.in_recipe(laptop, "joint")
    assert joint.network == dataclasses.replace(laptop.network, landmark_stream=True)
    assert joint.training == dataclasses.replace(laptop.training, weight_decay=5e-3)
    with pytest.raises(InputError, match="default, paper"):
        config.in_recipe(laptop, "papers")


def test_profiles_differ_only_in_size_width_and_effort() -> None:
    may_differ = {
        "clips": {"size"},
        "network": {"width", "stem_strides", "window"},
        "training": {"epochs", "batch_size", "lr"},
        "standins": {*labels.TITLES, "recordings"},
    }
    reference = config.profile("paper")
    for name in config.PROFILES:
        for part, allowed in may_differ.items():
            ours, theirs = (dataclasses.asdict(getattr(config.profile(n), part)) for n in (name, "paper"))
            assert {key for key in ours if ours[key] != theirs[key]} <= allowed, (name, part)
        assert config.profile(name).folds == reference.folds


def test_every_setting_says_what_it_is_for() -> None:
    tree = ast.parse(inspect.getsource(config))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            for field, doc in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    assert isinstance(doc, ast.Expr), f"{node.name}.{ast.unparse(field.target)} has no line"


@pytest.mark.parametrize(("name", "value"), [("size", 60000), ("num_frames", 10**9), ("margin", 1e12)])
def test_a_setting_that_no_machine_could_follow_is_one_line(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} = "):
        config.ClipSettings.from_params({name: value})
