"""The workflow's progress on stderr: a line when a job starts, when it ends, and while it runs long.

Snakemake's own messages are switched off (``quiet: all`` in ``workflow/profiles``). This handler
reads the events that Snakemake logs and prints the ``message`` of each rule in their place.
"""

import logging
import sys
import threading
import time
from pathlib import Path

INTERVAL = 30.0
"""Seconds between two lines that say which jobs are running."""


class Progress(logging.Handler):
    """Prints the events of one workflow whose result is the page ``report``."""

    def __init__(self, report: Path, interval: float = INTERVAL) -> None:
        super().__init__()
        self.report, self.interval = report, interval
        self.start = time.monotonic()
        self.running: dict[int, tuple[str, float]] = {}
        """The title and the start of each running job, by Snakemake's number."""
        self.last_done = ""
        """The job that ended last, until the event that counts it arrives."""
        self.closed = threading.Event()
        threading.Thread(target=self._say_what_runs, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line for an event that a reader wants to see."""
        event, fields, message = getattr(record, "event", None), vars(record), record.getMessage()
        if event == "job_info" and fields["rule_msg"]:
            self.running[fields["jobid"]] = fields["rule_msg"], time.monotonic()
            self._say(f"start   {fields['rule_msg']}")
        elif event == "job_finished" and fields["job_id"] in self.running:
            title, started = self.running.pop(fields["job_id"])
            self.last_done = f"{title} ({time.monotonic() - started:.0f} s)"
        elif event == "progress" and self.last_done:
            self._say(f"done    {self.last_done}, {fields['done']} of {fields['total'] - 1}")  # less the rule `all`
            self.last_done = ""
        elif event == "job_error" and fields["jobid"] in self.running:
            self._say(f"FAILED  {self.running.pop(fields['jobid'])[0]}; the reason is printed above")
        elif message.startswith("Nothing to be done"):
            self._say(f"everything is up to date: {self.report}")
        elif record.levelno >= logging.ERROR and event is not None and "CalledProcessError" not in message:
            self._say(" ".join(message.split()))

    def close(self) -> None:
        """End the thread that says which jobs are running."""
        self.closed.set()
        super().close()

    def _say_what_runs(self) -> None:
        while not self.closed.wait(self.interval):
            if self.running:
                self._say(f"running {'; '.join(title for title, _ in list(self.running.values()))}")

    def _say(self, line: str) -> None:
        print(f"{time.monotonic() - self.start:5.0f} s  {line}", file=sys.stderr, flush=True)


def attach(logger: logging.Logger, report: Path) -> None:
    """Print the progress of the workflow that logs to ``logger``, once however often its file is read."""
    if not any(isinstance(handler, Progress) for handler in logger.handlers):
        logger.addHandler(Progress(report))
