"""A reproduction: the workflow started on this machine or on a cluster, one at a time, and what is out of date.

Snakemake compares times, parameters and inputs of a job with its records. What it can't see is checked here: whether
each marker is still a copy of the result that it stands for. The records lie in ``.snakemake`` in the reports' folder,
so all ways of starting the workflow share them.
"""

import contextlib
import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fer3d import config, files, paths
from fer3d.data import databases
from fer3d.errors import InputError
from fer3d.standins import truth_folder
from fer3d.workbook import estimates, models, pipeline
from fer3d.workbook.pipeline import Job


@dataclass(frozen=True)
class Cluster:
    """What jobs ask SLURM for."""

    partition: str = ""
    """Empty: the default one."""
    account: str = ""
    """Empty: none."""
    gpus: int = 0
    """Of a training."""
    runtime: int = 0
    """Minutes of a training; 0: by `estimates.minutes`."""


def state() -> Path:
    """The folder of Snakemake's records and of the reproduction's lock."""
    return paths.reports() / ".snakemake"


def run(
    profile: str,
    name: str,
    cores: int,
    full: bool,
    dry_run: bool = False,
    cluster: Cluster | None = None,
    seeds: int = 1,
) -> int:
    """Run the workflow and return its exit status. A run that was killed is resumed.

    Args:
        profile: a name of `config.PROFILES`.
        name: the run's name, one part of a path; empty: the profile's.
        cores: of this machine, for the jobs that run on it.
        full: every row of the paper's tables, not only those of CK+'s first fold.
        dry_run: print what would be done.
        cluster: run the jobs on SLURM.
        seeds: of the trainings of the paper's claims, 0 and so on; several only with ``full``.

    Raises:
        InputError: an unknown profile, an unusable name, a licensed copy that can't be read.
    """
    config.profile(profile)
    name = pipeline.run_folder(name, profile).name
    for database in pipeline.databases():
        check_copy(database)
    _give_a_home()
    workflow = paths.ROOT / "workflow"
    snakefile = workflow / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", str(cores)]
    command += [
        "--directory",
        str(paths.reports()),
        "--workflow-profile",
        str(workflow / "profiles" / ("slurm" if cluster else "default")),
    ]
    # A cache for each text of the file: from the user's cache, Snakemake would run the workflow of last time.
    sources = state() / "sources" / files.fingerprint(snakefile.read_text(encoding="utf-8"))
    command += ["--runtime-source-cache-path", str(sources)]
    settings: dict[str, object] = {"profile": profile, "run": [name], "full": full, "seeds": seeds}
    if cluster:
        settings |= {"gpus": cluster.gpus, "runtime": cluster.runtime}
        chosen = {"slurm_partition": cluster.partition, "slurm_account": cluster.account}
        resources = [f"{key}={value}" for key, value in chosen.items() if value]
        command += ["--default-resources", *resources] if resources else []
    else:
        command += ["--resources", f"gpu={max(1, len(shared(profile)))}"]
    command += ["--dry-run"] if dry_run else []
    # JSON, in which a list keeps 1.10 a text: Snakemake strips the quotes of a text by itself.
    command += ["--config", *(f"{key}={json.dumps(value)}" for key, value in settings.items())]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE_")}
    return subprocess.run(command, env={**environment, **places()}).returncode


def places() -> dict[str, str]:
    """The environment of the jobs: all places as whole paths, since a job runs in another folder than the command."""
    found = {"FER3D_DATA": paths.data(), "FER3D_REPORTS": paths.reports()}
    found |= {f"FER3D_{name.upper()}": copy for name in pipeline.databases() if (copy := pipeline.licensed(name))}
    for variable, folder in found.items():
        if set(str(folder)) & set("{}"):  # a pattern to Snakemake
            raise InputError(f"{variable} = {folder} has braces in its name", f"a link to it without, in {variable}")
    return {variable: str(folder) for variable, folder in found.items()}


def check_copy(database: str) -> None:
    """An `InputError` where the environment names a copy that its reader finds nothing in, or no copy of own videos."""
    root = pipeline.licensed(database)
    if not root:
        config.StandinSettings().subjects(database)
    if root and not any(isinstance(found, databases.Sequence) for found in databases.scan(database, root)):
        raise InputError(f"{root} holds no sequence that can be read", f"fer3d index {database} {root}")


def copy_digest(database: str) -> str:
    """A digest of the names and states (`files.state`) of all files of a licensed copy; empty for a stand-in."""
    root = pipeline.licensed(database)
    if not root:
        return ""
    found = []
    for folder, _, names in os.walk(root):
        for file in (Path(folder) / name for name in names):
            with contextlib.suppress(OSError):  # a broken link
                found.append([str(file.relative_to(root)), *files.state(file)])
    return files.fingerprint(sorted(found))


def markers(jobs: Collection[Job], folder: Path, profile: str) -> dict[Path, Path]:
    """For each marker the file that it is a copy of: when they differ, the result was made anew without the workflow.

    Jobs that depend on a result have its marker as an input, and run again when the marker's contents have changed.
    """
    pairs = {}
    for database in pipeline.databases():
        if not pipeline.licensed(database):
            release = paths.standin(database, profile)
            pairs[release.with_suffix(".written")] = truth_folder(release) / "plan.json"
        store = pipeline.store_folder(database, profile)
        pairs[store.with_suffix(".prepared")] = store / "prepared.json"
    for database in {job.database for job in jobs}:
        pairs[pipeline.baselines_marker(folder, database)] = paths.baselines(folder, database)
    return pairs | {job.marker(folder): job.folder(folder) / "metrics.json" for job in jobs}


