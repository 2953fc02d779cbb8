"""The workflow's progress: a line for each event of Snakemake that a reader wants to see."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fer3d.workbook import progress

WORKFLOW = """
from pathlib import Path
from snakemake.logging import logger
from fer3d.workbook import progress

for _ in range(2):  # as a file that is read twice does
    progress.attach(logger, Path("index.html"))

rule good:
    output: "good"
    message: "the good job"
    shell: "touch {output}"

rule bad:
    input: "good"
    output: "bad"
    message: "the bad job"
    shell: "exit 3"
"""


def lines(folder: Path, *targets: str) -> list[str]:
    """What Snakemake with its own messages off prints, without the times."""
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", "1", "--quiet", "all"]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True).stderr
    return [line.partition(" s  ")[2].partition(" (")[0] for line in printed.splitlines() if " s  " in line]


def test_jobs_that_start_end_and_fail_have_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    started, done, *failed = lines(tmp_path, "good", "bad")
    assert (started, done) == ("start   the good job", "done    the good job")
    assert failed[0] == "start   the bad job"
    assert "FAILED  the bad job; the reason is printed above" in failed[1:]
    assert lines(tmp_path, "good") == ["everything is up to date: index.html"]


def test_a_job_that_runs_long_is_named_again_and_again(capsys: pytest.CaptureFixture[str]) -> None:
    handler = progress.Progress(Path("index.html"), interval=0.01)
    job = logging.makeLogRecord({"event": "job_info", "jobid": 1, "rule_msg": "the long job"})
    handler.emit(job)
    printed = ""
    while printed.count("running the long job") < 2:
        time.sleep(0.01)
        printed += capsys.readouterr().err
    handler.close()
