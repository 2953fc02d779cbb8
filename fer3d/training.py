"""Training: Section 3.3 of the paper, its loop on one page, resumed exactly after any interruption.

The paper trains from scratch for each database and fold with SGD, momentum 0.9, weight
decay 1e-4, rate 0.01 and cross-entropy. The rest of the recipe is `config.TrainingSettings`;
departures are named there. The number of epochs is fixed beforehand and the test clips are
looked at once, at the end.

A run is a folder: ``model.json`` (what the run is), ``checkpoint.safetensors`` (until it ends),
``model.safetensors``, ``log.csv``, ``predictions.csv`` and, written last, ``metrics.json``.
Every random number of an epoch follows from the seed and the epoch's number, so that on
the CPU, with the same number of threads, a resumed run ends with the same bits as a straight one.
"""

import hashlib
import json
import logging
import math
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from fer3d import __version__, evaluation, files, labels, splits
from fer3d.augment import augment
from fer3d.config import ClipNorm, NetworkSettings, Profile, TrainingSettings
from fer3d.devices import best_device, best_precision
from fer3d.errors import InputError
from fer3d.network import Network
from fer3d.store import Store

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells its precision at every start


def train(
    stores: Sequence[Store], out: Path, profile: Profile, *, fold: int = 0, test: Store | None = None
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

    Raises:
        InputError: unusable settings, stores or splits; a folder that holds another run; a damaged
            checkpoint; a full disk; a loss that is no number.
    """
    _check(profile.training)
    task = _Task.of(stores, profile, fold, test)
    with files.lock(out), torch.random.fork_rng():
        identity = task.identity(profile)
        if _finished(out, identity):
            (out / _CHECKPOINT).unlink(missing_ok=True)
            return files.read_json(out / "metrics.json")
        fabric = _fabric(profile.training)
        files.write_json(out / "model.json", {**identity, "made_with": _versions(fabric)})
        torch.manual_seed(_seed(profile.training.seed, 0))
        network = Network(profile.network, task.classes, profile.clips.size)
        log = _fit(fabric, network, task.train, profile.training, out / _CHECKPOINT, files.fingerprint(identity))
        _write_tensors(out / "model.safetensors", network.state_dict(), {"run": files.fingerprint(identity)})
        files.write_csv(out / "log.csv", log)
        predictions = predict(Model(network, profile.training), *task.test)
        files.write_csv(out / "predictions.csv", predictions)
        metrics = {
            **evaluation.evaluate(predictions),
            **task.counts,
            "epochs": len(log),
            "seconds": round(float(log["seconds"].sum()), 1),
        }
        files.write_json(out / "metrics.json", metrics)
        (out / _CHECKPOINT).unlink(missing_ok=True)
        return metrics


@dataclass(frozen=True)
class Model:
    """A trained network with the settings of its training, which say how clips are fed to it."""

    network: Network
    training: TrainingSettings


def load_model(run: Path) -> Model:
    """The network of a finished run, in evaluation mode on the CPU.

    Raises:
        InputError: no finished run, or weights that are truncated, tampered with or another run's.
    """
    info = files.read_json(run / "model.json")
    try:
        identity = {key: info[key] for key in _IDENTITY}
        network_settings = NetworkSettings.from_params(info["network"])
        training_settings = TrainingSettings.from_params(info["training"])
        classes = labels.ordered(info["labels"])
        if list(classes) != info["labels"]:
            raise ValueError("labels out of order")
        with torch.device("meta"):  # costs no memory, whatever the file asks for
            network = Network(network_settings, classes, int(info["size"]))
        weights, _ = _read_tensors(run / "model.safetensors", files.fingerprint(identity))
        network.load_state_dict(weights, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{run}, whose model.json and model.safetensors don't fit ({error})", "a run of fer3d train", "another run"
        ) from error
    return Model(network.eval(), training_settings)


@torch.no_grad()
def predict(model: Model, store: Store, rows: np.ndarray) -> pd.DataFrame:
    """Predictions for the clips in the given rows of a store's manifest, as `evaluation` defines the table.

    Raises:
        InputError: a store of another size, or a label that the network has not learned.
    """
    network = model.network.eval()
    if store.settings.size != network.size:
        raise InputError(
            f"a store of {store.settings.size} pixels for a network of {network.size}",
            "the same size",
            "fer3d prepare with the run's profile",
        )
    clips = Clips([(store, rows)], network.classes)
    fabric = _fabric(model.training)
    network.to(fabric.device)
    probabilities = []
    for chosen in tqdm(_batches(np.arange(len(clips)), model.training.batch_size), "test", disable=None, leave=False):
        frames, landmarks, _ = clips.batch(chosen, fabric.device)
        with fabric.autocast():
            logits = network(normalised(frames, model.training.clip_norm), landmarks)
        probabilities.append(logits.float().softmax(dim=1).cpu())
    return evaluation.predictions_table(store.manifest.iloc[rows], network.classes, torch.cat(probabilities).numpy())


def normalised(frames: Tensor, clip_norm: ClipNorm) -> Tensor:
    """(B, T, H, W, 3) uint8 to the network's (B, 3, T, H, W) float, each clip by itself.

    ``whole``: mean 0 and deviation 1 over all values. ``parts``: so for each pixel's mean
    over time, and so for what is left, then added. ``none``: 0..255 becomes -1..1.
    """
    clips = frames.float()
    if clip_norm == "whole":
        clips = _standard(clips)
    elif clip_norm == "parts":
        still = clips.mean(dim=1, keepdim=True)
        clips = _standard(still) + _standard(clips - still)
    else:
        clips = clips / 127.5 - 1
    return clips.permute(0, 4, 1, 2, 3)


def _standard(clips: Tensor) -> Tensor:
    """Each clip (B, ...) shifted and scaled to mean 0, deviation 1; less than a grey level is no picture."""
    values = clips.flatten(1)  # as they lie in memory: several times faster than over four dimensions
    deviation, mean = torch.std_mean(values, dim=1, keepdim=True, correction=0)
    return ((values - mean) / deviation.clamp(min=1)).view_as(clips)


class Clips:
    """Chosen clips of one or several stores, read from their memory maps a batch at a time."""

    def __init__(self, parts: Sequence[tuple[Store, np.ndarray]], classes: Sequence[str]) -> None:
        self._of = [(store, int(row)) for store, rows in parts for row in rows]
        names = [str(store.manifest["label"].iloc[row]) for store, row in self._of]
        if foreign := set(names).difference(classes):
            raise InputError(f"clips labelled {sorted(foreign)[0]!r}", f"one of {', '.join(classes)}", "another store")
        self.targets = torch.tensor([list(classes).index(name) for name in names])

    def __len__(self) -> int:
        return len(self._of)

    def batch(self, chosen: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (B, T, H, W, 3) uint8, landmarks (B, T, 66, 2) pixels, targets (B,), on the device."""
        of = [self._of[i] for i in chosen]
        frames = torch.from_numpy(np.stack([store.frames[row] for store, row in of]))
        landmarks = torch.from_numpy(np.stack([store.landmarks[row] for store, row in of]))
        return frames.to(device), landmarks.to(device), self.targets[chosen].to(device)


def learning_rate(step: int, steps: int, warmup: int, settings: TrainingSettings) -> float:
    """The rate at a step: linear warm-up to ``lr``, then constant or half a cosine down to 0."""
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.lr
    return settings.lr * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def _fit(
    fabric: Fabric, network: Network, clips: Clips, settings: TrainingSettings, checkpoint: Path, run: str
) -> pd.DataFrame:
    """Train in place, from the checkpoint where there is one; returns the log, a row an epoch."""
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    sgd = torch.optim.SGD(
        network.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
    )
    wrapped, optimizer = fabric.setup(network, sgd)
    log = _resume(checkpoint, run, network, sgd)
    batches = math.ceil(len(clips) / settings.batch_size)
    steps, warmup = settings.epochs * batches, round(settings.warmup_epochs * batches)
    progress = tqdm(total=steps, initial=len(log) * batches, desc="train", unit="step", disable=None)
    with progress:
        for epoch in range(len(log), settings.epochs):
            started = time.perf_counter()
            torch.manual_seed(_seed(settings.seed, epoch + 1))  # dropout
            generator = torch.Generator().manual_seed(_seed(settings.seed, epoch + 1))  # order and augmentation
            order = torch.randperm(len(clips), generator=generator).numpy()
            total_loss, recognised = torch.zeros(2, device=fabric.device)
            wrapped.train()
            for number, chosen in enumerate(_batches(order, settings.batch_size)):
                rate = learning_rate(epoch * batches + number, steps, warmup, settings)
                sgd.param_groups[0]["lr"] = rate
                frames, landmarks, targets = clips.batch(chosen, fabric.device)
                logits = wrapped(*augment(normalised(frames, settings.clip_norm), landmarks, settings, generator))
                loss = functional.cross_entropy(logits.float(), targets)
                optimizer.zero_grad()
                fabric.backward(loss)
                optimizer.step()
                total_loss += loss.detach() * len(chosen)
                recognised += (logits.argmax(dim=1) == targets).sum()
                progress.update()
            row = {
                "epoch": epoch + 1,
                "lr": rate,
                "loss": float(total_loss) / len(clips),
                "train_accuracy": float(recognised) / len(clips),
                "seconds": time.perf_counter() - started,
            }
            if not math.isfinite(row["loss"]):
                raise InputError(f"a loss of {row['loss']} in epoch {epoch + 1}", "a number", "a smaller lr")
            log.append(row)
            _checkpoint(checkpoint, run, network, sgd, log)
    return pd.DataFrame(log)


def _checkpoint(path: Path, run: str, network: Network, sgd: torch.optim.SGD, log: list[dict[str, float]]) -> None:
    momentum = {name: sgd.state[parameter]["momentum_buffer"] for name, parameter in network.named_parameters()}
    tensors = {f"weight.{name}": value for name, value in network.state_dict().items()}
    tensors.update({f"momentum.{name}": value for name, value in momentum.items()})
    _write_tensors(path, tensors, {"run": run, "log": log})


def _resume(path: Path, run: str, network: Network, sgd: torch.optim.SGD) -> list[dict[str, float]]:
    """Fill network and optimiser from the checkpoint and return its log; without one, the empty log."""
    if not path.exists():
        return []
    tensors, state = _read_tensors(path, run)
    try:
        network.load_state_dict(
            {name.removeprefix("weight."): value for name, value in tensors.items() if name.startswith("weight.")}
        )
        for name, parameter in network.named_parameters():
            sgd.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(tensors[f"momentum.{name}"])
        return list(state["log"])
    except (KeyError, RuntimeError) as error:
        raise _damaged(path, "tensors that are not this network's") from error


def _write_tensors(path: Path, tensors: Mapping[str, Tensor], state: dict[str, Any]) -> None:
    """Tensors and a JSON-ready state as one safetensors file, sealed with a digest of both."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    seal = {"state": state, "digest": _digest(plain, state)}
    with files.atomic(path) as temporary:
        # One entry: the format writes several in an order that changes from run to run.
        temporary.write_bytes(save(plain, metadata={"fer3d": json.dumps(seal)}))


def _read_tensors(path: Path, run: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `_write_tensors` wrote for this run; an `InputError` for anything else."""
    try:
        with safe_open(path, "pt") as opened:
            seal = json.loads((opened.metadata() or {})["fer3d"])
            state, digest = seal["state"], seal["digest"]
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "contents that fer3d did not write") from error
    if digest != _digest(tensors, state):
        raise _damaged(path, "contents that don't match their digest")
    if state["run"] != run:
        raise _damaged(path, "another run's contents")
    return tensors, state


