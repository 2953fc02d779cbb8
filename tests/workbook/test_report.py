"""A run's report: the right numbers beside the paper's, and nothing loaded from the network."""

import json
import os
import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from rows import finish

from fer3d import config
from fer3d.errors import InputError
from fer3d.workbook import claims, pipeline, report
from fer3d.workbook.rows import rows_of


def execute(path: Path, title: str) -> None:
    """An executed notebook with a figure and an explorer."""
    picture = {
        "image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABXvMqOgAAAABJRU5ErkJggg=="
    }
    explorer = {"application/vnd.jupyter.widget-view+json": {"model_id": "1f"}, **picture}
    cells = [
        nbformat.v4.new_markdown_cell(f"# {title}\nSome words, and x < y."),
        nbformat.v4.new_code_cell("2", outputs=[nbformat.v4.new_output("display_data", explorer)], execution_count=2),
        nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("display_data", picture)], execution_count=1),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {"state": {}}})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "tiny"
    truth = ["surprise"] * 12 + ["anger"] * 6
    for variant in config.PAPER_VARIANTS:
        finish(run, pipeline.Job("ckplus", variant), truth, 9, ["CK+ (synthetic)"])
    finish(run, pipeline.Job("ckplus", "3d+landmarks", 1), truth, 18, ["CK+ (synthetic)"])
    cross = pipeline.Job("ckplus", "3d+landmarks", trained_on=("mmi",))
    finish(run, cross, truth, 6, ["CK+ (synthetic)", "MMI (synthetic)"])
    execute(run / "notebooks" / "01_data_prep.ipynb", "01 · Data")
    execute(run / "ckplus" / "05_evaluation.ipynb", "05 · Evaluation")
    execute(run / "ckplus" / "3d+landmarks" / "fold0" / "04_training.ipynb", "04 · Training")
    execute(run / "ckplus" / "3d+landmarks" / "fold0" / "04_training.failed.ipynb", "04 · Failed")
    execute(run / "notebooks" / ".ipynb_checkpoints" / "01_data_prep-checkpoint.ipynb", "01 · JupyterLab's copy")
    report.write(run)
    return run


def parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def text(page: Path) -> str:
    """The words of a page, one space apart."""
    return " ".join(parsed(page).get_text(" ").split())


def pages(run: Path) -> list[Path]:
    return [run / "index.html", *sorted((run / "pages").glob("*.html"))]


def loads(page: Path) -> list[str]:
    """What a page loads."""
    return [str(tag.get("src") or tag["href"]) for tag in parsed(page).select("[src], [href]:not(a)")]


def test_no_page_loads_anything_from_the_network(run: Path) -> None:
    for page in pages(run):
        html = page.read_text(encoding="utf-8")
        assert not [load for load in loads(page) if not load.startswith(("data:", "figures/"))]
        assert "<script" not in html and not re.search(r"@import|url\(['\"]?(https?:)?//", html)


def test_figures_and_explorers_are_pictures_in_a_page(run: Path) -> None:
    for page in pages(run)[1:]:
        assert len([load for load in loads(page) if load.startswith("data:image/png")]) == 2
        assert "model_id" not in page.read_text(encoding="utf-8"), "a widget, which shows nothing without a kernel"


def test_every_link_leads_somewhere(run: Path) -> None:
    for page in pages(run):
        for link in [*(str(tag["href"]) for tag in parsed(page).select("a[href]")), *loads(page)]:
            if not link.startswith(("data:", "#", "http")):
                assert (page.parent / unquote(link)).is_file(), link


def test_every_figure_has_an_alternative_text(run: Path) -> None:
    alts = [image["alt"] for image in parsed(run / "index.html").select("img")]
    assert len(alts) == 4 + 2, "a matrix a row, and the rates of each table"
    assert "CK+ (synthetic), 3d: 9 of 18 clips predicted correctly; anger 0 of 6, surprise 9 of 12" in alts


def test_rates_are_shown_beside_the_papers_and_the_baselines(run: Path) -> None:
    within = pd.read_csv(run / "tables" / "table1.csv").set_index("model")
    across = pd.read_csv(run / "tables" / "table2.csv").set_index("model")
    assert within.loc["3d", "accuracy"] == 50.0 and within.loc["3d", "majority"] == 66.667
    assert within.loc["3d", "low"] < 50 < within.loc["3d", "high"]
    assert within["paper"].to_dict() == {"2d": 85.77, "3d": 89.5, "3d+landmarks": 93.21}
    pooled, mean, std = within.loc["3d+landmarks", ["accuracy", "fold_mean", "fold_std"]]
    assert within.loc["3d+landmarks", "n"] == 36 and (pooled, mean, std) == (75, 75, 35.36)  # two folds
    assert np.isnan(within.loc["3d", "fold_std"])
    assert across.loc["3d+landmarks", ["accuracy", "paper"]].tolist() == [33.333, 67.52]
    words = text(run / "index.html")
    low, high = within.loc["3d", ["low", "high"]]
    assert f"3d 50.0 {low:.1f} to {high:.1f} 89.50 37.5 66.7 18 6 1 of 5 folds" in words
    for wanted in ("93.21 ± 2.32", "folds 75.0 ± 35.4", "trained on MMI (synthetic)", "contempt left out (2)"):
        assert wanted in words


