"""A training that is interrupted at a chosen place."""

import pkgutil

import pytest


class Interrupted(Exception):
    pass


def interrupt(monkeypatch: pytest.MonkeyPatch, function: str, call: int) -> None:
    """Let a function, given by its whole dotted name, raise `Interrupted` at its n-th call."""
    original, left = pkgutil.resolve_name(function), [call]

    def failing(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted
        return original(*args, **kwargs)

    monkeypatch.setattr(function, failing)
