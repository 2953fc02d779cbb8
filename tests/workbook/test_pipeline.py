"""The steps of a reproduction: which there are, and where each leaves its result."""

import dataclasses
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import dots
import pytest
import trees

from fer3d import config, files, paths
from fer3d.errors import InputError
from fer3d.workbook import models, pipeline, reproduction
from fer3d.workbook.pipeline import Job


@pytest.fixture(autouse=True)
def new_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Data and reports in new folders."""
    monkeypatch.setenv("FER3D_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FER3D_REPORTS", str(tmp_path / "reports"))


def test_the_grid_has_the_rows_of_the_papers_tables() -> None:
    few = pipeline.grid(config.profile("laptop"), full=False)
    assert [job.model for job in few] == ["2d", "3d", "3d+landmarks", "finetuned"]
    assert [job.split for job in few] == ["fold0", "fold0", "fold0", "cross"]
    assert {job.database for job in few} == {"ckplus"}
    assert few[-1].trained_on == ("mmi", "fera", "disfa"), "the three others, as in the paper"
    at_full_size = pipeline.grid(config.profile("paper"), full=False)
    assert [job.model for job in at_full_size] == ["2d", "3d", "3d+landmarks", "3d+landmarks"], "no weights fit"
    every = pipeline.grid(config.profile("laptop"), full=True)
    databases, folds = 4, 5
    within, across = (*config.PAPER_VARIANTS, "finetuned", "r3d_18"), ("3d+landmarks", "finetuned", "r3d_18")
    assert Counter(job.model for job in every if not job.trained_on) == dict.fromkeys(within, databases * folds)
    assert Counter(job.model for job in every if job.trained_on) == dict.fromkeys(across, databases)
    assert len({job.folder(Path("run")) for job in every}) == len(every)
    for job in every:
        assert job.database not in job.trained_on


def test_several_seeds_repeat_the_trainings_of_the_papers_claims() -> None:
    few, one, three = (
        pipeline.grid(config.profile("tiny"), full, seeds) for full, seeds in ((False, 3), (True, 1), (True, 3))
    )
    assert few == pipeline.grid(config.profile("tiny"), full=False), "only in whole tables"
    assert set(one) < set(three)
    more = set(three) - set(one)
    assert {job.seed for job in more} == {1, 2}
    assert {(job.model, bool(job.trained_on)) for job in more} == {
        *((name, False) for name in config.PAPER_VARIANTS),
        ("3d+landmarks", True),
    }
    assert len({job.folder(Path("run")) for job in three}) == len(three)
    assert Job("mmi", "3d", 4, seed=2).split == "fold4-seed2"


def test_the_shipped_weights_fit_every_profile_that_is_fine_tuned_from_them() -> None:
    for name, profile in config.PROFILES.items():
        if profile.finetuning:
            learned = files.read_json(paths.shipped(profile.finetuning.weights) / "model.json")["profile"]["clips"]
            assert learned["size"] == profile.clips.size, name
            assert profile.finetuning.epochs < profile.training.epochs or name == "tiny"
        else:
            assert "finetuned" not in models.of_tables(profile, cross=False)


def test_a_licensed_copy_takes_the_place_of_its_stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert pipeline.release_folder("ckplus", "tiny") == paths.standin("ckplus", "tiny")
    assert pipeline.title("ckplus") == "CK+ (synthetic)"
    stand_in = pipeline.store_folder("ckplus", "tiny")
    monkeypatch.setenv("FER3D_CKPLUS", str(tmp_path / "CK+ copy"))
    assert pipeline.release("ckplus", "tiny") == tmp_path / "CK+ copy"
    assert pipeline.title("ckplus") == "CK+"
    assert pipeline.store_folder("ckplus", "tiny") != stand_in
    assert pipeline.title("mmi") == "MMI (synthetic)"
    assert not (tmp_path / "data").exists()


def test_other_databases_take_part_where_they_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert pipeline.databases() == ("ckplus", "mmi", "fera", "disfa")
    monkeypatch.setenv("FER3D_RAVDESS", "synthetic")
    monkeypatch.setenv("FER3D_CREMAD", str(tmp_path))
    assert pipeline.databases() == ("ckplus", "mmi", "fera", "disfa", "ravdess", "cremad")
    assert pipeline.title("ravdess") == "RAVDESS (synthetic)" and pipeline.title("cremad") == "CREMA-D"
    grid = pipeline.grid(config.profile("tiny"), full=False)
    assert {(job.database, job.trained_on) for job in grid if job.trained_on} == {
        ("ckplus", ("mmi", "fera", "disfa")),  # as in the paper
        ("ravdess", ("ckplus", "mmi", "fera", "disfa", "cremad")),
        ("cremad", ("ckplus", "mmi", "fera", "disfa", "ravdess")),
    }
    union = {name for job in grid for name in job.trained_on}  # which is what notebook 06 gets
    for job in (job for job in grid if job.trained_on):
        assert pipeline.training_databases(job.database, sorted(union)) == job.trained_on
    within = [(job.database, job.model, job.fold) for job in grid if not job.trained_on]
    assert within == [(name, v, 0) for name in ("ckplus", "ravdess", "cremad") for v in config.PAPER_VARIANTS]


def test_the_full_grid_has_as_many_folds_as_a_database_can_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ckplus", "mmi", "disfa", "fera", "ravdess"):  # three people each; in FERA two have emotions
        trees.BUILD[name](tmp_path / name)
    lines = [f"{name}.avi,anger,{name},{fold}" for name, fold in (("a", 0), ("b", 1), ("c", 1), ("d", 4))]
    trees.write_text(tmp_path / "table" / "labels.csv", "\n".join(["path,label,subject,fold", *lines]))
    named = {name: str(tmp_path / name) for name in ("ravdess", "table")}
    for name, root in named.items():
        monkeypatch.setenv(f"FER3D_{name.upper()}", root)

    def folds() -> Counter[str]:
        return Counter(job.database for job in pipeline.grid(config.profile("tiny"), full=True) if job.model == "2d")

    assert folds() == {"ckplus": 5, "mmi": 5, "fera": 5, "disfa": 5, "ravdess": 3, "table": 3}, "four are stand-ins"
    for name in pipeline.DATABASES:
        monkeypatch.setenv(f"FER3D_{name.upper()}", str(tmp_path / name))
    assert folds() == {"ckplus": 3, "mmi": 3, "fera": 2, "disfa": 3, "ravdess": 3, "table": 3}


def test_who_has_no_clip_is_in_no_fold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Three of the four people whom the table names have clips; what a video shows is only known once it is cut."""
    root, profile = tmp_path / "own", dots.PROFILE
    lines = [f"{name}.avi,anger,{name}" for name in "abcd"]
    trees.write_text(root / "labels.csv", "\n".join(["path,label,subject", *lines]))
    monkeypatch.setenv("FER3D_TABLE", str(root))
    profile = dataclasses.replace(profile, folds=5)
    assert pipeline.number_of_folds("table", profile) == 4
    made = pipeline.store_folder("table", profile.name)
    dots.written(dots.moving_dots("table", subjects=3, names=("anger", "fear")), made)
    assert pipeline.number_of_folds("table", profile) == 3
    other = dataclasses.replace(profile, clips=dataclasses.replace(profile.clips, min_face=40))
    assert pipeline.number_of_folds("table", other) == 4, "a store cut in another way says nothing"
    os.utime(made / "prepared.json", (0, 0))
    assert pipeline.number_of_folds("table", profile) == 4, "nor one of other recordings"


