"""The people of a recording: who is who, and which ten frames a window holds."""

from collections.abc import Iterable

import numpy as np
import pytest
import scenes

from fer3d.config import ClipSettings
from fer3d.data import face_fit, face_search, tracks
from fer3d.data.crop import crop_box, crop_face
from fer3d.data.tracks import Gap, Window
from fer3d.data.video import Flaw, TimedFrame

SETTINGS = ClipSettings(size=64)


def timed(pictures: Iterable[np.ndarray], rate: float = 30.0) -> list[TimedFrame | Flaw]:
    return [TimedFrame(number, number / rate, picture) for number, picture in enumerate(pictures)]


def ended(
    items: Iterable[TimedFrame | Flaw], settings: ClipSettings = SETTINGS, **options: object
) -> list[Window | Gap]:
    """All windows and gaps of a recording, in the order in which they end."""
    options = {"seconds": 10 / 30} | options
    return [each for step in tracks.follow(items, settings, **options) for each in step.done]  # type: ignore[arg-type]


def spans(items: list[Window | Gap]) -> list[tuple[int | None, int, int]]:
    """Person, first and last frame of each window."""
    return [(each.person, each.first.frame, each.last.frame) for each in items if isinstance(each, Window)]


def two(i: int) -> np.ndarray:
    return scenes.head(480, 230, 1.2, on=scenes.head(170 + 2 * i, 230, 1.4, mirrored=True))


def test_a_window_holds_ten_frames_cut_out_as_from_the_whole_frame() -> None:
    pictures = scenes.walk(10)
    (window,) = ended(timed(pictures))
    assert isinstance(window, Window) and (window.padded, window.n_faces) == (0, 1)
    assert window.first.seconds == 0 and window.end == pytest.approx(10 / 30)
    seen = [each for step in tracks.follow(timed(pictures), SETTINGS, 1 / 3) for each in step.people.values()]
    box = crop_box(np.stack([face.landmarks for face in seen]), SETTINGS)
    for k in range(10):
        picture, landmarks = crop_face(pictures[k], seen[k].landmarks, SETTINGS, box)
        assert np.abs(window.landmarks[k] - landmarks).max() < 1e-3
        assert np.abs(window.frames[k].astype(int) - picture).max() <= 1


@pytest.mark.parametrize(("rate", "every"), [(30, 1), (60, 2), (90, 3), (15, 1)])
def test_the_same_seconds_are_taken_at_any_frame_rate_and_no_frame_twice(rate: int, every: int) -> None:
    still = [scenes.head(300, 220)] * (10 * every + 1)
    frames = spans(ended(timed(still, rate), seconds=10 / 30))
    assert frames[0] == (1, 0, 9 * every)


def test_windows_follow_each_other_or_begin_at_every_step() -> None:
    items = timed(scenes.walk(25))
    assert spans(ended(items)) == [(1, 0, 9), (1, 10, 19)]
    assert [first for _, first, _ in spans(ended(items, step=5 / 30))] == [0, 5, 10, 15]


def test_a_frame_without_the_face_ends_a_window() -> None:
    found = ended(timed(scenes.walk(26, blank=(13,))))
    assert spans(found) == [(1, 0, 9), (1, 14, 23)], "the same person"
    assert [(gap.first_frame, gap.reason) for gap in found if isinstance(gap, Gap)] == [(13, "no face found")]


def test_no_window_spans_lost_frames() -> None:
    items = timed(scenes.walk(24))
    found = ended([*items[:12], Flaw(12, "frames 12 to 13 are lost"), *items[14:]])
    assert spans(found) == [(1, 0, 9), (1, 14, 23)]
    assert "frames 12 to 13 are lost" in [gap.reason for gap in found if isinstance(gap, Gap)]


def test_after_a_scene_cut_there_is_another_person() -> None:
    pictures = [scenes.acted("one")[i % 3] for i in range(14)] + [scenes.acted("two")[i % 3] for i in range(14)]
    assert spans(ended(timed(pictures))) == [(1, 0, 9), (2, 14, 23)]


def test_each_person_has_a_track_and_the_largest_alone_can_be_followed() -> None:
    items = timed(two(i) for i in range(10))
    windows = [each for each in ended(items) if isinstance(each, Window)]
    assert sorted(window.person for window in windows) == [1, 2] and {window.n_faces for window in windows} == {2}
    (window,) = ended(items, most=1)
    assert isinstance(window, Window) and window.box.x < 320


@pytest.mark.parametrize("short", ["repeat_first", "resample"])
def test_a_recording_shorter_than_a_window_is_filled_up_and_marked(short: str) -> None:
    settings = ClipSettings.from_params({"short": short}, SETTINGS)
    (window,) = ended(timed(scenes.walk(7)), settings)
    assert isinstance(window, Window) and window.padded == 3
    (single,) = ended(timed(scenes.walk(1)), settings)
    assert isinstance(single, Window) and (single.padded, single.end) == (9, 0)


