"""A web server on this machine that misbehaves as it is told."""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Serves `files` by their paths, without and with the range that is asked for.

    `faults` lists, by path, what goes wrong with the next requests: a status to answer with, or

    - ``("cut", n)``: the connection ends after n bytes; ``("restart", n)``: the same, from the beginning of the file;
    - ``("ends", n)``: n bytes are claimed and sent; ``("claim", n)``: n bytes are claimed, and all sent;
    - ``("hold", n)``: n bytes are sent, and then nothing for a long time;
    - ``("stall", seconds)``: nothing is sent for so long;
    - ``"no ranges"``: a range is answered with all; ``"range from 0"``: and called a range.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Any]] = defaultdict(list)
        self.requests: list[tuple[str, str]] = []
        """Path and range of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is printed of connections that a client closed."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        path = self.path.partition("?")[0]
        self.server.requests.append((path, wanted))
        fault = self.server.faults[path].pop(0) if self.server.faults[path] else None
        content = self.server.files.get(path)
        if isinstance(fault, int) or content is None:
            self.send_error(fault if isinstance(fault, int) else 404)
            return
        kind, amount = fault if isinstance(fault, tuple) else (fault, 0)
        start = int(wanted.removeprefix("bytes=").removesuffix("-") or 0)
        start = 0 if kind in ("no ranges", "restart") else start
        if start >= len(content) and start:
            self.send_error(416)
            return
        body = content[start:]
        if kind == "stall":
            time.sleep(amount)
        self.send_response(206 if start else 200)
        if start:
            said = 0 if fault == "range from 0" else start
            self.send_header("Content-Range", f"bytes {said}-{len(content) - 1}/{len(content)}")
            body = content if fault == "range from 0" else body
        body = body[:amount] if kind == "ends" else body
        self.send_header("Content-Length", str(amount if kind == "claim" else len(body)))
        self.end_headers()
        self.wfile.write(body[:amount] if kind in ("cut", "restart", "hold") else body)
        if kind == "hold":
            self.wfile.flush()
            time.sleep(60)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server in a thread, until the block ends."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
