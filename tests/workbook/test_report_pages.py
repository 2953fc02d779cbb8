"""A run's report can be read: on paper, in the dark, on a phone, by a screen reader, and on another machine."""

import itertools
import re
from pathlib import Path

import html5lib
import nbformat
import pytest
from bs4 import BeautifulSoup
from rows import finish

from fer3d import labels, paths
from fer3d.evaluation import plots
from fer3d.workbook import pipeline, report
from fer3d.workbook.rows import rates_table

CSS = (Path(report.__file__).parent / "report.css").read_text(encoding="utf-8")
SCREEN, PRINT = CSS.split("@media print")
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABXvMqOgAAAABJRU5ErkJggg=="
TABLE = """<div><style scoped>.dataframe tbody tr th { vertical-align: top }</style>
<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th><th>clips</th></tr></thead>
<tbody><tr><th>anger</th><td>3</td></tr></tbody></table></div>"""


def notebook(path: Path, run: Path, title: str) -> None:
    """An executed notebook with sections, figures, a table, links, a warning and paths of its machine."""
    cells = [
        nbformat.v4.new_markdown_cell(
            f"# {title}\nNext: [03](03_model.ipynb), [solutions](solutions/03_model.ipynb), [all](../docs/results.md)."
        ),
        nbformat.v4.new_code_cell(f'run = "{run}"', metadata={"tags": ["injected-parameters"]}, execution_count=1),
        nbformat.v4.new_markdown_cell(
            "## 1 · Rates\nIf $x < y$.\n\n$$x = y$$\n\n| a | b |\n|--:|---|\n| 1 | 2 |\n\n### By hand"
        ),
        nbformat.v4.new_code_cell(
            "show()",
            outputs=[
                nbformat.v4.new_output("stream", name="stderr", text=f"{paths.ROOT}/a.py:3: UserWarning: no GPU"),
                nbformat.v4.new_output("stream", name="stdout", text=f"{run}/ckplus, /home/someone/.cache/x.bin " * 3),
                nbformat.v4.new_output("display_data", {"text/html": TABLE}),
                nbformat.v4.new_output(
                    "display_data", {"image/png": DOT}, metadata={"image/png": {"alt": 'Rates of "2d" and 3d'}}
                ),
            ],
        ),
        nbformat.v4.new_markdown_cell("## 1 · Rates"),
        nbformat.v4.new_code_cell("more()", outputs=[nbformat.v4.new_output("display_data", {"image/png": DOT})]),
        nbformat.v4.new_code_cell("drill()", metadata={"tags": ["drill"]}),
        nbformat.v4.new_code_cell("silent = 1", execution_count=3),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("reports") / "runs" / "tiny"
    truth = ["surprise"] * 12 + ["anger"] * 6
    for model, right in (("3d+landmarks", 18), ("linear", 9)):
        finish(run, pipeline.Job("ckplus", model), truth, right, ["CK+ (synthetic)"])
    cross = pipeline.Job("ckplus", "3d+landmarks", trained_on=("mmi",))
    finish(run, cross, truth, 6, ["CK+ (synthetic)", "MMI (synthetic)"])
    notebook(run / "notebooks" / "02_landmark_filters.ipynb", run, "02 · Filters")
    notebook(run / "notebooks" / "03_model.ipynb", run, "03 · Model")
    notebook(run / "ckplus" / "3d+landmarks" / "fold0" / "04_training.ipynb", run, "04 · Training")
    report.write(run)
    return run


def parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def pages(run: Path) -> list[Path]:
    found = [run / "index.html", *sorted((run / "pages").glob("*.html"))]
    assert len(found) == 4
    return found


def rule(css: str, selector: str) -> str:
    """The declarations of a selector."""
    (found,) = re.findall(rf"^\s*{re.escape(selector)} {{(.*)}}$", css, re.M)
    return str(found)


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_text_has_a_contrast_of_at_least_4_5_on_every_ground_in_the_light_the_dark_and_on_paper() -> None:
    light, dark, printed = (dict(re.findall(r"--(\w+): (#\w+)", found)) for found in re.findall(r":root {(.*)}", CSS))
    inks = set(re.findall(r"[ {;]color: var\(--(\w+)\)", CSS))
    grounds = set(re.findall(r"background: var\(--(\w+)\)", CSS)) - {"sheet"}  # that of pictures
    assert inks >= {"ink", "soft", "link", "warn"} and grounds == {"paper", "band", "warnband"}
    assert not re.search(r"(color|background): #", CSS), "colours stand in :root"
    for scheme in (light, light | dark, light | printed):
        for ink, ground in itertools.product(inks, grounds):
            assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)
    assert luminance(dark["paper"]) < 0.05 < 0.9 < luminance(printed["paper"])


