"""Training: one network from scratch for one database and fold (Section 3.3), and its test.

The paper states SGD with momentum 0.9, weight decay 1e-4, rate 0.01 and cross-entropy. The rest
of the recipe is `config.TrainingSettings`; departures are named there. The number of epochs is
fixed beforehand and the test clips are looked at once, at the end.

A run is a folder: ``model.json`` (what the run is), ``checkpoint.safetensors`` (until it ends),
``model.safetensors``, ``log.csv``, ``predictions.csv`` and, written last, ``metrics.json``.
Killed at any moment and started again, it goes on; see `loop` for how exactly.

Under ``torchrun`` several processes, on one machine or several, train together: all read, the
first one alone writes and tests. A process that dies is started again with all others by
``torchrun --max-restarts``, from the last checkpoint.
"""

import contextlib
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed
from tqdm import tqdm

from fer3d import __version__, files, labels
from fer3d.config import ClipSettings, NetworkSettings, Profile, TrainingSettings
from fer3d.data import splits
from fer3d.data.store import Store
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.model import weights
from fer3d.model.layers import fuse_batchnorm
from fer3d.model.network import Network
from fer3d.training import asynchronous, devices, loop
from fer3d.training.batches import Clips, batches, normalised


def train(
    stores: Sequence[Store],
    out: Path,
    profile: Profile,
    *,
    fold: int = 0,
    test: Store | None = None,
    pretrained: Path | None = None,
) -> dict[str, Any]:
    """One training and its test, as the run folder ``out``; returns the contents of its ``metrics.json``.

    Args:
        stores: prepared stores to learn from. Without ``test`` exactly one, of which ``fold`` of
            ``profile.folds`` is held out.
        out: the run's folder. A finished run of the same settings and data is returned as it is,
            an interrupted one is gone on with.
        profile: its ``network``, ``training``, ``folds`` and ``clips.size`` count.
        test: the store of a database held out whole (cross-database); its clips whose label
            no training database has are left out and counted.
        pretrained: a finished run, of any data, whose weights to start from. The paper starts from none.

    Raises:
        InputError: unusable settings, stores or splits; a folder that holds another run; a damaged
            checkpoint; a full disk; a loss that is no number; pre-trained weights of another network.
    """
    task = _Task.of(stores, profile, fold, test)
    task.data["pretrained"] = files.fingerprint(_identity(pretrained)) if pretrained else None
    fabric = devices.together(profile.training)
    drawn_on = [fabric.device] if fabric.device.type == "cuda" else []
    with _turn(fabric, out), torch.random.fork_rng(drawn_on):
        identity = task.identity(profile)
        finished = _finished(out, identity)
        fabric.barrier()  # all processes have looked before the first one writes
        if not finished:
            _run(fabric, task, profile, identity, out, pretrained)
        if fabric.is_global_zero:
            (out / _CHECKPOINT).unlink(missing_ok=True)
        return read_metrics(out)


def read_metrics(run: Path) -> dict[str, Any]:
    """A finished run's ``metrics.json``; an `InputError` where there is none that a training wrote."""
    metrics = files.read_json(run / "metrics.json")
    told = metrics if isinstance(metrics, dict) else {}
    interval = told.get("interval")
    numbers = [told.get(name) for name in _NUMBERS] + (interval if isinstance(interval, list) else [None])
    if not all(isinstance(number, int | float) for number in numbers):
        raise InputError(f"{run} with a metrics.json that no training wrote", "a run of fer3d train", "another run")
    return metrics


def _run(
    fabric: Fabric, task: "_Task", profile: Profile, identity: dict[str, Any], out: Path, pretrained: Path | None
) -> None:
    """Train, test, and leave the results in the folder."""
    settings, run = profile.training, files.fingerprint(identity)
    torch.manual_seed(loop.seed(settings, 0))
    network = Network(profile.network, task.classes, profile.clips.size)
    if pretrained:
        start_from(network, pretrained)
    if fabric.is_global_zero:
        if (out / _CHECKPOINT).exists():
            _check_device(fabric, out)
        (out / "metrics.json").unlink(missing_ok=True)  # of a run whose weights were taken away
        for name in _RESULTS:
            for half in out.glob(f".{name}.*.part"):  # of a process that was killed while writing
                half.unlink()
        files.write_json(out / "model.json", {**identity, "made_with": _versions(fabric)})
    fit = asynchronous.fit if settings.async_workers else loop.fit
    log = fit(fabric, network, task.train, settings, out / _CHECKPOINT, run)
    if fabric.is_global_zero:
        weights.write(out / "model.safetensors", network.state_dict(), run, identity)
        files.write_csv(out / "log.csv", log)
        predictions = predict(Model(network, settings, task.test[0].settings), *task.test)
        files.write_csv(out / "predictions.csv", predictions)
        seconds = round(float(log["seconds"].sum()), 1)
        figures = {**metrics.evaluate(predictions), **task.counts, "epochs": len(log), "seconds": seconds}
        files.write_json(out / "metrics.json", figures)
    fabric.barrier()


