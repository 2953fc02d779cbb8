"""The steps of a reproduction and where each leaves its result: shared by notebooks and workflow.

Each step returns what is there when it is fresh and makes it otherwise, one maker at a
time. A database whose licensed copy is named (``FER3D_CKPLUS=/data/CK+`` and so on) is read
from there; any other is a stand-in.
"""

import contextlib
import dataclasses
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer3d import config, labels, paths, standins
from fer3d.data import preparation
from fer3d.data.store import Store, open_store

DATABASES = tuple(labels.TITLES)
"""What a reproduction works on: the paper's four."""


@dataclass(frozen=True)
class Training:
    """One training of the grid: a fold of a database held out, or the whole database."""

    database: str
    variant: str
    fold: int = 0
    trained_on: tuple[str, ...] = ()
    """The databases trained on when ``database`` is held out whole; empty for a fold."""

    @property
    def split(self) -> str:
        return "cross" if self.trained_on else f"fold{self.fold}"

    def folder(self, run: Path) -> Path:
        return paths.training(run, self.database, self.variant, self.split)


def grid(profile: config.Profile, full: bool) -> list[Training]:
    """The trainings of a reproduction: CK+'s rows of Tables 1 and 2 from one fold, or every row from all folds."""
    tested = DATABASES if full else DATABASES[:1]
    folds = range(profile.folds if full else 1)
    within = [Training(database, variant, fold) for database in tested for variant in config.VARIANTS for fold in folds]
    across = [Training(database, "3d+landmarks", trained_on=others(database)) for database in tested]
    return within + across


def others(database: str) -> tuple[str, ...]:
    """The databases to train on when this one is held out whole."""
    return tuple(name for name in DATABASES if name != database)


def run_folder(run: str, profile: str) -> Path:
    """The folder of a run given by its name or as a whole path; the run named after the profile when empty."""
    return paths.run(run or profile)


def title(database: str) -> str:
    """The database's printed name, with the word stand-in where it is one."""
    return labels.TITLES[labels.check_database(database)] + ("" if licensed(database) else " stand-in")


def licensed(database: str) -> Path | None:
    """The licensed copy that the environment names for a database, if it names one."""
    folder = os.environ.get(f"FER3D_{labels.check_database(database).upper()}")
    return Path(folder).expanduser().resolve() if folder else None


def release_folder(database: str, profile: str) -> Path:
    """Where the release lies or will lie: the licensed copy, else the stand-in."""
    return licensed(database) or paths.standin(database, profile)


def store_folder(database: str, profile: str) -> Path:
    """Where the prepared store lies or will lie. A licensed copy's is kept apart from the stand-in's."""
    folder = paths.store(database, profile)
    return folder.parent / "licensed" / database if licensed(database) else folder


def standin(database: str, profile: str) -> Path:
    """The root of a release: the licensed copy where one is named, else the stand-in, written where it is missing."""
    settings = config.profile(profile).standins
    root = release_folder(database, profile)
    if not licensed(database):
        standins.write(database, root, settings.subjects(database), settings.seed, recordings=settings.recordings)
    return root


def store(database: str, profile: str) -> Store:
    """The prepared store of a database at a profile's size, opened; made or brought up to date where needed."""
    root, folder = standin(database, profile), store_folder(database, profile)
    preparation.prepare(database, root, folder, config.profile(profile).clips)
    return open_store(folder)


def settings(profile: str, variant: str, recipe: str = "default", **training: Any) -> config.Profile:
    """A profile with one of the three variants, in one of the two recipes and, where named, other training settings."""
    base = config.in_recipe(config.profile(profile), recipe)
    return dataclasses.replace(
        base,
        network=config.NetworkSettings.from_params({"variant": variant}, base.network),
        training=config.TrainingSettings.from_params(training, base.training),
    )


def training(job: Training, profile: str, run: Path, seed: int = 0, recipe: str = "default") -> Path:
    """The folder of a finished training of a run; trained where it is missing, gone on with where interrupted.

    A folder of other settings or other data is stale and made anew.
    """
    from fer3d.training.train import train

    chosen, folder = settings(profile, job.variant, recipe, seed=seed), job.folder(run)
    tested, learned = store(job.database, profile), [store(name, profile) for name in job.trained_on]
    train(
        learned or [tested],
        folder,
        chosen,
        fold=job.fold,
        test=tested if learned else None,
        titles={name: title(name) for name in (job.database, *job.trained_on)},
        replace=True,
    )
    return folder


def reproduce(profile: str, run: str, cores: int, full: bool) -> int:
    """Run the workflow and return its exit status; it takes the place of an earlier one that was killed.

    One reproduction at a time works in a checkout: a second waits. The lock is inherited by
    Snakemake, so it holds as long as that lives, even when this process is killed.
    """
    config.profile(profile)
    os.environ |= _whole_paths()
    state = paths.ROOT / ".snakemake"
    with _turn(state) as turn:
        sources = state / "source-cache"
        shutil.rmtree(sources, ignore_errors=True)  # Snakemake would run the Snakefile of last time from there
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(paths.ROOT / "workflow" / "Snakefile")]
        snakemake += ["--directory", str(paths.ROOT), "--cores", str(cores), "--resources", "gpu=1"]
        snakemake += ["--runtime-source-cache-path", str(sources)]
        if any((state / "locks").glob("*")):  # left by a Snakemake that was killed: ours is the only one alive
            subprocess.run([*snakemake, "--unlock"], stderr=subprocess.DEVNULL)
        settings = [f"profile={profile}", f"run={run}", f"full={full}"]
        done = subprocess.run([*snakemake, "--config", *settings], pass_fds=[turn])
    return done.returncode


def _whole_paths() -> dict[str, str]:
    """What the environment says of places, made independent of the folder that a job runs in."""
    copies = {f"FER3D_{name.upper()}": str(folder) for name in labels.TITLES if (folder := licensed(name))}
    return copies | {"FER3D_DATA": str(paths.data()), "FER3D_REPORTS": str(paths.reports())}


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[int]:
    """Wait until no other reproduction works in this checkout; yields the lock's file descriptor."""
    folder.mkdir(exist_ok=True)
    with (folder / "turn").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another reproduction is at work in this checkout; waiting for its end", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()
