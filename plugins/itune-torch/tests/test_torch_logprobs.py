"""The hot path gives what a full forward pass with all logits gives, and rows never read each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from itune_core.api import ModelError, ModelSource
from itune_torch import Batch, Encoded, lay_out, load_causal, logprobs, pad, rows_are_isolated, sequence_logprobs

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


@st.composite
def encoded_rows(draw: st.DrawFn) -> list[Encoded]:
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        size = draw(st.integers(2, 24))
        ids = draw(st.lists(st.integers(0, 511), min_size=size, max_size=size))
        trained = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        rows.append(Encoded(ids, [*trained[:-1], True]))
    return rows


ROWS = [
    Encoded([5, 9, 301, 44, 7, 2], [False, False, True, True, True, True]),
    Encoded([17, 400, 3, 2], [True, True, True, True]),
    Encoded([8, 8, 8, 250, 251, 252, 60, 61, 2], [False] * 5 + [True] * 4),
]


def reference(model: nn.Module, rows: list[Encoded]) -> Tensor:
    """Row by row, all logits, log_softmax: nothing clever."""
    found = []
    for row in rows:
        ids = torch.tensor([row.ids])
        logs = model(input_ids=ids).logits[0].float().log_softmax(-1)
        for place in range(1, len(row.ids)):
            if row.trained[place]:
                found.append(logs[place - 1, row.ids[place]])
    return torch.stack(found)


@relaxed
@given(rows=encoded_rows(), bound=st.integers(1, 100), chunk=st.integers(1, 40))
def test_joined_is_padded_is_full_logits(model: Any, rows: list[Encoded], bound: int, chunk: int) -> None:
    batches = lay_out(rows, bound)
    joined = torch.cat([logprobs(model, batch, chunk=chunk) for batch in batches])
    expected = reference(model, rows)
    torch.testing.assert_close(joined, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logprobs(model, pad(rows), chunk=chunk), expected, atol=1e-5, rtol=1e-5)

    sums, counts = sequence_logprobs(model, batches)
    assert counts.tolist() == [row.supervised for row in rows]
    parts = expected.split(counts.tolist())
    torch.testing.assert_close(sums, torch.stack([part.sum() for part in parts]), atol=1e-4, rtol=1e-5)


@relaxed
@given(rows=encoded_rows(), bound=st.integers(1, 60))
def test_lay_out_keeps_every_token_in_order(rows: list[Encoded], bound: int) -> None:
    batches = lay_out(rows, bound)
    assert [index for batch in batches for index in batch.rows] == list(range(len(rows)))
    assert [token for batch in batches for token in batch.input_ids[0].tolist()] == [t for row in rows for t in row.ids]
    for batch in batches:
        assert batch.input_ids.shape[1] <= bound or len(batch.rows) == 1
        assert batch.position_ids[0].tolist() == [place for size in batch.lengths for place in range(size)]
        flat = batch.input_ids.flatten()
        assert torch.equal(flat[batch.targets + 1], batch.target_ids)


def weighted_loss(values: Tensor) -> Tensor:
    """Each target with a weight of its own, so that a gradient that mixes targets up shows."""
    return (values * torch.linspace(0.5, 1.5, len(values))).sum()


@pytest.mark.parametrize("head", ["trained", "frozen"])
@pytest.mark.parametrize("chunk", [2, 128])
def test_gradients_are_those_of_full_logits(tiny: ModelSource, head: str, chunk: int) -> None:
    def gradients(compute: Any) -> dict[str, Tensor]:
        model = load_causal(tiny)
        model.get_output_embeddings().weight.requires_grad_(head == "trained")
        weighted_loss(compute(model)).backward()
        return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}

    expected = gradients(lambda model: reference(model, ROWS))
    assert ("model.embed_tokens.weight" in expected) == (head == "trained")  # tied
    for batch in (lay_out(ROWS, 100)[0], pad(ROWS)):
        ours = gradients(lambda model, batch=batch: logprobs(model, batch, chunk=chunk))
        assert ours.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(ours[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_head_with_bias_matches_finite_differences() -> None:
    from itune_torch._logprobs import _LinearLogprobs

    torch.manual_seed(0)
    hidden = torch.randn(5, 4, requires_grad=True)
    weight, bias = torch.randn(7, 4, requires_grad=True), torch.randn(7, requires_grad=True)
    ids = torch.tensor([0, 3, 6, 3, 1])
    expected = (hidden @ weight.T + bias).log_softmax(-1).gather(1, ids[:, None]).squeeze(1)
    ours = _LinearLogprobs.apply(hidden, weight, bias, ids, 2)
    torch.testing.assert_close(ours, expected)
    for mine, theirs in zip(
        torch.autograd.grad(weighted_loss(ours), (hidden, weight, bias)),
        torch.autograd.grad(weighted_loss(expected), (hidden, weight, bias)),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "lm_head"]])
def test_adapters(tiny: ModelSource, targets: Any) -> None:
    """Also one on the LM head, which is then no plain linear layer."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(load_causal(tiny), LoraConfig(r=2, target_modules=targets, init_lora_weights=False)).eval()
    values = logprobs(model, lay_out(ROWS, 100)[0])
    expected = reference(model, ROWS)
    torch.testing.assert_close(values, expected, atol=1e-5, rtol=1e-5)
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for name, mine, theirs in zip(
        names,
        torch.autograd.grad(weighted_loss(values), weights),
        torch.autograd.grad(weighted_loss(expected), weights),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4, msg=name)


