"""A reproduction is started: where it works, alone in its reports folder, with a GPU for each training."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from trees import mmi_session

from fer3d import paths
from fer3d.errors import InputError
from fer3d.workbook import reproduction


@pytest.fixture(autouse=True)
def new_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Data and reports in new folders."""
    monkeypatch.setenv("FER3D_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FER3D_REPORTS", str(tmp_path / "new reports"))


@pytest.fixture
def write_workflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], Path]:
    """Makes a checkout with a workflow of one rule; returns the file that the rule makes in the reports folder."""
    checkout = tmp_path / "checkout"
    (checkout / "workflow" / "profiles" / "default").mkdir(parents=True)
    (checkout / "workflow" / "profiles" / "default" / "config.yaml").write_text("rerun-incomplete: true\n")
    monkeypatch.setattr(paths, "ROOT", checkout)

    def write(output: str, shell: str) -> Path:
        lines = ["from fer3d.workbook import reproduction", "os.environ |= reproduction.places()"]
        lines += ["workdir: str(reproduction.state().parent)"]
        lines += ["if workflow.is_main_process: reproduction.begin((), reproduction.state(), 'tiny', False)"]
        lines += [f"rule all:\n    output:\n        {output!r},\n    shell:\n        {shell!r}\n"]
        (checkout / "workflow" / "Snakefile").write_text("\n".join(["import os", *lines]))
        return paths.reports() / output

    return write


def run() -> int:
    return reproduction.run("tiny", "", 1, full=False)


def test_a_changed_workflow_takes_effect(write_workflow: Callable[[str, str], Path]) -> None:
    """Snakemake keeps copies of its files, by which it would run the workflow of last time."""
    for name in ("first", "second"):
        made = write_workflow(name, "touch {output}")
        assert run() == 0
        assert made.exists()


def test_a_name_that_is_a_number_stays_a_name() -> None:
    """Snakemake strips the quotes of a text, and reads 1.10 as 1.1."""
    assert reproduction.run("tiny", "1.10", 1, full=False, dry_run=True) == 0


def test_nothing_is_written_but_in_the_places_for_it(
    write_workflow: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever the home, and whatever a laboratory's own profile of Snakemake says."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "home"))  # which nobody can make
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "/a/profile/of/the/laboratory")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    made = write_workflow("home", "echo $HOME > {output}")
    before = sorted(path for path in tmp_path.rglob("*"))
    assert run() == 0
    after = [path for path in tmp_path.rglob("*") if paths.reports() not in (path, *path.parents)]
    assert sorted(after) == before
    assert Path(made.read_text().strip()).is_relative_to(paths.reports())


def test_relative_places_in_the_environment_hold_for_jobs(
    write_workflow: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A job runs in the reports folder, the command in any folder."""
    caller = tmp_path / "caller"
    mmi_session(caller / "copies" / "mmi", 1, "S001-001")
    monkeypatch.chdir(caller)
    monkeypatch.setenv("FER3D_MMI", "copies/mmi")
    monkeypatch.setenv("FER3D_DATA", "data")
    made = write_workflow("places", "printf '%s\\n' $FER3D_MMI $FER3D_DATA > {output}")
    assert run() == 0
    assert made.read_text().split() == [str(caller / "copies" / "mmi"), str(caller / "data")]


def test_a_licensed_copy_that_is_not_there_is_said_before_anything_starts(
    write_workflow: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = write_workflow("made", "touch {output}")
    (tmp_path / "empty").mkdir()
    for folder in ("/nonexistent", str(tmp_path / "empty")):
        monkeypatch.setenv("FER3D_CKPLUS", folder)
        with pytest.raises(InputError, match=folder):
            run()
    assert not made.parent.exists()


def test_a_place_with_braces_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Snakemake takes them for a pattern."""
    monkeypatch.setenv("FER3D_DATA", str(tmp_path / "{data}"))
    with pytest.raises(InputError, match=r"FER3D_DATA .* braces"):
        reproduction.places()


REPRODUCE = """
import sys
from pathlib import Path
from fer3d import paths
from fer3d.workbook import reproduction
paths.ROOT = Path(sys.argv[1])
sys.exit(reproduction.run("tiny", "", 1, full=False))
"""
WAITING = "touch started; while [ ! -e go ]; do sleep 0.1; done; touch done"


def start() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", REPRODUCE, str(paths.ROOT)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    while not file.exists():
        assert process.poll() is None
        time.sleep(0.1)


def test_a_reproduction_waits_for_the_one_in_its_reports_folder_even_where_that_was_killed(
    write_workflow: Callable[[str, str], Path],
) -> None:
    """Killed, it leaves a Snakemake at work."""
    done = write_workflow("done", WAITING)
    first = start()
    wait_for(done.with_name("started"), first)
    first.kill()
    first.wait()
    second = start()
    try:
        assert second.stderr is not None
        assert any("waiting for it to end" in line for line in second.stderr)
        time.sleep(1)
        assert second.poll() is None
    finally:
        done.with_name("go").touch()
        second.communicate(timeout=100)
        first.communicate(timeout=100)
    assert second.returncode == 0 and done.exists()


def test_after_a_killed_snakemake_the_next_one_starts_at_once(write_workflow: Callable[[str, str], Path]) -> None:
    """It left its locks."""
    done = write_workflow("done", WAITING)
    first = start()
    wait_for(done.with_name("started"), first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=100)
    done.with_name("go").touch()
    assert run() == 0 and done.exists()


def test_trainings_at_once_have_a_gpu_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: one (UUID: a)'\necho 'GPU 1: two (UUID: b)'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = reproduction.devices()
    assert gpus == ["0", "1"]
    with reproduction.one_of(gpus):
        first = os.environ["CUDA_VISIBLE_DEVICES"]
        with reproduction.one_of(gpus):
            assert {first, os.environ["CUDA_VISIBLE_DEVICES"]} == set(gpus)
            with pytest.raises(InputError, match="in use"), reproduction.one_of(gpus):
                pass
        assert os.environ["CUDA_VISIBLE_DEVICES"] == first
    assert "CUDA_VISIBLE_DEVICES" not in os.environ, "and after all of them as before"
    with reproduction.one_of(gpus):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


def test_small_trainings_share_a_gpu_and_large_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert reproduction.shared("paper") == ["2", "3"]
    places = reproduction.shared("tables")
    assert places[:4] == ["2", "3", "2", "3"], "the GPUs fill evenly"
    with contextlib.ExitStack() as held:
        used = []
        for _ in places:
            held.enter_context(reproduction.one_of(places))
            used.append(os.environ["CUDA_VISIBLE_DEVICES"])
        assert used.count("2") == used.count("3") == len(places) / 2 > 1
        with pytest.raises(InputError, match="all GPUs are in use: 2, 3;"), reproduction.one_of(places):
            pass


def test_only_the_gpus_that_the_environment_names_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for named, gpus in (("2,3", ["2", "3"]), ("", []), ("-1", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert reproduction.devices() == gpus
