"""The workflow's progress: a line for each event of Snakemake that a reader wants to see."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fer3d import files, paths
from fer3d.workbook import estimates, pipeline, progress

WORKFLOW = """
from pathlib import Path
from snakemake.logging import logger
from fer3d.workbook import progress

for _ in range(2):  # as a file that is read twice does
    progress.attach(logger, Path("runs/tiny").absolute(), "tiny", {}, 1, workflow.output_settings.dryrun)

rule good:
    output: "good"
    message: "the good job"
    shell: "touch {output}"

rule bad:
    input: "good"
    output: "bad.ipynb"
    log: "bad.log"
    message: "the bad job"
    shell: "touch bad.failed.ipynb; (echo first; echo 'the reason$'; exit 3) > {log}"
"""


def printed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "runs").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "1"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def lines(folder: Path, *targets: str) -> list[str]:
    """The lines about jobs, without the times."""
    text = printed(folder, *targets).stderr
    return [line.partition(" s  ")[2].partition(" (")[0] for line in text.splitlines() if " s  " in line]


def test_jobs_that_start_and_end_have_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    assert lines(tmp_path, "good") == ["start   the good job", "done    the good job"]
    (up_to_date,) = lines(tmp_path, "good")
    assert up_to_date == f"everything is up to date: {tmp_path / 'runs' / 'tiny' / 'index.html'}"


def test_of_a_job_that_failed_all_is_said_that_helps(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    text = printed(tmp_path, "good", "bad.ipynb").stderr
    _, _, failure = text.partition("FAILED  the bad job; 1 of 2, 0 running, 1 failed")
    log, notebook = tmp_path / "bad.log", tmp_path / "bad.failed.ipynb"
    assert "| the reason$\n" in failure and f"log: {log}\n" in failure and f"as far as it came: {notebook}" in failure
    assert f"this job alone: cd {tmp_path} && touch bad.failed.ipynb" in failure
    assert "Error in rule" not in text and "CalledProcessError" not in text, "Snakemake's own words add nothing"


def test_a_dry_run_lists_the_jobs_and_what_they_take(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    first, *jobs = printed(tmp_path, "--dry-run", "bad.ipynb").stdout.splitlines()
    assert first.startswith("2 jobs, estimated: ") and " on 1 cores, " in first and first.endswith(" GB free")
    assert jobs[:2] == ["would run  the good job: Missing output files", "would run  the bad job: Missing output files"]
    assert not (tmp_path / "good").exists()


def test_a_snakemake_that_dies_before_its_first_job_says_why(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    done = printed(tmp_path, "nothing")
    assert done.returncode == 1 and "nothing" in done.stderr


def test_a_job_that_runs_long_is_named_again_and_again(capsys: pytest.CaptureFixture[str]) -> None:
    handler = progress.Progress(Path("run"), "tiny", {}, interval=0.01)
    job = logging.makeLogRecord({"event": "job_info", "jobid": 1, "rule_msg": "the long job", "rule_name": "training"})
    handler.emit(job)
    printed = ""
    while printed.count("running the long job") < 2:
        time.sleep(0.01)
        printed += capsys.readouterr().err
    handler.close()


def test_a_training_takes_as_long_as_its_clips_and_epochs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FER3D_DATA", str(tmp_path))
    jobs = {
        "within": [pipeline.Job("mmi", "3d", 1)],
        "across": [pipeline.Job("mmi", "3d", trained_on=("ckplus", "fera"))],
    }
    before = estimates.of_trainings(jobs, "tables")
    for name, clips in (("mmi", 0), ("ckplus", 0), ("fera", 0)):
        files.write_json(paths.store(name, "tables") / "prepared.json", {"clips": clips})
    empty = estimates.of_trainings(jobs, "tables")
    for damaged in ('{"clips": 10', "[]", "{}", '{"clips": null}', '{"clips": "many"}'):
        for name in ("mmi", "ckplus", "fera"):
            (paths.store(name, "tables") / "prepared.json").write_text(damaged)
        assert estimates.of_trainings(jobs, "tables") == before, "a damaged store stops no plan: it is made anew"
    for name, clips in (("mmi", 1000), ("ckplus", 0)):
        files.write_json(paths.store(name, "tables") / "prepared.json", {"clips": clips})
    files.write_json(paths.store("fera", "tables") / "prepared.json", {"clips": 800})
    after = estimates.of_trainings(jobs, "tables")
    assert before["within"] > empty["within"] == empty["across"], "stand-ins have clips before they are prepared"
    work = {rule: after[rule] - empty[rule] for rule in jobs}
    assert work["within"] == pytest.approx(work["across"]), "four fifths of 1000, all 800"
    assert estimates.seconds("tables", "within", after) == after["within"]
    tuned = estimates.of_trainings({"tuned": [pipeline.Job("mmi", "finetuned", 1)]}, "tables")["tuned"]
    assert tuned < after["within"], "fewer epochs"


def test_the_plan_is_printed_before_the_first_job(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    text = printed(tmp_path, "good").stderr
    assert text.index("1 jobs, estimated: ") < text.index("start   the good job")
