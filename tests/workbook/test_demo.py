"""The rendered person of notebook 07 and `fer3d demo`."""

from pathlib import Path

from fer3d.workbook.demo import render_person


def test_a_person_is_rendered_once_and_again_for_another_emotion_or_after_a_kill(tmp_path: Path) -> None:
    path = render_person(tmp_path / "smile.avi")
    rendered = path.read_bytes()
    path.write_bytes(b"kept")
    assert render_person(path).read_bytes() == b"kept"
    path.with_suffix(".json").unlink()  # killed before the video was whole
    assert render_person(path).read_bytes() == rendered, "the same number gives the same bytes"
    assert render_person(path, "surprise").read_bytes() not in (b"kept", rendered)
