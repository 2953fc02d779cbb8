"""`make test-browser`: the report in a real browser, wide, narrow, dark and on paper.

Not part of `make test`: it needs Chromium and the extra ``browser``. The run is made up; its pages are the committed
notebooks.
"""

import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import chromium
import pytest
from axe_playwright_python.sync_playwright import Axe
from chromium import LAPTOP
from playwright.sync_api import Page
from rows import finish

from fer3d import config, paths
from fer3d.workbook import pipeline, report

pytestmark = pytest.mark.timeout(1200)
PHONE = {"width": 390, "height": 844}
PAPER = {"A4": 703, "Letter": 725}
"""What lies between margins of 12 mm, in CSS pixels."""
TITLES = {"ckplus": "CK+ (synthetic)", "mmi": "MMI (synthetic)"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("reports") / "runs" / "laptop"
    truth = ["surprise", "anger", "fear"] * 12
    for database, other in (("ckplus", "mmi"), ("mmi", "ckplus")):
        for right, model in enumerate((*config.PAPER_VARIANTS, "linear", "lbp_top", "majority"), 2):
            finish(run, pipeline.Job(database, model), truth, 5 * right, [TITLES[database]])
        cross = pipeline.Job(database, "3d+landmarks", trained_on=(other,))
        finish(run, cross, truth, 8, [TITLES[database], TITLES[other]])
    for notebook in paths.NOTEBOOKS.glob("0*.ipynb"):
        folder = run / "ckplus" if notebook.stem == "05_evaluation" else run / "notebooks"
        folder.mkdir(exist_ok=True)
        shutil.copy(notebook, folder)
    report.write(run)
    return run


def shown(run: Path) -> list[Path]:
    return [run / "index.html", *sorted((run / "pages").glob("*.html"))]


CUT = """() => [...document.querySelectorAll("body, .wide, table, pre, figure, .output_png")]
    .filter(tag => tag.scrollWidth > tag.clientWidth + 1 && tag.clientWidth).map(tag => tag.outerHTML.slice(0, 120))"""
BEYOND = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
UNLOADED = "() => [...document.images].filter(img => !img.naturalWidth).map(img => img.alt)"


def test_pages_open_wide_narrow_and_dark_without_an_error_or_a_request_to_the_outside(run: Path, page: Page) -> None:
    watched = chromium.Watched(page)
    for file in shown(run):
        for name, size, scheme in (("wide", LAPTOP, "light"), ("dark", LAPTOP, "dark"), ("narrow", PHONE, "light")):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size(size)
            page.goto(file.as_uri())
            assert page.evaluate(BEYOND) <= 0, f"{file.stem} is wider than the {name} screen"
            assert page.evaluate(UNLOADED) == []
            ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
            light = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
            assert (light < 60) == (scheme == "dark"), ground
            page.screenshot(path=chromium.screenshots() / f"{file.stem}-{name}.png")
    assert watched.faults == []


@pytest.mark.parametrize(("size", "scheme"), [(LAPTOP, "light"), (LAPTOP, "dark"), (PHONE, "light")])
def test_axe_finds_nothing(run: Path, page: Page, size: dict[str, int], scheme: str) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    for file in shown(run):
        page.goto(file.as_uri())
        found = Axe().run(page).response["violations"]
        assert [(rule["id"], rule["help"], rule["nodes"][0]["html"][:200]) for rule in found] == [], file.stem


@pytest.mark.parametrize("paper", PAPER)
def test_nothing_is_cut_on_paper(run: Path, page: Page, paper: str) -> None:
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER[paper], "height": 900})
    for file in shown(run):
        page.goto(file.as_uri())
        assert page.evaluate(CUT) == [] and page.evaluate(BEYOND) <= 0, file.stem
        page.screenshot(path=chromium.screenshots() / f"{file.stem}-{paper}.png")
        page.pdf(path=chromium.screenshots() / f"{file.stem}-{paper}.pdf", format=paper)


def test_the_keyboard_scrolls_a_wide_table_on_a_phone(run: Path, page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.goto((run / "index.html").as_uri())
    table = page.locator(".wide", has=page.locator(".results")).first
    table.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("tag => tag.scrollLeft > 0", arg=table.element_handle())
    hint = table.evaluate("tag => getComputedStyle(tag, '::before').content")
    assert "scroll sideways" in hint


def test_the_matrices_labels_are_at_least_nine_pixels_high_on_every_screen(run: Path, page: Page) -> None:
    for size in (LAPTOP, PHONE):
        page.set_viewport_size(size)
        page.goto((run / "index.html").as_uri())
        for picture in page.locator(".matrix").all():
            svg = (run / unquote(str(picture.get_attribute("src")))).read_text()
            (width,) = re.findall(r'viewBox="0 0 ([\d.]+) ', svg)
            smallest = min(float(size) for size in re.findall(r"font(?:-size)?: [^;\"]*?([\d.]+)px", svg))
            assert smallest * picture.evaluate("tag => tag.clientWidth") / float(width) >= 9
