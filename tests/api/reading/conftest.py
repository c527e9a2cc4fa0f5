"""What tests of reading share: files written in place, what was read of them, and a hub on this machine's loopback."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from itune_core.api import BadRow, Reading, read_rows

Write = Callable[[str, bytes], str]
Seen = Callable[..., list[tuple[str, str]]]


def zstd(content: bytes) -> bytes:
    """One Zstandard frame."""
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstd}


@pytest.fixture
def compress() -> Mapping[str, Callable[[bytes], bytes]]:
    """What compresses, by suffix."""
    return COMPRESS


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, compressed as its suffix says; gives its path."""

    def write(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(COMPRESS.get(path.suffix, bytes)(content))
        return str(path)

    return write


@pytest.fixture
def seen() -> Seen:
    """``(place, "good" or the code)`` of every row of a file."""

    def seen(path: str, **reading: Any) -> list[tuple[str, str]]:
        return [
            (row.where.removeprefix(path), row.error.code if isinstance(row, BadRow) else "good")
            for row in read_rows([path], Reading(**reading))
        ]

    return seen


@pytest.fixture
def real() -> Path:
    """The folder of real rows."""
    folder = Path(os.environ.get("ITUNE_TEST_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real rows at {folder}: set ITUNE_TEST_DATA")
    return folder


@pytest.fixture
def hub() -> Callable[[str, str, Mapping[str, bytes]], AbstractContextManager[Hub]]:
    """Serve a repository: its name, its one revision besides the commit, its files."""
    return serving


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub with one data set repository.

    Attributes:
        endpoint: its address, for ``HF_ENDPOINT``.
        asked: paths of the requests it got.
    """

    def __init__(self, repo: str, revision: str, files: Mapping[str, bytes]) -> None:
        self.repo, self.revision, self.files = repo, revision, files
        self.asked: list[str] = []
        self.endpoint = ""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        api, resolve = f"/api/datasets/{self.repo}", f"/datasets/{self.repo}/resolve/"
        match = re.fullmatch(rf"{re.escape(resolve)}([^/]+)/(.+)", path)
        if match and match[1] in (self.revision, COMMIT):
            content = self.files.get(match[2])
            if content is None:
                return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b""
            return 200, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}, content
        for revision in (self.revision, COMMIT):
            if path in (f"{api}/revision/{revision}", api):
                return _json({"id": self.repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.files]})
            folder = path.removeprefix(f"{api}/tree/{revision}") if path.startswith(f"{api}/tree/{revision}") else None
            found = [name for name in self.files if folder is not None and f"/{name}".startswith(f"{folder}/")]
            if found:
                return _json([self._entry(name) for name in found] + [self._folder(name) for name in found])
            if path == f"{api}/paths-info/{revision}":
                return _json([])
        if path.startswith(api):
            code = "EntryNotFound" if "/tree/" in path else "RevisionNotFound"
            return 404, {"X-Error-Code": code}, b""
        if path.startswith(resolve):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        return 404, {"X-Error-Code": "RepoNotFound"}, b""

    @staticmethod
    def _folder(name: str) -> dict[str, Any]:
        return {"type": "directory", "path": name.rpartition("/")[0], "oid": _oid(name.encode())}

    def _entry(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        return {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def _json(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


@contextmanager
def serving(repo: str, revision: str, files: Mapping[str, bytes]) -> Iterator[Hub]:
    """A hub that answers while the block lasts."""
    hub = Hub(repo, revision, files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(head=True)

        def do_GET(self) -> None:
            self._answer(head=False)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(head=False)

        def _answer(self, *, head: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(path)
            status, headers, body = hub.answer(path)
            part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if part and status == 200:
                first, last = int(part[1]), min(int(part[2] or len(body)), len(body) - 1)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
                status, body = 206, body[first : last + 1]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if not head:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
