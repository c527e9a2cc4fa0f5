"""The backend of servers keeps to the contract that all backends keep to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from itune_core.testing import BackendConformance, MockLLM


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[MockLLM]:
    """One for all; the key to it is in the environment."""
    with MockLLM() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONFORMANCE_KEY", server.token or "none")
        patch.setenv("CONFORMANCE_URL", server.base_url)
        yield server


class TestOpenAI(BackendConformance):
    component = "backends/openai"
    abilities = ("generate", "embed")

    @property
    def config(self) -> dict[str, Any]:  # type: ignore[override]
        import os

        return {
            "base_url": os.environ.get("CONFORMANCE_URL", "http://127.0.0.1:9/v1"),
            "api_key": "env:CONFORMANCE_KEY",
            "max_retries": 2,
        }