def test_a_bias_of_positions_is_left_to_the_whole_mask() -> None:
    """It is as wide as all rows together."""
    from transformers import AttentionInterface

    from itune_torch._attention import LENGTHS, NAME

    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 7, 4)
    bias = torch.randn(1, 2, 7, 7)
    mask = torch.block_diag(torch.ones(3, 3), torch.ones(4, 4)).bool().tril()[None, None]
    attend = AttentionInterface()
    expected, _ = attend["sdpa"](nn.Module(), query, key, value, mask, position_bias=bias)
    found, _ = attend[NAME](nn.Module(), query, key, value, mask, position_bias=bias, **{LENGTHS: (3, 4)})
    assert torch.equal(found, expected)


def random_model(name: str, **special: Any) -> Any:
    import transformers

    from itune_torch._attention import use_row_blocks

    shape = {
        "vocab_size": 512,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "initializer_range": 0.3,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**shape, **special)
    return use_row_blocks(getattr(transformers, f"{name}ForCausalLM")(config)).eval()


@pytest.mark.parametrize(
    ("name", "special"),
    [
        ("Gemma2", {"final_logit_softcapping": 2.0, "sliding_window": 4, "attn_implementation": "eager"}),
        ("Granite", {"logits_scaling": 4.0}),
        ("Cohere", {"logit_scale": 0.25}),
        ("Mistral", {"sliding_window": 4}),
        ("Qwen3", {}),
        ("Phi", {}),
    ],
)
def test_architectures(name: str, special: dict[str, Any]) -> None:
    """Capped and scaled logits, heads with a bias, sliding windows shorter than a row."""
    model = random_model(name, **special)
    assert rows_are_isolated(model)
    expected = reference(model, ROWS)
    for _ in range(2):  # what the first call learns about the head, the second uses
        torch.testing.assert_close(logprobs(model, lay_out(ROWS, 100)[0]), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logprobs(model, pad(ROWS)), expected, atol=1e-5, rtol=1e-5)
    if name in ("Gemma2", "Granite", "Cohere"):
        head = model.get_output_embeddings()
        plain = torch.cat([head(model.model(torch.tensor([row.ids])).last_hidden_state[0]) for row in ROWS])
        whole = torch.cat([model(torch.tensor([row.ids])).logits[0] for row in ROWS])
        assert (plain - whole).abs().max() > 0.1, "the test must be about logits that are not the head's output"


def test_no_gradient_is_kept_when_none_is_asked_for(tiny: ModelSource) -> None:
    model = load_causal(tiny)
    with torch.no_grad():
        assert not logprobs(model, lay_out(ROWS, 100)[0]).requires_grad
    assert not logprobs(model.requires_grad_(False), lay_out(ROWS, 100)[0]).requires_grad


