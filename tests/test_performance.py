"""The page of measured speeds agrees with the committed lines, which say how, where and when they were measured."""

import datetime
import json
import re
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.model import inference, network
from fer3d import config
from fer3d.paths import ROOT
from fer3d.training.run import load_model

LINES = page.read(page.LINES)
LINE = {
    "benchmark": "reading",
    "command": "python -m benchmarks.reading --fast",
    "date": "2026-02-03",
    "machine": {"processor": "Abacus", "cores": 2, "bf16": "no bf16", "torch": "9.9"},
    "about": {"threads": 1},
    "rows": [{"way": "a", "clips/s": 1234.5, "ratio": None}, {"way": "b", "clips/s": 0.12345, "ratio": 2.0}],
}
PAGE = "before\n<!-- table: reading -->\nold\n<!-- end -->\nafter\n"


def test_the_committed_page_has_the_tables_of_the_committed_lines() -> None:
    text = page.PAGE.read_text()
    assert page.filled(text, LINES) == text, "python -m benchmarks.page writes the page"


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["benchmark"])
def test_a_committed_line_names_an_existing_command_its_machine_and_its_day(line: page.Line) -> None:
    module = line["command"].split()[2]
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    assert line["machine"].keys() == {"processor", "cores", "bf16", "torch"}
    assert datetime.date.fromisoformat(line["date"]) and line["rows"]


def test_make_bench_runs_existing_benchmarks() -> None:
    names = re.search(r"^BENCH \?= (.*?[^\\])$", (ROOT / "Makefile").read_text(), re.DOTALL | re.MULTILINE)
    assert names
    for name in names[1].replace("\\\n", " ").split():
        assert (ROOT / "benchmarks" / f"{name.replace('.', '/')}.py").is_file()


def test_only_the_places_of_tables_change() -> None:
    filled = page.filled(PAGE, [LINE])
    assert filled.startswith("before\n<!-- table: reading -->\n") and filled.endswith("\n<!-- end -->\nafter\n")
    assert "| way | clips/s | ratio |" in filled and "| a | 1234 |  |" in filled and "| b | 0.123 | 2 |" in filled
    assert (
        "--fast`, 3 February 2026, Abacus, 2 cores, no bf16, PyTorch 9.9; threads 1" in filled and "old" not in filled
    )
    assert page.filled(filled, [LINE]) == filled


def test_a_new_line_takes_the_place_of_the_one_of_the_same_benchmark_and_command() -> None:
    newer, other = {**LINE, "date": "2026-02-04"}, {**LINE, "command": "python -m benchmarks.reading"}
    assert page.merged([LINE, other], [newer]) == [other, newer]


def test_a_line_without_a_place_is_named() -> None:
    with pytest.raises(SystemExit, match="reading"):
        page.filled("no place\n", [LINE])


def test_a_place_without_a_line_says_so() -> None:
    assert "**reading**: not measured yet." in page.filled(PAGE, [])


def test_a_report_is_a_line_of_the_file_that_make_bench_collects(tmp_path, monkeypatch, capsys) -> None:
    import pandas as pd

    from benchmarks import common

    monkeypatch.setenv("FER3D_BENCH", str(tmp_path / "lines.jsonl"))
    common.report("reading", pd.DataFrame([{"way": "a", "clips/s": 2.0}]), {"threads": 1})
    (line,) = page.read(tmp_path / "lines.jsonl")
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == line
    assert line.keys() == LINE.keys() and line["rows"] == [{"way": "a", "clips/s": 2.0}]


def test_the_work_of_r3d_18_is_counted_without_computing_it() -> None:
    assert network.gmac_of(network.r3d_18(64), 64) == pytest.approx(8.8, abs=0.01)


def test_the_run_of_which_inference_is_timed_can_be_loaded(tmp_path: Path) -> None:
    inference.write_run(tmp_path / "run", config.profile("tiny"))
    assert load_model(tmp_path / "run").network.classes == inference.LABELS
