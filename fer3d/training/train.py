"""Training: one network from scratch for one database and fold (Section 3.3), and its test.

The paper states SGD with momentum 0.9, weight decay 1e-4, rate 0.01 and cross-entropy. The rest of the recipe is
`config.TrainingSettings`; departures are named there. The number of epochs is fixed beforehand, and the test clips
are looked at once, at the end.

The result is a run's folder (see `run`). A training that was killed at any moment resumes when it is started
again (see `checkpoint`).

Under ``torchrun`` several processes, on one machine or several, train together: all read, the first one alone
writes and tests. When a process dies, ``torchrun --max-restarts`` starts all again, from the last checkpoint.
"""

import contextlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import distributed

from fer3d import files, labels
from fer3d.config import Profile, TrainingSettings
from fer3d.data.store import Store
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.model import weights
from fer3d.model.network import Network
from fer3d.model.r3d import make_network
from fer3d.training import asynchronous, devices, loop
from fer3d.training.inference import predict
from fer3d.training.run import CHECKPOINT, TrainedModel, begin, is_finished, read_metrics, remove_other, start_from
from fer3d.training.schedule import derive_seed
from fer3d.training.task import Task
from fer3d.workers import processor_name

if TYPE_CHECKING:  # see `devices`
    from lightning_fabric import Fabric


def train(
    stores: Sequence[Store],
    out: Path | str,
    profile: Profile,
    *,
    fold: int = 0,
    test: Store | None = None,
    pretrained: Path | str | None = None,
    titles: Mapping[str, str] = labels.TITLES,
    replace: bool = False,
) -> dict[str, Any]:
    """One training and its test, as the run folder ``out``; returns the contents of its ``metrics.json``.

    Args:
        stores: prepared stores to learn from. Without ``test`` exactly one, of which ``fold`` of
            ``profile.folds`` is held out.
        out: the run's folder. A finished run of the same config is returned as it is, an interrupted one is resumed.
        profile: its network, training settings, number of folds and clip size count.
        fold: the fold that is tested, from 0.
        test: the store of a database that is held out whole (cross-database); its clips whose label
            no training database has are left out and counted.
        pretrained: a finished run, of any data, whose weights to start from. The paper starts from none.
        titles: the printed name of each database, kept for the report; that of a stand-in gets a mark.
        replace: remove another run, with all files that are not hidden, from the folder, and accept one in which other
            files lie, such as an executed notebook. Without it, both are refused.

    Raises:
        InputError: unusable settings, stores or splits; a folder that holds another run or something else; a damaged
            checkpoint; a full disk; too little memory; a loss that is not finite; pre-trained weights
            of another network.
    """
    settings, out = profile.training, Path(out)
    task = Task.build(stores, profile, fold, test)
    config = task.config(profile, pretrained)
    run_id = files.fingerprint(config)
    fabric = devices.distributed_fabric(settings.device, settings.precision)
    on_gpu = [fabric.device] if fabric.device.type == "cuda" else []
    with _locked(fabric, out), torch.random.fork_rng(on_gpu):
        if replace and fabric.is_global_zero:
            remove_other(out, config)
        fabric.barrier()
        finished = is_finished(out, config, beside=replace)  # the workflow's folders also hold notebooks
        fabric.barrier()  # all processes have looked before the first one writes
        if not finished:
            torch.manual_seed(derive_seed(settings.seed, 0))
            network = make_network(profile.network, task.classes, profile.clips.size)
            if pretrained:
                start_from(network, pretrained)
            if fabric.is_global_zero:
                marked = _marked(titles, [*stores, task.test_store])
                begin(out, {**config, "titles": marked, "made_with": _made_with(fabric, settings, stores)})
            fit = asynchronous.fit if settings.async_workers else loop.fit
            with _in_memory(settings):
                log = fit(fabric, network, task.train, settings, out / CHECKPOINT, run_id)
            if fabric.is_global_zero:
                weights.write(out / "model.safetensors", network.state_dict(), run_id, config)
                files.write_csv(out / "log.csv", log)
                with _in_memory(settings):
                    _test(network, settings, task, log, out)
            fabric.barrier()
        if fabric.is_global_zero:
            (out / CHECKPOINT).unlink(missing_ok=True)
        return read_metrics(out)


def _test(network: Network, settings: TrainingSettings, task: Task, log: pd.DataFrame, out: Path) -> None:
    """Predict the held-out clips and write ``predictions.csv`` and ``metrics.json``."""
    model = TrainedModel(network, settings, task.test_store.settings)
    predictions = predict(model, task.test_store, task.test_rows)
    files.write_csv(out / "predictions.csv", predictions)
    effort = {"epochs": len(log), "seconds": round(float(log["seconds"].sum()), 1)}
    files.write_json(out / "metrics.json", {**metrics.evaluate(predictions), **task.counts, **effort})


def _marked(titles: Mapping[str, str], stores: Sequence[Store]) -> dict[str, str]:
    """The titles; that of a database with a store from a stand-in gets the mark of `labels.SYNTHETIC`."""
    synthetic = {store.database for store in stores if store.metadata.get("synthetic")}
    return {
        name: title if name not in synthetic or title.endswith(labels.SYNTHETIC) else title + labels.SYNTHETIC
        for name, title in titles.items()
    }


@contextlib.contextmanager
def _in_memory(settings: TrainingSettings) -> Iterator[None]:
    """An `InputError` where a CPU's or a GPU's memory does not suffice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError; so is the CPU's
        signs = ("out of memory", "can't allocate memory", "bad_alloc", "could not create a memory object")
        if not (isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in signs)):
            raise
        part = -(-settings.batch_size // settings.accumulate)
        hint = f"--set training.accumulate={2 * settings.accumulate}, or a smaller batch size"
        what = f"{part} clip{'s' if part > 1 else ''} at a time"
        raise InputError(f"the memory does not suffice for {what}", hint if part > 1 else "") from error


@contextlib.contextmanager
def _locked(fabric: "Fabric", out: Path) -> Iterator[None]:
    """One training at a time in a folder: its first process holds the lock, and the others wait for that one."""
    with files.lock(out) if fabric.is_global_zero else contextlib.nullcontext():
        try:
            fabric.barrier()
            yield
        except RuntimeError as error:
            if not isinstance(error, distributed.DistError) and "gloo" not in str(error).lower():
                raise
            hint = "torchrun --max-restarts 3, which resumes"
            raise InputError("another process of this training died", hint) from error


def _made_with(fabric: "Fabric", settings: TrainingSettings, stores: Sequence[Store]) -> dict[str, Any]:
    """Libraries, machine and the clips' frame rate, for ``model.json``."""
    rates = pd.concat([store.manifest["frame_rate"] for store in stores]).dropna()
    return {
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "device": fabric.device.type,
        "processor": torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else processor_name(),
        "precision": devices.choose(settings.device, settings.precision)[1],
        "processes": fabric.world_size,
        "threads": torch.get_num_threads(),
        "frame_rate": round(float(rates.median()), 3) if len(rates) else None,
    }
