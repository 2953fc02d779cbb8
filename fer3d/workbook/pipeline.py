"""The steps of a reproduction, shared by the notebooks and the workflow, and where each leaves its result.

A step returns its result as it is where that is up to date, and makes it otherwise, one process
at a time. A database whose copy is named in the environment (``FER3D_CKPLUS=/data/CK+`` and so on) is
read from there; every other one is a synthetic stand-in. The paper's four databases always take part,
the others where the environment names them: their copy, or ``synthetic`` for the stand-in.
"""

import contextlib
import functools
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer3d import config, labels, paths, program, standins
from fer3d.data import databases as readers
from fer3d.data import preparation
from fer3d.data.splits import number_of_folds as number_of_store_folds
from fer3d.data.store import Store, open_store
from fer3d.errors import InputError
from fer3d.workbook import models

DATABASES = labels.PAPER
"""The databases of every reproduction: the paper's four."""
SYNTHETIC = "synthetic"
"""In place of a folder: the stand-in takes part."""


def databases() -> tuple[str, ...]:
    """The databases of this reproduction: the paper's four, and the others that the environment names."""
    return (*DATABASES, *(name for name in labels.TITLES if name not in DATABASES and _named(name)))


def _named(database: str) -> str:
    return os.environ.get(f"FER3D_{database.upper()}", "")


@dataclass(frozen=True)
class Job:
    """One training of the grid, with one fold of a database held out, or the whole database."""

    database: str
    model: str
    """One of `models.TITLES`."""
    fold: int = 0
    trained_on: tuple[str, ...] = ()
    """The databases trained on when ``database`` is held out whole; empty for a fold."""
    seed: int = 0
    """Of the training."""

    @property
    def split(self) -> str:
        """The last part of the job's folder: ``fold0`` .. ``fold4`` or ``cross``; ``fold0-seed1`` with another seed."""
        split = "cross" if self.trained_on else f"fold{self.fold}"
        return f"{split}-seed{self.seed}" if self.seed else split

    @property
    def parameters(self) -> str:
        """The split as parameters of notebook 04 on a command line."""
        return f"-p trained_on {','.join(self.trained_on)}" if self.trained_on else f"-p fold {self.fold}"

    @property
    def options(self) -> str:
        """Split and seed as options of ``fer3d train-row``."""
        split = f"--trained-on {','.join(self.trained_on)}" if self.trained_on else f"--fold {self.fold}"
        return f"{split} --seed {self.seed}"

    def folder(self, run: Path) -> Path:
        """The job's folder in a run."""
        return paths.training(run, self.database, self.model, self.split)

    def notebook(self, run: Path) -> Path:
        """The job's executed notebook."""
        return self.folder(run) / "04_training.ipynb"

    def marker(self, run: Path) -> Path:
        """The file by which the workflow knows that the job is done: a copy of its ``metrics.json``, written last."""
        return self.folder(run).with_suffix(".trained")


def baselines_marker(run: Path, database: str) -> Path:
    """The file by which the workflow knows that a database's rows without a network are made."""
    return paths.baselines(run, database).with_suffix(".made")


def baselines_program() -> str:
    """The digest of the source by which those rows are computed; of the stores their contents count."""
    return program.digest("fer3d.workbook.baselines", frozenset({"fer3d.workbook.pipeline", "fer3d.training.run"}))


def grid(profile: config.Profile, full: bool, seeds: int = 1) -> list[Job]:
    """The trainings of a reproduction: CK+'s rows of Tables 1 and 2 from one fold, or every row from all folds.

    Databases that are not in the paper add their rows. A database is not tested across databases where the others
    have none of its classes. Whole tables also have the trainings that the paper's are compared with; with several
    ``seeds`` (0, 1, ...) those of the paper's three claims are repeated with each.
    """
    everyone = databases()
    tested = [name for name in everyone if full or name not in DATABASES[1:]]
    papers = set(config.PAPER_VARIANTS)
    jobs = []
    for cross in (False, True):
        for name in tested:
            chosen = (models.of_tables if full else models.of_reproduction)(profile, cross)
            sources = training_databases(name, everyone)
            learned = {label for source in sources for label in _classes(source)}
            splits: list[dict[str, Any]] = [{"trained_on": sources}] if learned & set(_classes(name)) else []
            if not cross:
                splits = [{"fold": fold} for fold in range(number_of_folds(name, profile) if full else 1)]
            jobs += [
                Job(name, model, seed=seed, **split)
                for model in chosen
                for split in splits
                for seed in range(seeds if full and model in papers else 1)
            ]
    return jobs


