"""The committed results: whole, small, of synthetic data only, and what the README shows."""

from pathlib import Path

import pandas as pd
import pytest
from rows import finish

from fer3d import files, paths
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.workbook import pipeline, publish, report

TRUTH = ["surprise"] * 12 + ["anger"] * 6


def write_readme(folder: Path) -> Path:
    readme = folder / "README.md"
    readme.write_text(f"before\n{publish.BEGIN}\nearlier figures\n{publish.END}\nafter\n")
    return readme


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the published results of a run, ``synthetic``, and a README."""
    root = tmp_path_factory.mktemp("published")
    run = root / "runs" / "tables"
    for model, right in (("2d", 9), ("3d", 16), ("3d+landmarks", 17), ("linear", 18), ("majority", 12)):
        for fold in range(5 if model != "2d" else 3):
            finish(run, pipeline.Job("ckplus", model, fold), TRUTH, right, ["CK+ (synthetic)"])
    finish(
        run,
        pipeline.Job("ckplus", "3d+landmarks", trained_on=("mmi",)),
        TRUTH,
        3,
        ["CK+ (synthetic)", "MMI (synthetic)"],
    )
    report.write(run)
    publish.publish(run, root / "synthetic", write_readme(root))
    return root


def test_the_published_tables_are_the_reports(published: Path) -> None:
    for name in ("table1", "table2", "hypotheses"):
        made, shown = (published / part / f"{name}.csv" for part in ("runs/tables/tables", "synthetic"))
        if made.exists():
            assert made.read_bytes() == shown.read_bytes(), name


def test_published_predictions_give_the_rates_of_the_table(published: Path) -> None:
    for row in pd.read_csv(published / "synthetic" / "table1.csv").itertuples():
        table = metrics.read_predictions(published / "synthetic" / "predictions" / f"table1-ckplus-{row.model}.csv")
        assert round(100 * metrics.evaluate(table)["accuracy"], 3) == row.accuracy


def test_figures_4_and_5_are_published_with_their_numbers(published: Path) -> None:
    names = {file.name for file in (published / "synthetic" / "figures").iterdir()}
    assert names == {f"table{k}-ckplus-3d+landmarks{end}" for k in (1, 2) for end in (".svg", ".csv")}


def test_the_readme_shows_every_model_beside_the_paper_and_what_is_incomplete(published: Path) -> None:
    readme = (published / "README.md").read_text()
    assert readme.startswith("before\n") and readme.endswith("\nafter\n") and "earlier figures" not in readme
    shown = publish.current(published / "README.md")
    assert shown == publish.section(published / "synthetic")
    (within,) = [line for line in shown.splitlines() if line.startswith("| CK+ (synthetic) | 90 (30) |")]
    cells = [cell.strip() for cell in within.strip("|").split("|")]
    assert cells[-2:] == ["66.7", "93.21"]
    assert cells[2].startswith("50.0† [") and cells[2].endswith("(3 of 5 folds)"), "an incomplete row says so"
    assert cells[4].startswith("94.4 [") and "folds" not in cells[4]
    assert cells[5] == "–", "a model that is not there"
    assert "| 3D beats 2D | CK+ | +" in shown and "| 1 | shown |" in shown
    assert "on Abacus." in shown and "one training per fold" in shown
    assert "`make tables PROFILE=tiny RUN=tables`, then `fer3d publish reports/runs/tables`" in shown


def test_the_readme_says_of_which_of_several_trainings_the_table_is(tmp_path: Path) -> None:
    run, readme = tmp_path / "runs" / "tables", write_readme(tmp_path)
    for model, right in (("2d", 9), ("3d", 16)):
        for seed in range(2):
            finish(run, pipeline.Job("ckplus", model, seed=seed), TRUTH, right - seed, ["CK+ (synthetic)"])
    report.write(run)
    publish.publish(run, tmp_path / "synthetic", readme)
    shown = publish.current(readme)
    assert "one training per fold, seed 0; the claims below say how many they count" in shown
    assert "| 2 | not shown |" in shown and "SEEDS=2" in shown


def test_the_readme_says_where_databases_contradict_and_how_often_only_known_classes_would_be_right(
    tmp_path: Path,
) -> None:
    run, readme = tmp_path / "runs" / "tables", write_readme(tmp_path)
    for database, within, across in (("ckplus", 18, 0), ("mmi", 2, 14)):
        for fold in range(5):
            finish(run, pipeline.Job(database, "3d+landmarks", fold), TRUTH, within, [f"{database} (synthetic)"])
        names = [f"{database} (synthetic)", "FERA (synthetic)"]
        finish(run, pipeline.Job(database, "3d+landmarks", trained_on=("fera",)), TRUTH, across, names)
    for folder in run.glob("*/3d+landmarks/cross"):  # the same clips as fold by fold
        tables = [pd.read_csv(each / "predictions.csv") for each in sorted(folder.parent.glob("fold?"))]
        whole = pd.concat(tables)
        wrong = whole.assign(prediction="contempt", p_contempt=0.9)
        right = whole.assign(prediction=whole["label"])
        (wrong if "ckplus" in str(folder) else right).to_csv(folder / "predictions.csv", index=False)
    report.write(run)
    publish.publish(run, tmp_path / "synthetic", readme)
    shown = publish.current(readme)
    claim = [line.split(" | ") for line in shown.splitlines() if line.startswith("| cross-database is harder")]
    assert [(cells[1], cells[2].split()[0], cells[-1].strip(" |")) for cells in claim] == [
        ("all together", claim[0][2].split()[0], "the databases differ"),
        ("CK+", "+100.0", "shown"),
        ("MMI", "-88.9", "the opposite is shown"),
    ]
    rates = pd.read_csv(tmp_path / "synthetic" / "table2.csv")
    assert rates["accuracy"][0] == 0 and rates["among_labelled"][0] == pytest.approx(100), (
        "all said contempt, which no clip has"
    )
    assert "\n| ckplus (synthetic) | 100.0 |" in shown.replace("CK+", "ckplus")
    tested = pd.read_csv(tmp_path / "synthetic" / "hypotheses.csv").set_index("database")
    assert (
        tested.loc["all", "found"] == "the databases differ" and ": the databases differ, " in tested["verdict"]["all"]
    )
    assert f"{len(tested)} tests were made" in shown


def test_a_network_below_the_majority_class_is_said_to_be(published: Path) -> None:
    shown = publish.current(published / "README.md")
    (sentence,) = [line for line in shown.splitlines() if line.startswith("- † below the majority class.")]
    assert "CK+ (synthetic): linear on landmark motion (100.0)" in sentence
    assert "CK+ (synthetic), from the three others: none above it (" in sentence
    assert "--pretrained synthetic" in sentence
    marked = {line.split(" |")[0]: line.count("†") for line in shown.splitlines() if "93.21" in line or "67.52" in line}
    assert marked == {"| CK+ (synthetic)": 1, "| CK+ (synthetic), from the three others": 1}, "2d; 3d+landmarks"


def test_of_models_that_are_equally_good_all_are_named(tmp_path: Path) -> None:
    run, readme = tmp_path / "runs" / "tables", write_readme(tmp_path)
    for model, right in (("2d", 1), ("3d", 16), ("3d+landmarks", 16)):
        finish(run, pipeline.Job("ckplus", model), TRUTH, right, ["CK+ (synthetic)"])
    report.write(run)
    publish.publish(run, tmp_path / "synthetic", readme)
    sentence = "The best model of each such row: CK+ (synthetic): `3d`, as well as `3d+landmarks` (88.9)"
    assert sentence in publish.current(readme)


def test_results_on_licensed_data_are_not_published(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    finish(run, pipeline.Job("ckplus", "3d"), TRUTH, 3, ["CK+"])
    readme = write_readme(tmp_path)
    with pytest.raises(InputError, match="may not be published"):
        publish.publish(run, tmp_path / "synthetic", readme)
    assert "earlier figures" in readme.read_text() and not (tmp_path / "synthetic").exists()


@pytest.mark.parametrize("data", [["CK+", "MMI (synthetic)"], ["CK+ (synthetic)", "MMI"]])
def test_a_row_with_any_licensed_data_is_not_published(data: list[str], tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    finish(run, pipeline.Job("ckplus", "3d+landmarks", trained_on=("mmi",)), TRUTH, 3, data)
    report.write(run)
    with pytest.raises(InputError, match="may not be published"):
        publish.publish(run, tmp_path / "synthetic", write_readme(tmp_path))


def test_only_one_state_of_a_run_is_published(tmp_path: Path) -> None:
    run, readme = tmp_path / "runs" / "tables", write_readme(tmp_path)
    finish(run, pipeline.Job("ckplus", "3d+landmarks"), TRUTH, 3, ["CK+ (synthetic)"])
    report.write(run)
    publish.publish(run, tmp_path / "synthetic", readme)
    finish(run, pipeline.Job("ckplus", "3d+landmarks", 1), TRUTH, 3, ["CK+ (synthetic)"])
    with pytest.raises(InputError, match="older than the trainings; try fer3d report"):
        publish.publish(run, tmp_path / "synthetic", readme)
    finish(run, pipeline.Job("ckplus", "3d"), TRUTH, 3, ["CK+ (synthetic)"])
    report.write(run)
    made = run / "ckplus" / "3d" / "fold0" / "model.json"
    for old in ('"fer3d": "0"', '"fingerprint": "abc"'):
        text = made.read_text()
        made.write_text(text.replace(old, old[:-2] + 'x"'))
        with pytest.raises(InputError, match="several programs or states of the data"):
            publish.publish(run, tmp_path / "synthetic", readme)
        made.write_text(text)
    assert "1 of 5 folds" in readme.read_text() and len(pd.read_csv(tmp_path / "synthetic" / "table1.csv")) == 1


def test_fine_tuned_networks_made_anew_elsewhere_are_published_and_the_readme_says_where(tmp_path: Path) -> None:
    run, readme = tmp_path / "runs" / "tables", write_readme(tmp_path)
    for model in ("3d", "finetuned"):
        finish(run, pipeline.Job("ckplus", model), TRUTH, 12, ["CK+ (synthetic)"])
    made = run / "ckplus" / "finetuned" / "fold0" / "model.json"
    same = made.read_text()
    for other, said in (
        (same, "fp32 on Abacus. Acc"),
        (same.replace("Abacus", "Zuse"), "the fine-tuned in fp32 on Zuse"),
    ):
        made.write_text(other.replace('"fer3d": "0"', '"fer3d": "1"'))
        report.write(run)
        publish.publish(run, tmp_path / "synthetic", readme)
        assert said in publish.current(readme)
    about = files.read_json(tmp_path / "synthetic" / "about.json")
    assert [about[made]["trainings"] for made in ("made_with", "finetuned_with")] == [1, 1]


def test_the_readme_shows_the_committed_results() -> None:
    if not (paths.PUBLISHED / "table1.csv").exists():
        pytest.skip("reports/synthetic holds no table yet: make tables, then fer3d publish reports/runs/tables")
    assert publish.current(paths.ROOT / "README.md") == publish.section(paths.PUBLISHED)
    size = sum(file.stat().st_size for file in paths.PUBLISHED.rglob("*") if file.is_file())
    assert size < 3.5e6, f"{size} bytes are committed"


def test_what_the_readme_says_in_short_is_what_was_found() -> None:
    readme = (paths.ROOT / "README.md").read_text()
    assert "a 3D network beats a 2D one. That the landmark product helps is not shown." in readme
    found = pd.read_csv(paths.PUBLISHED / "hypotheses.csv").set_index(["claim", "database"])["found"]
    assert found["3D beats 2D", "all"] == "shown"
    assert found["the landmark product helps", "all"] == "not shown"
    assert "is below a linear classifier on landmark motion; fine-tuned from the shipped weights it is above" in readme
    assert found["fine-tuning beats the linear classifier", "all"] == "shown"
    rates = pd.read_csv(paths.PUBLISHED / "table1.csv").pivot(index="database", columns="model", values="accuracy")
    assert (rates["3d+landmarks"] < rates["linear"]).all()
