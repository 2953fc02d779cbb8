"""A run's folder: what the run is, whether it is finished, and the network that it left.

In the order in which they are written:

- ``model.json``: the run's config (program version, profile, classes, data and split), and what it was made with;
- ``checkpoint.safetensors``: what an interrupted training resumes from; removed at the end. ``log.csv`` grows with it;
- ``model.safetensors``, the whole ``log.csv``, ``predictions.csv``;
- ``metrics.json``: its presence means that the run is finished.

Where a run is read, the name of weights that come with the package (`SHIPPED`) stands for their folder.

The config holds all that the result depends on. Its digest is the run's identity (``run_id``), and the only one:
the checkpoint and the weights carry it, so that those of another run are refused.
"""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from fer3d import files, paths
from fer3d.config import ClipSettings, NetworkSettings, Profile, TrainingSettings, make_profile
from fer3d.errors import InputError
from fer3d.model import weights
from fer3d.model.network import Network
from fer3d.model.r3d import make_network

CHECKPOINT = "checkpoint.safetensors"
RESULTS = (paths.RUN_FILES[0], CHECKPOINT, *paths.RUN_FILES[1:])
"""What a run writes, in this order; all but the checkpoint stay."""

SHIPPED = ("synthetic",)
"""Names of the trained weights that come with the package: finished runs in ``fer3d/weights``, floating-point numbers
stored in half precision, each with its model card ``README.md``. `benchmarks.training.shipped` makes them."""

_CONFIG = ("fer3d", "profile", "labels", "data")
_METRICS = ("n", "accuracy", "uar", "majority")


@dataclass
class _Settings:
    network: dict[str, Any]
    training: dict[str, Any]
    clips: dict[str, Any]


@dataclass
class _Source:
    database: str
    fingerprint: str


@dataclass
class _Learned(_Source):
    split: dict[str, Any]


@dataclass
class _Start:
    learned: list[_Learned]


@dataclass
class _Data:
    train: list[_Source]
    split: dict[str, Any]
    test: _Source
    pretrained: _Start | None = None


@dataclass
class _Info:
    """What must be in a ``model.json``, which may be from elsewhere. `Settings` check the values of settings."""

    fer3d: str
    profile: _Settings
    labels: list[str]
    data: _Data
    titles: dict[str, str] | None = None


def run_folder(run: Path | str) -> Path:
    """The folder of a run that is given by it, or by one of the names in `SHIPPED`.

    A run that lies in a folder of such a name comes before the weights of that name.
    """
    shipped = str(run) in SHIPPED and not (Path(run) / "model.json").exists()
    return paths.shipped(str(run)) if shipped else Path(run)


def read_config(run: Path | str) -> dict[str, Any]:
    """The config of a run; an `InputError` where there is none, or what is there has another shape."""
    run = run_folder(run)
    if not (run / "model.json").exists():
        makers = f"fer3d train or fer3d pretrain --out {run}, which make one"
        raise InputError(f"{run} has no model.json: expected the folder of a run", makers)
    info = files.read_json(run / "model.json")
    try:
        TypeAdapter(_Info).validate_python(info)
    except ValidationError as error:
        raise InputError(
            f"{run / 'model.json'} is incomplete, or of another version of fer3d: expected a run", "another run"
        ) from error
    return {key: info[key] for key in _CONFIG}


def learned_by(config: dict[str, Any]) -> list[dict[str, Any]]:
    """What the network of a run has learned, in that run and in those that it was started from.

    Of each store ``database``, ``fingerprint`` and ``split``, by which some of its clips were held out.
    """
    data = config["data"]
    own = [
        {"database": each["database"], "fingerprint": each["fingerprint"], "split": data["split"]}
        for each in data["train"]
    ]
    return [*(data.get("pretrained") or {"learned": []})["learned"], *own]


def read_network_settings(run: Path | str) -> NetworkSettings:
    """The settings of a run's network; an `InputError` where there is no run."""
    return NetworkSettings.from_params(read_config(run)["profile"]["network"])