def test_a_copy_without_a_person_has_a_training_that_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """FERA's action unit partition alone comes without emotions."""
    trees.fera_sequence(tmp_path, "au_training", "train_001", units=[[1], [12]])
    monkeypatch.setenv("FER3D_FERA", str(tmp_path))
    grid = pipeline.grid(config.profile("tiny"), full=True)
    assert {job.fold for job in grid if job.database == "fera" and not job.trained_on} == {0}


@pytest.mark.parametrize(("label", "tested"), [("happy", True), ("bored", False)])
def test_own_videos_are_tested_across_databases_where_another_one_has_a_class_of_theirs(
    label: str, tested: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = ("path,label,subject", f"a.mp4,{label},anna", f"b.mp4,{label},ben", "*,bored,")
    trees.write_text(tmp_path / "labels.csv", "\n".join(lines))
    monkeypatch.setenv("FER3D_TABLE", str(tmp_path))
    grid = pipeline.grid(config.profile("tiny"), full=False)
    assert {job.database for job in grid if job.trained_on} == {"ckplus"} | ({"table"} if tested else set())
    assert {job.fold for job in grid if job.database == "table" and not job.trained_on} == {0}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TABLE", "synthetic", "own videos have no synthetic stand-in"),
        ("RAVDESS", "/no/such/folder", "/no/such/folder does not exist"),
        ("CKPLUS", "/no/such/folder", "/no/such/folder does not exist"),
    ],
)
def test_a_wrong_copy_is_refused_before_the_workflow_starts(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"FER3D_{name}", value)
    monkeypatch.setattr(reproduction.subprocess, "run", lambda *_args, **_more: pytest.fail("Snakemake was started"))
    with pytest.raises(InputError, match=message):
        reproduction.run("tiny", "tiny", 1, full=False)