def _digest(tensors: Mapping[str, Tensor], state: Any) -> str:
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _damaged(path: Path, what: str) -> InputError:
    return InputError(
        f"{path} with {what}", "the file that this run wrote", f"removing {path.parent} and training again"
    )


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
        for store in (*stores, *([test] if test else [])):
            if store.settings.size != profile.clips.size:
                raise InputError(
                    f"a store of {store.settings.size} pixels for profile {profile.name} of {profile.clips.size}",
                    "the same size",
                    f"fer3d prepare with --profile {profile.name}",
                )
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
                    "size": profile.clips.size,
                    "data": self.data,
                }
            )
        )


_IDENTITY = ("network", "training", "labels", "size", "data")
_CHECKPOINT = "checkpoint.safetensors"


def _finished(out: Path, identity: dict[str, Any]) -> bool:
    """Whether the folder holds this run, finished; an `InputError` where it holds another one."""
    if not (out / "model.json").exists():
        return False
    there = files.read_json(out / "model.json")
    old, new = (pd.json_normalize(run).iloc[0].to_dict() for run in (there, identity))
    differing = [f"{name} = {old.get(name)!r}, not {value!r}" for name, value in new.items() if old.get(name) != value]
    if differing:
        raise InputError(
            f"{out} with another run ({'; '.join(differing[:3])})", "the same run or a new folder", "--out"
        )
    return (out / "metrics.json").exists()