@contextlib.contextmanager
def _turn(fabric: Fabric, out: Path) -> Iterator[None]:
    """One training at a time in a folder: its first process holds the lock, the others wait for that."""
    with files.lock(out) if fabric.is_global_zero else contextlib.nullcontext():
        try:
            fabric.barrier()
            yield
        except RuntimeError as error:
            if not isinstance(error, distributed.DistBackendError) and "gloo" not in str(error).lower():
                raise
            raise InputError(
                "another process that ended", "all that torchrun started", "torchrun --max-restarts 3, which goes on"
            ) from error


@dataclass(frozen=True)
class Model:
    """A trained network with the settings that say how its clips are cut and fed to it."""

    network: Network
    training: TrainingSettings
    clips: ClipSettings


def load_model(run: Path) -> Model:
    """The network of a finished run, in evaluation mode on the CPU.

    Raises:
        InputError: no finished run, or weights that are truncated, tampered with or another run's.
    """
    identity = _identity(run)
    try:
        network_settings = NetworkSettings.from_params(identity["network"])
        training_settings = TrainingSettings.from_params(identity["training"])
        clip_settings = ClipSettings.from_params(identity["clips"])
        classes = labels.ordered(identity["labels"])
        if list(classes) != identity["labels"]:
            raise ValueError("labels out of order")
        with torch.device("meta"):  # costs no memory, whatever the file asks for
            network = Network(network_settings, classes, clip_settings.size)
        learned, _ = weights.read(run / "model.safetensors", files.fingerprint(identity))
        network.load_state_dict(learned, assign=True)
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        why = str(error).partition("\n")[0][:120]  # torch adds where in its own code
        raise InputError(
            f"{run}, whose model.json and model.safetensors don't fit ({why})",
            "a run of fer3d train",
            "another run",
        ) from error
    return Model(network.eval(), training_settings, clip_settings)


def start_from(network: Network, run: Path) -> None:
    """Give a network the weights of a finished run, but for the last layer where the two learn other classes.

    Raises:
        InputError: see `load_model`; or a run of another network than this.
    """
    learned = load_model(run).network
    given, wanted = learned.state_dict(), network.state_dict()
    if learned.classes != network.classes:
        last = ("head.linear.", "landmark_stream.linear.")
        given |= {name: value for name, value in wanted.items() if name.startswith(last)}
    shapes, others = ({name: value.shape for name, value in some.items()} for some in (wanted, given))
    if shapes != others:
        raise InputError(
            f"the weights of {run}, of another network",
            "the same variant, recipe, width and units",
            "another --pretrained",
        )
    network.load_state_dict(given)


class Answers:
    """A trained network as it answers fastest: on a Fabric's device and in its precision, its norms folded in."""

    def __init__(self, model: Model, fabric: Fabric) -> None:
        self.fabric, self._clip_norm = fabric, model.training.clip_norm
        self._network = fuse_batchnorm(model.network)
        self._network.to(device=fabric.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, frames: Tensor | Sequence[Tensor], landmarks: Tensor) -> np.ndarray:
        """Probabilities (B, K) for clips as `Clips.batch` gives them, on the device."""
        with self.fabric.autocast():
            logits = self._network(normalised(frames, self._clip_norm), landmarks)
        return logits.float().softmax(dim=1).cpu().numpy()


def predict(model: Model, store: Store, rows: np.ndarray) -> pd.DataFrame:
    """Predictions for the clips in the given rows of a store's manifest, as `evaluation` defines the table.

    Raises:
        InputError: a store of another size, or a label that the network has not learned.
    """
    network = model.network
    if store.settings.size != network.size:
        raise InputError(
            f"a store of {store.settings.size} pixels for a network of {network.size}",
            "the same size",
            "fer3d prepare with the run's profile",
        )
    clips = Clips([(store, rows)], network.classes)
    answers = Answers(model, devices.alone(model.training))
    probabilities = []
    for chosen in tqdm(batches(np.arange(len(clips)), model.training.batch_size), "test", disable=None, leave=False):
        frames, landmarks, _ = clips.batch(chosen, answers.fabric.device)
        probabilities.append(answers(frames, landmarks))
    return metrics.predictions_table(store.manifest.iloc[rows], network.classes, np.concatenate(probabilities))


