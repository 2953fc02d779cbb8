"""The one line that a user reads is the same wherever the error was raised."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from fer3d import paths
from fer3d.errors import InputError


@pytest.mark.parametrize(
    ("hint", "line"),
    [("", "unknown profile 'big': expected tiny, laptop"), ("--profile laptop", "…; try --profile laptop")],
)
def test_an_input_error_crosses_processes_as_the_same_line(hint: str, line: str) -> None:
    error = InputError("unknown profile 'big': expected tiny,\nlaptop", hint)
    assert str(error) == line.replace("…", "unknown profile 'big': expected tiny, laptop")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("command", "status", "begins"),
    [("doctor", 1, "[FAIL] detectors: "), ("index ckplus .", 2, "fer3d: "), ("reproduce --profile tiny", 2, "fer3d: ")],
)
def test_a_machine_without_the_graphics_library_of_opencv_is_one_line_with_the_remedy(
    command: str, status: int, begins: str, tmp_path: Path
) -> None:
    """As on servers, where the package is installed and can't be loaded."""
    error = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({error!r})")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(paths.ROOT)])}
    environment["FER3D_REPORTS"] = str(tmp_path / "reports")
    done = subprocess.run(
        [sys.executable, "-m", "fer3d.cli", *command.split()],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("[OK]")]
    (line,) = [line for line in lines if "disk" not in line]
    assert done.returncode == status and line.startswith(begins) and error in line
    assert "try pip install opencv-python-headless in place of opencv-python, or apt-get install libgl1" in line


@pytest.mark.parametrize("imported", ["from fer3d import predict", "from fer3d.workbook import pipeline"])
def test_without_that_library_the_first_import_names_the_remedy(imported: str, tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text('raise ImportError("libGL.so.1: cannot open shared object file")')
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(paths.ROOT)])}
    done = subprocess.run([sys.executable, "-c", imported], env=environment, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("fer3d.errors.InputError: OpenCV can't be loaded (libGL.so.1") and "apt-get install" in last
