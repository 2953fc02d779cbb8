"""The one line that a user reads is the same wherever the error was raised."""

import pickle

import pytest

from fer3d.errors import InputError


@pytest.mark.parametrize(
    ("hint", "line"),
    [("", "unknown profile 'big': expected tiny, laptop"), ("--profile laptop", "…; try --profile laptop")],
)
def test_an_input_error_crosses_processes_as_the_same_line(hint: str, line: str) -> None:
    error = InputError("unknown profile 'big': expected tiny,\nlaptop", hint)
    assert str(error) == line.replace("…", "unknown profile 'big': expected tiny, laptop")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
