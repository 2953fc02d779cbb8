"""A process that has imported what Snakemake and fer3d import, and forks for each call of Snakemake.

Run as a program it reads calls, one JSON text per line, and answers with the exit status. So a call costs no imports
but those of fer3d itself, which the caller may have changed.
"""

import json
import os
import sys

HEAVY = "cv2", "dlib", "jupyter_client.manager", "nbformat", "numpy", "pandas", "scipy.stats", "snakemake.cli", "typer"


def serve() -> None:
    """Answer calls until the input ends."""
    for name in HEAVY:
        __import__(name)
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.clear()
            os.environ.update(call["environment"])
            os.chdir(call["folder"])
            sys.path.insert(0, call["checkout"])
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(call[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            from snakemake.cli import main

            main(call["arguments"])
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
