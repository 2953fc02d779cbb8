"""What has to be made again after a change: exactly the jobs that depend on it, by Snakemake's dry run.

The jobs are stubs that write their results at once; the workflow, its records and the readers are the real ones.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import forked
import pytest
from trees import ckplus_sequence

from fer3d import paths

STUB = Path(__file__).parent.parent / "helpers" / "stub.py"
CKPLUS = {"faces, landmarks and clips of ckplus"}
STANDINS = {f"stand-in of {name}" for name in ("mmi", "fera", "disfa")}
PREPARED = {f"faces, landmarks and clips of {name}" for name in ("ckplus", "mmi", "fera", "disfa")}
LESSONS = {"notebook 02_landmark_filters", "notebook 03_model"}
FOLD = {f"training of {name} on ckplus, fold0" for name in ("2d", "3d", "3d+landmarks")}
CROSS = {"training of 3d+landmarks on ckplus, cross"}
AFTER_FOLD = {"notebook 05_evaluation, ckplus", "the report"}
AFTER_CROSS = {"notebook 06_cross_database", "the report"}
TRAINED = FOLD | CROSS | AFTER_FOLD | AFTER_CROSS
EXPLORED = {"notebook 01_data_prep"}
OWN_VIDEO = {"notebook 07_own_video"}
ALL = STANDINS | PREPARED | LESSONS | EXPLORED | TRAINED


class Place:
    """A checkout with a licensed copy of CK+, and its results."""

    def __init__(self, root: Path, server: subprocess.Popen[str]) -> None:
        self.server = server
        self.root, self.copy = root, root / "CK+ copy"
        self.checkout, self.reports, self.data = root / "checkout", root / "checkout" / "reports", root / "data"
        self.run = self.reports / "runs" / "tiny"

    def snakemake(self, *more: str, **environment: str) -> tuple[int, str, str]:
        """The exit status and what was printed on stdout and on stderr."""
        places = {"PYTHONPATH": str(self.checkout), "FER3D_DATA": str(self.data), "FER3D_CKPLUS": str(self.copy)}
        places["FER3D_REPORTS"] = str(self.reports)
        arguments = ["--snakefile", str(self.checkout / "workflow" / "Snakefile"), "--cores", "2"]
        out, err = (self.root.with_name(name) for name in ("stdout", "stderr"))
        call = {
            "environment": {**os.environ, **places, **environment},
            "folder": str(self.root),
            "checkout": str(self.checkout),
            "arguments": [*arguments, "--config", "profile=tiny", *more],
            "stdout": str(out),
            "stderr": str(err),
        }
        print(json.dumps(call), file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline()), out.read_text(), err.read_text()

    def planned(self, *more: str, **environment: str) -> set[str]:
        """The titles of the jobs that would run."""
        status, printed, errors = self.snakemake("--dry-run", *more, **environment)
        assert status == 0, errors
        lines = [line.removeprefix("would run  ") for line in printed.splitlines() if line.startswith("would run")]
        return {line.rpartition(": ")[0] for line in lines}

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.checkout / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    server = subprocess.Popen(
        [sys.executable, forked.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    place = Place(tmp_path_factory.mktemp("finished") / "ä place", server)
    for name in ("fer3d", "workflow", "notebooks"):
        shutil.copytree(paths.ROOT / name, place.checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(STUB, place.checkout / "fer3d" / "cli.py")
    ckplus_sequence(place.copy, "S005", "001", 10, emotion=3)
    status, _, errors = place.snakemake()
    assert status == 0, errors
    shutil.copytree(place.root, place.root.with_name("kept"))
    yield place
    server.communicate()


@pytest.fixture
def place(finished: Place) -> Iterator[Place]:
    """The finished run, and again as it was."""
    yield finished
    shutil.rmtree(finished.root)
    shutil.copytree(finished.root.with_name("kept"), finished.root)


def test_a_finished_run_is_fresh_for_every_way_of_starting(place: Place) -> None:
    assert place.planned() == set()
    other = place.root / "python"
    other.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    other.chmod(0o755)
    assert place.planned("--cores", "7", "--workflow-profile", "none") == set(), "by hand"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm"):  # of the extra [slurm]
        slurm = str(place.checkout / "workflow" / "profiles" / "slurm")
        assert place.planned("--workflow-profile", slurm, "--config", "profile=tiny", "gpus=1", "runtime=60") == set()
    moved = "from fer3d.workbook import reproduction; sys.exit(reproduction.run('tiny', '', 3, False, True))"
    command = [sys.executable, "-c", f"import sys; sys.executable = {str(other)!r}; {moved}"]
    environment = {**os.environ, "PYTHONPATH": str(place.checkout), "FER3D_DATA": str(place.data)}
    environment |= {"FER3D_CKPLUS": str(place.copy), "FER3D_REPORTS": str(place.reports)}
    done = subprocess.run(command, env=environment, cwd=place.root, capture_output=True, text=True)
    assert "everything is up to date" in done.stderr, "fer3d reproduce"


def add_file(place: Place) -> None:
    ckplus_sequence(place.copy, "S006", "001", 10, emotion=5)


def change_label(place: Place) -> None:
    (label,) = place.copy.glob("Emotion/*/*/*.txt")
    label.write_text("   1.0000000e+00\n")


def remove_training(place: Place) -> None:
    shutil.rmtree(place.run / "ckplus" / "3d" / "fold0")


def remake_store(place: Place) -> None:
    """As a notebook does that is executed by hand."""
    (place.data / "prepared" / "tiny" / "mmi" / "prepared.json").write_text("{}")


def edit_standin(place: Place) -> None:
    label = place.data / "standins" / "tiny" / "mmi" / "Sessions" / "2" / "S001-002.xml"
    label.parent.mkdir(parents=True)
    label.write_text("changed by hand")


def remove_records(place: Place) -> None:
    shutil.rmtree(place.reports / ".snakemake")


def edited(file: str, old: str, new: str) -> Callable[[Place], None]:
    return lambda place: place.edit(file, old, new)


COPY_CHANGED = CKPLUS | LESSONS | EXPLORED | TRAINED
ONE_TRAINING = {"training of 3d on ckplus, fold0"} | AFTER_FOLD
TINY = 'name="tiny",'
CHANGES: dict[str, tuple[Callable[[Place], None], set[str]]] = {
    "a file added to the licensed copy": (add_file, COPY_CHANGED),
    "a label changed in the licensed copy": (change_label, COPY_CHANGED),
    "a setting of the clips": (
        edited("fer3d/config.py", "clips=ClipSettings(size=64)", "clips=ClipSettings(size=64, margin=0.2)"),
        PREPARED | LESSONS | EXPLORED | TRAINED,
    ),
    "a setting of the training": (
        edited("fer3d/config.py", "epochs=2, batch_size=8", "epochs=3, batch_size=8"),
        TRAINED,
    ),
    "a setting of the network": (edited("fer3d/config.py", "width=0.125", "width=0.25"), LESSONS | TRAINED),
    "the number of folds": (edited("fer3d/config.py", TINY, f"{TINY} folds=4,"), EXPLORED | TRAINED),
    "a setting of another profile": (edited("fer3d/config.py", "epochs=24", "epochs=25"), set()),
    "the seed of the training": (edited("fer3d/config.py", "epochs=2,", "epochs=2, seed=1,"), TRAINED),
    "the seed of the stand-ins": (
        edited("fer3d/config.py", TINY, f"{TINY} standins=StandinSettings(seed=1),"),
        ALL - CKPLUS - LESSONS - FOLD - {"notebook 05_evaluation, ckplus"},
    ),
    "the code of one reader": (
        edited("fer3d/data/databases/mmi.py", "import", "CHANGED = True\nimport"),
        {"faces, landmarks and clips of mmi"} | EXPLORED | CROSS | AFTER_CROSS,
    ),
    "the code of the network": (
        edited("fer3d/model/network.py", "import", "CHANGED = True\nimport"),
        LESSONS | TRAINED | OWN_VIDEO,
    ),
    "the code of the loop": (edited("fer3d/training/loop.py", "import", "CHANGED = True\nimport"), TRAINED),
    "a comment in the code": (edited("fer3d/training/loop.py", "import", "# Changed.\nimport"), set()),
    "the text of a notebook": (
        edited("notebooks/03_model.ipynb", "The network", "A network"),
        {"notebook 03_model", "the report"},
    ),
    "the text of notebook 04": (edited("notebooks/04_training.ipynb", "Train one network", "Train a network"), TRAINED),
    "the page of the report": (edited("fer3d/workbook/report.html", "<", "<!-- changed --><"), {"the report"}),
    "the version of fer3d": (
        edited("fer3d/__init__.py", '__version__ = "', '__version__ = "9.'),
        PREPARED | LESSONS | EXPLORED | TRAINED | OWN_VIDEO,
    ),
    "the weights of a training deleted": (
        lambda place: (place.run / "ckplus" / "3d" / "fold0" / "model.safetensors").unlink(),
        ONE_TRAINING,
    ),
    "a training made again by hand": (
        lambda place: (place.run / "ckplus" / "3d" / "fold0" / "metrics.json").write_text("{}"),
        ONE_TRAINING,
    ),
    "the folder of a training deleted": (remove_training, ONE_TRAINING),
    "an executed notebook deleted": (
        lambda place: (place.run / "notebooks" / "03_model.ipynb").unlink(),
        {"notebook 03_model", "the report"},
    ),
    "a store made again by hand": (
        remake_store,
        {"faces, landmarks and clips of mmi"} | EXPLORED | CROSS | AFTER_CROSS,
    ),
    "a file of a stand-in changed by hand": (
        edit_standin,
        {"faces, landmarks and clips of mmi"} | EXPLORED | CROSS | AFTER_CROSS,
    ),
    "Snakemake's records deleted": (remove_records, ALL | OWN_VIDEO),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_what_depends_on_it_and_nothing_more(change: str, place: Place) -> None:
    make, jobs = CHANGES[change]
    make(place)
    assert place.planned() == jobs


def test_another_folder_is_another_copy(place: Place) -> None:
    other = place.root / "other copy"
    shutil.copytree(place.copy, other)
    assert place.planned(FER3D_CKPLUS=str(other)) == COPY_CHANGED


def test_a_run_that_stopped_before_the_notebooks_goes_on_there(place: Place) -> None:
    """The store was made from a changed copy; nothing of it is newer than the notebooks but its contents."""
    change_label(place)
    assert place.planned() == place.planned() == COPY_CHANGED, "a dry run changes nothing"
    assert place.snakemake("--until", "prepare")[0] == 0
    assert place.planned() == COPY_CHANGED - CKPLUS
    assert place.snakemake()[0] == 0
    assert place.planned() == set()


def test_a_moved_reports_folder_is_fresh_where_it_is(place: Place) -> None:
    shutil.move(place.reports, place.root / "elsewhere")
    place.checkout.joinpath("reports").mkdir()
    shutil.move(place.root / "elsewhere", place.checkout / "reports" / "new")
    # One folder deeper: the paths of the data are others, those of the run are not.
    assert "notebook 03_model" in place.planned(FER3D_REPORTS=str(place.checkout / "reports" / "new"))
