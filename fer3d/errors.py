"""The one exception for input that the user can mend."""


class InputError(Exception):
    """Wrong input, told in one line: what was got, what was wanted, what to type next.

    The command line prints it without a traceback and exits with status 2.

    >>> str(InputError("profile 'big'", "one of tiny, laptop, paper", "--profile laptop"))
    "got profile 'big'; wanted one of tiny, laptop, paper; try --profile laptop"
    """

    def __init__(self, got: str, wanted: str, then: str) -> None:
        line = f"got {got}; wanted {wanted}; try {then}"
        super().__init__(" ".join(line.split()))
        self._parts = got, wanted, then

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str, str]]:
        """Crosses processes by its parts: a worker's error reaches the user as the same line."""
        return type(self), self._parts
