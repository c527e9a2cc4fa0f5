"""Answers depend on the prompt and the seed, not on the neighbours in the batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import ModelSource
from itune_torch import generate, load_causal
from itune_torch._generate import _from_all, _from_nucleus

PROMPTS = [[1, 40, 41, 42], [1, 99], [1, 300, 301, 302, 303, 304, 305, 17], [1, 7, 7], [1, 500, 12, 13, 14]]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(order=st.permutations(range(5)), cut=st.integers(1, 5), top_p=st.sampled_from([1.0, 0.7]))
def test_draws_do_not_depend_on_the_batch(model: Any, tokenizer: Any, order: list[int], cut: int, top_p: float) -> None:
    def run(rows: list[int]) -> dict[int, list[int]]:
        answers = generate(
            model,
            tokenizer,
            [PROMPTS[row] for row in rows],
            max_new_tokens=12,
            temperature=0.9,
            top_p=top_p,
            seeds=[1000 + row for row in rows],
        )
        return {row: answer.ids for row, answer in zip(rows, answers, strict=True)}

    together = run([0, 1, 2, 3, 4])
    assert run(order[:cut]) | run(order[cut:]) == together
    assert run([2]) == {2: together[2]}


def test_seed_decides(model: Any, tokenizer: Any) -> None:
    answers = generate(
        model, tokenizer, [PROMPTS[0]] * 4, max_new_tokens=12, temperature=1.0, seeds=[1, 1, 2, 2**63 + 5]
    )
    assert answers[0] == answers[1]
    assert len({tuple(answer.ids) for answer in answers}) == 3


def test_greedy_is_transformers_own(model: Any, tokenizer: Any) -> None:
    answers = generate(model, tokenizer, PROMPTS, max_new_tokens=20)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        whole = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=20)
        expected = whole[0, len(prompt) :].tolist()
        assert answer.ids == expected
        assert answer.text == tokenizer.decode(expected, skip_special_tokens=True)
        assert answer.finish_reason == ("stop" if expected[-1] == tokenizer.eos_token_id else "length")
        assert answer.prompt_tokens == len(prompt)


def test_a_row_ends_at_its_end_token(tiny: ModelSource, tokenizer: Any) -> None:
    """Also where padding is the end token itself and other rows go on."""
    model = load_causal(tiny)
    answers = generate(model, tokenizer, PROMPTS, max_new_tokens=8)
    model.generation_config.eos_token_id = [2, answers[0].ids[3]]
    model.generation_config.pad_token_id = 2
    again = generate(model, tokenizer, PROMPTS, max_new_tokens=8)
    assert again[0].ids == answers[0].ids[: answers[0].ids.index(answers[0].ids[3]) + 1]
    assert again[0].finish_reason == "stop"
    assert any(len(answer.ids) == 8 and answer.finish_reason == "length" for answer in again)


def test_stop_strings_end_a_row_and_are_cut(model: Any, tokenizer: Any) -> None:
    free = generate(model, tokenizer, PROMPTS, max_new_tokens=16)
    target = free[1].text[4:6]
    stopped = generate(model, tokenizer, PROMPTS, max_new_tokens=16, stop=["never in there", target])
    for before, after in zip(free, stopped, strict=True):
        if target in before.text:
            assert after.text == before.text[: before.text.index(target)]
            assert after.finish_reason == "stop"
            assert after.ids == before.ids[: len(after.ids)]
            assert len(after.ids) < len(before.ids) or tokenizer.decode(before.ids[:-1]).find(target) < 0
        else:
            assert after == before
    assert target in free[1].text


def test_the_callers_model_is_left_as_it_was(tiny: ModelSource, tokenizer: Any) -> None:
    model = load_causal(tiny)
    before = model.generation_config.to_dict()
    generate(model, tokenizer, PROMPTS[:2], max_new_tokens=2, temperature=1.0, seeds=[0, 1])
    assert model.generation_config.to_dict() == before


def test_wrong_arguments(model: Any, tokenizer: Any) -> None:
    assert generate(model, tokenizer, [], max_new_tokens=2) == []
    with pytest.raises(ValueError, match="no tokens"):
        generate(model, tokenizer, [[1], []], max_new_tokens=2)
    with pytest.raises(ValueError, match="as many seeds"):
        generate(model, tokenizer, [[1], [2]], max_new_tokens=2, temperature=0.5, seeds=[1])


def test_the_draw_follows_the_distribution() -> None:
    """Evenly spread numbers hit each token in proportion to its probability; a nucleus holds what it says."""
    probabilities = torch.tensor([0.05, 0.5, 0.0, 0.3, 0.15])
    uniform = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000

    drawn = _from_all(probabilities.expand(1000, 5), uniform).bincount(minlength=5)
    torch.testing.assert_close(drawn / 1000, probabilities, atol=2e-3, rtol=0)

    def nucleus(top_p: float) -> torch.Tensor:
        return torch.stack([_from_nucleus(probabilities, u, top_p) for u in uniform]).bincount(minlength=5) / 1000

    torch.testing.assert_close(nucleus(0.75), torch.tensor([0, 0.625, 0, 0.375, 0]), atol=2e-3, rtol=0)
    torch.testing.assert_close(nucleus(0.4), torch.tensor([0, 1.0, 0, 0, 0]))
    torch.testing.assert_close(nucleus(0.999), probabilities, atol=2e-3, rtol=0)


@settings(deadline=None, max_examples=50)
@given(
    logits=st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=40),
    uniform=st.floats(0, 1, exclude_max=True),
    top_p=st.floats(0.01, 0.999),
)
def test_a_draw_is_from_the_nucleus(logits: list[float], uniform: float, top_p: float) -> None:
    probabilities = torch.tensor(logits).softmax(-1)
    token = _from_nucleus(probabilities, torch.tensor(uniform, dtype=torch.float64), top_p)
    better = probabilities[probabilities > probabilities[token]].double().sum()
    assert better < top_p + 1e-6


def test_a_draw_is_from_the_most_likely_tokens() -> None:
    """Evenly spread numbers hit each of the k most likely in proportion; then the nucleus has its share of these."""
    probabilities = torch.tensor([0.05, 0.4, 0.0, 0.2, 0.15, 0.2])
    uniform = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000

    def shares(top_k: int, top_p: float = 1.0) -> torch.Tensor:
        drawn = torch.stack([_from_nucleus(probabilities, u, top_p, top_k) for u in uniform])
        return drawn.bincount(minlength=6) / 1000

    expected = {
        (1, 1.0): [0, 1.0, 0, 0, 0, 0],
        (2, 1.0): [0, 2 / 3, 0, 1 / 3, 0, 0],  # of two that are equally likely the first
        (3, 1.0): [0, 0.5, 0, 0.25, 0, 0.25],
        (3, 0.7): [0, 2 / 3, 0, 1 / 3, 0, 0],  # 0.4 and 0.2 of the 0.8 that three have
        (6, 1.0): probabilities.tolist(),
        (9, 1.0): probabilities.tolist(),
    }
    for (top_k, top_p), wanted in expected.items():
        torch.testing.assert_close(shares(top_k, top_p), torch.tensor(wanted), atol=2e-3, rtol=0)


@settings(deadline=None, max_examples=50)
@given(
    logits=st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=40),
    uniform=st.floats(0, 1, exclude_max=True),
    top_p=st.floats(0.01, 1),
    top_k=st.integers(1, 40),
)
def test_fewer_than_k_tokens_are_likelier_than_the_drawn(
    logits: list[float], uniform: float, top_p: float, top_k: int
) -> None:
    probabilities = torch.tensor(logits).softmax(-1)
    token = _from_nucleus(probabilities, torch.tensor(uniform, dtype=torch.float64), top_p, top_k)
    assert int((probabilities > probabilities[token]).sum()) < top_k
    assert probabilities[token] > 0


def test_one_most_likely_token_is_the_greedy_one(model: Any, tokenizer: Any) -> None:
    how = {"max_new_tokens": 8}
    drawn = generate(model, tokenizer, PROMPTS, temperature=1.0, top_k=1, seeds=range(5), **how)
    assert [answer.ids for answer in drawn] == [answer.ids for answer in generate(model, tokenizer, PROMPTS, **how)]


@pytest.mark.parametrize("penalty", [1.5, -3.0])
def test_what_an_answer_holds_already_is_penalised(model: Any, tokenizer: Any, penalty: float) -> None:
    """Token by token, the argmax of the logits with the penalty taken from those said before; the prompt is not."""
    for answer, prompt in zip(
        generate(model, tokenizer, PROMPTS, max_new_tokens=10, presence_penalty=penalty), PROMPTS, strict=True
    ):
        said: list[int] = []
        for token in answer.ids:
            with torch.no_grad():
                logits = model(torch.tensor([[*prompt, *said]])).logits[0, -1]
            logits[said] -= penalty
            if said:
                assert logits[token] == pytest.approx(logits.max().item(), abs=1e-4)
            else:
                assert token == logits.argmax()
            said.append(token)


def test_a_penalty_reaches_drawn_answers_and_none_changes_nothing(model: Any, tokenizer: Any) -> None:
    def run(**more: Any) -> list[list[int]]:
        drawn = generate(model, tokenizer, PROMPTS, max_new_tokens=24, temperature=0.3, seeds=range(5), **more)
        return [answer.ids for answer in drawn]

    plain = run()
    assert run(presence_penalty=0.0, top_k=0) == plain
    assert all(len(set(ids)) == len(ids) for ids in run(presence_penalty=1e4))  # nothing is said twice
    assert run(presence_penalty=1e4) != plain