def test_padded_and_left_out_clips_are_counted(run: Path) -> None:
    words = text(run / "index.html")
    for name in ("CK+ (synthetic)", "MMI (synthetic)"):
        assert f"{name} 36 5 4 3 abc" in words
    assert "here repeat_first" in words


def test_the_command_of_a_row_gives_its_number(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fer3d import cli

    commands = [code.text for code in parsed(run / "index.html").select("li code")]
    (command,) = [line for line in commands if "evaluate ckplus/3d+landmarks/fold0" in line]
    cli.evaluate([run / folder for folder in command.split()[2:]], as_json=True)
    figures = json.loads(capsys.readouterr().out)
    assert (figures["n"], figures["accuracy"]) == (36, 0.75)


def test_synthetic_data_are_called_synthetic_and_licensed_ones_are_not(run: Path, tmp_path: Path) -> None:
    words = text(run / "index.html")
    assert words.count("CK+ (synthetic)") >= 4 and "Synthetic data. Where a row says" in words
    finish(tmp_path, pipeline.Job("ckplus", "3d"), ["anger"] * 6, 3, ["CK+"])
    assert "(synthetic)" not in text(report.write(tmp_path))


def test_a_database_that_is_not_in_the_paper_says_so_beside_what_others_published(tmp_path: Path) -> None:
    for database, title in (("ckplus", "CK+ (synthetic)"), ("ravdess", "RAVDESS")):
        finish(tmp_path, pipeline.Job(database, "3d"), ["anger"] * 6, 3, [title])
    words = text(report.write(tmp_path))
    assert words.count("not in the paper") == 2, "in the row, and in front of the published figures"
    assert "98.9 % accuracy: LSTM on distances between landmarks; split not stated" in words
    table = pd.read_csv(tmp_path / "tables" / "table1.csv").set_index("data")
    assert table["in_paper"].to_dict() == {"CK+ (synthetic)": True, "RAVDESS": False}
    assert table.loc["CK+ (synthetic)", "paper"] == 89.5 and np.isnan(table.loc["RAVDESS", "paper"])


def test_failed_notebooks_have_no_page(run: Path) -> None:
    assert {page.stem for page in (run / "pages").iterdir()} == {
        "01_data_prep",
        "ckplus-05_evaluation",
        "ckplus-3d+landmarks-fold0-04_training",
    }


def test_folds_of_other_settings_are_not_pooled(tmp_path: Path) -> None:
    for fold in range(3):
        finish(tmp_path, pipeline.Job("ckplus", "3d", fold), ["surprise"] * 6, 3, ["CK+ (synthetic)"])
    old = tmp_path / "ckplus" / "3d" / "fold0" / "model.json"
    old.write_text(old.read_text().replace('"epochs": 2', '"epochs": 3'))
    os.utime(old, (1, 1))
    (row,) = rows_of(tmp_path)
    assert (row.metrics["n"], row.held_out, row.stale_folds) == (12, "2 of 5 folds", ("fold0",))
    assert "fold0 left out: made with other settings or data" in text(report.write(tmp_path))


def test_a_foreign_training_and_a_broken_notebook_are_one_clear_line(tmp_path: Path) -> None:
    finish(tmp_path, pipeline.Job("ckplus", "3d"), ["surprise"] * 6, 3, ["CK+ (synthetic)"])
    notebook = tmp_path / "notebooks" / "01_data_prep.ipynb"
    notebook.parent.mkdir()
    notebook.write_text('{"cells": [')
    with pytest.raises(InputError, match="is not a notebook"):
        report.write(tmp_path)
    for name, content in (("metrics.json", "[]"), ("model.json", "{}"), ("model.json", '{"data": []}')):
        (tmp_path / "ckplus" / "3d" / "fold0" / name).write_text(content)
        with pytest.raises(InputError, match="fold0 is no training of this version"):
            list(rows_of(tmp_path))


def test_a_folder_without_a_training_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished training"):
        report.write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_formulas_are_drawn_without_a_script(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("Eq. 3: $y = \\omega \\circ x + F(x)$")])
    nbformat.write(notebook, tmp_path / "03_model.ipynb")
    finish(tmp_path, pipeline.Job("ckplus", "3d"), ["anger"] * 6, 3, ["CK+"])
    report.write(tmp_path)
    formula = parsed(tmp_path / "pages" / "03_model.html").select_one("math")
    assert formula is not None and formula.text == "y=ω∘x+F(x)"


