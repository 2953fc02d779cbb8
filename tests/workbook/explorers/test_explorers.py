"""The explorers follow their controls without a browser, and store a picture for readers without a kernel."""

import base64
import dataclasses
from pathlib import Path

import cv2
import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
import scenes

from fer3d.config import ClipSettings
from fer3d.data import clips, databases, video
from fer3d.data.faces import FaceTracker
from fer3d.data.images import read_image
from fer3d.data.store import MANIFEST, REJECTED, Store
from fer3d.standins.people.person import ACTION_UNITS, Pose, make_person, neutral_units
from fer3d.standins.picture import render, scene
from fer3d.workbook.explorers import action_units, panels
from fer3d.workbook.explorers.action_units import explore_action_units
from fer3d.workbook.explorers.clips import explore_clips, source_frame
from fer3d.workbook.explorers.explorer import Explorer, slider
from fer3d.workbook.explorers.landmark_filter import explore_filter
from fer3d.workbook.explorers.network import explore_network

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 255, (10, 32, 32, 3), dtype=np.uint8)
POINTS = RNG.uniform(4, 28, (10, 66, 2)).astype(np.float32)
PNG = b"\x89PNG"


def store(clips: int) -> Store:
    manifest = pd.DataFrame({name: range(clips) for name in MANIFEST})
    return Store(
        Path("nowhere"),
        manifest.assign(label="anger", sequence="S005_001", padded=0),
        RNG.integers(0, 255, (clips, 10, 32, 32, 3), dtype=np.uint8),
        np.stack([POINTS] * clips),
        np.ones((clips, 10, 3), np.float32),
        np.tile((16.0, 16.0, 32.0, 0.0), (clips, 10, 1)),
        np.tile(np.arange(10, dtype=np.int32), (clips, 1)),
        pd.DataFrame(columns=list(REJECTED)),
        {"database": "ckplus", "settings": {"size": 32}},
    )


VOLUMES = {"3DIR-A": RNG.random((9, 10, 8, 8)), "3DIR-C": RNG.random((9, 10, 3, 3))}
WEIGHTS = {"3DIR-A": (RNG.random((10, 8, 8)) - 0.5).clip(0)}
EXPLORERS = {
    "clips": lambda: explore_clips(
        {"ckplus": store(2), "mmi": store(3)}, {"ckplus": "CK+", "mmi": "MMI"}, dict.fromkeys(("ckplus", "mmi"), Path())
    ),
    "landmark_filter": lambda: explore_filter(FRAMES, POINTS, "CK+ (synthetic)"),
    "action_units": explore_action_units,
    "network": lambda: explore_network(
        FRAMES, POINTS, VOLUMES, {"3DIR-A": VOLUMES["3DIR-A"]}, WEIGHTS, "CK+ (synthetic)"
    ),
}


def picture_of(explorer: Explorer) -> bytes:
    return explorer.png


@pytest.fixture(autouse=True)
def recording(tmp_path, monkeypatch):
    """A release with one recording of the stores; the sixth of its last ten frames shows no face."""
    images = tuple(tmp_path / f"{t}.png" for t in range(14))
    for image, frame in zip(images, scenes.walk(14, blank=(9,)), strict=True):
        cv2.imwrite(str(image), frame[..., ::-1])
    recording = databases.Sequence("ckplus", "S005", "S005_001", tmp_path, images, label="anger")
    monkeypatch.setattr(databases, "scan", lambda database, *_: iter([recording] if database == "ckplus" else []))
    return recording


def prepared(recording: databases.Sequence, **settings: str) -> Store:
    """The prepared store of one recording."""
    clip = next(clips.cut(recording, FaceTracker(ClipSettings(size=32, **settings))))
    assert isinstance(clip, clips.Clip)
    one = store(1)
    one.manifest["first_frame"], one.manifest["padded"] = clip.first_frame, clip.padded
    one.metadata["settings"] |= settings
    kept = {name: getattr(clip, name)[None] for name in ("landmarks", "detections", "squares", "numbers")}
    return dataclasses.replace(one, frames=clip.frames[None], **kept)


