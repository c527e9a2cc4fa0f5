"""Rows that share a prefix are read, and learnt from, as if each had been run by itself."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from itune_core.api import ModelError, ModelSource
from itune_torch import (
    Encoded,
    encode_completion,
    lay_out,
    load_causal,
    logprobs,
    prefixes_can_be_shared,
    rows_are_isolated,
    sequence_logprobs,
    shared_prefix,
)

Example = list[Encoded]
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


def answered(prompt: list[int], *answers: list[int]) -> Example:
    return [Encoded(prompt + ids, [False] * len(prompt) + [True] * len(ids)) for ids in answers]


PAIR = answered([5, 9, 301, 44, 7], [2, 17, 400], [17, 400, 3, 2, 2, 90])
LIST = answered([8, 8, 250], [251, 2], [60, 61, 62, 63, 2], [2], [251, 9, 9])
EDGES: dict[str, list[Example]] = {
    "nothing in common": [answered([], [7, 8, 9], [3, 8, 9])],
    "other prompts": [[*answered([4, 5, 6], [7, 2]), *answered([3, 5, 6], [7, 2])]],
    "an answer begins the other": [answered([4, 5, 6], [7, 8], [7, 8, 9, 2])],
    "prompt of one token": [answered([4], [7, 8], [9])],
    "identical rows": [answered([4, 5], [7, 8], [7, 8])],
    "answers of one token": [answered([4, 5], [7], [8], [7])],
    "a row without target": [[Encoded([4, 5, 6], [False] * 3), *answered([4, 5], [6, 8], [9])]],
    "single rows beside a pair": [answered([4, 5], [6]), PAIR, answered([4, 5], [7, 7])],
}


@st.composite
def drawn_examples(draw: st.DrawFn) -> list[Example]:
    """Few token ids, so that answers often begin alike too; turns of the prompt are trained at times."""

    def ids(least: int, most: int) -> list[int]:
        return draw(st.lists(st.integers(0, 3), min_size=least, max_size=most))

    made = []
    for _ in range(draw(st.integers(1, 3))):
        prompt = ids(0, 9)
        rows = answered(prompt, *(ids(1 if prompt else 2, 7) for _ in range(draw(st.integers(1, 4)))))
        if draw(st.integers(0, 3)) == 0:
            rows = [Encoded(row.ids, [*draw(st.permutations(row.trained[:-1])), True]) for row in rows]
        made.append(rows)
    return made


def flat(examples: list[Example]) -> Example:
    return [row for rows in examples for row in rows]


def sizes(examples: list[Example]) -> list[int]:
    return [len(rows) for rows in examples]


def full_logits(model: nn.Module, rows: Example) -> Tensor:
    """Row by row, all logits, log_softmax: nothing clever."""
    found = []
    for row in rows:
        logs = model(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
        found += [logs[place - 1, row.ids[place]] for place in range(1, len(row.ids)) if row.trained[place]]
    return torch.stack(found)


def with_examples(test: Any) -> Any:
    for examples in EDGES.values():
        test = example(examples=examples, bound=1000)(test)
        test = example(examples=examples, bound=3)(test)
    return relaxed(given(examples=drawn_examples(), bound=st.integers(1, 90))(test))


@with_examples
def test_shared_is_apart(model: Any, examples: list[Example], bound: int) -> None:
    rows = flat(examples)
    batches = lay_out(rows, bound, together=sizes(examples))
    values = torch.cat([logprobs(model, batch) for batch in batches])
    torch.testing.assert_close(values, full_logits(model, rows), atol=1e-5, rtol=1e-5)
    sums, counts = sequence_logprobs(model, batches)
    assert counts.tolist() == [row.supervised for row in rows]
    expected, _ = sequence_logprobs(model, lay_out(rows, 1000))
    torch.testing.assert_close(sums, expected, atol=1e-4, rtol=1e-5)


@with_examples
def test_lay_out_keeps_examples_together(examples: list[Example], bound: int) -> None:
    rows = flat(examples)
    batches = lay_out(rows, bound, together=sizes(examples))
    assert [index for batch in batches for index in batch.rows] == list(range(len(rows)))
    assert [size for batch in batches for size in batch.lengths] == [len(row.ids) for row in rows]
    for batch in batches:
        assert batch.input_ids.shape == batch.position_ids.shape
        assert batch.input_ids.shape[1] <= bound or len(batch.rows) == 1
        if batch.parts:
            assert sum(map(sum, batch.parts)) == batch.input_ids.shape[1]
            assert sum(max(1, len(part) - 1) for part in batch.parts) == len(batch.rows)
    held = [set(batch.rows) for batch in batches]
    start, run = 0, 0
    for some in examples:
        prefix = shared_prefix(some)
        run += (tokens := sum(len(row.ids) for row in some) - prefix * (len(some) - 1))
        if prefix and tokens <= bound:
            assert any(set(range(start, start + len(some))) <= of_batch for of_batch in held)
        start += len(some)
    if bound == 1000:
        assert sum(batch.input_ids.shape[1] for batch in batches) == run


@with_examples
def test_nothing_shared_is_nothing_changed(examples: list[Example], bound: int) -> None:
    unlike = [rows for rows in examples if shared_prefix(rows) == 0] or [PAIR[:1], LIST[:1]]
    rows = flat(unlike)
    for ours, theirs in zip(lay_out(rows, bound, together=sizes(unlike)), lay_out(rows, bound), strict=True):
        assert ours.parts == ()
        for field in fields(ours):
            mine, other = getattr(ours, field.name), getattr(theirs, field.name)
            assert torch.equal(mine, other) if isinstance(mine, Tensor) else mine == other, field.name


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (PAIR, 5),
        (LIST, 3),
        (PAIR[:1], 0),
        ([], 0),
        (answered([4, 5, 6], [7, 8, 9], [7, 8, 2]), 3),  # the answers begin alike, but are trained
        ([Encoded([4, 5, 6], [False, True, False]), Encoded([4, 5, 7], [False, False, True])], 1),
        ([Encoded([4, 5, 6], [False] * 3), Encoded([4, 5, 6], [False] * 3)], 2),  # a token of its own for each
        (EDGES["other prompts"][0], 0),
    ],
)
def test_where_a_prefix_ends(rows: Example, expected: int) -> None:
    assert shared_prefix(rows) == expected


def test_a_pair_runs_its_prompt_once() -> None:
    (batch,) = lay_out([*PAIR, *LIST[:1]], 100, together=[2, 1])
    assert batch.input_ids[0].tolist() == [5, 9, 301, 44, 7, 2, 17, 400, 17, 400, 3, 2, 2, 90, 8, 8, 250, 251, 2]
    assert batch.position_ids[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4]
    assert batch.parts == ((5, 3, 6), (5,))
    assert batch.targets.tolist() == [4, 5, 6, 4, 8, 9, 10, 11, 12, 16, 17]  # 4, the end of the prompt, is one of both
    assert batch.target_ids.tolist() == [2, 17, 400, 17, 400, 3, 2, 2, 90, 251, 2]
    assert batch.row.tolist() == [0] * 3 + [1] * 6 + [2] * 2
    assert batch.lengths == (8, 11, 5)


def test_an_example_over_the_bound_is_split_and_each_piece_shares() -> None:
    batches = lay_out(LIST, 8, together=[4])
    assert [batch.rows for batch in batches] == [(0,), (1,), (2, 3)]
    assert [batch.parts for batch in batches] == [(), (), ((3, 1, 3),)]


@pytest.mark.parametrize("together", [[2], [2, 2, 1], []])
def test_runs_must_hold_all_rows(together: list[int]) -> None:
    with pytest.raises(ValueError, match="in sum, there are 4"):
        lay_out(LIST, 100, together=together)


def weighted_loss(values: Tensor) -> Tensor:
    """Each target with a weight of its own, so that a gradient that mixes targets up shows."""
    return (values * torch.linspace(-0.5, 1.5, len(values))).sum()


def trainable(tiny: ModelSource, how: str) -> Any:
    from peft import LoraConfig, get_peft_model

    model = load_causal(tiny)
    if how == "lora":
        torch.manual_seed(0)
        model = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False))
    if how == "checkpointed":
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
    return model


@pytest.mark.parametrize("how", ["full", "lora", "checkpointed"])
@settings(relaxed, max_examples=15)
@given(examples=drawn_examples())
@example(examples=[PAIR, LIST])
def test_gradients_are_those_of_rows_apart(tiny: ModelSource, how: str, examples: list[Example]) -> None:
    model = trainable(tiny, how)
    rows = flat(examples)
    weights = [weight for weight in model.parameters() if weight.requires_grad]

    def gradients(values: Tensor) -> Tensor:
        return torch.cat([part.flatten() for part in torch.autograd.grad(weighted_loss(values), weights)])

    (batch,) = lay_out(rows, 1000, together=sizes(examples))
    shared, apart = gradients(logprobs(model, batch)), gradients(full_logits(model, rows))
    assert (shared - apart).norm() <= 1e-5 * (1 + apart.norm())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_row_reads_another(tiny: ModelSource, dtype: Any) -> None:
    """To the bit: what one answer says changes nothing for the other, nor for the prompt."""
    model = load_causal(tiny, dtype=dtype).requires_grad_(False)
    other = answered(PAIR[0].ids[:5], [2, 17, 400], [33, 34, 35, 36, 37, 38])
    mine, theirs = (logprobs(model, lay_out(rows, 100, together=[2])[0]) for rows in (PAIR, other))
    assert torch.equal(mine[:3], theirs[:3])
    assert not torch.equal(mine[3:], theirs[3:])


def test_a_token_over_the_border_is_not_shared(tokenizer: Any, model: Any) -> None:
    """To this tokenizer " capital" is one token and " cx" is two, so the last tokens of the prompts differ."""
    prompt, words = "What is the c", ("apital of it?", "x of it?", "apital?")
    rows = [row for word in words if (row := encode_completion(tokenizer, prompt, word)) is not None]
    assert any(row.merged for row in rows)
    prefix = shared_prefix(rows)
    assert 0 < prefix < len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    assert not any(any(row.trained[:prefix]) for row in rows)
    (batch,) = lay_out(rows, 1000, together=[3])
    torch.testing.assert_close(logprobs(model, batch), full_logits(model, rows), atol=1e-5, rtol=1e-5)


def random_model(name: str, **special: Any) -> Any:
    import transformers

    from itune_torch._attention import use_row_blocks

    shape = {
        "vocab_size": 512,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "initializer_range": 0.3,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if name not in ("GPT2", "Bloom"):
        shape |= {"intermediate_size": 64, "num_key_value_heads": 2}
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**shape, **special)
    return use_row_blocks(getattr(transformers, f"{name}ForCausalLM" if name != "GPT2" else "GPT2LMHeadModel")(config))


@pytest.mark.parametrize(
    ("name", "special"),
    [
        ("GPT2", {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}),
        ("Granite", {"logits_scaling": 4.0}),
        ("Mistral", {"sliding_window": None}),
        ("Qwen2", {}),
        ("Qwen3", {"head_dim": 8}),
    ],
)
def test_models_that_can(name: str, special: dict[str, Any]) -> None:
    """Learned and rotary positions; capped logits; settings of a window that is off."""
    model = random_model(name, **special).eval()
    assert prefixes_can_be_shared(model)
    rows = [*PAIR, *LIST]
    values = torch.cat([logprobs(model, batch) for batch in lay_out(rows, 100, together=[2, 4])])
    torch.testing.assert_close(values, full_logits(model, rows), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "special"),
    [
        ("Mistral", {"sliding_window": 4096}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 1}),
        ("Starcoder2", {"sliding_window": 4096, "residual_dropout": 0.0, "embedding_dropout": 0.0}),
        ("Cohere2", {"layer_types": ["sliding_attention", "full_attention"], "pad_token_id": 0}),
    ],
)
def test_a_window_is_refused_however_long(name: str, special: dict[str, Any]) -> None:
    model = random_model(name, **special)
    assert rows_are_isolated(model)
    assert not prefixes_can_be_shared(model)


def test_attention_that_is_not_ours_is_refused(tiny: ModelSource) -> None:
    model = load_causal(tiny)
    model.set_attn_implementation("eager")
    assert rows_are_isolated(model)
    assert not prefixes_can_be_shared(model)
    with pytest.raises(ModelError, match="E-TORCH-031") as caught:
        logprobs(model, lay_out(PAIR, 100, together=[2])[0])
    assert "eager" in str(caught.value.why)


class Forgetful(nn.Module):
    """A model that does not hand on the keyword; what it computes instead is wrong, and no error says so."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Any) -> Any:
        inputs.pop("row_parts", None)
        return self.model(**inputs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules["model"], name)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_check_runs_the_model(tiny: ModelSource, dtype: Any) -> None:
    model = load_causal(tiny, dtype=dtype)
    assert prefixes_can_be_shared(model)
    assert not prefixes_can_be_shared(Forgetful(model))


@pytest.mark.slow
def test_smollm2_shared_is_apart(smollm2: ModelSource) -> None:
    from itune_torch import load_tokenizer

    tokenizer, model = load_tokenizer(smollm2), load_causal(smollm2).requires_grad_(False)
    asked = [{"role": "user", "content": "Name a large city in France."}]
    said = ("Paris.", "Lyon is one of them.", "I do not know of any.")
    rows = [
        row
        for text in said
        if (row := encode_completion(tokenizer, asked, [{"role": "assistant", "content": text}])) is not None
    ]
    assert prefixes_can_be_shared(model)
    (batch,) = lay_out(rows, 512, together=[3])
    assert len(batch.parts) == 1
    torch.testing.assert_close(logprobs(model, batch), full_logits(model, rows), atol=1e-4, rtol=1e-5)