@dataclass(frozen=True)
class _Task:
    """What one training learns from and is tested on."""

    classes: tuple[str, ...]
    train: Clips
    test: tuple[Store, np.ndarray]
    data: dict[str, Any]
    """Which data: databases, fingerprints and split."""
    counts: dict[str, Any]
    """For ``metrics.json``."""

    @classmethod
    def of(cls, stores: Sequence[Store], profile: Profile, fold: int, test: Store | None) -> "_Task":
        """The held-out fold of one store, or all of the stores against the test store."""
        everything = [*stores, *([test] if test else [])]
        for store in everything:
            if store.settings.size != profile.clips.size:
                raise InputError(
                    f"a store of {store.settings.size} pixels for profile {profile.name} of {profile.clips.size}",
                    "the same size",
                    f"fer3d prepare with --profile {profile.name}",
                )
            if unlike := sorted(store.settings.as_dict().items() - everything[0].settings.as_dict().items()):
                differing = ", ".join(f"{name} = {value}" for name, value in unlike)
                raise InputError(f"{differing} only in {store.path}", "stores cut alike", "preparing both alike")
        left_out: dict[str, int] = {}
        split: dict[str, Any]
        if test is not None:
            classes, tested, left_out = splits.cross_split([store.manifest for store in stores], test.manifest)
            parts, examined = [(store, np.arange(len(store))) for store in stores], test
            split = {"kind": "cross-database"}
        elif len(stores) == 1:
            examined = stores[0]
            classes = labels.CLASSES[examined.database]
            learned, tested = splits.fold_split(examined.manifest, fold, profile.folds)
            parts, split = [(examined, learned)], {"kind": "fold", "fold": fold, "folds": profile.folds}
        else:
            raise InputError(f"{len(stores)} stores without a test store", "one store, or a test store", "--test STORE")
        clips = Clips(parts, classes)
        present = set(clips.targets.tolist())
        return cls(
            classes,
            clips,
            (examined, tested),
            {"train": [_data(store) for store in stores], "test": _data(examined), "split": split},
            {
                "train_clips": len(clips),
                "left_out": left_out,
                "never_seen": [name for k, name in enumerate(classes) if k not in present],
            },
        )

    def identity(self, profile: Profile) -> dict[str, Any]:
        """All that the result depends on: two runs with the same identity are the same run."""
        return json.loads(
            json.dumps(
                {
                    "network": profile.network.as_dict(),
                    "training": profile.training.as_dict(),
                    "labels": self.classes,
                    "clips": self.test[0].settings.as_dict(),
                    "data": self.data,
                }
            )
        )


def _identity(run: Path) -> dict[str, Any]:
    """What a folder's run is; an `InputError` where that is no run."""
    info = files.read_json(run / "model.json")
    try:
        return {key: info[key] for key in ("network", "training", "labels", "clips", "data")}
    except (KeyError, TypeError) as error:
        raise InputError(f"{run} without a whole model.json", "a run of fer3d train", "another run") from error


_NUMBERS = ("n", "accuracy", "uar", "majority")
_CHECKPOINT = "checkpoint.safetensors"
_RESULTS = ("model.json", _CHECKPOINT, "model.safetensors", "log.csv", "predictions.csv", "metrics.json")
"""What a run writes, in this order; all but the checkpoint stay."""


def _finished(out: Path, identity: dict[str, Any]) -> bool:
    """Whether the folder holds this run, finished; an `InputError` where it holds another one."""
    if not (out / "model.json").exists():
        if others := [name for name in ("prepared.json", *_RESULTS) if (out / name).exists()]:
            raise InputError(f"{out} with a {others[0]}, but no run", "a run's folder or a new one", "another --out")
        return False
    there = _identity(out)
    old, new = (pd.json_normalize(run).iloc[0].to_dict() for run in (there, identity))
    differing = [f"{name} = {old.get(name)!r}, not {value!r}" for name, value in new.items() if old.get(name) != value]
    begun = any((out / name).exists() for name in _RESULTS[1:])  # its card alone is what a refused training leaves
    if differing and begun:
        raise InputError(
            f"{out} with another run ({'; '.join(differing[:3])})", "the same run or a new folder", "--out"
        )
    return all((out / name).exists() for name in _RESULTS if name != _CHECKPOINT)


def _data(store: Store) -> dict[str, str]:
    return {"database": store.database, "fingerprint": str(store.metadata["fingerprint"])}


def _check_device(fabric: Fabric, out: Path) -> None:
    """An `InputError` where an interrupted run was begun on another device or in another precision."""
    told, now = files.read_json(out / "model.json").get("made_with"), _versions(fabric)
    then = told if isinstance(told, dict) else {}
    if any(then.get(name) != now[name] for name in ("device", "precision")):
        begun = f"{then.get('precision')} on {then.get('device')}"
        raise InputError(
            f"{out}, begun in {begun}, here {now['precision']} on {now['device']}",
            "the same to its end",
            "going on where it was begun, or a new --out",
        )


def _versions(fabric: Fabric) -> dict[str, Any]:
    return {
        "fer3d": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "device": fabric.device.type,
        "precision": fabric._precision.precision,
        "processes": fabric.world_size,
        "threads": torch.get_num_threads(),
    }