def test_the_browser_marks_points_box_crop_and_rejected_frames(recording):
    """They are drawn on the recorded frame; a frame that the tracker rejects has neither points nor box."""
    one = prepared(recording)
    explorer = explore_clips({"ckplus": one}, {"ckplus": "CK+"}, {"ckplus": Path()})

    def share(frame, colour, landmarks=True):
        drawn = explorer.draw(database="ckplus", clip=1, frame=frame + 1, landmarks=landmarks)
        return np.mean(np.abs(drawn[:-24, :540].astype(int) - colour).sum(-1) < 30)

    assert share(4, panels.POINTS) > 10 * share(4, panels.POINTS, landmarks=False)
    assert share(4, panels.BOX) > 2 * share(5, panels.BOX)
    assert share(4, panels.CROP) > 0.002 and share(5, panels.CROP) > 0.002
    assert share(5, panels.NO_FACE) > share(4, panels.NO_FACE) + 0.002
    assert share(5, panels.POINTS) < 0.1 * share(4, panels.POINTS)


@pytest.mark.parametrize("length", [14, 6])
@pytest.mark.parametrize("short", ["repeat_first", "resample"])
@pytest.mark.parametrize("moved", [0, 3])
def test_the_browser_shows_the_very_frame_that_was_cut(recording, monkeypatch, length, short, moved):
    """Even with a wrong index and a padded clip. Of another recording it shows nothing."""
    recording = dataclasses.replace(recording, images=recording.images[:length])
    one, frames = prepared(recording, short=short), [read_image(image) for image in recording.images]
    cut = clips.pad_to_length(frames[-10:], one.settings)
    monkeypatch.setattr(video, "read_frames", lambda _, __, start: iter(frames[start and start + moved :]))
    for number, frame in enumerate(cut):
        found = source_frame(one, 0, number, recording)
        assert found is not None and np.array_equal(found, frame)
    one.squares[:] += 1
    assert source_frame(one, 0, 0, recording) is None


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_changes_the_picture(name):
    explorer = EXPLORERS[name]()
    assert picture_of(explorer).startswith(PNG)
    for control in explorer.controls.values():
        before, pictures = control.value, []
        for value in other_values(control):
            control.value = value
            pictures.append(picture_of(explorer))
        control.value = before
        assert any(picture != picture_of(explorer) for picture in pictures), control.description
        assert all(picture.startswith(PNG) for picture in pictures)


@pytest.mark.parametrize("name", EXPLORERS)
def test_frames_clips_channels_and_people_are_counted_from_1(name):
    controls = EXPLORERS[name]().controls
    counted = [controls[each] for each in ("frame", "clip", "channel", "person") if each in controls]
    assert counted and all(each.min == 1 for each in counted)
    assert all(each.max == 10 for each in [controls.get("frame")] if each)


def test_the_browser_counts_from_1_and_its_slider_ends_with_the_data():
    explorer = EXPLORERS["clips"]()
    clip, frame = explorer.controls["clip"], explorer.controls["frame"]
    assert (clip.min, clip.max, frame.min, frame.max) == (1, 2, 1, 10)
    explorer.controls["database"].value = "mmi"
    assert clip.max == 3
    clip.value = 3
    explorer.controls["database"].value = "ckplus"
    assert (clip.max, clip.value) == (2, 2)


def other_values(control):
    if isinstance(control, widgets.Dropdown):
        values = [option[1] if isinstance(option, tuple) else option for option in control.options]
    elif isinstance(control, widgets.Checkbox):
        values = [True, False]
    else:
        values = [control.min, control.min + control.step, control.max]
    return [value for value in values if value != control.value]


