"""`make test-browser`: the page of `fer3d predict` in a real browser, and the video with the overlay plays in it."""

from pathlib import Path

import chromium
import cv2
import pytest
from chromium import LAPTOP
from playwright.sync_api import Page

from fer3d import video_report
from fer3d.own_video import Options, Weights
from fer3d.workbook.demo import render_person

pytestmark = pytest.mark.timeout(600)
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results for a video and an image of a rendered person."""
    folder = tmp_path_factory.mktemp("predicted")
    source = render_person(folder / "smile.avi")
    cv2.imwrite(str(folder / "smile.png"), cv2.VideoCapture(str(source)).read()[1])
    sources = [str(source), str(folder / "smile.png")]
    video_report.run(sources, Weights.load("synthetic"), Options(), folder / "out", lambda value: None)
    return folder / "out"


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_the_overlay_plays_and_nothing_lies_beyond_the_edge(result: Path, page: Page, size: dict[str, int]) -> None:
    watched = chromium.Watched(page)
    page.set_viewport_size(size)
    page.goto((result / "index.html").as_uri())
    video = page.locator("video").first
    page.wait_for_function("tag => tag.currentTime > 0.5", arg=video.element_handle())
    assert page.locator("video").evaluate_all("tags => tags.map(tag => tag.error)") == [None, None]
    assert video.evaluate("tag => tag.videoWidth") > 640 and video.evaluate("tag => tag.duration") > 3
    assert page.locator("img").evaluate_all("tags => tags.every(tag => tag.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("meta[name=viewport]").count() == 1, "without it a phone shows the page at a third of its size"
    page.screenshot(path=chromium.screenshots() / f"predictions-{size['width']}.png", full_page=True)
    assert watched.faults == []
