"""The workflow's progress on stderr: a line when a job starts, ends or runs long, and all about one that failed.

This handler takes the place of Snakemake's own: it reads the events that Snakemake logs and prints the ``message`` of
each rule. First it says what all jobs take; in a dry run it lists them, with why they would run.
"""

import logging
import re
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer3d.errors import printable
from fer3d.workbook import estimates

INTERVAL = 30.0
"""Seconds between two lines that say which jobs are running."""
_SAID = re.compile("CalledProcessError|At least one job did not complete|^Error in rule")
"""Snakemake's messages about a failed job, of which `Progress` has said more already."""
_LAST_LINES = 6
"""Lines shown of the log of a job that failed."""


@dataclass
class _Job:
    rule: str
    title: str
    start: float = field(default_factory=time.monotonic)


class Progress(logging.Handler):
    """Prints the events of one workflow.

    Args:
        run: the folder of the run, whose page is the result.
        profile: for the estimates of time and disk.
        trainings: seconds that an average training of each rule takes (`estimates.of_trainings`).
        cores: of this machine, that jobs share.
        dry_run: whether the jobs are only listed.
        interval: see `INTERVAL`.
    """

    def __init__(
        self,
        run: Path,
        profile: str,
        trainings: Mapping[str, float],
        cores: int = 1,
        dry_run: bool = False,
        interval: float = INTERVAL,
    ) -> None:
        super().__init__()
        self.run, self.profile, self.cores, self.dry_run, self.interval = run, profile, cores, dry_run, interval
        self.trainings, self.start = trainings, time.monotonic()
        self.running: dict[int, _Job] = {}
        """The running jobs by Snakemake's number."""
        self.planned: dict[str, int] = {}
        """How many jobs of each rule this run has."""
        self.done: list[str] = []
        """The rules of the jobs that ended."""
        self.failed: set[int] = set()
        """Snakemake's numbers of the jobs that failed last."""
        self.closed = threading.Event()
        if not dry_run:
            threading.Thread(target=self._say_what_runs, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line for an event that a reader wants to see."""
        event, fields, message = getattr(record, "event", None), vars(record), record.getMessage()
        if event == "run_info" and not self.planned:
            self.planned = {rule: count for rule, count in fields["stats"].items() if rule not in ("total", "all")}
            self._say_what_it_takes()
        elif event == "job_info" and fields["rule_msg"]:
            if self.dry_run:
                print(f"would run  {fields['rule_msg']}: {_first_line(fields['reason'])}")
                return
            self.running[fields["jobid"]] = _Job(fields["rule_name"], fields["rule_msg"])
            self.failed.discard(fields["jobid"])
            self._say(f"start   {fields['rule_msg']}")
        elif event == "job_finished" and fields["job_id"] in self.running:
            job = self.running.pop(fields["job_id"])
            self.done.append(job.rule)
            self._say(f"done    {job.title} ({time.monotonic() - job.start:.0f} s); {self._counts()}")
        elif event == "job_error" and fields["jobid"] in self.running:
            job = self.running.pop(fields["jobid"])
            self.failed.add(fields["jobid"])
            self._say(f"FAILED  {job.title}; {self._counts()}")
            for line in self._about_failure(fields):
                print(f"        {line}", file=sys.stderr, flush=True)
        elif message.startswith("Nothing to be done"):
            self._say(f"everything is up to date: {self.run / 'index.html'}")
        elif record.levelno >= logging.ERROR and event != "job_error" and not _SAID.search(message):
            self._say(" ".join(message.split()))

    def close(self) -> None:
        """End the thread that says which jobs are running."""
        self.closed.set()
        super().close()

    def _about_failure(self, fields: dict[str, Any]) -> Iterable[str]:
        """The end of the job's log, where it lies, the notebook that failed, and how to run this job alone."""
        logs = [(self.reports / str(log)).resolve() for log in fields["log"] or ()]
        found = [log for log in logs if log.is_file() and log.stat().st_size]
        if found:
            text = found[0].read_text(encoding="utf-8", errors="replace")
            for line in [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]:
                yield f"| {printable(line)}"
        yield from (f"log: {log}" for log in found)
        for output in map(Path, fields["output"]):
            notebook = self.reports / output.with_name(f"{output.stem}.failed.ipynb")
            if output.suffix == ".ipynb" and notebook.exists():
                yield f"as far as it came: {notebook}"
        if command := str(fields["shellcmd"] or "").partition(" > ")[0]:
            yield f"this job alone: cd {self.reports} && {command}"

    @property
    def reports(self) -> Path:
        """The folder that jobs run in."""
        return self.run.parent.parent

    def _counts(self) -> str:
        """How many jobs are done, run and failed, and how long the others may take."""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        total = max(sum(self.planned.values()), len(self.done))
        counts = f"{len(self.done)} of {total}, {len(self.running)} running{failed}"
        return f"{counts}, about {_duration(self._seconds_left())} left" if len(self.done) < total else counts

    def _seconds_left(self) -> float:
        """By the estimates, corrected by how long the finished jobs have taken so far."""
        total, done = self._seconds(self.planned), self._seconds(Counter(self.done))
        elapsed = time.monotonic() - self.start
        return elapsed * (total - done) / done if done else total / self.cores

    def _seconds(self, counts: Mapping[str, int]) -> float:
        return sum(count * estimates.seconds(self.profile, rule, self.trainings) for rule, count in counts.items())

    def _say_what_it_takes(self) -> None:
        jobs, seconds = sum(self.planned.values()), self._seconds(self.planned) / self.cores
        needed = sum(count * estimates.megabytes(self.profile, rule) for rule, count in self.planned.items()) / 1000
        free = shutil.disk_usage(self.reports).free / 1e9
        plan = f"{_duration(seconds)} on {self.cores} cores, {needed:.1f} GB of {free:.0f} GB free"
        print(f"{jobs} jobs, estimated: {plan}", file=None if self.dry_run else sys.stderr, flush=True)

    def _say_what_runs(self) -> None:
        while not self.closed.wait(self.interval):
            if self.running:
                self._say(f"running {'; '.join(job.title for job in list(self.running.values()))}; {self._counts()}")

    def _say(self, line: str) -> None:
        print(f"{time.monotonic() - self.start:5.0f} s  {line}", file=sys.stderr, flush=True)


def _first_line(text: str) -> str:
    """A reason without the list of files."""
    return " ".join(text.partition(":")[0].split())


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def attach(
    logger: logging.Logger, run: Path, profile: str, trainings: Mapping[str, float], cores: int, dry_run: bool
) -> None:
    """Print the progress of the workflow that logs to ``logger`` in the place of Snakemake's own messages.

    Once, however often the workflow's file is read.
    """
    if not any(isinstance(handler, Progress) for handler in logger.handlers):
        for handler in list(logger.handlers):
            if type(handler).__name__ == "ColorizingTextHandler":
                logger.removeHandler(handler)
        logger.addHandler(Progress(run, profile, trainings, cores, dry_run))
