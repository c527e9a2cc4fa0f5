"""A model behind a server that speaks OpenAI's protocol. (Not ``openai.py``: that name belongs to the library.)"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator, model_validator

from itune_backends.remote import answers, likelihoods, wire
from itune_backends.remote.spending import Price, Spending
from itune_core.api import (
    Ask,
    Backend,
    Choices,
    Embed,
    Failed,
    LogProbs,
    ModelError,
    ModelSource,
    Reply,
    Request,
    Runtime,
    Secret,
    Spent,
)

if TYPE_CHECKING:
    from itune_backends.remote.batches import Batches
    from itune_backends.remote.client import Client


class OpenAI(Backend):
    """Asks a server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, Ollama, or a hosted one.

    Answers questions, weighs options, scores completions and embeds texts, as far as the server does. How many requests
    it is sent at once is found out: the number grows until the server refuses one. What fails and may not fail again
    (429, 5xx, 408, 409, 425, a broken connection, a body that is cut off or no JSON of the right form, a time-out) is
    sent again, after a pause that grows by chance or that the server names; a request of which no try comes to anything
    fails by itself (``E-BACKEND-026``), and so does one that the server will not answer (``E-BACKEND-025``) or whose
    answer is withheld (``E-BACKEND-027``). A wrong key, model or address (``E-BACKEND-021``, ``E-BACKEND-022``), a
    server that is not there (``E-BACKEND-033``) or whose certificate is refused (``E-BACKEND-038``), a proxy that lets
    nobody through (``E-BACKEND-039``), and a budget that is spent (``E-BACKEND-023``) end the step: what was answered
    is kept.

    What pins a served model is its name, its ``revision`` and its ``identity``, else the address that it is served at.
    Seeds are sent; whether the same seed gives the same answer again is for the server to keep.

    Source: https://platform.openai.com/docs/api-reference.
    """

    needs_weights: ClassVar[bool] = False
    concurrent: ClassVar[bool] = True

    class Config(Backend.Config):
        model: str = Field(description="The name that the server knows the model by.")
        base_url: Runtime[str] = Field(
            description="Address of the server, as far as its paths have in common.",
            examples=["http://127.0.0.1:8000/v1"],
        )
        identity: Runtime[str | None] = Field(
            None,
            min_length=1,
            description="What you know the served model to be: a digest of its weights, say. It then stands in keys in "
            "the place of `base_url`, so that the same model at another address is not asked again.",
        )
        api_key: Secret | None = Field(
            None, description="`env:NAME` or `file:PATH`; sent as a bearer token. Unset: the server asks for none."
        )
        extra: dict[str, JsonValue] = Field(
            {},
            description="Parameters of the server's own, put into each request: `{min_p: 0.1}`. They go over what is "
            "sent anyway; null leaves that out: `{seed: null}`.",
        )
        max_concurrency: Runtime[int] = Field(
            32, ge=1, description="Most requests at once; how many it takes is found out below that."
        )
        timeout: Runtime[float] = Field(120.0, gt=0, description="Seconds for one try, to the last byte of its answer.")
        max_retries: Runtime[int] = Field(8, ge=0, description="Tries of a request after the first.")
        retry_for: Runtime[float] = Field(
            600.0, ge=0, description="Seconds after a request's first try within which its last begins."
        )
        requests_per_minute: Runtime[float | None] = Field(
            None, gt=0, description="Most requests in a minute, spread evenly."
        )
        tokens_per_minute: Runtime[float | None] = Field(
            None, gt=0, description="Most tokens in a minute, read and written; a guess until the server has counted."
        )
        price: Runtime[Price | None] = Field(
            None, description="What a million tokens cost, `{prompt: 0.15, completion: 0.6}`, in any currency."
        )
        max_cost: Runtime[float | None] = Field(
            None, gt=0, description="Most that this model may cost in this project, over all runs; needs `price`."
        )
        max_tokens: Runtime[float | None] = Field(
            None, gt=0, description="Most tokens that this model may read and write in this project, over all runs."
        )
        batch: Runtime[bool] = Field(
            False,
            description="Ask in batches, by files: cheaper at some servers, and answered within a day. A batch has "
            "what the 1,024 rows ask that a step works on at a time; a row that asks again waits for another batch.",
        )

        @field_validator("base_url")
        @classmethod
        def _is_plain(cls, value: str) -> str:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("an address begins with http:// or https:// and a host")
            if parts.username or parts.password or parts.query or parts.fragment:
                raise ValueError("an address ends with its path and holds no key; put a key into `api_key`")
            return value.rstrip("/")

        @model_validator(mode="after")
        def _cost_is_known(self) -> Self:
            if self.max_cost is not None and self.price is None:
                raise ValueError("max_cost needs `price`: nothing else says what an answer costs")
            return self

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._client: Client | None = None
        self._batches: Batches | None = None
        self._spending = Spending(Spent())

    def served_identity(self) -> str:
        """Name and revision of the model, and what is said to pin it, else where it is served."""
        config = self.config
        named = config.model if config.revision is None else f"{config.model}@{config.revision}"
        return f"{named} {config.identity or config.base_url}"

    def open(self, source: ModelSource | None) -> None:
        """Read the key. The server is spoken to with the first request.

        Raises:
            ModelError: ``E-BACKEND-020`` there is no key where `api_key` says; ``E-BACKEND-038`` the certificates that
                ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names cannot be read; ``E-BACKEND-039`` the proxy that the
                environment names cannot be used.
        """
        from itune_backends.remote.admission import Admission
        from itune_backends.remote.batches import Batches
        from itune_backends.remote.client import Client
        from itune_backends.remote.key import Key
        from itune_backends.remote.trying import Patience

        config = self.config
        key = Key(config.api_key) if config.api_key is not None else None
        self._spending = Spending(self.spent, config.price, config.max_cost, config.max_tokens)
        self._client = Client(
            config.base_url,
            key,
            Admission(config.max_concurrency, config.requests_per_minute, config.tokens_per_minute),
            self._spending,
            Patience(config.timeout, config.max_retries, config.retry_for),
        )
        self._batches = Batches(self._client, self.served_identity()) if config.batch else None

    def drain(self) -> None:
        """Send nothing more: neither what has not had its turn nor what failed and would be tried again."""
        if self._client is not None:
            self._client.drain()

    def close(self) -> None:
        """Close the connections; what is not answered is cancelled."""
        if self._client is not None:
            self._client.close()
        self._client = self._batches = None

    def submit(self, request: Request, seed: int) -> Future[Reply | Failed]:
        """Send one request, as soon as its turn comes.

        Raises:
            ModelError: ``E-BACKEND-002`` no server rewards answers.
        """
        assert self._client is not None, "it is not open"
        return self._client.start(self._client.answered(self._reply(request, seed)))

    def charged(self) -> Spent:
        """What the server has counted since this was last asked, of answers of no use too."""
        return self._spending.news()

    def figures(self) -> Mapping[str, float]:
        """Requests sent and sent again, faults by kind, tokens, cost, and how many requests the server takes at once;
        ``uncounted``: answers for which it did not say how many tokens they were; ``batches_passed_over``: batches of
        earlier runs whose files cannot be read any more."""
        if self._client is None:
            return {}
        spent, cost = self._spending.now, self._spending.cost
        counts = dict(self._client.counts)  # at once: another thread adds to them
        figures: dict[str, float] = {name: number for name, number in counts.items() if number}
        figures |= {"prompt_tokens": spent.prompt_tokens, "completion_tokens": spent.completion_tokens}
        if cost is not None:
            figures["cost"] = cost
        return {**figures, "concurrency": self._client.admission.limit.size}

    async def _reply(self, request: Request, seed: int) -> Reply:
        """The reply to `request`; every kind of request has its call and its reader."""
        model, extra = self.config.model, self.config.extra
        if isinstance(request, Ask):
            return await self._ask(wire.chat(model, request, seed, extra), partial(answers.answer, ask=request))
        if isinstance(request, Choices):
            return await self._ask(wire.choices(model, request, extra), partial(likelihoods.weighed, request=request))
        if isinstance(request, Embed):
            return await self._ask(wire.embeddings(model, request, extra), partial(answers.vectors, request=request))
        if isinstance(request, LogProbs):
            return await self._scored(request)
        raise ModelError(
            "E-BACKEND-002",
            f"the model {model!r} does not reward answers",
            fix="use the backend transformers with a reward model",
        )

    async def _ask(self, call: wire.Call, read: Any) -> Any:
        assert self._client is not None
        return await (self._batches or self._client).ask(call, read)

    async def _scored(self, request: LogProbs) -> Reply:
        """A completion scored: alone, as a text that the server repeats; after a prompt, as the end of a conversation,
        which only vLLM does. Never in a batch."""
        assert self._client is not None
        model, extra = self.config.model, self.config.extra
        if not request.prompt:
            text = "".join(turn["content"] for turn in request.completion)
            read = partial(likelihoods.echoed, text=text, max_length=request.max_length)
            return await self._client.ask(wire.echo(model, request, extra), read)
        read_scored = partial(likelihoods.scored, max_length=request.max_length)
        both = [*request.prompt, *request.completion]
        whole = await self._client.ask(wire.scored(model, both, extra, whole=True), read_scored)
        prompt = await self._client.ask(wire.scored(model, request.prompt, extra, whole=False), read_scored)
        return likelihoods.after(prompt, whole)
