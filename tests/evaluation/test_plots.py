"""Every figure is drawn with its title and labels, and is always saved as the same bytes."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from fer3d import config, labels
from fer3d.evaluation import canvas, drawings, plots
from fer3d.model import network
from fer3d.model.summary import layer_table, shape_table

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 255, (10, 16, 16, 3), dtype=np.uint8)
POINTS = RNG.uniform(0, 16, (10, 66, 2))
CLASSES = labels.CLASSES["ckplus"]
CONFUSION = RNG.integers(0, 5, (7, 7))
NETWORK = network.Network(config.PROFILES["tiny"].network, CLASSES, 64)
STAGES, LAYERS = shape_table(NETWORK), layer_table(NETWORK)
BLOCK_A = LAYERS[LAYERS["stage"] == "block_a"]
PROBABILITIES = pd.DataFrame(RNG.dirichlet(np.ones(7), 10), columns=list(CLASSES))
GATES = pd.DataFrame(RNG.random((10, 3)), columns=["forget gate", "input gate", "output gate"])
MOVING = np.stack([np.eye(5)[[0, 0, k, 0, 0]] for k in (1, 2, 3)])
RATES = pd.DataFrame(
    [("2d", 65, 0.5, 0.4, 0.6, 0.4, 0.25, 0.86), ("3d", 65, 0.7, 0.6, 0.8, 0.6, 0.25, np.nan)],
    columns=["name", "n", "accuracy", "low", "high", "uar", "majority", "paper"],
)
LOG = pd.DataFrame({"epoch": [1, 2, 3], "loss": [2.0, 1.0, 0.5], "train_accuracy": [0.1, 0.4, 0.9]})
COUNTS = pd.DataFrame({"CK+ (synthetic)": [3, 0], "MMI (synthetic)": [1, 2]}, index=["anger", "fear"])

FIGURES: dict[str, Callable[[str], Figure]] = {
    "class_counts": lambda title: plots.class_counts(COUNTS, title),
    "heatmap": lambda title: plots.heatmap(COUNTS, title),
    "film_strip": lambda title: plots.film_strip(FRAMES, title, POINTS),
    "film_strips": lambda title: plots.film_strips({"one": FRAMES, "other": FRAMES}, title),
    "crop": lambda title: plots.crop(FRAMES[0], POINTS[0], {"box": POINTS[2, :4]}, FRAMES[1], POINTS[1], title),
    "detection": lambda title: plots.detection(RNG.normal(size=9), {"no face found": 2}, title),
    "clip_cuts": lambda title: plots.clip_cuts({"S005_001": 25, "S005_002": 8}, {"S005_001": [15]}, 10, title),
    "weights": lambda title: plots.weights(RNG.random((9, 9)), title),
    "face_filters": lambda title: plots.face_filters(FRAMES[0], POINTS[0], {"7 x 7": RNG.random((7, 7))}, title),
    "maps": lambda title: plots.maps({"a": RNG.random((7, 7)), "b": RNG.random((7, 7))}, title, "weight"),
    "network": lambda title: drawings.network(STAGES, ("block_a", "block_b"), title),
    "method": lambda title: drawings.method(
        FRAMES, POINTS, RNG.random((10, 7, 7)), RNG.random((10, 3, 3)), PROBABILITIES.iloc[-1], title
    ),
    "block": lambda title: drawings.block(BLOCK_A, (32, 10, 16, 16), title, filtered=True),
    "convolution": lambda title: drawings.convolution(MOVING, RNG.normal(size=(3, 3, 3)), (2, 2), title),
    "lstm_steps": lambda title: drawings.lstm_steps(FRAMES, GATES, PROBABILITIES, title),
    "stage_costs": lambda title: plots.stage_costs(STAGES, title),
    "kernels": lambda title: plots.kernels(RNG.normal(size=(3, 3, 3, 3, 3)), title),
    "activations": lambda title: plots.activations({"stem": RNG.random((10, 4, 4))}, (0, 9), title),
    "class_bars": lambda title: plots.class_bars(COUNTS, title, "points"),
    "curves": lambda title: plots.curves({"a": LOG, "b": LOG}, {"a": 0.5, "b": 0.25}, title),
    "confusion": lambda title: plots.confusion(CONFUSION, CLASSES, title),
    "confusions": lambda title: plots.confusions({"(a) CK+": (CONFUSION, CLASSES)}, title),
    "rates": lambda title: plots.rates(RATES, title),
    "resampled": lambda title: plots.resampled({"subjects": RNG.random(50), "clips": RNG.random(50)}, 0.5, 40, title),
    "weight_against_cost": lambda title: plots.weight_against_cost(RNG.random(40), RNG.normal(size=40), title),
    "occlusion": lambda title: plots.occlusion(FRAMES[0], RNG.normal(size=(8, 8)), RNG.random((7, 7)), title),
    "inflation": lambda title: plots.inflation(
        pd.DataFrame({"name": ["best fold"], "honest": [0.5], "inflated": [0.7]}), title
    ),
    "distributions": lambda title: plots.distributions({"brightness": {"CK+": [1, 2, 3], "MMI": [2, 3, 4]}}, title),
}


def words(figure: Figure) -> list[str]:
    """All text of a figure."""
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_drawn_with_its_title(name):
    figure = FIGURES[name]("CK+ (synthetic), n = 3")
    figure.canvas.draw()
    assert "CK+ (synthetic), n = 3" in words(figure)


@pytest.mark.parametrize(
    "name",
    [
        "class_counts",
        "detection",
        "clip_cuts",
        "stage_costs",
        "curves",
        "confusion",
        "confusions",
        "rates",
        "inflation",
    ],
)
def test_charts_label_their_axes(name):
    figure = FIGURES[name]("title")
    assert all(axes.get_xlabel() for axes in figure.axes if axes.get_label() != "<colorbar>")


def test_confusion_shows_shares_of_the_true_class_and_counts():
    shown = words(plots.confusion(np.array([[3, 1], [0, 0]]), ["anger", "fear"], "title"))
    assert {"75%\n3", "25%\n1", "anger (4)", "fear (0)"} <= set(shown)


def test_all_panels_of_a_figure_of_confusions_are_drawn_each_with_its_own_classes():
    two, three = np.array([[3, 1], [0, 2]]), np.eye(3, dtype=int)
    panels = {
        "(a) CK+": (two, ["anger", "fear"]),
        "(b) MMI": (three, ["anger", "fear", "joy"]),
        "(c) FERA": (two, "ab"),
    }
    figure = plots.confusions(panels, "title")
    drawn = [axes.get_title() for axes in figure.axes if axes.axison]
    assert drawn == list(panels) and len(figure.axes) == 4
    assert {"75%", "25%", "anger (4)", "joy (1)"} <= set(words(figure))


def test_a_title_that_is_wider_than_its_figure_is_broken_into_lines_that_fit():
    long, (axes,) = canvas.new(3, 2, "The same clips, seen by a network and by a linear classifier, n = 249\nCK+")
    short, _ = canvas.new(3, 2, "CK+\nn = 3")
    for figure in (long, short):
        figure.canvas.draw()
        assert all(text.get_window_extent().width <= figure.bbox.width for text in figure.texts)
        assert figure.get_suptitle().endswith(("\nCK+", "\nn = 3"))
    assert long.get_size_inches()[1] > short.get_size_inches()[1] == 2
    assert axes.get_position().height > 0.5


@pytest.mark.parametrize("width", [2.0, 3.0, 4.0, 5.0])
def test_a_number_in_a_title_stays_on_the_line_of_its_name(width: float) -> None:
    title = "MMI (synthetic): 3d+landmarks, fine-tuned from the shipped weights, n = 242"
    for end in range(40, len(title)):  # wherever the line breaks
        figure = canvas.empty(width, 2, f"{title[-end:]}, cross-database")
        assert "n = 242" in figure.get_suptitle()


def test_counts_are_written_on_their_bars_in_the_order_of_the_table():
    (axes,) = plots.class_counts(COUNTS, "title").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["anger", "fear"]
    assert [[bar.get_width() for bar in bars] for bars in axes.containers] == [[3, 0], [1, 2]]
    assert [text.get_text() for text in axes.texts] == ["3", "", "1", "2"]


def test_every_group_of_bars_is_in_the_legend_also_one_whose_name_begins_with_an_underscore() -> None:
    figure = plots.class_bars(COUNTS.set_axis(["_mine.mp4", "yours.mp4"], axis=1), "Two recordings", "points")
    legend = figure.axes[0].get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["_mine.mp4", "yours.mp4"]


def test_clip_cut_is_drawn_where_the_clip_lies():
    (axes,) = plots.clip_cuts({"S005_001": 25}, {"S005_001": [15]}, 10, "title").axes
    sequence, clip = axes.patches
    assert sequence.get_width() == 25
    assert clip.get_x() >= 15 and clip.get_x() + clip.get_width() <= 25


@pytest.mark.parametrize(("shared", "scales"), [(True, [(0, 9), (0, 9)]), (False, [(0, 1), (2, 9)])])
def test_maps_are_compared_on_one_scale_or_have_a_bar_each(shared, scales):
    figure = plots.maps({"a": np.array([[0, 1]]), "b": np.array([[2, 9]])}, "title", "weight", shared=shared)
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert [axes.images[0].get_clim() for axes in panels] == scales
    assert len(figure.axes) - len(panels) == len(set(scales))


def test_network_marks_the_filtered_stages_alone():
    filtered = ("block_a", "block_b")
    (axes,) = drawings.network(STAGES, filtered, "title").axes
    boxes = [patch.get_facecolor() for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    marked = boxes[list(STAGES["stage"]).index("block_a")]
    assert [colour == marked for colour in boxes] == [stage in filtered for stage in STAGES["stage"]]


def test_the_costs_of_landmark_streams_are_drawn_too() -> None:
    settings = dataclasses.replace(config.PROFILES["tiny"].network, landmark_stream=True, shape_stream=True)
    stages = shape_table(network.Network(settings, CLASSES, 64))
    drawn = plots.stage_costs(stages, "title").axes[0]
    assert [text.get_text() for text in drawn.get_yticklabels()][-2:] == ["landmarks' motion", "landmarks' places"]


def test_every_training_has_a_curve_also_where_there_are_more_than_colours() -> None:
    names = [f"training {k}" for k in range(len(canvas.PALETTE) + 2)]
    drawn = plots.curves(dict.fromkeys(names, LOG), dict.fromkeys(names, 0.5), "title").axes[0]
    assert [line.get_label() for line in drawn.lines] == names
    assert len({(line.get_color(), line.get_linestyle()) for line in drawn.lines}) == len(names)


def test_palette_suits_colour_blind_readers():
    """Neighbours differ in brightness or along blue-yellow, which red-green colour blindness keeps."""
    for one, other in zip(plots.PALETTE, plots.PALETTE[1:], strict=False):
        a, b = (np.array(matplotlib.colors.to_rgb(colour)) for colour in (one, other))
        brightness = abs((a - b) @ [0.3, 0.6, 0.1])
        blue_yellow = abs((a[2] - a[:2].mean()) - (b[2] - b[:2].mean()))
        assert max(brightness, blue_yellow) > 0.15


def test_saved_png_svg_and_csv_are_the_same_bytes_twice(tmp_path):
    for folder in ("first", "second"):
        plots.save(plots.curves({"a": LOG}, {"a": 0.5}, "title"), tmp_path / folder / "3d+landmarks", LOG)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert sorted(kept) == ["3d+landmarks.csv", "3d+landmarks.png", "3d+landmarks.svg"]
    assert kept == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert pd.read_csv(tmp_path / "first" / "3d+landmarks.csv").equals(LOG)


@pytest.mark.parametrize("name", ["train_$\\foo$ $x^{$.avi", "a\\$b$\\frac{$c"])
def test_a_name_with_dollars_is_drawn_as_it_is(name: str, tmp_path: Path) -> None:
    """matplotlib would take it for a formula, and raise when it is none."""
    figure = plots.heatmap(pd.DataFrame({name: [1.0]}, index=pd.Index([name], name="clip")), name)
    plots.save(figure, tmp_path / "figure", pd.DataFrame())
    assert figure.get_suptitle() == name


def windows(number: int) -> pd.DataFrame:
    """Windows of half a second, one after the other with a pause in the middle; each is sure, every third of b."""
    start = 0.5 * (np.arange(number) + number * (np.arange(number) >= number // 2))
    sure = (np.arange(number) % 3 == 0).astype(float)
    return pd.DataFrame({"start": start, "end": start + 0.5, "p_a": 1 - sure, "p_b": sure})


def test_a_timeline_shows_each_window_and_where_none_is() -> None:
    axes = plots.timeline({"person 1": windows(6)}, ("a", "b"), 6.0, "").axes[0]
    (mesh,), (dots,) = axes.collections, axes.lines
    colours = np.ma.filled(mesh.get_array().astype(float), np.nan)
    assert np.array_equal(colours[1], [1, 0, 0, np.nan, 1, 0, 0], equal_nan=True)
    assert dots.get_xdata().tolist() == [0.25, 0.75, 1.25, 4.75, 5.25, 5.75]
    assert dots.get_ydata().tolist() == [1, 0, 0, 1, 0, 0]


def test_a_long_timeline_shows_means_and_no_more_than_can_be_seen() -> None:
    axes = plots.timeline({"person 1": windows(6000)}, ("a", "b"), 6000.0, "").axes[0]
    (mesh,), (dots,) = axes.collections, axes.lines
    colours = np.ma.filled(mesh.get_array().astype(float), np.nan)
    assert len(dots.get_xdata()) <= plots.MOST_WINDOWS and colours.shape[1] <= 2 * plots.MOST_WINDOWS + 2
    assert np.nanmin(colours[1]) > 0.25 and np.nanmax(colours[1]) < 0.42, "a third of each part"
    widths = np.diff(mesh.get_coordinates()[0, :, 0])
    assert widths[np.isnan(colours[1])].sum() == pytest.approx(3000, abs=24)


def test_a_timeline_of_many_people_shows_those_with_the_most_windows_and_says_so() -> None:
    most = plots.MOST_PEOPLE
    people = {f"person {n}": windows(4 if n % 2 else 2) for n in range(2 * most + 6)}
    figure = plots.timeline(people, ("a", "b"), 6.0, "own.avi")
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert titles == [f"person {n}" for n in range(1, 2 * most, 2)], "in their order, of equal ones the first"
    assert figure.get_suptitle() == f"own.avi, {most} of {2 * most + 6} people with the most windows"
    few = plots.timeline(dict(list(people.items())[:most]), ("a", "b"), 6.0, "own.avi")
    assert few.get_suptitle() == "own.avi" and len(few.axes) == most + 1


def test_a_figure_in_a_notebook_has_an_alternative_text_of_its_own_or_made_of_what_it_shows():
    figure = plots.maps({"stem": np.zeros((2, 2)), "head": np.ones((2, 2))}, "CK+, n = 3", "weight")
    data, metadata = figure._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "CK+, n = 3. stem. head. y: weight." and data["image/png"]
    figure.alt = "Two maps."
    assert figure._repr_mimebundle_()[1]["image/png"]["alt"] == "Two maps."


def test_numbers_in_cells_are_black_or_white_whichever_has_more_contrast():
    _, (axes,) = canvas.new(3, 3, "title")
    canvas.cells(axes, np.array([[0.0, 0.55], [1.0, np.nan]]), canvas.SEQUENTIAL, "{:.1f}", vmin=0, vmax=1)
    assert [text.get_color() for text in axes.texts] == ["white", "black", "black"]
    assert [text.get_text() for text in axes.texts] == ["0.0", "0.6", "1.0"], "no number where there is none"


def test_a_block_is_drawn_with_every_layer_its_channels_and_its_shortcut():
    shown = words(drawings.block(BLOCK_A, (32, 10, 16, 16), "3DIR-A", filtered=True))
    for layer in BLOCK_A.itertuples():
        assert f"{' x '.join(map(str, layer.kernel))} S\n{layer.shape[0]} channels" in shown
    assert f"{sum(rows['shape'].iloc[-1][0] for _, rows in BLOCK_A[:-1].groupby('branch'))}\n10 x 16 x 16" in shown
    assert any("ω ∘ x" in text for text in shown)
    reduction = words(drawings.block(LAYERS[LAYERS["stage"] == "reduction_a"], (32, 10, 16, 16), "Reduction-A"))
    assert "max pool /2 V\n32 channels" in reduction and not any("shortcut" in text for text in reduction)


def test_a_convolution_is_drawn_with_the_products_of_its_window_and_their_sums():
    kernel = np.zeros((3, 3, 3))
    kernel[0, 1, 0], kernel[2, 1, 2] = 2, 5
    figure = drawings.convolution(MOVING, kernel, (2, 2), "title")
    sums = [text for text in words(figure) if text.startswith("product")]
    assert sums == ["product, sum 2", "product, sum 0", "product, sum 5"]


def test_each_bar_of_a_resampled_rate_holds_equally_many_of_the_possible_rates() -> None:
    possible = np.arange(150, 221) / 249  # each once
    (axes,) = (a for a in plots.resampled({"clips": possible}, 0.7, 249, "title").axes if a.patches)
    heights = [bar.get_height() for bar in axes.patches if bar.get_height()][1:-1]  # the outer ones may be cut
    assert len(set(heights)) == 1, heights
