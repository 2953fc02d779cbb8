"""Processes that a process started, and whether they outlive it. Linux only."""

import time
from collections.abc import Iterable
from pathlib import Path


def children(process: int | None) -> list[int]:
    """Processes that a process started; none once it has ended."""
    try:
        return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def all_end(processes: Iterable[int], seconds: float = 20) -> bool:
    """Whether they all end in that time."""
    deadline = time.monotonic() + seconds
    waiting = set(processes)
    while (waiting := {pid for pid in waiting if _running(pid)}) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not waiting


def _running(pid: int) -> bool:
    """A zombie has ended, though its parent has not waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False
