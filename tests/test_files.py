"""Results are written whole or not at all, one writer at a time, whatever is killed or full."""

import contextlib
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fer3d import files
from fer3d.errors import InputError


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("folder", [False, True])
def test_a_failing_block_leaves_the_old_result_and_nothing_else(folder: bool, tmp_path: Path) -> None:
    def write(temporary: Path, text: str) -> None:
        (temporary / text if folder else temporary).write_text(text)

    for text in ("older", "old"):
        with files.atomic(tmp_path / "a", folder) as temporary:
            write(temporary, text)
    with pytest.raises(RuntimeError), files.atomic(tmp_path / "a", folder) as temporary:
        write(temporary, "half of the new")
        raise RuntimeError
    assert listing(tmp_path) == ["a"]
    assert listing(tmp_path / "a") == ["old"] if folder else (tmp_path / "a").read_text() == "old"


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    with files.atomic(tmp_path / "store", folder=True) as temporary:
        files.write_text(temporary / "a", "a")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store", tmp_path / "store" / "a")]
    assert modes == [0o755, 0o644]


KILLED_WHILE_WRITING = """
import sys, time
from pathlib import Path
from fer3d import files
with files.lock(Path(sys.argv[1])), files.atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("half of the ne")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_kill_9_leaves_the_old_file_and_frees_the_lock(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(target)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert target.read_text() == "old"
    with files.lock(target):
        files.write_text(target, "new")
    assert target.read_text() == "new"


TAKES_THE_LOCK = """
import sys, time
from pathlib import Path
from fer3d import files
with files.lock(Path(sys.argv[1]), on_wait=lambda: print("waiting", flush=True)):
    print("mine", flush=True)
"""


def test_a_second_writer_waits(tmp_path: Path) -> None:
    with files.lock(tmp_path / "a"):
        second = subprocess.Popen(
            [sys.executable, "-c", TAKES_THE_LOCK, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True
        )
        assert second.stdout is not None and second.stdout.readline() == "waiting\n"
        time.sleep(0.5)
        assert second.poll() is None
    output, _ = second.communicate(timeout=30)
    assert output == "mine\n"


UNGUARDED = """
import multiprocessing, sys
from pathlib import Path
from fer3d import files
with files.lock(Path("a")):
    worker = multiprocessing.get_context("spawn").Process(target=print)
    worker.start()
    worker.join()
sys.exit(worker.exitcode)
"""


def test_a_worker_does_not_wait_for_the_script_that_started_it(tmp_path: Path) -> None:
    """The worker of a script without a guard runs the script once more: it says so and ends."""
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and done.stderr.endswith(" try if __name__ == '__main__': before its work\n")


def test_the_process_that_inherits_a_lock_holds_it(tmp_path: Path) -> None:
    """Also when the one that took it is gone."""
    with files.lock(tmp_path / "a") as descriptor:
        heir = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    waited = []
    heir_ends = threading.Timer(1, heir.communicate, [b"\n"])
    heir_ends.start()
    with files.lock(tmp_path / "a", on_wait=lambda: waited.append(heir.poll())):
        assert waited == [None]
    heir_ends.join()
    assert listing(tmp_path) == []


COUNTS = """
import sys
from pathlib import Path
from fer3d import files
counter = Path(sys.argv[1])
for _ in range(200):
    with files.lock(counter):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def test_a_lock_leaves_no_file_and_is_held_by_one_process_at_a_time_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    command = [sys.executable, "-c", COUNTS, str(tmp_path / "counter")]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [writer.communicate()[1] for writer in writers] == [""] * 4
    assert (tmp_path / "counter").read_text() == "800"
    assert listing(tmp_path) == ["counter"]


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_killed_writer_left_is_removed_by_the_next_one_and_a_living_one_is_left_alone(
    folder: bool, tmp_path: Path
) -> None:
    path = tmp_path / "result"
    code = "import sys, time; from pathlib import Path; from fer3d import files\n"
    code += f"with files.atomic(Path(sys.argv[1]), folder={folder}): print(flush=True); time.sleep(99)"
    with contextlib.ExitStack() as running:
        command = [sys.executable, "-c", code, str(path)]
        writers = [running.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE)) for _ in range(2)]
        for writer in writers:
            running.callback(writer.kill)
        for writer in writers:
            assert writer.stdout is not None and writer.stdout.readline() == b"\n"
        assert len(list(tmp_path.iterdir())) == 2
        writers[0].kill()
        writers[0].wait()
        with files.atomic(path, folder=folder):
            assert len(list(tmp_path.iterdir())) == 2, "the living writer's and this one's"
        writers[1].kill()
        writers[1].wait()
        with files.atomic(path, folder=folder):
            pass
    assert list(tmp_path.iterdir()) == [path]


WRITES_AGAIN_AND_AGAIN = """
import sys
from pathlib import Path
from fer3d import files
for _ in range(30):
    with files.atomic(Path(sys.argv[1]), folder=sys.argv[2] == "True") as temporary:
        (temporary / "inside" if temporary.is_dir() else temporary).write_text("whole")
"""