def test_all_pages_are_dark_where_the_reader_wants_it(run: Path) -> None:
    for page in pages(run):
        found = parsed(page)
        assert [style.text.strip() for style in found.select("style")] == [CSS.strip()], "one style sheet for all"
        assert not found.select("[style*=color]") and "light dark" in str(found.select_one("meta[name=color-scheme]"))


def test_nothing_wide_is_cut_on_paper() -> None:
    assert "overflow: visible" in rule(PRINT, ".wide")
    assert "display: none" in rule(PRINT, "nav, nav.turn")
    assert "white-space: normal" in rule(PRINT, "th, td, .results td")
    assert "white-space: pre-wrap" in rule(PRINT, "pre, .output_text pre")
    assert "max-width: 100%" in rule(PRINT, "img, video, .matrix, .rates")
    assert "min-width: 0" in rule(PRINT, "img, video, .matrix, .rates")
    assert "overflow-wrap: anywhere" in rule(PRINT, "td code, .output_html :is(th, td)")
    assert "size" not in rule(CSS, "@page"), "A4 and Letter alike"


def test_tables_charts_and_long_lines_scroll_within_a_narrow_page_and_say_so(run: Path) -> None:
    assert "overflow-x: auto" in rule(SCREEN, ".wide")
    assert "max-width: 100%" in rule(SCREEN, "img, video")
    assert "scroll sideways" in SCREEN.split("@media screen and (max-width: 48rem)")[1]
    for page in pages(run):
        found = parsed(page)
        assert 'content="width=device-width, initial-scale=1"' in str(found.select_one("meta[name=viewport]"))
        for tag in found.select("table, .matrix, .rates, .output_png > img, math[display=block]"):
            region = tag.parent
            assert region is not None and region["class"] == ["wide"] and region["tabindex"] == "0"
        names = [region["aria-label"] for region in found.select("[role=group]")]
        assert len(names) == len(set(names)) and all(names)
        for lines in found.select(".output_text pre"):
            wide = lines.parent is not None and lines.parent.get("class") == ["wide"]
            assert wide or max(map(len, lines.text.splitlines())) <= 40


@pytest.mark.parametrize("database", labels.CLASSES)
def test_the_labels_of_a_matrix_are_at_least_nine_pixels_high(database: str, tmp_path: Path) -> None:
    names = labels.CLASSES[database]
    matrix = [[10 * (row == column) for column in names] for row in names]
    plots.save(plots.confusion(matrix, names, "A title"), tmp_path / "m", rates_table([]))
    svg = (tmp_path / "m.svg").read_text()
    (width,) = re.findall(r'viewBox="0 0 ([\d.]+) ', svg)
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: [^;\"]*?([\d.]+)px", svg)]
    (rem,) = re.findall(r"min-width: (\d+)rem", rule(SCREEN, ".matrix"))
    assert len(sizes) > len(names) and min(sizes) * 16 * int(rem) / float(width) >= 9


def test_every_picture_has_the_alternative_text_of_its_figure_or_at_least_its_section(run: Path) -> None:
    for page in pages(run):
        assert all(picture["alt"] for picture in parsed(page).select("img"))
    alts = [picture["alt"] for picture in parsed(run / "pages" / "03_model.html").select("img")]
    assert alts == ['Rates of "2d" and 3d', "Figure of the section “1 · Rates”"]


