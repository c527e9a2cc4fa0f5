"""A model in this process, run by vLLM. (Not ``vllm.py``: that name belongs to the library.)"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, TypeVar

from pydantic import Field, JsonValue

from itune_backends import offline
from itune_backends.offline import Job
from itune_core.api import (
    Answer,
    Ask,
    Backend,
    Choices,
    Facts,
    Failed,
    LogProbs,
    ModelError,
    ModelSource,
    OptionLogProbs,
    RowError,
    Runtime,
    TokenLogProbs,
)

Wanted = TypeVar("Wanted")
Found = TypeVar("Found")

WINDOW = 4
"""How many full batches' worth of prompts vLLM is given together. What it has answered is kept with the last of them,
so this bounds what is lost when the run is killed."""


class VLLM(Backend):
    """Loads a causal model into this process and runs it with vLLM: for many questions on a GPU.

    Prompts and rows are the tokens that ``backends/transformers`` and the trainers make of them, so that only the
    arithmetic is vLLM's. Every draw has its own seed; what vLLM batches together it may still add up in another order,
    so a draw can change where two tokens are all but equally likely. Answers are held to a JSON schema where one is
    asked for. An adapter is put on with vLLM's own LoRA kernels. It neither judges nor embeds.

    Nothing is cut: what does not fit fails as with ``backends/transformers`` (``E-BACKEND-003``, ``E-BACKEND-004``,
    ``E-TORCH-017``). An answer that vLLM gives up is ``E-BACKEND-036``.

    Needs ``pip install 'itune-backends[vllm]'`` (``E-BACKEND-035``). vLLM's usage statistics are not sent.

    Source: arXiv:2309.06180, https://github.com/vllm-project/vllm.
    """

    class Config(Backend.Config):
        dtype: Literal["bfloat16", "float16", "float32"] = Field("bfloat16", description="Type of the weights.")
        context: int | None = Field(
            None, ge=2, description="Most tokens of prompt and answer together; unset: what the model says of itself."
        )
        template: dict[str, str | bool | int | float] = Field(
            {}, description="Variables of the chat template by name: `enable_thinking: false`, say."
        )
        engine: dict[str, JsonValue] = Field(
            {}, description="Further arguments of `vllm.LLM` that change what it answers: `{quantization: fp8}`."
        )
        gpus: Runtime[int] = Field(1, ge=1, description="GPUs that share the model (tensor parallelism).")
        memory: Runtime[float] = Field(0.9, gt=0, le=1, description="Share of a GPU's memory to take.")
        max_batch: Runtime[int] = Field(256, ge=1, description="Most rows at once.")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._llm: Any = None
        self._tokenizer: Any = None
        self._adapter: Any = None

    def settle(self, facts: Facts) -> Any:
        """The config as it is, where vLLM is installed; looked at before any work, without importing it.

        Raises:
            ModelError: ``E-BACKEND-035`` it is not.
        """
        if find_spec("vllm") is None:
            raise _missing("there is no module named vllm")
        return self.config

    def open(self, source: ModelSource | None) -> None:
        """Load the weights.

        Raises:
            ModelError: ``E-BACKEND-001`` the model is no causal one; ``E-BACKEND-035`` vLLM cannot be imported.
        """
        if source is None or source.architecture != "causal" or source.layout == "sentence-transformers":
            raise ModelError(
                "E-BACKEND-001",
                f"the backend vllm cannot run {self.config.model!r}",
                why="its weights are not here" if source is None else f"it is a {source.architecture} model",
                fix="name a causal language model, or use the backend transformers",
            )
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        try:
            from vllm import LLM
            from vllm.lora.request import LoRARequest
        except ImportError as error:
            raise _missing(str(error)) from error

        from itune_torch import load_tokenizer, resolve, with_variables

        folder, config = str(resolve(source)), self.config
        tokenizer = load_tokenizer(source)
        self._tokenizer = with_variables(tokenizer, config.template) if config.template else tokenizer
        how: dict[str, Any] = {
            "max_model_len": config.context,
            "tensor_parallel_size": config.gpus,
            "gpu_memory_utilization": config.memory,
            "max_num_seqs": config.max_batch,
        }
        if source.adapter is not None:
            rank = json.loads((source.adapter / "adapter_config.json").read_text("utf-8"))["r"]
            how |= {"enable_lora": True, "max_lora_rank": rank}
            self._adapter = LoRARequest("adapter", 1, str(source.adapter))
        self._llm = LLM(model=folder, dtype=config.dtype, seed=0, **{**how, **config.engine})

    def close(self) -> None:
        """Let go of the weights."""
        self._llm = self._tokenizer = self._adapter = None
        gc.collect()  # its engine goes with the last cycle that holds it

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterator[Answer | Failed]:
        """Answer each question, with one draw a seed; at temperature 0 all draws are the same one, generated once."""
        draws = [(ask, seed) for ask, seeds in requests for seed in (seeds if ask.temperature else seeds[:1])]
        completions = self._run(
            draws,
            lambda draw: offline.to_write(self._tokenizer, draw[0], draw[1], self._context),
            lambda output, job: offline.written(output),
        )
        for ask, seeds in requests:
            made = [next(completions) for _ in (seeds if ask.temperature else seeds[:1])]
            failed = next((each for each in made if isinstance(each, Failed)), None)
            drawn = [each for each in made if not isinstance(each, Failed)]
            yield failed or Answer([drawn[number % len(drawn)] for number in range(len(seeds))])

    def logprobs(self, requests: Sequence[LogProbs]) -> Iterator[TokenLogProbs | Failed]:
        """Score each request's completion: after its prompt, or as plain text where there is none."""
        return self._run(requests, lambda each: offline.to_score(self._tokenizer, each, self._context), offline.scored)

    def choices(self, requests: Sequence[Choices]) -> Iterator[OptionLogProbs | Failed]:
        """Say how likely each request's answer begins with each option, in one pass over its prompt."""
        return self._run(requests, lambda each: offline.to_choose(self._tokenizer, each, self._context), offline.chosen)

    @property
    def _context(self) -> int:
        return int(self._llm.model_config.max_model_len)

    def _run(
        self, requests: Sequence[Wanted], job: Callable[[Wanted], Job], read: Callable[[Any, Job], Found]
    ) -> Iterator[Found | Failed]:
        """What `read` makes of vLLM's output for each request, in order; a RowError fails its request alone."""
        window = WINDOW * self.config.max_batch
        for start in range(0, len(requests), window):
            jobs = [_or_failed(partial(job, request)) for request in requests[start : start + window]]
            outputs = iter(self._outputs([each for each in jobs if isinstance(each, Job)]))
            for each in jobs:
                yield each if isinstance(each, Failed) else _or_failed(partial(read, next(outputs), each))

    def _outputs(self, jobs: Sequence[Job]) -> Sequence[Any]:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        if not jobs:
            return []
        sampling = [
            SamplingParams(
                **job.sampling,
                structured_outputs=StructuredOutputsParams(json=dict(job.schema)) if job.schema is not None else None,
            )
            for job in jobs
        ]
        prompts = [{"prompt_token_ids": job.ids} for job in jobs]
        outputs: Sequence[Any] = self._llm.generate(prompts, sampling, use_tqdm=False, lora_request=self._adapter)
        return outputs


def _or_failed(make: Callable[[], Found]) -> Found | Failed:
    try:
        return make()
    except RowError as error:
        return Failed.of(error)


def _missing(why: str) -> ModelError:
    return ModelError("E-BACKEND-035", "the backend vllm needs vLLM", why=why, fix="pip install 'itune-backends[vllm]'")
