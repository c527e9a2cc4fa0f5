"""What a test server is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itune_core.api.errors import RecipeError

FAULTS = ("429", "429-date", "500", "garbage", "truncate", "hang-up", "hang", "drip")
"""What may go wrong with a request; :class:`Settings` says what each is."""

NONE = "none"
"""In :attr:`Settings.first`: a request that nothing happens to."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a test server.

    Attributes:
        port: of 127.0.0.1; 0 takes a free one.
        token: what clients must send as ``Authorization: Bearer``; None makes a random one.
        auth: whether a token is asked for at all.
        seed: of the faults.
        models: names of the models there are; others are answered with 404. Without any, every name is one.
        answers: rules of scripted answers, or the YAML file that holds them: a list of mappings with ``match``, a
            regular expression that is searched in the last user turn (it may be missing: always), and ``answer``: a
            text, a list of texts of which the seed of the request draws one, or a mapping of texts to weights. The
            first that matches answers; where none does, the server writes a text of its own.
        latency_ms: how long an answer takes, in milliseconds.
        jitter_ms: how much longer at most; the part is drawn for each request.
        faults: share of requests, in [0, 1], by name of the fault: ``429`` (refused, with Retry-After in seconds),
            ``429-date`` (as a date), ``500``, ``garbage`` (status 200 and a body that is not JSON, or JSON of another
            form), ``truncate``, ``hang-up``, ``hang`` (no reply until the client gives up), ``drip`` (byte by byte).
            Together at most 1, because no request has two.
        first: faults of the first requests, one each, in the order of their arrival (``"none"``: no fault). After
            them come the shares.
        retry_after: what a fault 429 asks clients to wait, in whole seconds.
        drip_ms: pause after each byte of a reply that drips, in milliseconds.
        max_at_once: most questions that are answered at the same time; 429 beyond. None: no limit.
        rpm: questions per minute; 429 beyond, with ``Retry-After`` and ``x-ratelimit-*``. A full minute's worth may
            come at once, then they come back evenly. None: no limit.
        tpm: the same for tokens, those of question and answer together.
        batch_ms: how long a batch takes, from its creation, in milliseconds.

    Raises:
        RecipeError: ``E-MOCK-001`` a fault that is not known, ``E-MOCK-002`` a share that is none, ``E-MOCK-003`` a
            number out of range.
    """

    port: int = 0
    token: str | None = field(default=None, repr=False)
    auth: bool = True
    seed: int = 0
    models: Sequence[str] = ()
    answers: Path | str | Sequence[Mapping[str, Any]] = ()
    latency_ms: float = 0
    jitter_ms: float = 0
    faults: Mapping[str, float] = field(default_factory=dict)
    first: Sequence[str] = ()
    retry_after: int = 1
    drip_ms: float = 10
    max_at_once: int | None = None
    rpm: int | None = None
    tpm: int | None = None
    batch_ms: float = 0

    def __post_init__(self) -> None:
        for name in [*self.faults, *(name for name in self.first if name != NONE)]:
            if name not in FAULTS:
                raise RecipeError("E-MOCK-001", f"no fault {name!r}", fix=f"one of: {', '.join(FAULTS)}")
        shares = self.faults.values()
        if not all(0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
            told = ", ".join(f"{name}={share}" for name, share in self.faults.items())
            raise RecipeError(
                "E-MOCK-002", f"no shares of requests: {told}", fix="each is from 0 to 1, and all together at most 1"
            )
        for name in ("latency_ms", "jitter_ms", "drip_ms", "batch_ms", "retry_after"):
            if not 0 <= getattr(self, name) < math.inf:
                raise RecipeError("E-MOCK-003", f"{name} is {getattr(self, name)}: a number from 0 on is needed")
        if not 0 <= self.port <= 65535:
            raise RecipeError("E-MOCK-003", f"port is {self.port}: a number from 0 to 65535 is needed")
        for name in ("max_at_once", "rpm", "tpm"):
            if (limit := getattr(self, name)) is not None and limit < 1:
                raise RecipeError("E-MOCK-003", f"{name} is {limit}: a number from 1 on is needed, or none")