def _data(store: Store) -> dict[str, str]:
    return {"database": store.database, "fingerprint": str(store.info["fingerprint"])}


def _batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """The order cut into batches of nearly equal size, none above ``batch_size``: no tiny last one."""
    return np.array_split(order, math.ceil(len(order) / batch_size))


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _fabric(settings: TrainingSettings) -> Fabric:
    """One device and its precision, as Fabric names them."""
    device = best_device().type if settings.device == "auto" else settings.device
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' on a machine without one", "auto or cpu", "--device cpu")
    precision = best_precision(device) if settings.precision == "auto" else settings.precision
    return Fabric(accelerator=device, devices=1, precision="bf16-mixed" if precision == "bf16" else "32-true")


def _versions(fabric: Fabric) -> dict[str, Any]:
    return {
        "fer3d": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "device": fabric.device.type,
        "precision": fabric._precision.precision,
        "threads": torch.get_num_threads(),
    }


def _check(settings: TrainingSettings) -> None:
    """An `InputError` for numbers that no training can be run with."""
    for name, good, wanted in (
        ("epochs", settings.epochs >= 1, "1 or more"),
        ("batch_size", settings.batch_size >= 1, "1 or more"),
        ("lr", 0 < settings.lr < math.inf, "above 0"),
        ("momentum", 0 < settings.momentum < 1, "between 0 and 1"),
        ("weight_decay", 0 <= settings.weight_decay < math.inf, "0 or more"),
        ("warmup_epochs", 0 <= settings.warmup_epochs <= settings.epochs, "0 to the number of epochs"),
        ("scale", 0 <= settings.scale < 1, "0 or more, below 1"),
        ("seed", settings.seed >= 0, "0 or more"),
    ):
        if not good:
            raise InputError(f"{name} = {getattr(settings, name)}", wanted, f"another {name}")
