"""Nothing that a file may hold brings a reader down: by properties, and on damaged releases."""

import json
import subprocess
import sys
from pathlib import Path

import damage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import write_image, write_video

from fer3d.data import databases
from fer3d.data.databases import Sequence, Skipped
from fer3d.data.databases.release import numeric
from fer3d.data.file_kinds import VideoError
from fer3d.data.video import check_video, read_frames
from fer3d.errors import InputError, printable
from fer3d.labels import classes_of

fuzzed = settings(
    max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

numbers = st.one_of(st.integers(-2, 99), st.floats(), st.just("x")).map(str)
tables = st.lists(st.lists(numbers, max_size=4).map(" ".join), max_size=6).map("\n".join)
tags = st.builds(
    '<D><{}  {}="{}" {}="{}"/></D>'.format,
    st.sampled_from(["Metatag", "track", "ActionUnit", "x:Metatag"]),
    st.sampled_from(["Name", "NAME", "x"]),
    st.one_of(st.just("Emotion"), st.text(max_size=9)),
    st.sampled_from(["Value", "view", "Number"]),
    st.one_of(st.integers().map(str), st.text(max_size=9)),
)
contents = st.one_of(st.binary(max_size=200), st.one_of(st.text(max_size=200), tables, tags).map(lambda t: t.encode()))


@pytest.mark.parametrize(
    ("database", "name"),
    [
        ("ckplus", "S005_001_00000003_emotion.txt"),
        ("ckplus", "S005_001_00000003_facs.txt"),
        ("mmi", "S001-002.xml"),
        ("mmi", "session.xml"),
        ("mmi", "S001-002-oao_aucs.xml"),
        ("disfa", "SN001_au12.txt"),
        ("fera", "train_101-emotion.dat"),
        ("fera", "train_001-au.dat"),
        ("fera", "actors.csv"),
        ("mmi", "views.csv"),
    ],
)
@fuzzed
@given(content=contents)
def test_any_content_of_a_label_file(tmp_path: Path, database: str, name: str, content: bytes) -> None:
    """The labels are those of the database, and what is left out has a reason on one line."""
    if not any(tmp_path.iterdir()):
        damage.BUILD[database](tmp_path)
    next(tmp_path.rglob(name), tmp_path / name).write_bytes(content)
    try:
        found = list(databases.scan(database, tmp_path))
    except InputError as error:
        assert name in ("actors.csv", "views.csv") and name in str(error)
        return
    for entry in found:
        if isinstance(entry, Skipped):
            assert entry.why and (entry.what + entry.why + entry.file).isprintable()
        else:
            assert {entry.label, *(entry.frame_labels or ())} <= {None, *classes_of(database, [str(entry.label)])}
            assert all(isinstance(unit, int) and 0 <= intensity <= 5 for unit, intensity in entry.action_units)
    assert sum(isinstance(entry, Sequence) for entry in found) >= 2


cells = st.one_of(
    st.sampled_from(
        ["Anna.avi", "stills", "more/ben.mp4", "*", "", "anna", "happy", "0", "1", "0.4", "5", "nan", "-1"]
    ),
    st.text(max_size=9),
    numbers,
)


@fuzzed
@given(
    content=st.one_of(
        contents,
        st.lists(st.lists(cells, min_size=1, max_size=8).map(",".join)).map(
            lambda lines: "\n".join(["path,label,subject,start,end_frame,fold", *lines]).encode(errors="replace")
        ),
    )
)
def test_any_content_of_a_users_table_of_recordings(tmp_path: Path, content: bytes) -> None:
    """Each line is a recording inside the folder, a class, or left out with a reason on one line."""
    if not any(tmp_path.iterdir()):
        damage.BUILD["table"](tmp_path)
    (tmp_path / "labels.csv").write_bytes(content)
    try:
        found = list(databases.scan("table", tmp_path))
    except InputError as error:
        assert "labels.csv" in str(error) and str(error).isprintable()
        return
    for entry in found:
        if isinstance(entry, Skipped):
            assert entry.why and (entry.what + entry.why + entry.file + entry.remedy).isprintable()
        else:
            assert entry.subject and entry.source.is_relative_to(tmp_path.resolve())
            assert 0 <= entry.first < (entry.last or 10**9)
    names = [entry.name for entry in found if isinstance(entry, Sequence)]
    assert len(set(names)) == len(names)


VIDEOS = {
    ".avi": "MJPG", ".mp4": "mp4v", ".mkv": "mp4v", ".webm": "VP80", ".flv": "FLV1", ".mpg": "PIM1", ".ts": "mpg2",
    ".wmv": "WMV2", ".mxf": "mpg2", ".nut": "FFV1", ".ivf": "VP80", ".y4m": "I420",
}  # fmt: skip
"""A video in each container that OpenCV may write."""


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    paths = [write_image(folder / "a.png", (20, 30)), write_image(folder / "a.jpg", (20, 30))]
    videos = [write_video(folder / f"a{suffix}", 4, codec=codec) for suffix, codec in VIDEOS.items()]
    return {path.suffix: path.read_bytes() for path in [*paths, *videos] if path.exists()}


@fuzzed
@given(
    suffix=st.sampled_from([".png", ".jpg", *VIDEOS]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=6),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_pictures_and_videos(
    tmp_path: Path,
    originals: dict[str, bytes],
    suffix: str,
    changes: list[tuple[float, bytes]],
    kept: float,
) -> None:
    content = bytearray(originals.get(suffix, originals[".avi"]))
    for where, what in changes:
        at = int(where * len(content))
        content[at : at + len(what)] = what
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content[: int(kept * len(content))])
    try:
        if suffix in VIDEOS:
            assert check_video(path).decodable >= 0
        for frame in read_frames(path, [] if suffix in VIDEOS else [path]):
            assert frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == "uint8"
    except VideoError as reason:
        assert str(reason).startswith(path.name) and str(reason).isprintable()


@settings(database=None)
@given(st.lists(st.text(alphabet=st.characters(exclude_characters="/\0"), min_size=1)))
def test_every_name_sorts_and_fits_a_line(names: list[str]) -> None:
    sorted((Path("folder") / name for name in names), key=numeric)
    assert all(printable(name).isprintable() and len(printable(name)) == len(name) for name in names)


@pytest.mark.slow
def test_damaged_releases() -> None:
    """A part of what ``python tests/helpers/damage.py`` does, in a process of its own: a crash is seen there."""
    command = [sys.executable, damage.__file__, "--mutations", "200", "--seed", "100000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(outcomes) == 200, done.stderr[-2000:]
    assert [outcome for outcome in outcomes if outcome["problem"]] == []
    assert {"read", "skipped", "refused"} <= {outcome["result"] for outcome in outcomes}
    assert {outcome["database"] for outcome in outcomes} == set(damage.BUILD)
