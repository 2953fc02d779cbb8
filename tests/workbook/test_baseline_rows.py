"""The rows without a network: the same clips as the trainings', in the same folders, all or none."""

from pathlib import Path

import pytest
from dots import PROFILE, moving_dots

from fer3d import config, files, paths
from fer3d.data import splits
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.training.task import Task
from fer3d.workbook import baselines, models, pipeline
from fer3d.workbook.pipeline import Job

STORES = {name: moving_dots(name) for name in ("mmi", "fera")}
FOLDS, OTHERS = range(PROFILE.folds), ("mmi",)
SPLITS = [*((fold, ()) for fold in FOLDS), (0, OTHERS)]


@pytest.fixture(autouse=True)
def stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config.PROFILES, "test", PROFILE)  # type: ignore[arg-type]
    monkeypatch.setattr(pipeline, "store", lambda database, profile: STORES[database])


def content(run: Path) -> dict[str, bytes]:
    return {str(file.relative_to(run)): file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()}


def test_each_row_predicts_the_clips_that_a_training_is_tested_on(tmp_path: Path) -> None:
    baselines.run("fera", FOLDS, OTHERS, "test", tmp_path)
    for fold, trained_on in SPLITS:
        learned = [STORES[name] for name in trained_on] or [STORES["fera"]]
        task = Task.build(learned, PROFILE, fold, STORES["fera"] if trained_on else None)
        for model in models.CLASSICAL:
            folder = Job("fera", model, fold, trained_on).folder(tmp_path)
            table = metrics.read_predictions(folder)
            assert table["clip"].tolist() == STORES["fera"].manifest["clip"].iloc[task.test_rows].tolist()
            assert metrics.classes_of(table) == task.classes
            found = files.read_json(folder / "metrics.json")
            assert (found["left_out"], found["train_clips"]) == (task.left_out, len(task.train))
            info = files.read_json(folder / "model.json")
            assert info["data"]["split"]["test_clips"] == task.data["split"]["test_clips"]
            assert info["titles"]["fera"] == pipeline.title("fera")


def test_no_row_learns_from_its_test_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    majority = baselines.baselines.majority

    def spy(manifest, classes, train, test):
        seen.append((manifest.iloc[train], manifest.iloc[test]))
        return majority(manifest, classes, train, test)

    monkeypatch.setattr(baselines.baselines, "majority", spy)
    baselines.run("fera", FOLDS, OTHERS, "test", tmp_path)
    assert len(seen) == len(SPLITS)
    for train, test in seen:
        splits.assert_disjoint(train, test)
    assert set(seen[-1][0]["database"]) == {"mmi"} and set(seen[-1][1]["database"]) == {"fera"}


def test_one_class_to_learn_from_is_predicted_always(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned, tested = moving_dots("mmi"), moving_dots("fera")
    learned.manifest["label"] = "anger"
    monkeypatch.setattr(pipeline, "store", lambda database, profile: {"mmi": learned, "fera": tested}[database])
    baselines.run("fera", (), OTHERS, "test", tmp_path)
    for model in models.CLASSICAL:
        assert set(metrics.read_predictions(Job("fera", model, 0, ("mmi",)).folder(tmp_path))["prediction"]) == {
            "anger"
        }


def test_a_split_that_is_not_there_leaves_what_was_made_before(tmp_path: Path) -> None:
    baselines.run("fera", (), OTHERS, "test", tmp_path)
    before = content(tmp_path)
    with pytest.raises(InputError, match="fold 9 does not exist"):
        baselines.run("fera", (0, 9), (), "test", tmp_path)
    assert content(tmp_path) == before


def test_the_same_call_gives_the_same_bytes_and_one_that_is_interrupted_leaves_no_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baselines.run("fera", FOLDS, OTHERS, "test", tmp_path)
    first = content(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(baselines.baselines, "majority", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            baselines.run("fera", FOLDS, OTHERS, "test", tmp_path)
    assert not paths.baselines(tmp_path, "fera").exists()
    baselines.run("fera", FOLDS, OTHERS, "test", tmp_path)
    assert content(tmp_path) == first
