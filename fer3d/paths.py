"""Paths of the project. ``FER3D_DATA`` and ``FER3D_REPORTS`` move the two writable folders."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The project's checkout: the folder that holds ``fer3d/`` and ``notebooks/``."""

NOTEBOOKS = ROOT / "notebooks"

BENCHMARK_RESULTS = ROOT / "benchmarks" / "results"
"""Tables that benchmarks write and notebooks show."""

PUBLISHED = ROOT / "reports" / "synthetic"
"""The committed results (`workbook.publish`)."""

RUN_FILES = ("model.json", "model.safetensors", "log.csv", "predictions.csv", "metrics.json")
"""What the folder of a finished training holds, in the order of writing."""

BASELINE_FILES = ("model.json", "predictions.csv", "metrics.json")
"""What the folder of a row without a network holds, in the order of writing."""


def data() -> Path:
    """Releases, stand-ins and prepared stores (contents ignored by git)."""
    return Path(os.environ.get("FER3D_DATA") or ROOT / "data").resolve()


def reports() -> Path:
    """Runs, tables and figures (contents ignored by git)."""
    return Path(os.environ.get("FER3D_REPORTS") or ROOT / "reports").resolve()


def standin(database: str, profile: str) -> Path:
    """The stand-in release of a database, in its owner's layout."""
    return data() / "standins" / profile / database


def store(database: str, profile: str) -> Path:
    """The prepared store of a database at a profile's size."""
    return data() / "prepared" / profile / database


def shipped(name: str) -> Path:
    """The run of trained weights that come with the package."""
    return ROOT / "fer3d" / "weights" / name


def run(name: str) -> Path:
    """The folder of a run: all results of one reproduction."""
    return reports() / "runs" / name


def training(run_folder: Path, database: str, variant: str, split: str) -> Path:
    """The folder of one training of a run; ``split`` is ``fold0`` .. ``fold4`` or ``cross``."""
    return run_folder / database / variant / split


def rendered_people(run_folder: Path) -> Path:
    """The store that a pre-training renders into the folder of its run."""
    return run_folder / "people"


def baselines(run_folder: Path, database: str) -> Path:
    """The file that is written when all rows of a database that need no network are there."""
    return run_folder / database / "baselines.json"
