"""The steps of a reproduction: where each leaves its result, what is stale, one at a time."""

import fcntl
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer3d import config, files, labels, paths
from fer3d.errors import InputError
from fer3d.workbook import pipeline
from fer3d.workbook.pipeline import Training


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Data and reports in a new folder, and no licensed copy."""
    monkeypatch.setenv("FER3D_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FER3D_REPORTS", str(tmp_path / "reports"))
    for name in labels.TITLES:
        monkeypatch.delenv(f"FER3D_{name.upper()}", raising=False)


def test_the_grid_is_the_papers_tables() -> None:
    few = pipeline.grid(config.profile("laptop"), full=False)
    assert [(job.variant, job.split) for job in few] == [
        ("2d", "fold0"),
        ("3d", "fold0"),
        ("3d+landmarks", "fold0"),
        ("3d+landmarks", "cross"),
    ]
    assert {job.database for job in few} == {"ckplus"}
    assert few[-1].trained_on == ("mmi", "fera", "disfa"), "the three others, as in the paper"
    every = pipeline.grid(config.profile("laptop"), full=True)
    databases, variants, folds = 4, 3, 5
    assert len(set(every)) == len(every) == databases * variants * folds + databases
    assert len({job.folder(Path("run")) for job in every}) == len(every)
    for job in every:
        assert job.database not in job.trained_on


def test_a_licensed_copy_takes_the_place_of_its_stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert pipeline.release_folder("ckplus", "tiny") == paths.standin("ckplus", "tiny")
    assert pipeline.title("ckplus") == "CK+ stand-in"
    stand_in = pipeline.store_folder("ckplus", "tiny")
    monkeypatch.setenv("FER3D_CKPLUS", str(tmp_path / "CK+ copy"))
    assert pipeline.standin("ckplus", "tiny") == tmp_path / "CK+ copy"
    assert pipeline.title("ckplus") == "CK+"
    assert pipeline.store_folder("ckplus", "tiny") != stand_in
    assert pipeline.title("mmi") == "MMI stand-in"
    assert not (tmp_path / "data").exists()


def test_a_stand_in_is_as_large_as_its_profile_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(pipeline.standins, "write", lambda *args, **more: asked.append((*args, more)))
    assert pipeline.standin("mmi", "laptop") == paths.standin("mmi", "laptop")
    assert asked == [("mmi", paths.standin("mmi", "laptop"), 12, 0, {"recordings": 5})]


def test_settings_of_a_training_are_strict() -> None:
    chosen = pipeline.settings("tiny", "2d", seed=3)
    assert (chosen.network.variant, chosen.training.seed, chosen.name) == ("2d", 3, "tiny")
    for wrong in ({"variant": "4d"}, {"variant": "3d", "sede": 3}, {"variant": "3d", "seed": "3"}):
        with pytest.raises(InputError):
            pipeline.settings("tiny", **wrong)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str | None, int, str]]:
    """The trainings called: the training databases, the one held out whole, the fold, the clip normalisation."""
    made: list[tuple[list[str], str | None, int, str]] = []

    def train(stores, out, profile, *, fold, test, titles, replace):
        learned = [store.database for store in stores]
        made.append((learned, test and test.database, fold, profile.training.clip_norm))
        assert replace and all(
            titles[name].endswith(" stand-in") for name in (*learned, *([test.database] if test else []))
        )
        files.write_json(out / "metrics.json", {})

    monkeypatch.setattr(pipeline, "store", lambda database, profile: SimpleNamespace(database=database))
    monkeypatch.setattr("fer3d.training.train.train", train)
    return made


def test_a_training_learns_from_what_its_job_says(calls, tmp_path: Path) -> None:
    pipeline.training(Training("ckplus", "3d", 2), "tiny", tmp_path)
    pipeline.training(Training("ckplus", "3d", trained_on=("mmi",)), "tiny", tmp_path, recipe="paper")
    assert calls == [(["ckplus"], None, 2, "parts"), (["mmi"], "ckplus", 0, "none")]
    assert (tmp_path / "ckplus" / "3d" / "fold2" / "metrics.json").exists()
    assert (tmp_path / "ckplus" / "3d" / "cross" / "metrics.json").exists()


def planned(tmp_path: Path, *settings: str) -> Counter[str]:
    """How many jobs of each rule the workflow plans to do, and how many notebooks without their drills."""
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(paths.ROOT / "workflow" / "Snakefile")]
    options = ["--workflow-profile", "none", "--directory", str(tmp_path), "--cores", "2"]
    options += ["--dry-run", "--nolock", "--printshellcmds"]
    said = subprocess.run(
        [*snakemake, *options, "--config", *settings], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    table = said.split("Job stats:")[1].split("total")[0].splitlines()[3:]
    rules = {line.split()[0]: int(line.split()[1]) for line in table if line.split()}
    return Counter({**rules, "undrilled": said.count("--skip drill")})


def test_the_workflow_plans_each_job_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    once = {"data_prep": 1, "lesson": 2, "cross_database": 1, "report": 1, "all": 1, "prepare": 4}
    assert planned(tmp_path, "profile=tiny") == {
        **once,
        "standin": 3,
        "largest_standin": 1,
        "training": 3,
        "quick_training": 1,
        "evaluation": 1,
        "undrilled": 3,
    }
    monkeypatch.setenv("FER3D_CKPLUS", str(tmp_path))
    full = planned(tmp_path, "profile=tiny", "full=true")
    assert full == {**once, "standin": 3, "training": 44, "quick_training": 20, "evaluation": 4, "undrilled": 63}


def test_the_workflow_that_runs_is_the_one_that_lies_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for variable in ("FER3D_DATA", "FER3D_REPORTS"):
        monkeypatch.setenv(variable, str(tmp_path))
    workflow = tmp_path / "workflow" / "Snakefile"
    workflow.parent.mkdir()
    for name in ("first", "second"):
        workflow.write_text(f'rule all:\n    output:\n        "{name}",\n    shell:\n        "touch {{output}}"\n')
        assert pipeline.reproduce("tiny", "tiny", 1, full=False) == 0
        assert (tmp_path / name).exists()


def test_one_reproduction_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pipeline._turn(tmp_path) as turn:
        waits = (
            "from fer3d.workbook import pipeline; from pathlib import Path\n"
            f"with pipeline._turn(Path({str(tmp_path)!r})): pass"
        )
        second = subprocess.Popen([sys.executable, "-c", waits], stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        assert "waiting for its end" in second.stderr.readline()
        assert second.poll() is None
        fcntl.flock(turn, fcntl.LOCK_UN)
        assert second.wait(timeout=30) == 0
        second.stderr.close()


def test_places_hold_in_every_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FER3D_MMI", "copies/mmi")
    monkeypatch.setenv("FER3D_DATA", "data")
    whole = pipeline._whole_paths()
    assert whole["FER3D_MMI"] == str(tmp_path / "copies" / "mmi")
    assert whole["FER3D_DATA"] == str(tmp_path / "data")
    assert all(Path(path).is_absolute() for path in whole.values())
