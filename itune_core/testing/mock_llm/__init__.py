"""A language model's server to test against: real HTTP, answers that are a function of the question, faults on demand.

::

    with MockLLM(latency_ms=200, faults={"429": 0.1}) as server:
        ...  # server.base_url, server.token
    server.stats()

It speaks the form of OpenAI's API: chat completions, embeddings, models, files and batches. What a request goes through
reads in this order: :mod:`~itune_core.testing.mock_llm.http1` reads it, :mod:`~itune_core.testing.mock_llm.service`
decides on a reply (:mod:`~itune_core.testing.mock_llm.faults`, :mod:`~itune_core.testing.mock_llm.limits`,
:mod:`~itune_core.testing.mock_llm.question`, :mod:`~itune_core.testing.mock_llm.chat`),
:mod:`~itune_core.testing.mock_llm.connection` sends it or spoils it.
"""

from __future__ import annotations

from itune_core.testing.mock_llm.seen import Seen
from itune_core.testing.mock_llm.server import MockLLM
from itune_core.testing.mock_llm.settings import Settings

__all__ = ["MockLLM", "Seen", "Settings"]
