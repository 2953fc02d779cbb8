"""What has to be made again after a change: exactly the jobs that depend on it, by Snakemake's dry run.

The jobs are stubs that write their results at once; the workflow, its records and the readers are the real ones.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
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
CROSS = {"training of finetuned on ckplus, cross"}
AFTER_FOLD = {"notebook 05_evaluation, ckplus", "the report"}
AFTER_CROSS = {"notebook 06_cross_database", "the report"}
SCRATCH = FOLD | AFTER_FOLD
TRAINED = SCRATCH | CROSS | AFTER_CROSS
EXPLORED = {"notebook 01_data_prep"}
OWN_VIDEO = {"notebook 07_own_video"}
SHOW_SHIPPED = {"notebook 03_model"} | OWN_VIDEO
"""What the weights that come with the package are shown in."""
TINY = 'name="tiny",'
TINY_CLIPS = f"{TINY}\n        clips=ClipSettings(size=64"
ALL = STANDINS | PREPARED | LESSONS | EXPLORED | TRAINED


class Place:
    """A checkout with a licensed copy of CK+, and its results: those of ``make reproduce``, or ``whole`` tables."""

    def __init__(self, root: Path, server: subprocess.Popen[str], whole: bool = False) -> None:
        self.server, self.whole = server, whole
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
            "arguments": [*arguments, "--config", "profile=tiny", f"full={self.whole}", *more],
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
def server() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, forked.__file__]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.communicate()


def finish(root: Path, server: subprocess.Popen[str], whole: bool) -> Place:
    """A finished run, and a copy of it."""
    place = Place(root / "Место 場所 ä", server, whole)
    for name in ("fer3d", "workflow", "notebooks"):
        shutil.copytree(paths.ROOT / name, place.checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(STUB, place.checkout / "fer3d" / "cli.py")
    if whole:  # of two folds, which are enough to see what depends on what
        place.edit("fer3d/config.py", TINY, f"{TINY} folds=2,")
    for subject in ("S005", "S007") if whole else ("S005",):  # one person for each fold
        ckplus_sequence(place.copy, subject, "001", 10, emotion=3)
    status, _, errors = place.snakemake()
    assert status == 0, errors
    shutil.copytree(place.root, place.root.with_name("kept"))
    return place


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, server: subprocess.Popen[str]) -> Place:
    return finish(tmp_path_factory.mktemp("finished"), server, whole=False)


@pytest.fixture(scope="module")
def finished_tables(tmp_path_factory: pytest.TempPathFactory, server: subprocess.Popen[str]) -> Place:
    return finish(tmp_path_factory.mktemp("tables"), server, whole=True)


def restored(place: Place) -> Iterator[Place]:
    """The place, and again as it was."""
    yield place
    shutil.rmtree(place.root)
    shutil.copytree(place.root.with_name("kept"), place.root)


@pytest.fixture
def tables(finished_tables: Place) -> Iterator[Place]:
    yield from restored(finished_tables)


@pytest.fixture
def place(finished: Place) -> Iterator[Place]:
    yield from restored(finished)


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


def alter_frame(place: Place) -> None:
    """Other pixels; size and time as before."""
    frame = next(place.copy.rglob("*.png"))
    known, data = frame.stat(), bytearray(frame.read_bytes())
    data[-20] ^= 1
    frame.write_bytes(data)
    os.utime(frame, ns=(known.st_atime_ns, known.st_mtime_ns))


def another_release(package: str) -> Callable[[Place], None]:
    """The checkout comes first where Python looks for packages."""

    def install(place: Place) -> None:
        metadata = place.checkout / f"{package.replace('-', '_')}-99.9.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 99.9\n")

    return install


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
CHANGES: dict[str, tuple[Callable[[Place], None], set[str]]] = {
    "a file added to the licensed copy": (add_file, COPY_CHANGED),
    "a label changed in the licensed copy": (change_label, COPY_CHANGED),
    "a frame altered in the licensed copy, at the same size and time": (alter_frame, COPY_CHANGED),
    "another release of PyTorch": (another_release("torch"), LESSONS | TRAINED | OWN_VIDEO),  # not notebook 01
    "another release of dlib": (another_release("dlib-bin"), PREPARED | LESSONS | EXPLORED | TRAINED | OWN_VIDEO),
    "another release of a library that draws": (another_release("matplotlib"), set()),
    "a setting of the clips": (
        edited("fer3d/config.py", TINY_CLIPS, f"{TINY_CLIPS}, margin=0.2"),
        PREPARED | LESSONS | EXPLORED | TRAINED,
    ),
    "a setting of the training": (
        edited("fer3d/config.py", "epochs=2, batch_size=8", "epochs=2, batch_size=9"),
        TRAINED,
    ),
    "the epochs from scratch": (edited("fer3d/config.py", "epochs=2,", "epochs=3,"), SCRATCH),
    "the epochs of fine-tuning": (
        edited("fer3d/config.py", "FinetuningSettings(epochs=1)", "FinetuningSettings(epochs=2)"),
        CROSS | AFTER_CROSS,
    ),
    "the weights to start from": (
        edited("fer3d/weights/synthetic/model.json", "{", '{"changed": 1, '),
        CROSS | AFTER_CROSS | SHOW_SHIPPED,
    ),
    "a setting of the network": (edited("fer3d/config.py", "width=0.125", "width=0.25"), LESSONS | SCRATCH),
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
    "the text of notebook 04": (edited("notebooks/04_training.ipynb", "Train one network", "Train a network"), SCRATCH),
    "the page of the report": (edited("fer3d/workbook/report.html", "<", "<!-- changed --><"), {"the report"}),
    "the style sheet of the report": (edited("fer3d/workbook/report.css", "body", "body, html"), {"the report"}),
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


def test_files_of_a_clock_that_was_ahead_stop_nothing(place: Place) -> None:
    """Snakemake refuses a result whose input is younger than the clock, until that time has come."""
    edit_standin(place)
    assert place.snakemake()[0] == 0
    tomorrow = time.time() + 24 * 3600
    for folder in (place.checkout / "notebooks", place.checkout / "fer3d" / "workbook", place.data, place.run):
        for file in folder.rglob("*"):
            os.utime(file, (tomorrow, tomorrow))
    assert place.planned() == set()
    place.edit("fer3d/config.py", TINY_CLIPS, f"{TINY_CLIPS}, margin=0.2")
    status, _, errors = place.snakemake()
    assert status == 0, errors
    assert place.planned() == set()


def test_a_moved_reports_folder_is_fresh_where_it_is(place: Place) -> None:
    shutil.move(place.reports, place.root / "elsewhere")
    place.checkout.joinpath("reports").mkdir()
    shutil.move(place.root / "elsewhere", place.checkout / "reports" / "new")
    # One folder deeper: the paths of the data are others, those of the run are not.
    assert "notebook 03_model" in place.planned(FER3D_REPORTS=str(place.checkout / "reports" / "new"))


DATABASES = ("ckplus", "mmi", "fera", "disfa")
SPLITS = ("fold0", "fold1", "cross")
BASELINES = {f"baselines of {name}" for name in DATABASES}
SHOW_LINEAR = {"notebook 06_cross_database", *(f"notebook 05_evaluation, {name}" for name in DATABASES)}
"""Notebooks that train the linear classifier themselves."""


def trainings(model: str, databases: tuple[str, ...] = DATABASES) -> set[str]:
    return {f"training of {model} on {name}, {split}" for name in databases for split in SPLITS}


ROW_CHANGES: dict[str, tuple[Callable[[Place], None], set[str]]] = {
    "nothing": (lambda _: None, set()),
    "the epochs of fine-tuning": (
        edited("fer3d/config.py", "FinetuningSettings(epochs=1)", "FinetuningSettings(epochs=2)"),
        trainings("finetuned") | {"the report"},
    ),
    "the weights to start from": (
        edited("fer3d/weights/synthetic/model.json", "{", '{"changed": 1, '),
        trainings("finetuned") | {"the report"} | SHOW_SHIPPED,
    ),
    "the code of a baseline": (
        edited("fer3d/evaluation/baselines.py", "SVM_C = 1e-3", "SVM_C = 1e-2"),
        BASELINES | SHOW_LINEAR | {"the report"},
    ),
    "the predictions of a baseline deleted": (
        lambda place: (place.run / "mmi" / "lbp_top" / "fold1" / "predictions.csv").unlink(),
        {"baselines of mmi", "the report"},
    ),
    "the baselines of a database made again by hand": (
        lambda place: (place.run / "mmi" / "baselines.json").write_text("{}"),
        {"baselines of mmi", "the report"},
    ),
    "the weights of a row deleted": (
        lambda place: (place.run / "fera" / "r3d_18" / "cross" / "model.safetensors").unlink(),
        {"training of r3d_18 on fera, cross", "the report"},
    ),
}


@pytest.mark.parametrize("change", ROW_CHANGES)
def test_a_change_makes_the_rows_of_whole_tables_that_depend_on_it(change: str, tables: Place) -> None:
    make, jobs = ROW_CHANGES[change]
    make(tables)
    assert tables.planned() == jobs


def test_the_code_of_the_network_is_no_matter_to_the_rows_without_one(tables: Place) -> None:
    tables.edit("fer3d/model/network.py", "import", "CHANGED = True\nimport")
    planned = tables.planned()
    assert planned >= trainings("finetuned") | trainings("r3d_18") | trainings("3d+landmarks")
    assert not planned & BASELINES


def test_more_seeds_add_their_trainings_and_leave_the_others(tables: Place) -> None:
    within = {
        f"training of {model} on {name}, fold{k}-seed1"
        for model in ("2d", "3d", "3d+landmarks")
        for name in DATABASES
        for k in (0, 1)
    }
    cross = {f"training of 3d+landmarks on {name}, cross-seed1" for name in DATABASES}
    assert tables.planned("--config", "profile=tiny", "full=true", "seeds=2") == within | cross | {"the report"}


def test_after_whole_tables_the_rows_of_a_reproduction_are_there(tables: Place) -> None:
    assert {
        job for job in tables.planned("--config", "profile=tiny", "full=false") if job.startswith("training")
    } == set()
