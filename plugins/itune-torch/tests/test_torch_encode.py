"""The mask engine: what is trained is the assistant's text and its end, whatever the text and whatever is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import ModelError, ModelSource, RowError
from itune_torch import Encoded, encode_completion, encode_conversation, encode_text, load_causal, load_tokenizer

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
# No angle brackets: text that spells a special token is tokenised as that token, by every tool. Trainers refuse it.
contents = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<|>"), max_size=40)
turn_pairs = st.lists(st.tuples(contents, contents), min_size=1, max_size=3)


def chat(pairs: list[tuple[str, str]], system: str | None = None) -> list[dict[str, Any]]:
    messages = [] if system is None else [{"role": "system", "content": system}]
    for ask, answer in pairs:
        messages += [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]
    return messages


def runs(encoded: Encoded) -> list[list[int]]:
    """The trained ids, one list for each unbroken run."""
    found: list[list[int]] = []
    before = False
    for token, trained in zip(encoded.ids, encoded.trained, strict=True):
        if trained:
            found = [*found[:-1], [*found[-1], token]] if before else [*found, [token]]
        before = trained
    return found


@relaxed
@given(pairs=turn_pairs, system=st.none() | contents)
def test_trained_is_each_answer_and_its_end(tokenizer: Any, pairs: list[tuple[str, str]], system: str | None) -> None:
    encoded = encode_conversation(tokenizer, chat(pairs, system))
    assert encoded is not None
    assert [tokenizer.decode(run) for run in runs(encoded)] == [f"{answer}<|im_end|>\n" for _, answer in pairs]
    assert encoded.supervised == sum(map(len, runs(encoded)))
    rendered = tokenizer.apply_chat_template(chat(pairs, system), tokenize=False)
    assert tokenizer.decode(encoded.ids) == rendered
    assert encoded.merged == 0


@relaxed
@given(pairs=turn_pairs, flags=st.lists(st.sampled_from([None, True, False]), min_size=6, max_size=6))
def test_train_flags(tokenizer: Any, pairs: list[tuple[str, str]], flags: list[bool | None]) -> None:
    messages = [{**message, "train": flag} for message, flag in zip(chat(pairs), flags, strict=False)]
    expected = [
        f"{message['content']}<|im_end|>\n"
        for message in messages
        if (message["role"] == "assistant" if message["train"] is None else message["train"])
    ]
    if not expected:
        with pytest.raises(RowError, match="no token to train on"):
            encode_conversation(tokenizer, messages)
        return
    encoded = encode_conversation(tokenizer, messages)
    assert encoded is not None
    assert [tokenizer.decode(run) for run in runs(encoded)] == expected


@relaxed
@given(pairs=turn_pairs)
def test_a_completion_is_the_last_turn(tokenizer: Any, pairs: list[tuple[str, str]]) -> None:
    messages = chat(pairs)
    last_only = [{**message, "train": message is messages[-1]} for message in messages]
    assert encode_completion(tokenizer, messages[:-1], messages[-1:]) == encode_conversation(tokenizer, last_only)


@relaxed
@given(prompt=contents.filter(bool), completion=contents)
def test_text_completion_joins_and_ends(tokenizer: Any, prompt: str, completion: str) -> None:
    encoded = encode_completion(tokenizer, prompt, completion)
    assert encoded is not None
    assert encoded.ids == tokenizer(prompt + completion + "<|im_end|>", add_special_tokens=False)["input_ids"]
    assert encoded.trained[-1]
    if not encoded.merged:
        assert tokenizer.decode(runs(encoded)[-1]) == completion + "<|im_end|>"


def test_a_token_over_the_boundary_is_trained_and_counted(tokenizer: Any) -> None:
    whole = tokenizer("answer", add_special_tokens=False)["input_ids"]
    split = tokenizer("ans", add_special_tokens=False)["input_ids"]
    assert whole[: len(split)] != split, "the tokenizer must merge over the boundary for this test to show anything"
    encoded = encode_completion(tokenizer, "ans", "wer")
    assert encoded is not None
    assert encoded.merged == 1
    assert [tokenizer.decode(run) for run in runs(encoded)] == ["swer<|im_end|>"]


def test_an_answer_to_nothing(tokenizer: Any) -> None:
    """No generation prompt leads to an opening turn, and templates refuse an empty conversation."""
    encoded = encode_conversation(tokenizer, [{"role": "assistant", "content": "Welcome."}])
    assert encoded is not None
    assert [tokenizer.decode(run) for run in runs(encoded)] == ["Welcome.<|im_end|>\n"]
    assert encode_completion(tokenizer, [], [{"role": "assistant", "content": "Welcome."}]) == encoded


def test_plain_text_is_all_trained_and_ends(tokenizer: Any) -> None:
    encoded = encode_text(tokenizer, "The river runs.")
    assert encoded is not None
    assert all(encoded.trained)
    assert tokenizer.decode(encoded.ids) == "The river runs.<|im_end|>"
    assert encoded.supervised == len(encoded.ids) - 1


def test_null_fields_and_tool_calls_reach_the_template(tokenizer: Any) -> None:
    from copy import deepcopy

    other = deepcopy(tokenizer)
    other.chat_template = (
        "{% for m in messages %}{% if m.tool_calls is defined %}[{{ m.tool_calls[0].name }}]{% endif %}"
        "{{ m.content }}<|im_end|>{% endfor %}"
    )
    message = {"role": "assistant", "content": "ok", "name": None, "tool_calls": '[{"name": "add"}]', "train": None}
    encoded = encode_conversation(other, [message])
    assert encoded is not None
    assert other.decode(encoded.ids) == "[add]ok<|im_end|>"


def test_tool_calls_that_are_not_json_fail_the_row(tokenizer: Any) -> None:
    message = {"role": "assistant", "content": "ok", "tool_calls": '[{"name": "add"'}
    with pytest.raises(RowError, match="not JSON") as caught:
        encode_conversation(tokenizer, [message], row="row-7")
    assert (caught.value.code, caught.value.where) == ("E-TORCH-021", "row-7")


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer: Any) -> None:
    from copy import deepcopy

    # As reasoning models' templates do: what an assistant thought is shown in the last turn only.
    other = deepcopy(tokenizer)
    other.chat_template = (
        "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' and loop.last %}(thinks){% endif %}"
        "{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )
    messages = chat([("a", "b"), ("c", "d")])
    with pytest.raises(RowError, match="differently when more follow") as caught:
        encode_conversation(other, messages, row="row-7")
    assert (caught.value.code, caught.value.where) == ("E-TORCH-013", "row-7")
    messages[1]["train"] = False
    encoded = encode_conversation(other, messages)
    assert encoded is not None
    assert other.decode(runs(encoded)[0]) == "(thinks)d<|im_end|>"


def test_a_template_that_refuses_a_row_names_it(tokenizer: Any) -> None:
    from copy import deepcopy

    other = deepcopy(tokenizer)
    other.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(RowError, match="roles must alternate") as caught:
        encode_conversation(other, chat([("a", "b")]), row="row-7")
    assert caught.value.where == "row-7"


def test_no_template(tokenizer: Any) -> None:
    from copy import deepcopy

    other = deepcopy(tokenizer)
    other.chat_template = None
    with pytest.raises(ModelError, match="no chat template"):
        encode_conversation(other, chat([("a", "b")]))


def test_two_bos_are_refused(tokenizer: Any) -> None:
    with pytest.raises(RowError, match="twice"):
        encode_completion(tokenizer, "<|im_start|><|im_start|>user", "x")


def test_nothing_to_train_names_the_row(tokenizer: Any) -> None:
    with pytest.raises(RowError, match="no token to train on") as caught:
        encode_conversation(tokenizer, [{"role": "user", "content": "hello"}], row="row-7")
    assert caught.value.where == "row-7"


@relaxed
@given(pairs=turn_pairs, bound=st.integers(1, 80))
def test_overlength(tokenizer: Any, pairs: list[tuple[str, str]], bound: int) -> None:
    prompt, completion = chat(pairs)[:-1], chat(pairs)[-1:]

    def encode(policy: Any) -> Encoded | None:
        return encode_completion(tokenizer, prompt, completion, max_length=bound, overlength=policy)

    whole = encode_completion(tokenizer, prompt, completion)
    assert whole is not None
    excess = len(whole.ids) - bound
    if excess <= 0:
        assert encode("error") == encode("drop") == encode("truncate-response") == encode("truncate-prompt") == whole
        return
    assert encode("drop") is None
    with pytest.raises(RowError, match="more than max_length"):
        encode("error")
    opens = whole.trained.index(True)
    if bound <= opens:
        with pytest.raises(RowError, match="no token to train on"):
            encode("truncate-response")
    else:
        cut = encode("truncate-response")
        assert cut is not None
        assert (cut.ids, cut.trained) == (whole.ids[:bound], whole.trained[:bound])
        assert (cut.cut, cut.lost_end) == (excess, True)
    if excess > opens - 1:  # the BOS, which is kept, is what the first trained token is predicted from
        with pytest.raises(RowError, match="to cut from"):
            encode("truncate-prompt")
    else:
        cut = encode("truncate-prompt")
        assert cut is not None
        assert cut.ids == [whole.ids[0], *whole.ids[1 + excess :]]
        assert cut.trained == [whole.trained[0], *whole.trained[1 + excess :]]
        assert (cut.cut, cut.lost_end, cut.supervised) == (excess, False, whole.supervised)


ROWS = [
    ([{"role": "user", "content": "Name a colour of the sea."}], "Green, on a windy day."),
    ([{"role": "user", "content": "Add two and three."}], " 5\n\n"),
    (
        [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "Wie heißt das? 日本 🙂"}],
        "Ein Smiley.",
    ),
    (
        [{"role": "user", "content": "def f(x):\n\treturn x"}],
        "It gives  back   what it was given.\n```python\nf(1)\n```",
    ),
    (
        [
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": "Hello! What can I do?"},
            {"role": "user", "content": "Count to 1234."},
        ],
        "1, 2, 3, and so on.",
    ),
]


def assert_like_trl(source: ModelSource, model: ModelSource, folder: Path) -> None:
    pytest.importorskip("trl", reason="compares with TRL's own preprocessing")
    from trl import SFTConfig, SFTTrainer

    tokenizer = load_tokenizer(source)
    completions = [[{"role": "assistant", "content": answer}] for _, answer in ROWS]
    pairs = [(prompt, completion) for (prompt, _), completion in zip(ROWS, completions, strict=True)]
    trainer = SFTTrainer(
        model=load_causal(model),
        args=SFTConfig(str(folder), use_cpu=True, bf16=False, report_to="none", max_length=None),
        train_dataset=datasets.Dataset.from_list(
            [{"prompt": prompt, "completion": completion} for prompt, completion in pairs]
        ),
        processing_class=tokenizer,
    )
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(len(ROWS))])
    for number, (prompt, completion) in enumerate(pairs):
        ours = encode_completion(tokenizer, prompt, completion)
        assert ours is not None
        size = int(batch["attention_mask"][number].sum())
        assert ours.ids == batch["input_ids"][number, :size].tolist()
        assert ours.trained == (batch["labels"][number, :size] != -100).tolist()


def test_same_ids_and_mask_as_trl(tiny: ModelSource, tmp_path: Path) -> None:
    assert_like_trl(tiny, tiny, tmp_path)


@pytest.mark.slow
def test_same_ids_and_mask_as_trl_with_smollm2(smollm2: ModelSource, tmp_path: Path) -> None:
    from itune_torch import make_tiny_llama, resolve

    small = make_tiny_llama(tmp_path / "model", resolve(smollm2))
    assert_like_trl(smollm2, ModelSource(small, "transformers", "tiny", "tiny"), tmp_path / "trl")
