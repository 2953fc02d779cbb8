"""The models that Tables 1 and 2 compare: a row each, with its name and what it is made with."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from fer3d import config
from fer3d.errors import InputError

FINETUNED = "finetuned"
CLASSICAL = ("linear", "lbp_top", "majority")
"""Models without a network; one job makes all their folds."""
TITLES: Final[Mapping[str, str]] = {
    "2d": "2d",
    "3d": "3d",
    "3d+landmarks": "3d+landmarks",
    FINETUNED: "3d+landmarks, fine-tuned from the shipped weights",
    "r3d_18": "r3d_18's shape",
    "linear": "linear classifier on landmark motion",
    "lbp_top": "LBP-TOP with a linear SVM",
    "majority": "most frequent training class",
}
"""All models in the order of the tables: folders of a run have these names, tables these titles."""


def check_model(name: str) -> str:
    """The name of a model; an `InputError` lists the known ones."""
    if name not in TITLES:
        raise InputError(f"model {name!r} does not exist: expected one of {', '.join(TITLES)}")
    return name


def of_paper(cross: bool) -> tuple[str, ...]:
    """The models that the paper's claims are about; across databases it tested only ``3d+landmarks``."""
    return ("3d+landmarks",) if cross else config.PAPER_VARIANTS


def of_reproduction(profile: config.Profile, cross: bool) -> tuple[str, ...]:
    """The models of a reproduction without the whole tables: the paper's; across databases the fine-tuned one instead.

    There the paper's network, from scratch, would take most of the time, and its accuracy depends on the seed.
    """
    return (FINETUNED,) if cross and profile.finetuning else of_paper(cross)


def of_tables(profile: config.Profile, cross: bool) -> tuple[str, ...]:
    """The models of a whole table that are trained networks."""
    finetuned = (FINETUNED,) if profile.finetuning else ()
    return (*of_paper(cross), *finetuned, "r3d_18")


def weights(profile: config.Profile) -> str:
    """The name of the weights that `FINETUNED` starts from.

    Raises:
        InputError: the profile has none.
    """
    if profile.finetuning is None:
        raise InputError(f"no weights of profile {profile.name} come with the package", "profile tables")
    return profile.finetuning.weights


def profile_of(model: str, name: str, recipe: str = "default", seed: int = 0) -> config.Profile:
    """The settings of a model's training in the profile of that name.

    For `FINETUNED` the network's settings come from the weights. ``seed`` is added to the profile's own.
    """
    seed += config.profile(name).training.seed
    if model != FINETUNED:
        return config.make_profile(name, model, recipe, seed=seed)
    chosen = config.make_profile(name, "3d+landmarks", recipe, seed=seed)
    if chosen.finetuning is None:
        return chosen
    settings = dataclasses.replace(chosen.training, epochs=chosen.finetuning.epochs, lr=chosen.finetuning.lr)
    return dataclasses.replace(chosen, training=settings)
