"""Work distributed over processes of one machine: stand-ins rendered, sequences cut into clips.

Worker processes end with the process that started them, even when that is killed. Training is
distributed in other ways: see `fer3d.training`.
"""

import multiprocessing
import os
import platform
import re
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from fer3d.errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The kind of processor, as the system calls it."""
    cpu = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", cpu.read_text(errors="replace")) if cpu.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def map_processes(work: Callable[[Task], Result], tasks: Collection[Task], workers: int | None) -> Iterator[Result]:
    """The result of each task in order, computed by that many processes (None: one per processor).

    Raises:
        InputError: a process died.
    """
    workers = min(workers or processors(), len(tasks))
    if workers <= 1:
        yield from map(work, tasks)
        return
    # Spawned, not forked: the caller may hold threads (a notebook's, torch's).
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _die_with_parent) as pool:
        try:
            yield from pool.map(work, tasks)
        except BrokenProcessPool as error:
            why = "perhaps for lack of memory, or because it ran the script that started it; what is finished is kept"
            remedies = "--workers 1, or if __name__ == '__main__': before the script's work"
            raise InputError(f"a worker process died, {why}", remedies) from error


def _die_with_parent() -> None:
    """Without this, a worker whose parent was killed would wait for work forever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
