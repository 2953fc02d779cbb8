"""The store on disk: what the writer leaves, whole or not at all, and which damage is noticed when it is opened."""

import functools
import os
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from dots import moving_dots, written

from fer3d import files
from fer3d.config import ClipSettings
from fer3d.data.store import FLAWLESS, MANIFEST, Store, array_specs, digest, open_store
from fer3d.data.writer import Writer, write_in_parts, writer
from fer3d.errors import InputError

SETTINGS = ClipSettings(size=8, num_frames=2, min_found=2)
METADATA = {"database": "mmi", "source_fingerprint": "one"}


def numbered(number: int, part: Writer) -> None:
    """As many clips as the number says; none for 1, which is rejected."""
    if number == 1:
        part.rejected.append({"sequence": "1", "what": "sequence", "reason": "no face found"})
        return
    same = {**FLAWLESS, "database": "mmi"}
    rows = [{**same, "clip": f"{number}-{k}", "subject": "S", "sequence": "1", "label": "fear"} for k in range(number)]
    arrays = {name: np.full((number, *shape), number, dtype) for name, (dtype, shape) in array_specs(SETTINGS).items()}
    part.put(rows, arrays)
    part.frames = 10 * number


def killed(number: int, part: Writer) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refused(number: int, part: Writer) -> None:
    if number == 2:
        raise InputError("there is no model", "pip install a-model")
    numbered(number, part)


def never(number: int, part: Writer) -> None:
    raise AssertionError(f"part {number} is made again")