@pytest.mark.parametrize(("count", "rate"), [(7, 30), (11, 60), (12, 60), (19, 60), (25, 60), (13, 25)])
def test_a_window_ends_with_its_last_frame_and_never_past_the_recording(count: int, rate: int) -> None:
    still = timed([scenes.head(300, 220)] * count, rate)
    windows = [each for each in ended(still) if isinstance(each, Window)]
    assert [window.end for window in windows] == pytest.approx([(window.last.frame + 1) / rate for window in windows])
    *_, last = tracks.follow(still, SETTINGS, 10 / 30)
    assert windows and max(window.end for window in windows) <= last.end == pytest.approx(count / rate)


@pytest.mark.parametrize("said", [[], [Flaw(14, "")]])
def test_no_frame_lasts_as_long_as_a_pause_before_it(said: list[Flaw]) -> None:
    still = [TimedFrame(n, n / 30 + (n > 13), scenes.head(300, 220)) for n in range(30)]
    steps = list(tracks.follow([*still[:14], *said, *still[14:]], SETTINGS, 10 / 30))
    assert [step.end - 1 / 30 for step in steps[1:-1]] == pytest.approx([frame.seconds for frame in still[1:]])


def test_no_window_spans_a_pause() -> None:
    still = [TimedFrame(n, n / 30 + (n > 13), scenes.head(300, 220)) for n in range(28)]
    first, gap, second = ended(still)
    assert isinstance(first, Window) and isinstance(second, Window)
    assert (first.first.frame, first.last.frame, second.first.frame, second.last.frame) == (0, 9, 14, 23)
    assert isinstance(gap, Gap) and (gap.start, gap.end) == pytest.approx((14 / 30, 14 / 30 + 1))
    assert gap.reason == "no frame was recorded" and first.person == second.person


@pytest.mark.parametrize("intervals", [[0.5] * 20, [0.4] * 4 + [0.2] * 4 + [0.04] * 4 + [0.3] + [0.04] * 10])
def test_a_low_or_varying_frame_rate_is_no_pause(intervals: list[float]) -> None:
    frames = [TimedFrame(n, time, scenes.head(300, 220)) for n, time in enumerate(np.cumsum(intervals))]
    found = ended(frames)
    assert found and all(isinstance(each, Window) for each in found)


@pytest.mark.parametrize("count", [1, 9])
def test_a_face_that_is_too_small_is_said_to_be_so(count: int) -> None:
    small = [scenes.head(300, 220, 0.7)] * count
    assert [(gap.first_frame, gap.last_frame, gap.reason) for gap in ended(timed(small)) if isinstance(gap, Gap)] == [
        (0, count - 1, "only faces smaller than 80 px found")
    ]


def test_a_face_that_becomes_too_small_is_said_to_be_so_until_it_is_large_again() -> None:
    sizes = [1.2] * 10 + [0.7] * 6 + [1.2] * 10
    gaps = ended(timed([*(scenes.head(300, 220, size) for size in sizes), *[scenes.COFFEE] * 20]))
    assert [gap.reason for gap in gaps if isinstance(gap, Gap)] == [
        "only faces smaller than 80 px found",
        "no face found",
    ]


def test_who_is_seen_for_less_than_a_window_has_no_prediction() -> None:
    found = ended(timed(scenes.walk(20, blank=tuple(range(6, 20)))))
    assert [(gap.person, gap.reason) for gap in found if isinstance(gap, Gap)] == [
        (1, "seen for less than a window"),
        (None, "no face found"),
    ]
    assert not spans(found)
    assert not spans(ended(timed(scenes.walk(7)), ClipSettings.from_params({"short": "drop"}, SETTINGS)))


def count_searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets an item for each search of a whole frame from now on."""
    searched, search = [], face_search.search
    monkeypatch.setattr(face_search, "search", lambda *a, **k: searched.append(1) or search(*a, **k))
    return searched


def test_while_nobody_is_seen_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = count_searches(monkeypatch)
    assert [gap.reason for gap in ended(timed([scenes.COFFEE] * 21)) if isinstance(gap, Gap)] == ["no face found"]
    assert len(searched) == -(-21 // tracks.PATIENCE)


def test_where_somebody_is_lost_again_and_again_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = count_searches(monkeypatch)
    there, gone = two(0), scenes.head(170, 230, 1.4, mirrored=True)
    steps = list(tracks.follow(timed([there, gone] * 10), SETTINGS, 10 / 30))
    assert [len(step.people) for step in steps[:-1]] == [2, 1] * 10
    assert len(searched) <= 20 / tracks.PATIENCE


def test_who_is_followed_is_not_fitted_again_by_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, predictor = [], face_fit.load_predictor()
    monkeypatch.setattr(face_fit, "load_predictor", lambda: lambda *where: fitted.append(1) or predictor(*where))
    searched = count_searches(monkeypatch)
    items = timed([two(0)] * (2 + tracks.RECOUNT))
    so_far = [(len(fitted), len(searched)) for _ in tracks.follow(items, SETTINGS, 10 / 30)]
    assert so_far[-1][1] == 2
    assert len(set(np.diff([fits for fits, _ in so_far[1:-1]]))) == 1, "a frame with a search has no more fits"


def test_frames_are_settled_when_no_open_window_holds_them() -> None:
    pending = [step.pending for step in tracks.follow(timed(scenes.walk(12)), SETTINGS, 10 / 30)]
    assert pending == [0] * 9 + [10, 10, 10, 12]