def test_readers_without_a_kernel_get_the_picture():
    explorer = EXPLORERS["landmark_filter"]()
    bundle, metadata = explorer._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == picture_of(explorer)
    assert "run this cell" in bundle["text/plain"] and "distance manhattan" in metadata["image/png"]["alt"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_landmarks_of_a_rendered_face_follow_its_action_units():
    picture, points = action_units.render_face(0, {26: 5})
    _, closed = action_units.render_face(0, {})
    assert picture.shape == (160, 160, 3) and points.shape == (66, 2)

    def opening(marks):  # between the middles of the inner lips, as a share of the nose's length
        return (marks[64, 1] - marks[61, 1]) / (marks[33, 1] - marks[27, 1])

    assert opening(points) > opening(closed) + 0.1


def test_there_is_a_slider_for_every_action_unit_with_its_name():
    named = {name: each.description for name, each in explore_action_units().controls.items() if name.startswith("AU")}
    assert list(named) == [f"AU{unit}" for unit in ACTION_UNITS]
    assert named["AU12"] == "AU12 lip corner puller"


def test_an_expression_sets_its_units_with_one_drawing_and_reset_puts_everything_back(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        action_units, "render_face", lambda *told: drawn.append(told) or (np.zeros((400, 400, 3), np.uint8), POINTS[0])
    )
    explorer = explore_action_units()
    expression, reset = explorer.panel.children[:2]
    assert len(expression.options) == 8
    start = {name: control.value for name, control in explorer.controls.items()}
    explorer.controls["yaw"].value, before = 20, len(drawn) + 1
    expression.value = "happiness"
    shown = {unit for unit in action_units.UNITS if explorer.controls[f"AU{unit}"].value}
    assert len(drawn) == before + 1 and shown == {6, 12, 25}
    assert "AU12 4" in explorer.alt and "AU1 " not in explorer.alt
    reset.click()
    assert {name: control.value for name, control in explorer.controls.items()} == start
    assert expression.value == "neutral"


def test_another_light_shows_what_a_new_renderer_would():
    who, lamps = make_person("lit", 1), (scene.Light((0.8, -0.4, 0.4), (0.9, 0.8, 0.7)),)
    one = render.Renderer(who, scene.Scene(160, 160, 0.5, noise=0.0))
    new = render.Renderer(who, scene.Scene(160, 160, 0.5, noise=0.0, lights=lamps))
    pose = Pose(neutral_units())
    before = one.frame(pose)[0].astype(int)
    assert np.array_equal(one.with_lights(lamps).frame(pose)[0], new.frame(pose)[0])
    assert np.abs(one.frame(pose)[0] - before).max() <= 1 < np.abs(new.frame(pose)[0] - before).max()


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_has_a_name_and_the_picture_says_what_it_shows(name):
    explorer = EXPLORERS[name]()
    assert all(control.description for control in explorer.controls.values())
    control = next(iter(explorer.controls.values()))
    control.value = other_values(control)[0]
    said = control.label if isinstance(control, widgets.Dropdown) else control.value
    assert f'alt="{next(iter(explorer.controls))} {said}' in explorer.picture.value


def test_a_slider_keeps_to_its_bounds_and_tells_the_browser_its_name():
    control = slider("frame", 3, 0, 9)
    control.value = 12
    assert control.value == 9
    assert {name: control.get_state()[name] for name in ("description", "min", "max", "step", "value")} == {
        "description": "frame", "min": 0, "max": 9, "step": 1, "value": 9
    }  # fmt: skip
    assert 'setAttribute("aria-label", model.get("description"))' in control.get_state()["_esm"]


def test_the_colours_of_a_stage_mean_the_same_in_all_its_channels_and_frames():
    volumes = {
        "stem": np.stack([np.full((10, 8, 8), value) for value in (0.5, 1.0)]),
        "3DIR-C": RNG.random((2, 10, 3, 3)),
    }
    explorer = explore_network(FRAMES, POINTS, volumes, {}, {}, "CK+ (synthetic)")
    weak, strong = (explorer.draw(stage="stem", channel=k, frame=3, contours=False)[200, 600] for k in (1, 2))
    assert not np.array_equal(weak, strong)


def test_what_the_product_removes_is_dark_where_the_filter_is_1_and_said_in_per_cent(monkeypatch):
    x, w = np.ones((1, 10, 4, 4)), np.ones((10, 4, 4))
    w[:, :, 2:] = 0
    titles = []
    monkeypatch.setattr(panels.cv2, "putText", lambda _, text, *__: titles.append(text))
    explorer = explore_network(FRAMES, POINTS, {"3DIR-A": x}, {"3DIR-A": x}, {"3DIR-A": w}, "CK+ (synthetic)")
    assert titles[2].startswith("removed: 50%")
    picture = explorer.draw(stage="3DIR-A", channel=1, frame=1, contours=False)
    panel = picture.shape[1] // 3
    kept, removed = (picture[250, 2 * panel + offset].sum() for offset in (100, 300))
    assert kept < removed - 300


def test_the_detected_landmarks_follow_a_jaw_that_drops_and_none_are_found_on_a_face_that_is_hidden(monkeypatch):
    assert 0.5 < action_units.landmarks_follow(0, 26) < 1.5
    monkeypatch.setattr(action_units.faces, "detect", lambda *_: None)
    assert np.isnan(action_units.landmarks_follow(0, 26))
