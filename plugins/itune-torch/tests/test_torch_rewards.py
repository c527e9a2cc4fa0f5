"""Reward models: what is opened, what is refused, and a reward that is the last token's however rows are laid out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from itune_core.api import ModelError, ModelSource
from itune_torch import (
    Encoded,
    lay_out,
    load_causal,
    load_reward,
    make_tiny_reward,
    pad,
    prefixes_can_be_shared,
    reward_adapter,
    rewards,
    rows_are_isolated,
    sequence_rewards,
)

PAD = 0
ROWS = [
    Encoded([5, 9, 301, 44, 7, 2], [False] * 3 + [True] * 3),
    Encoded([5, 9, 301, 44, 250, 251, 252, 60, PAD], [False] * 4 + [True] * 5),
    Encoded([17, 400, 3, PAD, PAD], [False] * 2 + [True] * 3),
]
"""Two that begin alike; and two that end in the padding token, where transformers looks for a row's end in vain."""


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    folder = make_tiny_reward(tmp_path_factory.mktemp("judge"))
    return ModelSource(folder, "transformers", "judge-0", "./judge", architecture="reward")


@pytest.fixture(scope="module")
def model(judge: ModelSource) -> Any:
    return load_reward(judge).requires_grad_(False)


def by_hand(model: Any, row: Encoded) -> Tensor:
    """The head, a plain product, on the last state of the row alone."""
    states = model.model(input_ids=torch.tensor([row.ids])).last_hidden_state
    return (model.score.weight[0] * states[0, -1]).sum()


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


@relaxed
@given(
    rows=st.lists(st.lists(st.integers(0, 511), min_size=2, max_size=24), min_size=1, max_size=5),
    bound=st.integers(1, 100),
)
def test_joined_is_padded_is_one_by_one(model: Any, rows: list[list[int]], bound: int) -> None:
    encoded = [Encoded(ids, [False] + [True] * (len(ids) - 1)) for ids in rows]
    expected = torch.stack([by_hand(model, row) for row in encoded])
    torch.testing.assert_close(sequence_rewards(model, lay_out(encoded, bound)), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sequence_rewards(model, [pad(encoded)]), expected, atol=1e-5, rtol=1e-5)


def test_rows_that_share_a_prefix(model: Any) -> None:
    assert prefixes_can_be_shared(model)
    [batch] = lay_out(ROWS, 100, together=[2, 1])
    assert batch.parts == ((3, 3, 6), (5,))
    expected = torch.stack([by_hand(model, row) for row in ROWS])
    torch.testing.assert_close(rewards(model, batch), expected, atol=1e-5, rtol=1e-5)


def test_a_padding_token_may_end_a_row(model: Any) -> None:
    """transformers takes the last token that is no padding, and so judges another text."""
    assert model.config.pad_token_id == PAD
    [ours] = rewards(model, lay_out(ROWS[2:], 100)[0])
    theirs = model(input_ids=torch.tensor([ROWS[2].ids])).logits.item()
    assert ours.item() == pytest.approx(by_hand(model, ROWS[2]).item(), abs=1e-5)
    assert abs(theirs - ours.item()) > 0.1
    [plain] = rewards(model, lay_out(ROWS[:1], 100)[0])
    assert plain.item() == pytest.approx(model(input_ids=torch.tensor([ROWS[0].ids])).logits.item(), abs=1e-5)


def test_the_gradient_is_that_of_the_formula(judge: ModelSource) -> None:
    model = load_reward(judge)
    weights = [model.score.weight, model.model.layers[0].self_attn.q_proj.weight, model.model.embed_tokens.weight]
    factors = torch.tensor([1.0, -2.0, 0.5])
    ours = torch.autograd.grad((sequence_rewards(model, lay_out(ROWS, 100)) * factors).sum(), weights)
    theirs = torch.autograd.grad((torch.stack([by_hand(model, row) for row in ROWS]) * factors).sum(), weights)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