def test_a_page_has_its_contents_and_links_to_the_pages_beside_it(run: Path) -> None:
    page = parsed(run / "pages" / "03_model.html")
    entries = [(str(a["href"])[1:], a.text) for a in page.select("nav[aria-label=Contents] a")]
    assert [name for _, name in entries] == ["1 · Rates", "By hand", "1 · Rates"]
    headings = {str(heading["id"]): heading.text for heading in page.select("h2, h3")}
    assert list(headings.items()) == entries, "each leads to its own heading"
    assert [a["href"] for a in page.select("[rel=prev]")] == ["02_landmark_filters.html"] * 2, "at the top and the end"
    assert page.select("[rel=next]")[0].text == "04 · Training, ckplus, 3d+landmarks, fold0 →"
    assert not parsed(run / "pages" / "02_landmark_filters.html").select("[rel=prev]")


def test_links_between_notebooks_lead_to_their_pages_and_others_are_words(run: Path) -> None:
    page = parsed(run / "pages" / "02_landmark_filters.html")
    assert [a["href"] for a in page.select("main a")] == ["03_model.html"]
    assert "Next: 03, solutions, all." in page.get_text()


def test_no_page_shows_a_path_or_a_warning_of_the_machine(run: Path) -> None:
    for page in pages(run):
        words = page.read_text(encoding="utf-8")
        for wanted in (str(run), str(paths.ROOT), str(Path.home()) + "/", "/home/", "/tmp/", "Warning"):
            assert wanted not in words, wanted
    words = parsed(run / "pages" / "03_model.html").get_text()
    assert 'run = "reports/runs/tiny"' in words and "reports/runs/tiny/ckplus, …/x.bin" in words


def test_a_skipped_cell_says_where_its_output_is_shown(run: Path) -> None:
    for page in sorted((run / "pages").glob("*.html")):
        text = parsed(page).get_text()
        assert re.findall(r"(\w+\(\))\s+Not executed in this run; notebooks/(\w+)\.ipynb shows", text) == [
            ("drill()", re.sub(r".*-(?=\d\d_)", "", page.stem))
        ]
        assert text.count("Not executed") == 1


def test_every_page_is_valid_html(run: Path) -> None:
    for page in pages(run):
        html5lib.HTMLParser(strict=True).parse(page.read_text(encoding="utf-8"))
        found = parsed(page)
        names = [tag["id"] for tag in found.select("[id]")]
        assert len(names) == len(set(names))
        assert not found.select("body style, [border], [align], a a, p div, th:empty, thead:empty")
        assert len(found.select("h1")) == len(found.select("main")) == len(found.select("title")) == 1
        assert all(found.select(f'[id="{str(a["href"])[1:]}"]') for a in found.select('a[href^="#"]'))


def test_one_sentence_at_the_top_sums_a_run_up(run: Path) -> None:
    (summary,) = parsed(run / "index.html").select(".summary")
    assert summary.text == (
        "Of the clips of held-out subjects, 3d+landmarks predicts 100.0 % correctly (above the majority-class baseline "
        "in 1 of 1 databases), of those of a held-out database, 3d+landmarks 33.3 % (above it in 0 of 1); "
        "above means the whole 95 % interval."
    )


def test_baselines_are_rows_marked_as_such_and_the_rates_are_a_figure_with_its_numbers(run: Path) -> None:
    index = parsed(run / "index.html")
    assert [th.text for th in index.select("#table1 ~ .wide tbody th small")] == ["baseline"]
    alts = {str(image["src"]): str(image["alt"]) for image in index.select(".rates")}
    assert list(alts) == ["figures/rates-table1-ckplus.svg", "figures/rates-table2-ckplus.svg"]
    assert "3d+landmarks 100.0 (" in alts["figures/rates-table1-ckplus.svg"]
    assert "linear classifier on landmark motion 50.0 (" in alts["figures/rates-table1-ckplus.svg"]
    for name in alts:
        assert (run / name).is_file() and (run / name).with_suffix(".csv").is_file()
