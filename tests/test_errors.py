"""The one line that a user reads is the same wherever the error was raised."""

import pickle

from fer3d.errors import InputError


def test_an_input_error_crosses_processes_as_the_same_line() -> None:
    error = InputError("profile 'big'", "one of tiny,\nlaptop", "--profile laptop")
    assert str(error) == "got profile 'big'; wanted one of tiny, laptop; try --profile laptop"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
