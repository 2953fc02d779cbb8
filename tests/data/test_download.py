"""Downloads of the open databases from a server on this machine that breaks off, lies and sends hostile archives."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import Server, serving
from trees import cremad_clip, ravdess_take, read

from fer3d import cli
from fer3d.data import download
from fer3d.errors import InputError

RECORD = "/api/records/1188976"
REPOSITORY = "/CREMA-D/archive/refs/heads/master.zip"
FIRST, SECOND = "Video_Speech_Actor_01.zip", "Video_Speech_Actor_02.zip"
MANY = 200_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as running:
        monkeypatch.setattr(download, "ZENODO", running.url)
        monkeypatch.setattr(download, "GITHUB", f"{running.url}/CREMA-D")
        monkeypatch.setattr(download, "CLIPS", (f"{running.url}/media/", f"{running.url}/mirror/-/raw/"))
        monkeypatch.setattr(download, "PAUSE", 0.001)
        monkeypatch.setattr(download, "TIMEOUT", 5.0)
        yield running


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    return buffer.getvalue()


def place(name: str) -> str:
    return f"/records/1188976/files/{name}"


def offer(server: Server, archives: dict[str, bytes], **changes: object) -> None:
    """Put archives and Zenodo's record of them on the server."""
    entries = []
    for name, content in archives.items():
        server.files[place(name)] = content
        md5 = hashlib.md5(content).hexdigest()
        entries.append({"key": name, "size": len(content), "checksum": f"md5:{md5}", **changes})
    server.files[RECORD] = json.dumps({"files": entries}).encode()


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The archives of two actors, each with a take in both modalities and noise that makes it large."""
    root = tmp_path_factory.mktemp("takes")
    archives = {}
    for actor, name in ((1, FIRST), (2, SECOND)):
        files = [ravdess_take(root, actor, "01-03", modality) for modality in ("01", "02")]
        members = {f"Actor_{actor:02d}/{file.name}": file.read_bytes() for file in files}
        archives[name] = zipped({**members, "__MACOSX/._x": hashlib.sha512().digest() * (MANY // 64)})
    return archives


def fetch(out: Path, actors: list[int] | None = None) -> dict[str, object]:
    return download.download("ravdess", out, actors or [1, 2])


def left(out: Path) -> list[str]:
    """All that lies in a folder, hidden files included."""
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


WHOLE = ["Video_Speech_Actor_01/02-01-03-01-01-01-01.mp4", "Video_Speech_Actor_02/02-01-03-01-01-01-02.mp4"]


def test_ravdess_is_fetched_unpacked_and_read(server: Server, takes: dict[str, bytes], tmp_path: Path) -> None:
    offer(server, takes)
    result = fetch(tmp_path / "out")
    assert (result["files"], result["bytes"]) == (2, sum(map(len, takes.values())))
    assert left(tmp_path / "out") == WHOLE, "the takes without sound, and nothing else"
    sequences, skipped = read("ravdess", tmp_path / "out")
    assert {s.subject for s in sequences.values()} == {"Actor_01", "Actor_02"} and not skipped
    before = len(server.requests)
    assert fetch(tmp_path / "out")["files"] == 0 and len(server.requests) == before, "nothing is fetched twice"


def test_a_broken_connection_is_resumed_in_the_same_call(
    server: Server, takes: dict[str, bytes], tmp_path: Path
) -> None:
    offer(server, takes)
    server.faults[place(FIRST)] = [("cut", 70_000), 503, ("cut", 70_000), ("ends", 40_000), 429]
    fetch(tmp_path / "out")
    assert left(tmp_path / "out") == WHOLE
    starts = [int(wanted[6:-1] or 0) for path, wanted in server.requests if path == place(FIRST) and wanted]
    assert starts == sorted(starts) and starts[0] >= 32768 and starts[-1] > 100_000, "each goes on where it broke"


def test_a_download_that_was_given_up_is_resumed_in_the_next_call(
    server: Server, takes: dict[str, bytes], tmp_path: Path
) -> None:
    offer(server, takes)
    server.faults[place(SECOND)] = [("cut", 100_000), *[503] * 5]
    with pytest.raises(InputError, match=r"broke off after \d+ of \d+ bytes \(HTTP status 503\).*which resumes"):
        fetch(tmp_path / "out")
    kept = left(tmp_path / "out")
    assert kept[0].startswith(".download/") and kept[-1] == WHOLE[0]
    fetch(tmp_path / "out")
    assert left(tmp_path / "out") == WHOLE
    assert server.requests[-1] == (place(SECOND), "bytes=98304-"), "three whole chunks were kept"
    assert sum(path == place(FIRST) for path, _ in server.requests) == 1


KILLED = """
import sys, pathlib
from fer3d.data import download
download.ZENODO = sys.argv[1]
download.download("ravdess", pathlib.Path(sys.argv[2]), [1, 2])
"""


def test_a_killed_download_is_resumed(server: Server, takes: dict[str, bytes], tmp_path: Path) -> None:
    offer(server, takes)
    server.faults[place(SECOND)] = [("hold", 100_000)]
    part = tmp_path / "out" / ".download" / f"{SECOND}.part"
    with subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(tmp_path / "out")]) as running:
        while not (part.exists() and part.stat().st_size):
            assert running.poll() is None
            time.sleep(0.02)
        running.kill()
    fetch(tmp_path / "out")
    assert left(tmp_path / "out") == WHOLE
    assert sum(path == place(FIRST) for path, _ in server.requests) == 1


@pytest.mark.parametrize("fault", ["no ranges", "range from 0"])
def test_a_server_that_ignores_where_to_go_on_starts_anew(
    fault: str, server: Server, takes: dict[str, bytes], tmp_path: Path
) -> None:
    offer(server, takes)
    server.faults[place(FIRST)] = [("cut", 70_000), fault]
    fetch(tmp_path / "out")
    assert left(tmp_path / "out") == WHOLE


def test_a_server_that_never_gets_on_ends(server: Server, takes: dict[str, bytes], tmp_path: Path) -> None:
    offer(server, takes)
    server.faults[place(FIRST)] = [("restart", 80_000), ("restart", 40_000)] * 50
    with pytest.raises(InputError, match="broke off after"):
        fetch(tmp_path / "out")
    assert len(server.requests) < 20


def test_a_silent_server_is_a_broken_connection(
    server: Server, takes: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(server, takes)
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server.faults[RECORD] = [("stall", 1.0)] * 2
    with pytest.raises(InputError, match="ReadTimeout"):
        fetch(tmp_path / "out")


@pytest.mark.parametrize("length", ["right", "short", "long"])
def test_wrong_bytes_are_never_kept(length: str, server: Server, takes: dict[str, bytes], tmp_path: Path) -> None:
    offer(server, takes)
    content = takes[FIRST]
    spoilt = content[:-9] + b"!" + content[-8:]
    server.files[place(FIRST)] = {"right": spoilt, "short": spoilt[:-100], "long": spoilt + b"?" * 100}[length]
    message = {"right": "another md5 checksum than", "short": "broke off after", "long": "sends more than"}[length]
    with pytest.raises(InputError, match=message):
        fetch(tmp_path / "out")
    assert not any(name.endswith((".mp4", ".zip")) for name in left(tmp_path / "out"))
    server.files[place(FIRST)] = content
    server.faults.clear()
    if length != "short":  # what was right so far may be gone on with
        fetch(tmp_path / "out")
        assert left(tmp_path / "out") == WHOLE


def test_a_wrong_length_in_the_answer_does_not_matter(server: Server, takes: dict[str, bytes], tmp_path: Path) -> None:
    offer(server, takes)
    server.faults[place(FIRST)] = [("claim", 10**9), ("claim", 5)]
    fetch(tmp_path / "out")
    assert left(tmp_path / "out") == WHOLE


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_the_server_refuses_is_not_tried_again(
    status: int, server: Server, takes: dict[str, bytes], tmp_path: Path
) -> None:
    offer(server, takes)
    server.faults[place(FIRST)] = [status] * 9
    with pytest.raises(InputError, match=f"HTTP status {status}"):
        fetch(tmp_path / "out")
    assert sum(path == place(FIRST) for path, _ in server.requests) == 1


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"files": 3}',
        b'{"files": [{"key": 1}]}',
        b'{"files": [1]}',
        b"\xff\xfe",
        b"[" * 99999,
    ],
)
def test_a_record_that_lists_nothing_is_one_clear_line(record: bytes, server: Server, tmp_path: Path) -> None:
    server.files[RECORD] = record
    with pytest.raises(InputError) as refused:
        fetch(tmp_path / "out")
    assert str(refused.value).isprintable() and left(tmp_path / "out") in ([], [".download/record.json"])


@pytest.mark.parametrize("changes", [{"size": 10**12}, {"size": -1}, {"checksum": "md5:5"}, {"checksum": "none"}])
def test_a_file_without_a_usable_size_and_checksum_is_not_fetched(
    changes: dict[str, object], server: Server, takes: dict[str, bytes], tmp_path: Path
) -> None:
    offer(server, takes, **changes)
    with pytest.raises(InputError, match=f"has no {FIRST}"):
        fetch(tmp_path / "out")
    assert [path for path, _ in server.requests] == [RECORD]


TAKE = "Actor_01/02-01-03-01-01-01-01.mp4"
HOSTILE: dict[str, Callable[[], bytes]] = {
    "above": lambda: zipped({TAKE: b"x" * 99, f"../../{TAKE}": b"x"}),
    "absolute": lambda: zipped({f"/tmp/{TAKE}": b"x"}),
    "Windows": lambda: zipped({f"C:\\{TAKE}": b"x"}),
    "backslashes": lambda: zipped({"..\\..\\02-01-03-01-01-01-01.mp4": b"x"}),
    "bomb": lambda: zipped({TAKE: b"\0" * 10**7}, zipfile.ZIP_DEFLATED),
    "many": lambda: zipped({f"{k}": b"" for k in range(50_001)}),
    "nothing": lambda: zipped({"readme.txt": b"x"}),
    "no archive": lambda: b"<html>Too many requests</html>",
    "empty": lambda: b"PK\5\6" + b"\0" * 18,
    "cut": lambda: zipped({TAKE: b"x" * 999})[:-30],
    "damaged": lambda: zipped({TAKE: b"x" * 999}).replace(b"x" * 500, b"y" * 500),
    "encrypted": lambda: zipped({TAKE: b"x" * 999}).replace(b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\1\0"),
    "unknown method": lambda: zipped({TAKE: b"x" * 999}).replace(
        b"PK\1\2\x14\x03\x14\0\0\0\0\0", b"PK\1\2\x14\x03\x14\0\0\0\x63\0"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_leaves_nothing_behind(kind: str, server: Server, tmp_path: Path) -> None:
    offer(server, {FIRST: HOSTILE[kind]()})
    with pytest.raises(InputError) as refused:
        fetch(tmp_path / "out", [1])
    assert str(refused.value).isprintable() and FIRST in str(refused.value)
    assert left(tmp_path) in (["out/.download/record.json"], [])


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=6),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
    compression=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
)
def test_any_archive_is_unpacked_or_refused_and_writes_nothing_outside(
    server: Server, tmp_path: Path, changes: list[tuple[float, bytes]], kept: float, compression: int
) -> None:
    """Its checksum is right: the record is as hostile as the archive."""
    names = (TAKE, "Actor_01/01-01-03-01-01-01-01.mp4", "Actor_01/02-01-04-01-01-01-01.mp4")
    content = bytearray(zipped({name: bytes(range(256)) * 4 for name in names}, compression))
    for where, what in changes:
        at = int(where * len(content))
        content[at : at + len(what)] = what
    offer(server, {FIRST: bytes(content[: max(1, int(kept * len(content)))])})
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    try:
        fetch(out, [1])
    except InputError as error:
        assert str(error).isprintable()
    assert {path.name for path in tmp_path.iterdir()} <= {"out"}
    folder = f"{FIRST.removesuffix('.zip')}/"
    assert all(name.startswith((folder, ".download/record")) for name in left(out))
    assert all(name.endswith(".mp4") for name in left(out) if name.startswith(folder))


def test_space_is_checked_before_anything_is_fetched(
    server: Server, takes: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(server, takes)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"0\.0 GB are needed and 0\.0 GB free.*fewer --actors"):
        fetch(tmp_path / "out")
    assert [path for path, _ in server.requests] == [RECORD]


# ---- CREMA-D ----


def pointer(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("clips")
    names = ("1001_DFA_ANG_XX", "1001_IEO_HAP_HI", "1002_DFA_SAD_XX")
    return {f"{name}.flv": cremad_clip(root, name).read_bytes() for name in names}


def offer_clips(server: Server, clips: dict[str, bytes], where: str = "/media/") -> None:
    pointers = {f"CREMA-D-abc/VideoFlash/{name}": pointer(content) for name, content in clips.items()}
    server.files[REPOSITORY] = zipped({**pointers, "CREMA-D-abc/README.md": b"x"})
    server.files |= {f"{where}{name}": content for name, content in clips.items()}


def fetch_clips(out: Path, actors: list[int] | None = None) -> dict[str, object]:
    return download.download("cremad", out, actors)


def test_cremad_is_fetched_by_the_pointers_of_its_repository(
    server: Server, clips: dict[str, bytes], tmp_path: Path
) -> None:
    offer_clips(server, clips)
    server.faults["/media/1001_DFA_ANG_XX.flv"] = [("cut", 20), 500]
    assert fetch_clips(tmp_path / "out", [1])["files"] == 2
    assert fetch_clips(tmp_path / "out")["files"] == 1, "the other actor's"
    assert left(tmp_path / "out") == sorted(f"VideoFlash/{name}" for name in clips)
    assert len(read("cremad", tmp_path / "out")[0]) == 3


@pytest.mark.parametrize("answer", ["403", "pointer", "other bytes"])
def test_the_mirror_serves_where_the_repository_does_not(
    answer: str, server: Server, clips: dict[str, bytes], tmp_path: Path
) -> None:
    offer_clips(server, clips, "/mirror/-/raw/")
    if answer != "403":
        other = {name: content if answer == "pointer" else content[::-1] for name, content in clips.items()}
        server.files |= {f"/media/{name}": pointer(c) if answer == "pointer" else c for name, c in other.items()}
    else:
        server.faults = {**{f"/media/{name}": [403] for name in clips}}
        server.faults.update({REPOSITORY: [], **{f"/mirror/-/raw/{name}": [] for name in clips}})
    fetch_clips(tmp_path / "out")
    assert left(tmp_path / "out") == sorted(f"VideoFlash/{name}" for name in clips)
    assert len({path for path, _ in server.requests if path.startswith("/media/")}) == 1, "asked once"


def test_a_clip_whose_checksum_differs_everywhere_is_refused(
    server: Server, clips: dict[str, bytes], tmp_path: Path
) -> None:
    offer_clips(server, {name: content for name, content in clips.items() if name.startswith("1002")})
    for folder in ("/media/", "/mirror/-/raw/"):
        server.files[f"{folder}1002_DFA_SAD_XX.flv"] = clips["1002_DFA_SAD_XX.flv"][::-1]
    with pytest.raises(InputError, match="another sha256 checksum"):
        fetch_clips(tmp_path / "out")
    assert not any(name.endswith(".flv") for name in left(tmp_path / "out"))


@pytest.mark.parametrize("members", [{}, {"x/VideoFlash/1001_DFA_ANG_XX.flv": b"FLV"}, {"../VideoFlash/x.flv": b"x"}])
def test_a_repository_without_pointers_is_one_clear_line(
    members: dict[str, bytes], server: Server, tmp_path: Path
) -> None:
    server.files[REPOSITORY] = zipped(members)
    with pytest.raises(InputError):
        fetch_clips(tmp_path / "out")
    assert left(tmp_path / "out") == []


# ---- the command ----


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["fer3d", "download", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_the_licence_is_shown_and_has_to_be_accepted(
    server: Server, takes: dict[str, bytes], tmp_path: Path, capsys, monkeypatch
) -> None:
    offer(server, takes)
    status, out, err = call(capsys, monkeypatch, "ravdess", "--out", tmp_path / "out", "--actors", "1")
    assert (status, out) == (2, "") and "CC BY-NC-SA 4.0" in err and "try --accept-licence" in err
    assert server.requests == [] and not (tmp_path / "out").exists()
    words = ("RAVDESS", "--out", tmp_path / "out", "--actors", "1", "--accept-licence", "--json")
    status, out, err = call(capsys, monkeypatch, *words)
    assert status == 0 and json.loads(out)["files"] == 1 and "Livingstone" in err


def test_the_question_for_the_licence_ends_with_the_input_on_one_line(tmp_path: Path, capsys, monkeypatch) -> None:
    terminal = io.StringIO()  # Ctrl-D, and Ctrl-C likewise
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    status, out, err = call(capsys, monkeypatch, "ravdess", "--out", tmp_path / "out", "--actors", "1")
    assert (status, out.strip()) == (130, "") and err.endswith("fer3d: interrupted\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ckplus --out x --accept-licence", "'ckplus' cannot be downloaded: expected ravdess or crema-d"),
        ("ravdess --out x --actors 25 --accept-licence", "there is no actor 25: expected 1 to 24"),
        ("crema-d --out x --actors 92 --accept-licence", "there is no actor 92: expected 1 to 91"),
        ("ravdess --out x --actors a --accept-licence", "not of the form 1-4,7"),
        ("ravdess --out x --actors 4-1 --accept-licence", "4-1 ends before it begins"),
    ],
)
def test_wrong_words_are_one_clear_line(words: str, message: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, monkeypatch, *words.split())
    assert (status, out) == (2, "") and message in err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "actors"), [("1-4", {1, 2, 3, 4}), ("3, 7-8", {3, 7, 8}), ("1001-1003,1091", {1, 2, 3, 91})]
)
def test_actors_are_given_as_numbers_and_ranges(text: str, actors: set[int]) -> None:
    assert download.parse_actors(text) == actors


@pytest.mark.parametrize("text", ["4-1", "4-1,2", "2,1003-1001", "91-1001"])
def test_a_range_that_ends_before_it_begins_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="ends before it begins"):
        download.parse_actors(text)