class _Leaky(torch.nn.Module):
    """An attention layer that forgets which row is which."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *args: Any, **inputs: Any) -> Any:
        inputs.pop("row_lengths", None)
        inputs["attention_mask"] = None
        return self.layer(*args, **inputs)


def test_rows_that_read_each_other_are_noticed(judge: ModelSource) -> None:
    model = load_reward(judge)
    assert rows_are_isolated(model)
    model.score.weight.data.zero_()  # the check is on what the head is given: one that says 0 of all hides nothing
    assert rows_are_isolated(model)
    for layer in model.model.layers:
        layer.self_attn = _Leaky(layer.self_attn)
    assert not rows_are_isolated(model)


def test_the_head_is_float32_and_rows_are_told_apart_in_bfloat16(judge: ModelSource) -> None:
    exact, rounded = load_reward(judge), load_reward(judge, dtype="bfloat16")
    assert rounded.score.weight.dtype == torch.float32
    assert rounded.model.norm.weight.dtype == torch.bfloat16
    assert rows_are_isolated(rounded)
    one, other = (sequence_rewards(model, lay_out(ROWS, 100)) for model in (exact, rounded))
    assert other.dtype == torch.float32
    torch.testing.assert_close(one, other, atol=0.15, rtol=0.05)


def test_a_language_model_becomes_one(tiny: ModelSource) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = load_reward(tiny, new_head=True)
        second = load_reward(tiny, new_head=True)
        torch.manual_seed(3)
        again = load_reward(tiny, new_head=True)
    assert torch.equal(first.score.weight, again.score.weight)
    assert not torch.equal(first.score.weight, second.score.weight)
    assert first.score.weight.shape == (1, 64)
    assert first.score.bias is None
    backbone = load_causal(tiny).model.state_dict()
    assert all(torch.equal(weight, backbone[name]) for name, weight in first.model.state_dict().items())


def code(error: pytest.ExceptionInfo[ModelError]) -> str:
    return error.value.code


def test_what_is_no_reward_model_is_refused(tiny: ModelSource, judge: ModelSource, model: Any, tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    with pytest.raises(ModelError, match="it has no head") as error:
        load_reward(tiny)
    assert code(error) == "E-TORCH-037"
    with pytest.raises(ModelError, match="has no head that gives one number") as error:
        rewards(load_causal(tiny), pad(ROWS))
    assert code(error) == "E-TORCH-036"
    with pytest.raises(ModelError, match="judges answers and writes none") as error:
        load_causal(judge)
    assert code(error) == "E-TORCH-035"

    shutil.copytree(judge.files, tmp_path / "three")
    config = json.loads((judge.files / "config.json").read_text())
    config |= {"id2label": {0: "bad", 1: "fair", 2: "good"}, "label2id": {"bad": 0, "fair": 1, "good": 2}}
    (tmp_path / "three" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="it gives 3 numbers") as error:
        load_reward(replace(judge, files=tmp_path / "three"))
    assert code(error) == "E-TORCH-036"

    sizes = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertForSequenceClassification(BertConfig(**sizes, num_labels=1)).save_pretrained(tmp_path / "bert")
    with pytest.raises(ModelError, match="not built on a causal language model") as error:
        load_reward(replace(judge, files=tmp_path / "bert"))
    assert code(error) == "E-TORCH-036"


def test_missing_weights_are_not_drawn_at_random(judge: ModelSource, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(judge.files, tmp_path / "torn")
    weights = load_file(judge.files / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "torn" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj\.weight") as error:
        load_reward(replace(judge, files=tmp_path / "torn"), new_head=True)
    assert code(error) == "E-TORCH-037"


@pytest.fixture(scope="module")
def adapters(tiny: ModelSource, judge: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One trained for a language model, and one for a reward model, which brings its head."""
    from peft import LoraConfig, get_peft_model

    made = {}
    for task, model in (("CAUSAL_LM", load_causal(tiny)), ("SEQ_CLS", load_reward(tiny, new_head=True))):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            config = LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False, task_type=task)
            adapted = get_peft_model(model, config)
        made[task] = tmp_path_factory.mktemp(task)
        adapted.save_pretrained(made[task])
    return made


def test_an_adapter_brings_its_head(tiny: ModelSource, adapters: dict[str, Path]) -> None:
    source = replace(tiny, adapter=adapters["SEQ_CLS"])
    attached, merged = load_reward(source), load_reward(source, adapter="merge")
    expected, found = (sequence_rewards(model, lay_out(ROWS, 100)) for model in (attached, merged))
    torch.testing.assert_close(expected, found, atol=1e-4, rtol=1e-4)
    [pooled] = attached(input_ids=torch.tensor([ROWS[0].ids])).logits
    assert pooled.item() == pytest.approx(expected[0].item(), abs=1e-5)


def test_an_adapter_of_a_language_model_keeps_the_models_head(
    tiny: ModelSource, judge: ModelSource, model: Any, adapters: dict[str, Path]
) -> None:
    source = replace(tiny, adapter=adapters["CAUSAL_LM"])
    with pytest.raises(ModelError, match="it has no head"):
        load_reward(source)
    adapted = reward_adapter(load_reward(judge), adapters["CAUSAL_LM"], is_trainable=True)
    head = adapted.get_base_model().score
    assert torch.equal(head.modules_to_save["default"].weight, model.score.weight)
    trained = {name for name, weight in adapted.named_parameters() if weight.requires_grad}
    assert "base_model.model.score.modules_to_save.default.weight" in trained
    assert {name.rsplit(".", 3)[1] for name in trained if "lora" in name} == {"lora_A", "lora_B"}
    states = [one.base_model.model.model(input_ids=torch.tensor([ROWS[0].ids]))[0] for one in (adapted,)]
    causal = load_causal(source).base_model.model.model(input_ids=torch.tensor([ROWS[0].ids]))[0]
    torch.testing.assert_close(states[0], causal, atol=1e-5, rtol=1e-5)


def test_a_model_that_names_no_padding_token_can_be_padded(judge: ModelSource, tmp_path: Path) -> None:
    shutil.copytree(judge.files, tmp_path / "bare")
    for name in ("config.json", "tokenizer_config.json"):
        saved = json.loads((judge.files / name).read_text())
        (tmp_path / "bare" / name).write_text(
            json.dumps({key: value for key, value in saved.items() if not key.startswith("pad_token")})
        )
    bare = load_reward(replace(judge, files=tmp_path / "bare"))
    expected = torch.stack([by_hand(bare, row) for row in ROWS])
    torch.testing.assert_close(sequence_rewards(bare, [pad(ROWS)]), expected, atol=1e-5, rtol=1e-5)