def training_databases(test: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the databases that a network learns from before it is tested on ``test``: all others, in one order.

    Before a test on a database of the paper only the paper's (Section 4.2.2).
    """
    learned = set(names) - {test}
    return tuple(name for name in labels.TITLES if name in learned and (name in DATABASES or test not in DATABASES))


def _classes(database: str) -> tuple[str, ...]:
    root = licensed(database)
    return readers.classes(database, root) if root else labels.CLASSES[database]


def number_of_folds(database: str, profile: config.Profile) -> int:
    """The number of folds that the database's store has, or will have.

    Folds are made of people who have clips. Until a copy's store is up to date, all people whom its names or its table
    give are expected to have one.
    """
    root = licensed(database)
    if root is None:
        return profile.folds
    expected, made = _expected_folds(database, root, profile.folds), store_folder(database, profile.name)
    try:
        found = open_store(made)
        folds = number_of_store_folds(found.manifest, profile.folds)
        if folds == expected or last_change(root) > (made / "prepared.json").stat().st_mtime:
            return expected
    except (OSError, InputError):  # there is none, or one of an earlier version
        return expected
    return folds if found.settings == profile.clips else expected


_expected_folds = functools.cache(readers.number_of_folds)
"""Cached: the estimates ask for it at each training, and CK+ has ten thousand files."""


def last_change(folder: Path) -> float:
    """When a file below a folder was written, added or removed for the last time, in seconds since the epoch.

    Times in the future are ignored: they were written while the clock was ahead.
    """
    changes, now = [0.0], time.time()
    for below, _, names in os.walk(folder):
        for path in (Path(below), *(Path(below) / name for name in names)):
            with contextlib.suppress(OSError):  # a broken link
                changes.append(path.stat().st_mtime)
    return max(change for change in changes if change <= now)


def run_folder(run: str, profile: str) -> Path:
    """The folder of a run given by its name; empty: the run named after the profile.

    Raises:
        InputError: a name that is not one part of a path, or that Snakemake would read otherwise.
    """
    name = run or profile
    if name != Path(name).name or name.startswith((".", "-")) or not name.isprintable() or set(name) & set("{}"):
        expected = "expected one name without a slash or braces that does not begin with a dot or a dash"
        raise InputError(f"run {name!r} is not a folder's name: {expected}", "a name such as laptop-2")
    return paths.run(name)


def title(database: str) -> str:
    """The database's printed name, followed by "(synthetic)" where it is a stand-in."""
    return labels.title(labels.check_database(database), synthetic=not licensed(database))


def licensed(database: str) -> Path | None:
    """The copy that the environment names for a database; None where it names none."""
    folder = _named(labels.check_database(database))
    return Path(folder).expanduser().resolve() if folder not in ("", SYNTHETIC) else None


def release_folder(database: str, profile: str) -> Path:
    """The folder of the release, written or not: the licensed copy, else the stand-in."""
    return licensed(database) or paths.standin(database, profile)


def store_folder(database: str, profile: str) -> Path:
    """The folder of the prepared store, made or not. A licensed copy's is kept apart from the stand-in's."""
    folder = paths.store(database, profile)
    return folder.parent / "licensed" / database if licensed(database) else folder


def store_markers(databases: Iterable[str], profile: str) -> list[Path]:
    """The files by which the workflow knows that the prepared stores are made: copies of their ``prepared.json``."""
    return [store_folder(name, profile).with_suffix(".prepared") for name in databases]


def release(database: str, profile: str) -> Path:
    """The folder of the release: the licensed copy where one is named, else the stand-in, written where missing."""
    settings = config.profile(profile).standins
    root = release_folder(database, profile)
    if not licensed(database):
        standins.write(database, root, settings.subjects(database), settings.seed, recordings=settings.recordings)
    return root


def store(database: str, profile: str) -> Store:
    """The prepared store of a database at a profile's size, opened; made or brought up to date where needed."""
    root, folder = release(database, profile), store_folder(database, profile)
    preparation.prepare(database, root, folder, config.profile(profile).clips)
    return open_store(folder)


def settings_of(job: Job, profile: str, recipe: str = "default", seed: int = 0) -> tuple[config.Profile, Path | None]:
    """The settings of a job's training, and the weights that it starts from, if any. ``seed``: as in `run_job`."""
    from fer3d.training.run import finetuning_profile, run_folder

    chosen = models.profile_of(job.model, profile, recipe, job.seed or seed)
    if job.model != models.FINETUNED:
        return chosen, None
    pretrained = run_folder(models.weights(chosen))
    return finetuning_profile(chosen, pretrained, "3d+landmarks"), pretrained


def run_job(job: Job, profile: str, run: Path, seed: int = 0, recipe: str = "default") -> Path:
    """Train a job of a run, or resume it where it was interrupted, and return its folder.

    A finished job is left as it is. A folder made with other settings or from other data is cleared and made anew.
    ``seed`` counts where the job has none of its own, and is added to the profile's.
    """
    from fer3d.training.train import train

    (chosen, pretrained), folder = settings_of(job, profile, recipe, seed), job.folder(run)
    tested, learned = store(job.database, profile), [store(name, profile) for name in job.trained_on]
    train(
        learned or [tested],
        folder,
        chosen,
        fold=job.fold,
        test=tested if learned else None,
        pretrained=pretrained,
        titles={name: title(name) for name in (job.database, *job.trained_on)},
        replace=True,
    )
    return folder
