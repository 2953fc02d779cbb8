"""Nothing that a file may hold brings a reader down: by properties, and on mutated releases."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import BUILD, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import write_image, write_video

from fer3d.data import databases
from fer3d.data.databases import ckplus, disfa, fera, mmi
from fer3d.data.databases.release import numeric, read_numbers, read_users_table, read_xml
from fer3d.data.video import UnusableFile, VideoError, printable, read_frames
from fer3d.errors import InputError
from fer3d.labels import CLASSES, EMOTIONS, emfacs

fuzzed = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

numbers = st.one_of(st.integers(-2, 99), st.floats(), st.just("x")).map(str)
tables = st.lists(st.lists(numbers, max_size=4).map(" ".join), max_size=6).map("\n".join)
contents = st.one_of(st.binary(max_size=200), st.one_of(st.text(max_size=200), tables).map(lambda t: t.encode()))
tags = st.builds(
    '<D><{}  {}="{}" {}="{}"/></D>'.format,
    st.sampled_from(["Metatag", "track", "ActionUnit", "x:Metatag"]),
    st.sampled_from(["Name", "NAME", "x"]),
    st.one_of(st.just("Emotion"), st.text(max_size=9)),
    st.sampled_from(["Value", "view", "Number"]),
    st.one_of(st.integers().map(str), st.text(max_size=9)),
).map(lambda t: t.encode())


def unless_unusable(reader: Callable[[Path], Any], path: Path, content: bytes) -> Any:
    """What the reader makes of the content; None if it says in a printable line why it cannot."""
    path.write_bytes(content)
    try:
        return reader(path)
    except UnusableFile as reason:
        assert str(reason).isprintable() and str(reason)
        return None


@fuzzed
@given(contents)
def test_labels(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "label.txt"
    assert unless_unusable(ckplus._emotion, path, content) in (None, *CLASSES["ckplus"])
    for unit, intensity in unless_unusable(ckplus._action_units, path, content) or ():
        assert isinstance(unit, int) and 0 <= intensity <= 5
    column = unless_unusable(disfa._column, path, content)
    assert column is None or column.between(0, 5).all()
    table = unless_unusable(fera.read_units, path, content)
    assert table is None or table.isin([0, 1]).all(axis=None)
    rows = unless_unusable(read_numbers, path, content)
    assert rows is None or all(rows)


@fuzzed
@given(st.one_of(contents, tags))
def test_xml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "session.xml"
    unless_unusable(read_xml, path, content)
    assert unless_unusable(mmi._emotion, path, content) in (None, *CLASSES["mmi"])
    assert isinstance(unless_unusable(lambda p: mmi._view({"session.xml": p}, "S001-001"), path, content), str | None)
    assert isinstance(unless_unusable(mmi._action_units, path, content), tuple | None)


@fuzzed
@given(contents)
def test_users_tables(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "views.csv").write_bytes(content)
    try:
        assert list(read_users_table(tmp_path, "views.csv", lambda row: row["session"], "session")) is not None
    except InputError as error:
        assert "views.csv" in str(error)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    paths = [write_image(folder / "a.png", (20, 30)), write_image(folder / "a.jpg", (20, 30))]
    return {path.suffix: path.read_bytes() for path in [*paths, write_video(folder / "a.avi", 4)]}


@fuzzed
@given(
    suffix=st.sampled_from([".png", ".jpg", ".avi"]),
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
    content = bytearray(originals[suffix])
    for where, what in changes:
        at = int(where * len(content))
        content[at : at + len(what)] = what
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content[: int(kept * len(content))])
    try:
        for frame in read_frames(path, [] if suffix == ".avi" else [path]):
            assert frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == "uint8"
    except VideoError as reason:
        assert str(reason).startswith(path.name) and str(reason).isprintable()


@settings(database=None)
@given(st.text())
def test_every_name_fits_a_line(name: str) -> None:
    assert printable(name).isprintable() and len(printable(name)) == len(name)


@settings(database=None)
@given(st.lists(st.text(alphabet=st.characters(exclude_characters="/\0"), min_size=1)))
def test_every_name_sorts(names: list[str]) -> None:
    sorted((Path("folder") / name for name in names), key=numeric)


@settings(database=None)
@given(st.sets(st.integers(1, 30)))
def test_emfacs_knows_its_emotions(units: set[int]) -> None:
    assert emfacs(units) in (None, *EMOTIONS) and (emfacs(units) == "neutral") == (not units)


@pytest.mark.parametrize("database", BUILD)
@pytest.mark.parametrize("root", ["x" * 300, "a\0b", "no\nfolder", "~"])
def test_odd_roots(database: str, root: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        databases.scan(database, tmp_path / root)
    assert str(refused.value).isprintable()


@pytest.mark.slow
def test_mutated_releases() -> None:
    """A part of what ``python tests/helpers/hostile.py`` does: one release in four, each spoilt anew."""
    outcomes = list(run(mutations=200, seed=100_000))
    assert [told for told in outcomes if told["problem"]] == []
    assert {"read", "skipped", "refused"} <= {told["result"] for told in outcomes}