def test_a_stand_in_has_the_size_of_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(pipeline.standins, "write", lambda *args, **more: written.append((*args, more)))
    assert pipeline.release("mmi", "laptop") == paths.standin("mmi", "laptop")
    assert written == [("mmi", paths.standin("mmi", "laptop"), 10, 0, {"recordings": 5})]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str | None, int, str]]:
    """The trainings called: the training databases, the one held out whole, the fold, the clip normalisation."""
    made: list[tuple[list[str], str | None, int, str]] = []

    def train(stores, out, profile, *, fold, test, pretrained, titles, replace):
        learned = [store.database for store in stores]
        made.append((learned, test and test.database, fold, profile.training.clip_norm))
        assert replace and titles == {name: pipeline.title(name) for name in {"ckplus", *learned}}
        files.write_json(out / "metrics.json", {})

    monkeypatch.setattr(pipeline, "store", lambda database, profile: SimpleNamespace(database=database))
    monkeypatch.setattr("fer3d.training.train.train", train)
    return made


def test_a_job_trains_on_its_databases_and_fold(calls, tmp_path: Path) -> None:
    pipeline.run_job(Job("ckplus", "3d", 2), "tiny", tmp_path)
    pipeline.run_job(Job("ckplus", "3d", trained_on=("mmi",)), "tiny", tmp_path, recipe="paper")
    assert calls == [(["ckplus"], None, 2, "parts"), (["mmi"], "ckplus", 0, "none")]
    assert (tmp_path / "ckplus" / "3d" / "fold2" / "metrics.json").exists()
    assert (tmp_path / "ckplus" / "3d" / "cross" / "metrics.json").exists()


def test_a_fine_tuned_job_has_the_network_of_the_weights_and_its_own_epochs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called = []
    monkeypatch.setattr(pipeline, "store", lambda database, profile: SimpleNamespace(database=database))
    monkeypatch.setattr("fer3d.training.train.train", lambda _s, _out, profile, **m: called.append((profile, m)))
    pipeline.run_job(Job("mmi", "finetuned", 1), "tables", tmp_path)
    ((profile, more),) = called
    assert more["pretrained"] == paths.shipped("synthetic") and more["fold"] == 1
    wanted = config.profile("tables").finetuning
    assert (profile.training.epochs, profile.training.lr) == (wanted.epochs, wanted.lr)
    assert profile.network.landmark_stream and profile.network.variant == "3d+landmarks"
    with pytest.raises(InputError, match="no weights of profile paper"):
        pipeline.run_job(Job("mmi", "finetuned", 1), "paper", tmp_path)
    with pytest.raises(InputError, match="norm = batch, the recipe none"):
        pipeline.run_job(Job("mmi", "finetuned", 1), "tables", tmp_path, recipe="paper")


def planned(tmp_path: Path, *settings: str) -> Counter[str]:
    """The number of jobs that the workflow plans by the first word of their titles, and of notebooks without drills."""
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(paths.ROOT / "workflow" / "Snakefile")]
    options = ["--workflow-profile", "none", "--cores", "2", "--dry-run"]
    command = [*snakemake, *options, "--config", *settings]
    plan = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    return Counter(line.split()[2] for line in plan.splitlines() if line.startswith("would run"))


def test_the_workflow_plans_each_job_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    once = {"the": 1, "faces,": 4}
    few = planned(tmp_path, "profile=tiny")
    assert few == {**once, "stand-in": 4, "training": 4, "notebook": 3 + 1 + 2}
    for number in range(5):  # people, one for each fold
        trees.ckplus_sequence(tmp_path / "CK+", f"S00{number}", "001", 10, emotion=3)
    monkeypatch.setenv("FER3D_CKPLUS", str(tmp_path / "CK+"))
    full = planned(tmp_path, "profile=tiny", "full=true")
    assert full == {**once, "stand-in": 3, "training": 64 + 48, "baselines": 4, "notebook": 3 + 4 + 2}
    seeds = planned(tmp_path, "profile=tiny", "full=true", "seeds=3")
    assert seeds["training"] == full["training"] + 2 * 64


@pytest.mark.parametrize("name", ["1.10", "007", "2026_11", "Läufe 2"])
def test_a_run_has_the_name_that_was_given(name: str) -> None:
    assert pipeline.run_folder(name, "tiny") == paths.reports() / "runs" / name


@pytest.mark.parametrize("name", ["../../x", "a/b", "/tmp/x", ".", "..", ".x", "-x", "a{b}", "a\nb"])
def test_a_run_is_no_path(name: str) -> None:
    with pytest.raises(InputError, match="is not a folder's name"):
        pipeline.run_folder(name, "tiny")
