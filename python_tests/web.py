"""A web server on this machine that answers as it is told, and remembers what it was asked for."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from resblock.structure.download import Patience

#: For tests: a server on this machine answers within milliseconds.
IMPATIENT = Patience(stall=0.3, whole=5.0, attempts=3, pause=0.01)


@dataclass(frozen=True)
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: What the header says of the length, if that is not so; None: nothing.
    declared: int | None = -1
    #: Seconds before the first byte, and before each further one.
    delay: float = 0.0
    drip: float = 0.0


def redirect(target, status=302):
    return Answer(status=status, headers={"Location": target})


class Web:
    """Answers of a path follow one another; the last one stays."""

    def __init__(self):
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[str] = []
        self.seconds: list[float] = []
        #: What to wait for before any answer.
        self.gate: threading.Barrier | None = None
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                web._answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __setitem__(self, path, answers):
        self.answers[path] = list(answers) if isinstance(answers, list | tuple) else [answers]

    def _answer(self, handler):
        self.requests.append(handler.path)
        self.seconds.append(time.monotonic())
        if self.gate is not None:
            self.gate.wait(30)
        waiting = self.answers.get(handler.path, [Answer(status=404)])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        time.sleep(answer.delay)
        # Who asked may have left.
        with contextlib.suppress(OSError):
            handler.send_response(answer.status)
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            if answer.declared is not None:
                handler.send_header("Content-Length", str(len(answer.body) if answer.declared < 0 else answer.declared))
            handler.end_headers()
            for part in [answer.body] if not answer.drip else [bytes([byte]) for byte in answer.body]:
                handler.wfile.write(part)
                time.sleep(answer.drip)


@contextlib.contextmanager
def serving():
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.server.shutdown()
        web.server.server_close()
        thread.join()