def remove_outdated_markers(jobs: Collection[Job], folder: Path, profile: str) -> None:
    """Remove the markers of results that are missing or made anew: the workflow makes these and what depends on them.

    A store is also made again when its stand-in was edited. Without Snakemake's records all markers are removed, and
    the notebook that depends on no marker: Snakemake would take whatever is there as up to date.
    """
    recorded = any((state() / "metadata").glob("*"))
    half = [
        job.marker(folder) for job in jobs if not all((job.folder(folder) / name).exists() for name in paths.RUN_FILES)
    ]
    for job, model in itertools.product(jobs, models.CLASSICAL):
        row = replace(job, model=model, seed=0).folder(folder)
        if not all((row / name).exists() for name in paths.BASELINE_FILES):
            half.append(pipeline.baselines_marker(folder, job.database))
    for marker, original in markers(jobs, folder, profile).items():
        if not recorded or marker in half or _differ(marker, original):
            marker.unlink(missing_ok=True)
    for database in pipeline.databases():
        (marker,) = pipeline.store_markers([database], profile)
        release = pipeline.release_folder(database, profile)
        if (
            marker.exists()
            and not pipeline.licensed(database)
            and pipeline.last_change(release) > marker.stat().st_mtime
        ):
            marker.unlink()
    if not recorded:
        (folder / "notebooks" / "07_own_video.ipynb").unlink(missing_ok=True)


def _reset_future_times(jobs: Collection[Job], folder: Path, profile: str) -> None:
    """Give results from a clock that was ahead the time of now: Snakemake refuses whatever is made of such results."""
    now = time.time()
    for result in (*markers(jobs, folder, profile), *folder.rglob("*.ipynb")):
        with contextlib.suppress(OSError):  # missing
            if result.stat().st_mtime > now:
                os.utime(result)


def _differ(marker: Path, original: Path) -> bool:
    try:
        return marker.exists() and marker.read_bytes() != original.read_bytes()
    except OSError:
        return True


class Busy(Exception):
    """Another process holds a lock."""


def _busy() -> None:
    raise Busy


@contextlib.contextmanager
def alone(wait: bool) -> Iterator[None]:
    """Hold the lock of the reports' folder. While another reproduction holds it, wait or (``wait=False``) be `Busy`."""

    def tell() -> None:
        print("another reproduction works in this reports folder; waiting for it to end", file=sys.stderr, flush=True)

    with files.lock(state() / "reproduction", tell if wait else _busy):
        yield


@functools.cache
def begin(jobs: tuple[Job, ...], folder: Path, profile: str, dry_run: bool) -> None:
    """Hold the lock until this process ends, free what a killed Snakemake left locked, and remove outdated markers.

    Results of a clock that was ahead get the time of now.

    A dry run holds no lock, and changes nothing while a reproduction does.
    """
    with contextlib.ExitStack() as held, contextlib.suppress(Busy):
        held.enter_context(alone(wait=not dry_run))
        remove_outdated_markers(jobs, folder, profile)
        if not dry_run:
            shutil.rmtree(state() / "locks", ignore_errors=True)
            _reset_future_times(jobs, folder, profile)
            _until_the_end.enter_context(held.pop_all())


_until_the_end = contextlib.ExitStack()
"""Holds the lock until this process ends."""


def devices() -> list[str]:
    """The GPUs of this machine that programs may use, as CUDA_VISIBLE_DEVICES names them; none without a driver."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name not in ("", "-1", "NoDevFiles")]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True).stdout
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def shared(profile: str) -> list[str]:
    """The GPU of each training that may run at a time: every device as often as trainings share it."""
    return devices() * estimates.ON_A_GPU[profile]


@contextlib.contextmanager
def one_of(gpus: Sequence[str]) -> Iterator[None]:
    """Hold one place of `shared` until the block ends: its GPU is all that CUDA shows this process and its children.

    The workflow never starts more jobs than there are places, so one of them is free.
    """
    with contextlib.ExitStack() as held:
        for place, gpu in enumerate(gpus):
            with contextlib.suppress(Busy):
                held.enter_context(files.lock(state() / f"gpu{place}", _busy))
                held.callback(_restore, "CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES"))
                os.environ["CUDA_VISIBLE_DEVICES"] = gpu
                break
        else:
            if gpus:
                raise InputError(
                    f"all GPUs are in use: {', '.join(dict.fromkeys(gpus))}", "the same command once one is free"
                )
        yield


def _restore(variable: str, value: str | None) -> None:
    os.environ.pop(variable, None)
    os.environ |= {variable: value} if value is not None else {}


def _give_a_home() -> None:
    """Libraries write to HOME when they are imported: where it can't be written, they get a folder of the reports."""
    home = Path(os.environ.get("HOME") or "/nonexistent")
    if not os.access(home, os.W_OK | os.X_OK):
        home = state() / "home"
        with files.lock(home):  # which makes the folder round it, or says why it can't
            home.mkdir(exist_ok=True)
        os.environ["HOME"] = str(home)
