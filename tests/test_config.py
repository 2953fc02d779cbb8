"""Settings are strict: an unknown name or an ill-typed value never passes."""

import dataclasses
from typing import Any

import pytest

from fer3d import config, labels
from fer3d.config import ClipSettings, NetworkSettings, Profile, TrainingSettings
from fer3d.errors import InputError


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
        assert Profile.from_params(config.profile(name).as_dict()) == config.profile(name)


@pytest.mark.parametrize(
    ("kind", "params", "told"),
    [
        (TrainingSettings, {"epoch": 5}, "epochs"),
        (TrainingSettings, {"epochs": "5"}, "int"),
        (TrainingSettings, {"epochs": 5.0}, "int"),
        (TrainingSettings, {"epochs": True}, "int"),
        (TrainingSettings, {"mirror": 1}, "bool"),
        (TrainingSettings, {"lr": None}, "float"),
        (TrainingSettings, {"precision": "fp64"}, "bf16"),
        (NetworkSettings, {"variant": "4d"}, "3d[+]landmarks"),
        (NetworkSettings, {"stem_strides": [2, 2]}, "3 values"),
        (NetworkSettings, {"stem_strides": ["2", 2, 2]}, "int"),
        (Profile, {"name": "x", "clips": {"sise": 64}}, "size"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(kind: type[config.Settings], params: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        kind.from_params(params)
    assert "\n" not in str(error.value)


def test_an_unknown_profile_lists_the_known() -> None:
    with pytest.raises(InputError, match="tiny, laptop, paper"):
        config.profile("big")


def test_recipes() -> None:
    laptop = config.profile("laptop")
    paper = config.in_recipe(laptop, "paper")
    told = ("lr", "momentum", "weight_decay", "nesterov", "schedule", "warmup_epochs", "clip_norm", "mirror")
    assert [getattr(paper.training, name) for name in told] == [0.01, 0.9, 1e-4, False, "constant", 0, "none", False]
    assert (paper.training.rotation, paper.training.scale, paper.training.shift) == (0, 0, 0)
    assert paper.network == dataclasses.replace(laptop.network, norm="none")
    assert (paper.training.epochs, paper.training.batch_size) == (laptop.training.epochs, laptop.training.batch_size)
    assert config.in_recipe(laptop, "default") == laptop
    joint = config.in_recipe(laptop, "joint")
    assert joint.network == dataclasses.replace(laptop.network, geometry=True)
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
