"""The ops endpoint: /metrics, /healthz and /readyz, in a thread of its own.

In a thread, so that a scrape answers while the event loop is busy with a batch.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from ingest.errors import ArceauxError

_LOOK_FOR_END: Final = 0.1
"""Seconds between two looks whether to end; the end of the service waits for one."""


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the interface
        """Say nothing: a line a scrape tells nobody anything."""


@contextmanager
def serve_ops(host: str, port: int, registry: CollectorRegistry, is_ready: Callable[[], bool]) -> Iterator[str]:
    """Serve while the context lasts; gives the base URL. Raises ArceauxError where the port is taken."""
    show_metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return show_metrics(environ, start_response)
            case "/healthz":
                return _answer(start_response, "200 OK", "alive")
            case "/readyz" if is_ready():
                return _answer(start_response, "200 OK", "ready")
            case "/readyz":
                return _answer(start_response, "503 Service Unavailable", "not ready: see the log")
            case _:
                return _answer(start_response, "404 Not Found", "there are /metrics, /healthz and /readyz")

    try:
        server = make_server(host, port, application, ThreadingWSGIServer, _QuietHandler)
    except OSError as error:
        raise ArceauxError(
            f"ops endpoint: {host}:{port} cannot be opened ({error.strerror}); set ARCEAUX_OPS_PORT"
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK_FOR_END,), name="ops", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _answer(start_response: Callable[..., Any], status: str, text: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]
