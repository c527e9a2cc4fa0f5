"""The server as a test uses it: started, asked how it went, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from itune_core.api.errors import RecipeError
from itune_core.testing.mock_llm.connection import Connection
from itune_core.testing.mock_llm.seen import Seen
from itune_core.testing.mock_llm.service import Service
from itune_core.testing.mock_llm.settings import Settings

HOST = "127.0.0.1"
"""The only one: what is served here is nobody else's business."""

WAITING = 2048
"""Connections that may wait to be accepted."""

FILES = 8192
"""Open files that are wanted: a server and a client of 500 connections in one process have 1,000."""

T = TypeVar("T")


class MockLLM:
    """A language model's server on loopback, in a thread of its own.

    As a context manager it runs while the block does::

        with MockLLM(faults={"429": 0.1}) as server:
            client = httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {server.token}"})

    Args:
        settings: fields of :class:`~itune_core.testing.mock_llm.Settings`.

    Attributes:
        settings: these.
        token: what clients must send as ``Authorization: Bearer``; None if nothing is asked for.
        port: where it listens, once it runs.

    Raises:
        RecipeError: ``E-MOCK-001`` to ``E-MOCK-005`` a setting is wrong; ``E-MOCK-006`` at the start: the port cannot
            be had.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.token = (self.settings.token or secrets.token_urlsafe(24)) if self.settings.auth else None
        self.port = self.settings.port
        self._service = Service(self.settings, self.token)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where ``/stats`` is."""
        return f"http://{HOST}:{self.port}"

    @property
    def base_url(self) -> str:
        """What clients call the base URL: it ends with ``/v1``."""
        return f"{self.url}/v1"

    def stats(self) -> dict[str, Any]:
        """What was counted so far, also after the end: the keys are those of ``GET /stats``."""
        return self._look(self._service.stats.plain)

    def requests(self) -> list[Seen]:
        """The requests so far, in the order in which they were read: the newest 10,000, or as many as have bodies of 64
        MiB together. :meth:`stats` counts all of them."""
        return self._look(lambda: list(self._service.seen))

    def start(self) -> MockLLM:
        """Listen; the server is ready when this returns."""
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="mock-llm", daemon=True)
        self._thread.start()
        try:
            self.port = ready.result()
        except OSError as error:
            self._thread.join()
            self._thread = self._loop = self._stop = None
            raise RecipeError(
                "E-MOCK-006",
                f"port {self.settings.port} of {HOST} cannot be listened on",
                why=error.strerror or str(error),
                fix="port 0 takes a free one",
            ) from error
        return self

    def stop(self) -> None:
        """Close every connection and end; nothing happens if it does not run."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = self._loop = self._stop = None

    def __enter__(self) -> MockLLM:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def _serve(self, ready: Future[int]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        allow_open_files(FILES)
        drip = self.settings.drip_ms / 1000
        open_ones: set[Connection] = set()

        try:
            server = await self._loop.create_server(
                lambda: Connection(self._service, drip, open_ones), HOST, self.settings.port, backlog=WAITING
            )
        except OSError as error:
            ready.set_exception(error)
            return
        ready.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        for connection in list(open_ones):
            connection.abort()
        await asyncio.sleep(0)  # they are told in the loop's next round

    def _look(self, read: Callable[[], T]) -> T:
        """What `read` gives, called where nothing changes meanwhile."""
        if self._loop is None:
            return read()
        found: Future[T] = Future()

        def look() -> None:
            found.set_result(read())

        self._loop.call_soon_threadsafe(look)
        return found.result()


def allow_open_files(wanted: int) -> None:
    """Raise the soft limit on open files of this process as far as may be; where that is not at all, do nothing."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # a sandbox, or a limit of the system below the hard one
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