def finetuning_profile(profile: Profile, run: Path | str, variant: str | None) -> Profile:
    """The profile with the network's settings and the ``clip_norm`` of the run that its training starts from.

    Args:
        profile: the profile in its recipe.
        run: the folder of a run, or the name of shipped weights.
        variant: of the new network, any of the paper's if the run's is one of them; None: the run's.

    Raises:
        InputError: there is no run, or its network is not that of the recipe or the variant.
    """
    start = read_config(run)["profile"]
    network, training = NetworkSettings.from_params(start["network"]), TrainingSettings.from_params(start["training"])
    if variant and network.variant != variant and "r3d_18" in (network.variant, variant):
        raise InputError(f"{run} holds the weights of {network.variant}, not of {variant}", "another --variant")
    network = NetworkSettings.from_params({"variant": variant} if variant else {}, network)
    there, plain = network.as_dict(), make_profile(profile.name, profile.network.variant).network.as_dict()
    for name, wanted in profile.network.as_dict().items():
        if wanted not in (plain[name], there[name]):  # what the recipe changes
            differs = f"{name} = {there[name]}, the recipe {wanted}"
            raise InputError(f"the network of {run} has {differs}", "no --recipe, or a run of the same recipe")
    return replace(profile, network=network, training=replace(profile.training, clip_norm=training.clip_norm))


def read_metrics(run: Path | str) -> dict[str, Any]:
    """A finished run's ``metrics.json``; an `InputError` where there is none that a training wrote."""
    file = run_folder(run) / "metrics.json"
    if not file.exists():
        raise weights.unfinished(file)
    metrics = read_or_empty(run, file.name)
    interval = metrics.get("interval")
    numbers = [metrics.get(name) for name in _METRICS] + (interval if isinstance(interval, list) else [None])
    if not all(isinstance(number, int | float) for number in numbers):
        hint = "another run, or the training's command again, which makes it anew"
        raise InputError(f"{file} is not the metrics of a training: expected a finished run", hint)
    return metrics


def read_or_empty(run: Path | str, name: str) -> dict[str, Any]:
    """The JSON object in a file of a run's folder; an empty one where the file is missing or damaged."""
    with contextlib.suppress(InputError):
        found = files.read_json(run_folder(run) / name)
        return found if isinstance(found, dict) else {}
    return {}


def check_folder(run: Path, beside: bool = False) -> None:
    """An `InputError` where no run can be begun in a folder: it holds something else, or can't be written.

    It may hold hidden files and the people whom a pre-training has rendered. With ``beside`` it may hold any file that
    is not called like one of a run or a store, for example an executed notebook.
    """

    def others(found: list[Path]) -> list[Path]:
        if run / "model.json" in found:
            return []
        if beside:
            return [path for path in found if path.name in ("prepared.json", *RESULTS)]
        rendered = paths.rendered_people(run)
        people = [rendered] if (rendered / "prepared.json").exists() else []
        return [path for path in found if not path.name.startswith(".") and path not in people]

    files.check_folder(run, "a run", others)
    files.check_writable(run)


def is_finished(run: Path, config: dict[str, Any], beside: bool = False) -> bool:
    """Whether the folder holds this run, finished.

    Raises:
        InputError: it holds another run, or no run can be begun in it (`check_folder`).
    """
    if not (run / "model.json").exists():
        check_folder(run, beside)
        return False
    old, new = (pd.json_normalize(each).iloc[0].to_dict() for each in (read_config(run), config))
    names = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    changes = [f"{name} = {old.get(name)!r}, not {new.get(name)!r}" for name in names]
    if changes and is_begun(run):
        raise InputError(f"{run} holds another run ({'; '.join(changes[:3])})", "another --out")
    if not all((run / name).exists() for name in paths.RUN_FILES):
        return False
    with contextlib.suppress(InputError):  # damaged metrics count as missing
        read_metrics(run)
        return True
    return False


def is_begun(run: Path) -> bool:
    """Whether a folder holds more of a run than its ``model.json``, which a refused training leaves behind."""
    return any((run / name).exists() for name in RESULTS[1:])


def check_tested(run: Path | str) -> None:
    """An `InputError` for the folder of a training that has begun and not been tested, and for shipped weights."""
    folder = run_folder(run)
    if (folder / "predictions.csv").exists() or not (folder / "model.json").exists():
        return
    if folder.resolve().parent == paths.shipped(SHIPPED[0]).resolve().parent:
        raise InputError(f"the weights {run} come without predictions of their own", "--store STORE")
    raise weights.unfinished(folder / "predictions.csv")


