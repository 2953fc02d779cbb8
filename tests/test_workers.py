"""Work distributed over processes: what a user reads when one of them dies."""

import subprocess
import sys
from pathlib import Path

UNGUARDED = """
from fer3d.workers import map_processes
print(list(map_processes(abs, [-1, -2, -3], workers=2)))
"""


def test_a_script_without_a_guard_reads_both_causes_in_one_line(tmp_path: Path) -> None:
    """Each worker runs the script once more, which may not start workers of its own."""
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    # Python's own lines surround it: the traceback before it, at times a word on semaphores after it.
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("fer3d.errors.InputError: ")]
    assert done.returncode == 1 and done.stdout == ""
    assert line.startswith("fer3d.errors.InputError: a worker process died")
    assert "if __name__ == '__main__':" in line and "memory" in line and "--workers 1" in line
