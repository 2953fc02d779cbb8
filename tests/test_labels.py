"""Class names, their order, and what each cross-database test leaves out (Section 4.2.2)."""

import pytest

from fer3d import labels
from fer3d.errors import InputError


def test_class_sets_are_the_papers() -> None:
    assert {name: len(classes) for name, classes in labels.CLASSES.items()} == {
        "ckplus": 7,
        "mmi": 6,
        "fera": 5,
        "disfa": 7,
        "ravdess": 8,
        "cremad": 6,
        "people": 8,
    }
    for classes in labels.CLASSES.values():
        assert classes == labels.ordered(reversed(classes)) and set(classes) <= set(labels.EMOTIONS)


def test_codes_of_the_owners() -> None:
    assert [labels.CKPLUS_CODES[k] for k in range(8)] == [
        "neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise",
    ]  # fmt: skip
    assert [labels.MMI_CODES[k] for k in range(1, 7)] == [
        "anger", "disgust", "fear", "happiness", "sadness", "surprise",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("test", "left_out"), [("ckplus", {"contempt"}), ("mmi", set()), ("fera", {"relief"}), ("disfa", {"neutral"})]
)
def test_cross_database_leaves_out_what_the_paper_leaves_out(test: str, left_out: set[str]) -> None:
    others = [name for name in labels.PAPER if name != test]
    learned, tested = labels.cross_database(others, test)
    assert set(labels.CLASSES[test]) - set(tested) == left_out
    assert set(tested) <= set(learned)
    assert learned == labels.ordered(learned) and tested == labels.ordered(tested)


@pytest.mark.parametrize(("train", "test"), [((), "mmi"), (("mmi",), "mmi"), (("ck",), "mmi"), (("mmi",), "ck")])
def test_impossible_cross_database_tests_are_one_clear_line(train: tuple[str, ...], test: str) -> None:
    with pytest.raises(InputError):
        labels.cross_database(train, test)


def test_a_tables_own_classes_follow_the_known_ones_by_name() -> None:
    assert labels.ordered(["pain", "relief", "boredom", "anger", "pain"]) == ("anger", "relief", "boredom", "pain")
    assert labels.classes_of("table", ["pain", "fear"]) == ("fear", "pain")
    assert labels.classes_of("mmi", ["fear"]) == labels.CLASSES["mmi"]


def test_a_table_is_trained_and_tested_on_the_classes_that_it_has() -> None:
    tables = {"table": ["pain", "fear", "happiness"]}
    learned, tested = labels.cross_database(["mmi"], "table", tables)
    assert learned == labels.CLASSES["mmi"] and tested == ("fear", "happiness")
    learned, tested = labels.cross_database(["table"], "mmi", tables)
    assert learned == ("fear", "happiness", "pain") and tested == ("fear", "happiness")


def test_every_known_word_means_a_known_class() -> None:
    assert set(labels.WORDS.values()) == set(labels.EMOTIONS)
    assert set(labels.FERA_WORDS.values()) == set(labels.CLASSES["fera"])
