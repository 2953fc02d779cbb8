"""Settings are strict: an unknown name, a value of another type or a value out of bounds never passes."""

import dataclasses
import json
import math
import operator
import re
from typing import Any

import pytest

from fer3d import config, labels
from fer3d.config import (
    ClipSettings,
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


def test_settings_survive_json() -> None:
    for name in config.PROFILES:
        stored = json.loads(json.dumps(config.profile(name).as_dict()))
        assert Profile.from_params(stored) == config.profile(name)


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        (TrainingSettings, {"epoch": 5}, "no setting 'epoch' here; try epochs"),
        (TrainingSettings, {"epochs": "5"}, "epochs = '5' should be a valid integer"),
        (TrainingSettings, {"epochs": 5.0}, "integer"),
        (TrainingSettings, {"epochs": True}, "integer"),
        (TrainingSettings, {"mirror": 1}, "boolean"),
        (TrainingSettings, {"lr": None}, "number"),
        (TrainingSettings, {"lr": True}, "number"),
        (TrainingSettings, {"precision": "fp64"}, "should be 'auto', 'fp32' or 'bf16'"),
        (NetworkSettings, {"variant": "4d"}, "variant = '4d' should be '2d', '3d' or '3d[+]landmarks'"),
        (NetworkSettings, {"stem_strides": [2, 2]}, "should have at least 3 items"),
        (NetworkSettings, {"stem_strides": [2, 2, 2, 2]}, "should have at most 3 items"),
        (NetworkSettings, {"stem_strides": ["2", 2, 2]}, "stem_strides.0 = '2' should be a valid integer"),
        (Profile, {"name": "x", "clips": {"sise": 64}}, "'sise' here; try size"),
        (Profile, {"name": "x", "clips": 64}, "ClipSettings"),
        (Profile, {}, "Profile without name"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(kind: type[config.Settings], params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        kind.from_params(params)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        *((ClipSettings(), {name: 0}) for name in ("size", "num_frames", "min_face", "min_found", "au_threshold")),
        (ClipSettings(), {"margin": -0.1}),
        (ClipSettings(), {"margin": math.nan}),
        (ClipSettings(), {"min_found": 11}),
        (ClipSettings(), {"num_frames": 7}),
        *((NetworkSettings(), {name: 0}) for name in ("width", "window", "lstm_units")),
        *((NetworkSettings(), {name: -0.1}) for name in ("slope", "dropout", "appearance_weight")),
        *((NetworkSettings(), {name: math.nan}) for name in ("width", "slope", "appearance_weight")),
        (NetworkSettings(), {"width": math.inf}),
        (NetworkSettings(), {"stem_strides": (2, 0, 2)}),
        (NetworkSettings(), {"window": 4}),
        (NetworkSettings(), {"dropout": 1.0}),
        *((TrainingSettings(), {name: 0}) for name in ("epochs", "batch_size", "lr", "momentum")),
        *((TrainingSettings(), {name: -1}) for name in ("weight_decay", "warmup_epochs", "rotation", "scale", "shift")),
        *((TrainingSettings(), {name: -1}) for name in ("seed", "async_workers")),
        *((TrainingSettings(), {name: 1.0}) for name in ("momentum", "scale")),
        (TrainingSettings(), {"warmup_epochs": 41}),
        (TrainingSettings(warmup_epochs=3), {"epochs": 2}),
        (PretrainingSettings(), {"people": 1}),
        *((PretrainingSettings(), {name: 0}) for name in ("recordings", "epochs", "batch_size", "lr")),
        *((StandinSettings(), {name: 0}) for name in ("ckplus", "mmi", "fera", "disfa", "recordings")),
        (StandinSettings(), {"fera": 11}),
        (StandinSettings(), {"disfa": 28}),
        (config.profile("tiny"), {"folds": 1}),
    ],
    ids=str,
)
def test_a_setting_out_of_bounds_is_one_line_that_names_it(settings: config.Settings, changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(InputError, match=name) as error:
        dataclasses.replace(settings, **changes)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=name):
        type(settings).from_params(changes, settings)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_every_setting_can_be_set_by_its_dotted_name() -> None:
    names = LAPTOP.names()
    assert {"name", "folds", "training.lr", "network.window", "clips.margin", "standins.mmi"} <= set(names)
    kinds = (ClipSettings, NetworkSettings, TrainingSettings, PretrainingSettings, StandinSettings)
    assert len(names) == 2 + sum(len(dataclasses.fields(kind)) for kind in kinds)
    defaults = [f"{name}={as_text(operator.attrgetter(name)(LAPTOP))}" for name in names]
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
        ("trainings.lr=0.1", "try training.lr"),
        ("training.learning_rate=0.1", "no setting 'training.learning_rate' here; try training"),
        ("network.windows=5", "try network.window"),
        ("clips.size=96", "no setting 'clips.size' here"),
        ("training=5", "no setting 'training' here"),
        ("training.lr=fast", "lr = 'fast' should be a valid number"),
        ("training.lr=NaN", "lr = nan should be a finite number"),
        ("training.lr=", "lr = '' should be a valid number"),
        ("training.epochs=2.5", "epochs = 2.5 should be a valid integer"),
        ("training.schedule=linear", "schedule = 'linear' should be 'cosine' or 'constant'"),
        ('training.lr={"a": 1}', "lr = {'a': 1} should be a valid number"),
        ("network.window=4", "window = 4 should be an odd number"),
    ],
)
def test_a_wrong_assignment_is_one_line_with_what_is_near(text: str, message: str) -> None:
    names = [name for name in LAPTOP.names() if name.startswith(("training.", "network."))]
    with pytest.raises(InputError, match=re.escape(message)) as error:
        LAPTOP.changed([text], names)
    assert "\n" not in str(error.value)


def test_an_unknown_profile_lists_the_known() -> None:
    with pytest.raises(InputError, match="tiny, laptop, paper"):
        config.profile("big")


def test_recipes() -> None:
    laptop = config.profile("laptop")
    paper = config.in_recipe(laptop, "paper")
    stated = ("lr", "momentum", "weight_decay", "nesterov", "schedule", "warmup_epochs", "clip_norm", "mirror")
    assert [getattr(paper.training, name) for name in stated] == [0.01, 0.9, 1e-4, False, "constant", 0, "none", False]
    assert (paper.training.rotation, paper.training.scale, paper.training.shift) == (0, 0, 0)
    assert paper.network == dataclasses.replace(laptop.network, norm="none")
    assert (paper.training.epochs, paper.training.batch_size) == (laptop.training.epochs, laptop.training.batch_size)
    assert config.in_recipe(laptop, "default") == laptop
    joint = config.in_recipe(laptop, "joint")
    assert joint.network == dataclasses.replace(laptop.network, landmark_stream=True)
    assert joint.training == dataclasses.replace(laptop.training, weight_decay=5e-3)
    with pytest.raises(InputError, match="default, paper"):
        config.in_recipe(laptop, "papers")


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ClipSettings().size = 1  # type: ignore[misc]


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
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(config))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            for field, doc in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    assert isinstance(doc, ast.Expr), f"{node.name}.{ast.unparse(field.target)} has no line"