@pytest.mark.parametrize("folder", [False, True])
def test_writers_of_one_result_at_the_same_time_do_not_disturb_each_other(folder: bool, tmp_path: Path) -> None:
    path = tmp_path / "result"
    command = [sys.executable, "-c", WRITES_AGAIN_AND_AGAIN, str(path), str(folder)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [writer.communicate()[1] for writer in writers] == [""] * 4
    assert listing(tmp_path) == ["result"]
    assert (path / "inside" if folder else path).read_text() == "whole"


def test_what_a_killed_writer_left_is_removed_with_the_next_lock(tmp_path: Path) -> None:
    theirs = [".store.csv.abcdefgh.part", ".other.abcdefgh.part", ".store.abcdefgh.partial", "store.abcdefgh.part"]
    for name in (".store.abcdefgh.part", ".store.abcd_fg1.old"):
        (tmp_path / name / "inside").mkdir(parents=True)
    for name in (*theirs, ".store.12345678.part"):
        (tmp_path / name).touch()
    with files.lock(tmp_path / "store"):
        assert listing(tmp_path) == sorted([*theirs, ".store.lock"])


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "full disk"), (errno.EDQUOT, "full disk"), (errno.EROFS, "another path")],
)
def test_a_disk_that_takes_nothing_is_one_clear_line_and_nothing_half_written(
    number: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=message):
        files.write_json(tmp_path / "a.json", {})
    with pytest.raises(InputError, match=message), files.atomic(tmp_path / "store", folder=True) as temporary:
        (temporary / "a").write_text("x")
    assert listing(tmp_path) == []


def test_a_file_where_a_folder_is_wanted_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="another path"):
        files.write_text(tmp_path / "file" / "a.txt", "x")


def test_a_folder_where_nothing_can_be_written_is_one_clear_line(
    tmp_path: Path, without_rights: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    (tmp_path / "ro").mkdir(mode=0o555)
    for folder in (tmp_path / "ro", tmp_path / "ro" / "new"):
        expected = f"{folder} cannot be written: Permission denied; try another path"
        with without_rights(), pytest.raises(InputError, match=expected):
            files.check_writable(folder)
    files.check_writable(tmp_path / "new" / "er")
    assert listing(tmp_path) == ["ro"]


def test_a_folder_is_named_with_what_it_holds(tmp_path: Path) -> None:
    def others(found: list[Path]) -> list[Path]:
        return [path for path in found if path.name != "ours"]

    files.check_folder(tmp_path / "absent", "ours", others)
    files.check_folder(tmp_path, "ours", others)
    for name in ("ours", "b", "c"):
        (tmp_path / name).touch()
    with pytest.raises(InputError) as refused:
        files.check_folder(tmp_path, "ours alone", others)
    assert str(refused.value) == f"{tmp_path} holds b: expected a new or empty folder, or ours alone; try another --out"
    assert listing(tmp_path) == ["b", "c", "ours"]


def test_json_and_csv_are_stable(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [0.5]})
    assert list(json.loads((tmp_path / "a.json").read_text())) == ["a", "b"]
    files.write_csv(tmp_path / "a.csv", pd.DataFrame({"x": [1, 2]}))
    assert (tmp_path / "a.csv").read_text() == "x\n1\n2\n"
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "nan.json", {"x": float("nan")})
    assert listing(tmp_path) == ["a.csv", "a.json"]


def test_a_table_for_spreadsheets_has_no_formulas_and_one_line_a_cell() -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "a\nb\x1b[2J", "S1 =", "ä"]
    table = files.for_spreadsheets(pd.DataFrame({"subject": names, "n": range(-1, 6)}))
    assert table["subject"].tolist() == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "a\\nb\\x1b[2J", "S1 =", "ä"]
    assert table["n"].tolist() == list(range(-1, 6)), "numbers stay numbers"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_broken_json_is_one_clear_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError):
        files.read_json(tmp_path / "a.json")


def test_missing_oversized_and_endless_json_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no readable"):
        files.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[" + "1," * 600 + "1]")
    with pytest.raises(InputError, match="at most 1000"):
        files.read_json(tmp_path / "a.json", max_bytes=1000)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="not a regular file"):
        files.read_json(tmp_path / "pipe.json")


@pytest.mark.parametrize(
    ("size", "changed"),
    [(1, 0), (2**16, 2**15), (2**20, 0), (2**20, 2**20 - 1), (40 * 2**20, 40 * 2**20 - 20), (33 * 2**20, 11 * 2**20)],
)
def test_a_file_altered_at_the_same_size_and_time_is_in_another_state(size: int, changed: int, tmp_path: Path) -> None:
    """All of a small file counts; of a larger one start, end and a sample between them."""
    file = tmp_path / "file"
    with file.open("wb") as sparse:
        sparse.truncate(size)
    os.utime(file, (1, 1))
    before = files.state(file)
    assert files.state(file) == before and before[:2] == (size, 10**9)
    with file.open("r+b") as same:
        same.seek(changed)
        same.write(b"x")
    os.utime(file, (1, 1))
    assert files.state(file)[:2] == before[:2] and files.state(file) != before


def test_the_state_of_what_is_no_file_never_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert files.state(tmp_path / "pipe")[2] == files.state(tmp_path)[2] == ""
    with pytest.raises(FileNotFoundError):
        files.state(tmp_path / "missing")


def test_a_fingerprint_follows_the_value_and_not_its_order() -> None:
    assert files.fingerprint({"a": 1, "b": 2}) == files.fingerprint({"b": 2, "a": 1})
    assert files.fingerprint({"a": 1}) != files.fingerprint({"a": 2})