def test_a_model_without_head(tiny: ModelSource) -> None:
    with pytest.raises(ModelError, match="no LM head"):
        logprobs(load_causal(tiny).model, lay_out(ROWS, 100)[0])


def test_data_parallel(tiny: ModelSource, tmp_path: Path) -> None:
    """Through the wrapper's own forward, or its gradients would not be averaged."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        model = load_causal(tiny)
        calls: list[int] = []
        wrapped = DistributedDataParallel(model)
        wrapped.register_forward_hook(lambda *_: calls.append(1))
        values = logprobs(wrapped, lay_out(ROWS, 100)[0])
        values.sum().backward()
        assert calls == [1]
        assert model.model.layers[0].mlp.up_proj.weight.grad.abs().sum() > 0
        torch.testing.assert_close(values, reference(model, ROWS), atol=1e-5, rtol=1e-5)
    finally:
        distributed.destroy_process_group()


def test_the_trap(tiny: ModelSource) -> None:
    """Why `use_cache=False` goes with every call: without it joined rows read each other, and nothing says so."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny.files, dtype=torch.float32).eval()
    batch = lay_out(ROWS, 100)[0]

    def values(**arguments: Any) -> Tensor:
        logits = model(input_ids=batch.input_ids, position_ids=batch.position_ids, **arguments).logits[0]
        return logits.log_softmax(-1)[batch.targets, batch.target_ids]

    expected = reference(model, ROWS)
    torch.testing.assert_close(values(use_cache=False), expected, atol=1e-5, rtol=1e-5)
    leak = (values() - expected).abs().max().item()
    if leak < 1e-4:
        pytest.skip("the installed transformers keeps joined rows apart with a cache too")
    assert leak > 0.1


class Deaf(nn.Module):
    """A model that takes positions and ignores them, as state-space models do."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, position_ids: Tensor, **rest: Any) -> Any:
        rest.pop("row_lengths", None)
        return self.model(input_ids=input_ids, **rest)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules["model"], name)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_isolation_is_found_out(tiny: ModelSource, dtype: Any) -> None:
    model = load_causal(tiny, dtype=dtype)
    assert rows_are_isolated(model)
    assert not rows_are_isolated(Deaf(model))


def test_isolation_does_not_hang_on_the_last_digit(tiny: ModelSource) -> None:
    """A model whose sums come out a little otherwise each time, as on an accelerator, still keeps rows apart."""
    model = load_causal(tiny)
    draw = torch.Generator().manual_seed(0)

    def unsteady(_: nn.Module, __: Any, output: Any) -> None:
        output.logits = output.logits + 1e-5 * torch.randn(output.logits.shape, generator=draw)

    model.register_forward_hook(unsteady)
    assert rows_are_isolated(model)


def test_isolation_check_leaves_modes_alone(tiny: ModelSource) -> None:
    model = load_causal(tiny)
    model.model.layers[1].train()
    before = [module.training for module in model.modules()]
    assert rows_are_isolated(model)
    assert [module.training for module in model.modules()] == before


def test_batch_moves_whole() -> None:
    batch = pad(ROWS).to("meta")
    for name in ("input_ids", "position_ids", "attention_mask", "targets", "target_ids", "row"):
        assert getattr(batch, name).device.type == "meta", name
    assert isinstance(batch, Batch)


@pytest.mark.slow
def test_smollm2_joined_is_full_logits(smollm2: ModelSource) -> None:
    from itune_torch import encode_completion, load_tokenizer

    tokenizer = load_tokenizer(smollm2)
    rows = [
        encode_completion(tokenizer, [{"role": "user", "content": ask}], [{"role": "assistant", "content": answer}])
        for ask, answer in [
            ("What is the capital of France?", "Paris."),
            ("Count.", "One, two, three."),
            ("Hi", "Hello!"),
        ]
    ]
    kept = [row for row in rows if row is not None]
    model = load_causal(smollm2)
    assert rows_are_isolated(model)
    with torch.no_grad():
        torch.testing.assert_close(logprobs(model, lay_out(kept, 512)[0]), reference(model, kept), atol=1e-4, rtol=1e-5)
