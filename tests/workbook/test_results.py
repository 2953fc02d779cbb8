"""Where notebooks 05 and 06 find their predictions: the run's finished trainings first, then the shipped weights."""

from pathlib import Path

import numpy as np
import pytest

from fer3d.data import splits
from fer3d.data.store import Store
from fer3d.errors import InputError
from fer3d.training.run import SHIPPED, load_model
from fer3d.workbook import pipeline, results
from fer3d.workbook.pipeline import Job

FOLDS = [Job("ckplus", variant, fold) for variant in ("2d", "3d+landmarks") for fold in (0, 1)]


@pytest.fixture
def store() -> Store:
    return pipeline.store("ckplus", "tiny")


def test_without_a_training_the_shipped_weights_are_tested_on_the_same_clips(tmp_path: Path, store: Store) -> None:
    found = results.find(FOLDS, "tiny", tmp_path / "run")
    assert {job.model for job in found} == {"3d+landmarks"}, "the variant of the shipped weights"
    for job, result in found.items():
        _, rows = splits.fold_split(store.manifest, job.fold, splits.number_of_folds(store.manifest, 5))
        assert list(result.predictions["clip"]) == list(store.manifest["clip"].iloc[rows])
        assert result.weights in SHIPPED and "shipped weights" in result.made_by
    hits = np.concatenate([(r.predictions["prediction"] == r.predictions["label"]) for r in found.values()])
    assert hits.mean() > 0.5, "they have learned"


def test_a_finished_training_comes_first_and_no_source_is_mixed_with_another(tmp_path: Path) -> None:
    run = tmp_path / "run"
    folder = pipeline.run_job(FOLDS[0], "tiny", run)
    found = results.find(FOLDS, "tiny", run)
    assert list(found) == [FOLDS[0]]
    assert found[FOLDS[0]].weights == folder and found[FOLDS[0]].made_by == "trainings of the run run"
    load_model(found[FOLDS[0]].weights)
    (folder / "metrics.json").unlink()  # as of a training that was killed
    assert {result.weights for result in results.find(FOLDS, "tiny", run).values()} == set(SHIPPED)


def test_each_store_is_brought_up_to_date_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for job in FOLDS:
        job.folder(tmp_path).mkdir(parents=True)
        (job.folder(tmp_path) / "metrics.json").touch()
    opened, open_one = [], pipeline.store
    monkeypatch.setattr(pipeline, "store", lambda name, profile: opened.append(name) or open_one(name, profile))
    assert not results.trained(FOLDS, "tiny", tmp_path) and opened == ["ckplus"]
    opened.clear()
    crossed = [Job(test, "3d+landmarks", trained_on=("mmi", "disfa")) for test in ("ckplus", "fera")]
    assert len(results.shipped(crossed, "tiny")) == 2
    assert sorted(opened) == ["ckplus", "disfa", "fera", "mmi"]


def test_a_training_of_other_settings_does_not_count(tmp_path: Path) -> None:
    pipeline.run_job(FOLDS[0], "tiny", tmp_path, seed=1)
    assert FOLDS[0] not in results.find(FOLDS, "tiny", tmp_path)


def test_across_databases_the_clips_that_count_are_those_of_the_training(tmp_path: Path, store: Store) -> None:
    job = Job("ckplus", "3d+landmarks", trained_on=("mmi",))
    (result,) = results.find([job], "tiny", tmp_path).values()
    counted = store.manifest["clip"][store.labels != "contempt"]
    assert list(result.predictions["clip"]) == list(counted), "MMI has no contempt, the shipped weights have"


def test_where_nothing_is_found_the_command_that_trains_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished training on CK") as error:
        results.find([Job("ckplus", "2d", 0)], "tiny", tmp_path / "mine")
    assert "make tables PROFILE=tiny RUN=mine" in str(error.value)


def test_parts_of_a_network_alone_add_up_to_its_predictions(tmp_path: Path, store: Store) -> None:
    shipped = results.find(FOLDS, "tiny", tmp_path / "run")[FOLDS[2]]
    parts = results.by_stream(shipped.weights, shipped.predictions, store)
    assert list(parts) == ["pictures", "landmark streams"] and all(0 <= rate <= 1 for rate in parts.values())
    folder = pipeline.run_job(FOLDS[2], "tiny", tmp_path)  # the paper's network has no other part
    tested = results.find([FOLDS[2]], "tiny", tmp_path)[FOLDS[2]].predictions
    assert results.by_stream(folder, tested, store) == {"pictures": (tested["label"] == tested["prediction"]).mean()}
