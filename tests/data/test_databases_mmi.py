"""The MMI reader against every quirk of the web site's downloads, on miniature trees."""

from pathlib import Path

import pytest
from trees import mmi_session, read, write_image, write_text

from fer3d.data import databases
from fer3d.data.databases.summary import summarise
from fer3d.data.video import View
from fer3d.errors import InputError
from fer3d.labels import CLASSES


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "mmi-facial-expression-database_download_2026-01-02_03_04_05"
    mmi_session(root, 2, "S001-002", emotion=6, view=2)
    mmi_session(root, 224, "S002-106", emotion=2, view=2, namespace=' xmlns="urn:mmi"')
    mmi_session(root, 1767, "S028-001", emotion=1)
    mmi_session(root, 1841, "S035-004", emotion=4)
    mmi_session(root, 1900, "S053-001", emotion=5, size=(640, 480))
    return root


def test_whole_release(release: Path) -> None:
    summary = summarise("mmi", release)
    assert (summary["sequences"], summary["labelled"], summary["subjects"], summary["skipped"]) == (5, 5, 5, [])
    assert list(summary["classes"].items()) == [(name, int(name != "fear")) for name in CLASSES["mmi"]]
    sequences, _ = read("mmi", release)
    assert list(sequences) == ["S001-002", "S002-106", "S028-001", "S035-004", "S053-001"]
    assert sequences["S028-001"].subject == "S028" and sequences["S028-001"].origin == "Sessions/1767/S028-001.xml"


@pytest.mark.parametrize("inside", [".", "Sessions", ".."])
def test_any_level_of_the_download(release: Path, inside: str) -> None:
    assert summarise("mmi", release / inside)["sequences"] == 5


def test_views(release: Path) -> None:
    mmi_session(release, 300, "S003-001", view=2)
    mmi_session(release, 301, "S040-001", view=None)
    mmi_session(release, 302, "S041-001", size=(576, 720))
    sequences, _ = read("mmi", release)
    first = {name: sequence.views[0] for name, sequence in sequences.items()}
    assert first["S001-002"] == first["S002-106"] == View(0, "right")
    assert first["S003-001"] == View(0, "left")
    assert sequences["S003-001"].views[1] == View(0, "right") and len(sequences["S003-001"].views) == 8
    assert first["S028-001"] == View(90) and first["S053-001"] == first["S041-001"] == View(0)
    assert {view.rotation for view in sequences["S028-001"].views} == {0, 90, 180, 270}
    assert {view.half for view in sequences["S040-001"].views} == {None, "left", "right"}


@pytest.mark.parametrize("outside", [False, True])
def test_the_users_table_overrides_the_view(release: Path, outside: bool) -> None:
    mmi_session(release, 5, "S021-001", view=1)
    write_text(
        (release.parent if outside else release) / "views.csv", "session,rotation,half\n2,180,LEFT\n1767,270,\n5,270,\n"
    )
    sequences, skipped = read("mmi", release)
    assert sequences["S001-002"].views == (View(180, "left"),)
    assert sequences["S028-001"].views == sequences["S021-001"].views == (View(270),)
    assert not skipped


def test_the_users_table_counts_where_the_session_file_is_broken(release: Path) -> None:
    write_text(release / "Sessions" / "2" / "session.xml", "")
    assert "S001-002" not in read("mmi", release)[0]
    write_text(release / "views.csv", "session,rotation,half\n2,90,\n")
    assert read("mmi", release)[0]["S001-002"].views == (View(90),)


def test_images_take_the_place_of_a_video_that_is_broken(release: Path) -> None:
    folder = release / "Sessions" / "2"
    for number in range(3):
        write_image(folder / "S001-002" / f"{number}.png")
    assert not read("mmi", release)[0]["S001-002"].images
    (folder / "S001-002.avi").write_bytes(bytes(100))
    sequences, skipped = read("mmi", release)
    assert len(sequences["S001-002"].images) == 3
    assert skipped["Sessions/2/S001-002.avi"].endswith("S001-002 is used")