NUMBERS = {str(number): number for number in (3, 1, 2)}
write = functools.partial(write_in_parts, settings=SETTINGS, metadata=METADATA, tasks=NUMBERS)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    skipped = {"sequence": "0", "what": "recording", "reason": "no video"}
    write(tmp_path / "a", make=numbered, rejected=[skipped], workers=1)
    store = open_store(tmp_path / "a")
    assert list(store.manifest["clip"]) == ["3-0", "3-1", "3-2", "2-0", "2-1"]
    assert store.frames.shape == (5, 2, 8, 8, 3) and store.frames[:, 0, 0, 0, 0].tolist() == [3, 3, 3, 2, 2]
    assert store.squares[:, -1, -1].tolist() == [3, 3, 3, 2, 2]
    assert list(store.rejected["reason"]) == ["no video", "no face found"]
    counts = ("clips", "padded", "missing", "rejected", "frames")
    assert [store.metadata[name] for name in counts] == [5, 0, 0, 1, 50]
    write(tmp_path / "b", make=numbered, rejected=[skipped], workers=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_clip_by_clip_gives_the_same_bytes_as_parts(tmp_path: Path) -> None:
    write(tmp_path / "parts", make=numbered, tasks={"3": 3}, workers=1)
    with writer(tmp_path / "one", SETTINGS, METADATA) as store:
        numbered(3, store)
    assert contents(tmp_path / "parts") == contents(tmp_path / "one")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_that_failed_resumes_with_the_missing_parts(workers: int, tmp_path: Path) -> None:
    """An error of a worker process arrives whole."""
    with pytest.raises(InputError, match="there is no model; try pip install a-model"):
        write(tmp_path / "a", make=refused, workers=workers)
    assert not (tmp_path / "a").exists()
    tasks = {"3": 3}
    write(tmp_path / "a", make=never, tasks=tasks, workers=1)
    assert len(open_store(tmp_path / "a")) == 3
    write(tmp_path / "a", make=never, tasks=tasks, workers=1)  # up to date
    for damaged in ("frames.npy", "prepared.json"):
        (tmp_path / "a" / damaged).unlink()
        write(tmp_path / "a", make=numbered, tasks=tasks, workers=1)
        assert len(open_store(tmp_path / "a")) == 3
    other = METADATA | {"source_fingerprint": "other"}
    write(tmp_path / "a", make=numbered, tasks={"2": 2}, metadata=other, workers=1)
    assert len(open_store(tmp_path / "a")) == 2


@pytest.mark.parametrize(("task", "message"), [(1, "no clip could be cut: 1 x no face found"), (2, "no model")])
def test_a_call_that_failed_for_good_leaves_nothing(task: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        write(tmp_path / "a", make=refused, tasks={"only": task}, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_process_that_dies_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a worker process died"):
        write(tmp_path / "a", make=killed, workers=2)


def test_one_writer_of_a_store_at_a_time(tmp_path: Path) -> None:
    second = threading.Thread(target=write, args=[tmp_path / "a"], kwargs={"make": numbered, "workers": 1}, daemon=True)
    with files.lock(tmp_path / "a"):
        second.start()
        second.join(0.5)
        assert second.is_alive()
    second.join(30)
    assert not second.is_alive() and len(open_store(tmp_path / "a")) == 5


def test_what_is_no_store_is_never_replaced(tmp_path: Path) -> None:
    work = tmp_path / "mine" / "thesis.txt"
    files.write_text(work, "years of work")
    for out, why in (work, "thesis.txt cannot be written: Not a directory"), (work.parent, "mine holds thesis.txt: "):
        with pytest.raises(InputError, match=why):
            write(out, make=never, workers=1)
    assert work.read_text() == "years of work"


def test_a_stray_hidden_file_beside_a_store_is_no_work_of_the_users(tmp_path: Path) -> None:
    """As a file manager leaves it in each folder that it has shown."""
    out, parts = tmp_path / "a", tmp_path / ".a.partial"
    for stray in (parts / ".DS_Store", parts / "3" / ".DS_Store"):
        files.write_text(stray, "looked at")
    (parts / "3").rename(parts / "of another release")
    (parts / "2").write_text("a file with a part's name")
    write(out, make=numbered, workers=1)
    assert len(open_store(out)) == 5 and not parts.exists()
    files.write_text(out / ".DS_Store", "looked at")
    write(out, make=never, workers=1)
    write(out, make=numbered, metadata=METADATA | {"source_fingerprint": "other"}, tasks={"2": 2}, workers=1)
    assert len(open_store(out)) == 2


@pytest.mark.parametrize("hidden", [".env", ".git/HEAD"])
def test_a_folder_of_hidden_files_alone_is_no_store_and_is_never_replaced(hidden: str, tmp_path: Path) -> None:
    files.write_text(tmp_path / "a" / hidden, "years of work")
    with pytest.raises(InputError, match=f"a holds {hidden.partition('/')[0]}: "):
        write(tmp_path / "a", make=never, workers=1)
    assert (tmp_path / "a" / hidden).read_text() == "years of work"


def test_a_repository_in_a_store_is_not_replaced_with_it(tmp_path: Path) -> None:
    write(tmp_path / "a", make=numbered, workers=1)
    files.write_text(tmp_path / "a" / ".git" / "HEAD", "years of work")
    with pytest.raises(InputError, match=r"a holds \.git: "):
        write(tmp_path / "a", make=never, workers=1)


def test_arrays_that_do_not_fit_leave_no_store(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frames has shape"), writer(tmp_path / "a", SETTINGS, METADATA) as store:
        store.put([{}], {"frames": np.zeros((2, 2, 8, 8, 3))})
    assert not any(tmp_path.iterdir())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    dots = moving_dots("ckplus", subjects=3, clips=1, size=16, names=("disgust",))
    return written(dots, tmp_path_factory.mktemp("prepared") / "ckplus")


def change_json(path: Path, **values: object) -> None:
    info = files.read_json(path / "prepared.json")
    files.write_json(path / "prepared.json", info | values)


DAMAGE = {
    "no prepared.json": lambda path: (path / "prepared.json").unlink(),
    "no frames": lambda path: (path / "frames.npy").unlink(),
    "half the frames": lambda path: os.truncate(path / "frames.npy", (path / "frames.npy").stat().st_size // 2),
    "no header": lambda path: (path / "landmarks.npy").write_bytes(b""),
    "pickled landmarks": lambda path: np.save(path / "landmarks.npy", np.array([{}], dtype=object)),
    "landmarks of another kind": lambda path: np.save(path / "landmarks.npy", np.zeros((3, 4, 66, 2))),
    "landmarks of other clips": lambda path: np.save(path / "landmarks.npy", np.zeros((4, 4, 66, 2), np.float32)),
    "no squares": lambda path: (path / "squares.npy").unlink(),
    "another version": lambda path: change_json(path, format=99),
    "another size": lambda path: change_json(path, settings={"size": 64}),
    "an unknown setting": lambda path: change_json(path, settings={"colour": "red"}),
    "an unknown database": lambda path: change_json(path, database=["ckplus"]),
    "an incomplete prepared.json": lambda path: forget(path / "prepared.json", "fingerprint"),
    "broken JSON": lambda path: (path / "prepared.json").write_text("{"),
    "a list": lambda path: (path / "prepared.json").write_text("[]"),
    "an empty manifest": lambda path: (path / "manifest.csv").write_text(",".join(MANIFEST) + "\n"),
    "a binary manifest": lambda path: (path / "manifest.csv").write_bytes(bytes(range(256))),
    "another label": lambda path: rename(path / "manifest.csv", "disgust", "sadness"),
}


def rename(table: Path, old: str, new: str) -> None:
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))


def forget(info: Path, name: str) -> None:
    files.write_json(info, {key: value for key, value in files.read_json(info).items() if key != name})


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_store_is_refused(damage: str, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "store"
    shutil.copytree(store.path, path)
    DAMAGE[damage](path)
    with pytest.raises(InputError):
        open_store(path)


def test_a_subject_called_na_keeps_its_name(store: Store, tmp_path: Path) -> None:
    shutil.copytree(store.path, tmp_path / "store")
    rename(tmp_path / "store" / "manifest.csv", ",S001,", ",NA,")
    change_json(tmp_path / "store", manifest=digest(tmp_path / "store" / "manifest.csv"))
    assert list(open_store(tmp_path / "store").manifest["subject"]) == ["S000", "NA", "S002"]


def test_an_oversized_table_is_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer3d.data.store.MAX_TABLE_BYTES", 10)
    with pytest.raises(InputError, match="at most 10 are read"):
        open_store(store.path)