def test_the_papers_claims_are_tested_on_the_same_clips_with_a_sentence_each(run: Path) -> None:
    found = pd.read_csv(run / "tables" / "hypotheses.csv")
    assert found["claim"].tolist() == ["3D beats 2D", "the landmark product helps"], "no clip was tested both ways"
    assert found[["n", "subjects", "seeds", "difference", "p"]].iloc[0].tolist() == [18, 6, 1, 0, 1]
    for sentence in found["verdict"]:
        assert "not shown" in sentence and "one training each" in sentence and "1 of 5 folds" in sentence
        assert sentence in text(run / "index.html")


def test_claims_are_tested_on_all_seeds_and_on_all_databases_together(tmp_path: Path) -> None:
    truth = ["surprise"] * 24
    for database in ("ckplus", "mmi"):
        for seed in (0, 1, 2):
            finish(tmp_path, pipeline.Job(database, "2d", seed=seed), truth, 6, [database])
            finish(tmp_path, pipeline.Job(database, "3d", seed=seed), truth, 24, [database])
    report.write(tmp_path)
    found = pd.read_csv(tmp_path / "tables" / "hypotheses.csv").set_index("database")
    assert found["n"].to_dict() == {"all": 48, "ckplus": 24, "mmi": 24}
    assert set(found["seeds"]) == {3} and set(found["difference"]) == {75.0}
    assert found.loc["all", "p"] == pytest.approx(2 / 2**12, rel=0.01), "twelve subjects differ"
    assert found.loc["all", "verdict"].startswith("3D beats 2D: shown, +75.0")
    assert "ckplus, mmi, 1 of 5 folds each" in found.loc["all", "verdict"]
    rows = pd.read_csv(tmp_path / "tables" / "table1.csv")
    assert rows["n"].tolist() == [24] * 4, "the rows are of one training a fold"


def test_rows_of_different_data_or_programs_are_not_compared(tmp_path: Path) -> None:
    for model in ("2d", "3d"):
        finish(tmp_path, pipeline.Job("ckplus", model), ["surprise"] * 6, 3, ["CK+"])
    assert claims.test(rows_of(tmp_path))
    made = tmp_path / "ckplus" / "3d" / "fold0" / "model.json"
    for old, new in (('"fingerprint": "abc"', '"fingerprint": "other"'), ('"fer3d": "0"', '"fer3d": "1"')):
        text = made.read_text()
        made.write_text(text.replace(old, new))
        assert text != made.read_text() and not claims.test(rows_of(tmp_path)), new
        made.write_text(text)


def test_a_fine_tuned_network_is_compared_with_the_classifier_without_one(tmp_path: Path) -> None:
    for trained_on in ((), ("mmi",)):
        for model, right in (("finetuned", 24), ("linear", 6)):
            job = pipeline.Job("ckplus", model, trained_on=trained_on)
            finish(tmp_path, job, ["surprise"] * 24, right, ["CK+", *("MMI" for _ in trained_on)])
    made = tmp_path / "ckplus" / "linear" / "fold0" / "model.json"
    made.write_text(made.read_text().replace('"fer3d": "0"', '"fer3d": "0+another module"'))
    within, across = claims.test(rows_of(tmp_path))
    assert within.sentence.startswith("fine-tuning beats the linear classifier: shown, +75.0")
    assert across.sentence.startswith("fine-tuning beats the linear classifier across databases:")
    assert "CK+, 1 of 5 folds" in within.sentence and "CK+, whole database" in across.sentence


def test_a_claim_names_the_folds_that_both_models_have(tmp_path: Path) -> None:
    for model, folds in (("2d", (0, 1)), ("3d", (1, 2))):
        for fold in folds:
            finish(tmp_path, pipeline.Job("ckplus", model, fold), ["surprise"] * 6, 3, ["CK+"])
    (tested,) = claims.test(rows_of(tmp_path))
    assert tested.data == "CK+, 1 of 5 folds" and tested.result["n"] == 6


def test_rows_without_a_network_are_rows_like_all_others(tmp_path: Path) -> None:
    for model in ("3d+landmarks", "linear", "majority"):
        finish(tmp_path, pipeline.Job("ckplus", model), ["anger"] * 6, 3, ["CK+"])
    rows = pd.read_csv((report.write(tmp_path)).parent / "tables" / "table1.csv")
    assert rows["model"].tolist() == ["3d+landmarks", "linear", "majority"]
    assert rows["accuracy"].tolist() == [50.0] * 3
    words = text(tmp_path / "index.html")
    assert "linear classifier on landmark motion" in words and "fer3d evaluate ckplus/linear/fold0" in words


def test_only_a_run_that_is_there_is_suggested(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER3D_REPORTS", str(tmp_path))
    with pytest.raises(InputError, match="fold>; try fer3d reproduce, which makes one"):
        report.write("nothere")
    finish(tmp_path / "runs" / "mine", pipeline.Job("ckplus", "3d"), ["anger"], 1, ["CK+"])
    with pytest.raises(InputError, match=f"try fer3d report {tmp_path}/runs/mine$"):
        report.write("nothere")