@pytest.mark.parametrize("line", ["2,45,", "2,90,top", "2,x,left", "2", "2,90"])
def test_a_wrong_views_file_is_one_clear_line(release: Path, line: str) -> None:
    write_text(release / "views.csv", f"session,rotation,half\n{line}\n")
    with pytest.raises(InputError, match=r"views\.csv"):
        list(databases.scan("mmi", release))


def test_what_is_left_out_and_why(release: Path) -> None:
    codes = {40: "0", 41: "7", 42: "10", 43: "happy"}
    for session, code in codes.items():
        mmi_session(release, session, f"S001-0{session}", emotion=code)
    mmi_session(release, 30, "S021-030", view=1)
    mmi_session(release, 31, "S001-031", emotion=None)
    (mmi_session(release, 32, "S001-032") / "S001-032.xml").unlink()
    two = '<D><Metatag Name="Emotion" Value="1"/><Metatag Name="Emotion" Value="2"/></D>'
    write_text(mmi_session(release, 33, "S001-033") / "S001-033.xml", two)
    write_image(release / "Sessions/34/S001-034.jpg")
    (release / "Sessions/35").mkdir()
    sequences, skipped = read("mmi", release)
    assert len(sequences) == 5
    assert skipped == {
        "Sessions/30/S021-030.avi": "profile view only",
        "Sessions/31/S001-031.avi": "no Emotion tag",
        "Sessions/32/S001-032.avi": "no metatags",
        "Sessions/33/S001-033.avi": "2 different Emotion tags",
        "Sessions/34": "images only, no video",
        "Sessions/35": "no video",
        **{f"Sessions/{n}/S001-0{n}.avi": f"emotion code '{code}' is not one of 1 to 6" for n, code in codes.items()},
    }


def test_a_sessions_tracks_are_matched_by_their_files(release: Path) -> None:
    track = '<track view="{}"><file name="{}.avi"/></track>'
    tracks = track.format(1, "S099-001") + track.format(2, "S028-001")
    write_text(release / "Sessions/1767/session.xml", f"<session>{tracks}</session>")
    assert read("mmi", release)[0]["S028-001"].views[0] == View(0, "left")


@pytest.mark.parametrize(
    "xml",
    [
        b'<?xml version="1.0" encoding="ISO-8859-1"?><D><N A="\xe9"/><Metatag Name="Emotion" Value="2"/></D>',
        '<?xml version="1.0" encoding="UTF-16"?><D><Metatag Name="Emotion" Value="2"/></D>'.encode("utf-16"),
        b'\xef\xbb\xbf<D xmlns:m="urn:x"><m:Metatag Value=" 2 " Name="Emotion"/></D>',
        b'<!DOCTYPE D><D><Metatag Name="Emotion" Value="2"/><Metatag Name="Emotion" Value="2"/></D>',
        b'<A><B><C><Metatag Name="EmotionIntensity" Value="9"/><Metatag Name="Emotion" Value="2"/></C></B></A>',
    ],
)
def test_encodings_and_namespaces(release: Path, xml: bytes) -> None:
    write_text(release / "Sessions/1767/S028-001.xml", xml)
    assert read("mmi", release)[0]["S028-001"].label == "disgust"


def test_hostile_xml(release: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><D>&b;</D>'
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><D><Metatag Name="Emotion" Value="&a;"/></D>'
    write_text(release / "Sessions/2/S001-002.xml", bomb)
    write_text(release / "Sessions/224/S002-106.xml", outside)
    write_text(release / "Sessions/1767/S028-001.xml", '<D a="' + "x" * 2**21 + '"/>')
    write_text(release / "Sessions/1900/S053-001.xml", "<a>" * 140_000 + "</a>" * 140_000)
    write_text(release / "Sessions/1841/S035-004.xml", '<?xml version="1.0" encoding="klingon"?><D/>')
    sequences, skipped = read("mmi", release)
    assert not sequences and len(skipped) == 5


def test_action_units(release: Path) -> None:
    write_text(
        release / "Sessions/2/S001-002-oao_aucs.xml",
        '<D><ActionUnit Number="12L"><Marker Frame="1" Type="1"/></ActionUnit><ActionUnit Number="12R"/>'
        '<ActionUnit Number="4"/><ActionUnit Number="?"/></D>',
    )
    assert read("mmi", release)[0]["S001-002"].action_units == ((4, 0.0), (12, 0.0))