def begin(run: Path, info: dict[str, Any]) -> None:
    """Write ``model.json`` into the folder of a run that starts or resumes, and remove what a killed one left behind.

    Raises:
        InputError: the run was begun on another device or in another precision.
    """
    made_with = info["made_with"]
    if (run / CHECKPOINT).exists():
        stored = files.read_json(run / "model.json").get("made_with")
        then = stored if isinstance(stored, dict) else {}
        if any(then.get(name) != made_with[name] for name in ("device", "precision")):
            raise InputError(
                f"{run} was begun in {then.get('precision')} on {then.get('device')}, and can't resume in "
                f"{made_with['precision']} on {made_with['device']}",
                "the same command on a machine like that where it was begun, or another --out",
            )
    for name in ("metrics.json", "predictions.csv"):  # of a run whose weights were taken away
        (run / name).unlink(missing_ok=True)
    for name in RESULTS:
        files.remove_leftovers(run / name)
    files.write_json(run / "model.json", info)


def remove_other(run: Path, config: dict[str, Any]) -> None:
    """Remove another run, or one of an older version, from its folder, with all other files there but hidden ones.

    The metrics go first and the config last: after a removal that was killed, the rest still counts as another run.
    """
    if not (run / "model.json").exists():
        return
    with contextlib.suppress(InputError):
        if read_config(run) == config:
            return
    (run / "metrics.json").unlink(missing_ok=True)
    for file in run.iterdir():
        if file.is_file() and not file.name.startswith(".") and file.name != "model.json":
            file.unlink()
    (run / "model.json").unlink()


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with the settings that say how its clips are cut and fed to it."""

    network: Network
    training: TrainingSettings
    clips: ClipSettings
    frame_rate: float | None = None
    """Frames a second of the clips that it was trained on, the median; None where it is not known."""


def load_model(run: Path | str) -> TrainedModel:
    """The network of a finished run, in evaluation mode on the CPU and in single precision.

    Its weights lie with the channels last, with which a CPU computes faster.

    Args:
        run: its folder, or the name of weights that come with the package (`SHIPPED`).

    Raises:
        InputError: no finished run, or weights that are truncated or another run's.
    """
    run = run_folder(run)
    config = read_config(run)
    stored, _ = weights.read(run / "model.safetensors", files.fingerprint(config))
    learned = {name: value.float() if value.is_floating_point() else value for name, value in stored.items()}
    profile, classes = config["profile"], tuple(config["labels"])
    clips = ClipSettings.from_params(profile["clips"])
    with torch.device("meta"):  # draws no random weights: the stored ones replace them
        network = make_network(NetworkSettings.from_params(profile["network"]), classes, clips.size)
    try:
        network.load_state_dict(learned, assign=True)
    except RuntimeError as error:
        raise weights.unusable(run / "model.safetensors", "does not fit the network of its model.json") from error
    made_with = files.read_json(run / "model.json").get("made_with")
    rate = made_with.get("frame_rate") if isinstance(made_with, dict) else None
    rate = float(rate) if isinstance(rate, int | float) and 0 < rate < 1000 else None
    training = {**profile["training"], "device": "auto"}  # this machine may lack the device that it was trained on
    network.eval().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return TrainedModel(network, TrainingSettings.from_params(training), clips, rate)


def start_from(network: Network, run: Path | str) -> None:
    """Give a network the weights of a finished run; of the last layers, those of the classes that both learn.

    Raises:
        InputError: see `load_model`; or the run is of another network.
    """
    learned = load_model(run).network
    given, wanted = learned.state_dict(), network.state_dict()
    if learned.classes != network.classes:
        for name, value in wanted.items():
            if ".linear." in name and name in given:
                given[name] = _rows_of_classes(given[name], learned.classes, value, network.classes)
    if not weights.same_shapes(given, wanted):
        raise InputError(
            f"{run} holds the weights of another network", "a run of the same variant, recipe, width and units"
        )
    network.load_state_dict(given)


def _rows_of_classes(given: Tensor, names: tuple[str, ...], own: Tensor, wanted: tuple[str, ...]) -> Tensor:
    """A last layer's weights ``own`` (K, ...), with those ``given`` for the classes ``names`` in their rows."""
    rows = own.clone()
    for k, name in enumerate(wanted):
        if name in names and given.shape[1:] == own.shape[1:]:
            rows[k] = given[names.index(name)]
    return rows
