"""The one exception for input that the user can correct, how text is printed, and the remedy for missing libraries."""


class InputError(Exception):
    """Unusable input, explained in one line: what was found, what was expected, and what to type next.

    The command line prints the line without a traceback and exits with status 2. It is not a
    `ValueError`: code that reads a file catches those, and must not catch this.

    Args:
        message: what was found and what was expected.
        hint: what to type or to do next, where something helps. Printed after "try".

    >>> str(InputError("unknown profile 'big': expected tiny, laptop or paper", "--profile laptop"))
    "unknown profile 'big': expected tiny, laptop or paper; try --profile laptop"
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self._parts = message, hint
        line = f"{message}; try {hint}" if hint else message
        super().__init__(" ".join(line.split()))

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str]]:
        """Survives the way back from a worker process with the same line."""
        return type(self), self._parts


def printable(text: str) -> str:
    """The text on one line; a character that a terminal or UTF-8 cannot print becomes ``?``."""
    return "".join(character if character.isprintable() else "?" for character in text)


def check_opencv() -> None:
    """An `InputError` with the remedy where OpenCV finds no graphics library, as on servers."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        if not (remedy := explain_import(error)):
            raise
        raise InputError(remedy) from None


def explain_import(error: BaseException) -> str:
    """What to do about OpenCV that finds no graphics library on a server; empty for another error."""
    if not isinstance(error, ImportError) or not str(error).startswith(("libGL", "libgthread", "libglib")):
        return ""
    remedy = "pip install opencv-python-headless in place of opencv-python, or apt-get install libgl1 libglib2.0-0"
    return f"OpenCV can't be loaded ({error}); try {remedy}"
