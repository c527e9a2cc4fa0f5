"""How long a record is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Context,
    Failed,
    Inputs,
    ModelError,
    ModelRef,
    ModelSource,
    Record,
    RowError,
    Scorer,
    hookimpl,
    records,
)
from itune_scorers.text.parts import Part, texts
from itune_scorers.text.words import Language, analysers, language_of, words

if TYPE_CHECKING:
    import datasets
    from transformers import PreTrainedTokenizerBase

PARTS = ("prompt", "response", "total")
UNITS = ("characters", "words", "tokens")
BATCH = 64
"""Records tokenized at once: a fast tokenizer's cost is by the call as much as by the text."""


class Length(Scorer):
    """Characters, words and tokens of the prompt, of the answer, and of all text.

    Columns, all whole numbers:

    - ``score.<step>.prompt_characters``, ``prompt_words``, ``prompt_tokens``: all turns before the answer;
    - ``score.<step>.response_characters``, ``response_words``, ``response_tokens``: the answer: a conversation's last
      turn, the chosen side of a preference, the first candidate of a ranking, the text of a text record; 0 where there
      is none;
    - ``score.<step>.total_characters``, ``total_words``, ``total_tokens``: prompt and all answers.

    The columns of tokens are there if `model` is set. A character is a Unicode code point. A word is a run without
    white space, its punctuation included; with another `language` than `spaced`, what an analyser says is one, without
    punctuation. Tokens are counted turn by turn. Only the content of turns counts, not roles, tool calls or what a chat
    template adds.

    Source: this package.
    """

    columns = {f"{part}_{unit}": "int64" for part in PARTS for unit in UNITS}

    class Config(ComponentConfig):
        model: ModelRef | None = Field(
            None, description="The model whose tokenizer counts tokens; unset: there are no columns of tokens."
        )
        language: Language = Field(
            "spaced",
            description="How words are told apart: `spaced` by white space; `ja`, `ko` and `zh` by an analyser (an "
            "extra of the same name installs it); `record`: as each record's `language` says.",
        )

    @classmethod
    def columns_for(cls, config: Config) -> Mapping[str, str]:
        return {
            name: kind for name, kind in cls.columns.items() if config.model is not None or not name.endswith("_tokens")
        }

    def depends_on(self) -> Sequence[str]:
        """The analysers of the language."""
        return analysers(self.config.language)

    def score(self, record: Record) -> dict[str, int]:
        """Characters and words of each part.

        Raises:
            RowError: what :func:`itune_scorers.text.words.language_of` says.
            ModelError: ``E-SCORE-010`` the analyser of the language is not installed.
        """
        language = language_of(record, self.config.language)
        found = {}
        for part, contents in texts(record).items():
            found[f"{part}_characters"] = sum(map(len, contents))
            found[f"{part}_words"] = sum(_words(content, language) for content in contents)
        return found

    @hookimpl
    def itune_score(self, inputs: Inputs, context: Context) -> Iterator[Mapping[str, Any] | Failed]:
        """The easy method's, and with a model the tokens besides.

        Raises:
            ModelError: ``E-SCORE-015`` itune-torch is not installed; or what stands in the way of the tokenizer.
        """
        scored: Iterator[Mapping[str, Any] | Failed] = super().itune_score(inputs=inputs, context=context)
        if self.config.model is None:
            return scored
        counted = _tokens(inputs["records"], context.model(self.config.model), context)
        return map(_joined, scored, counted)


def _joined(values: Mapping[str, Any] | Failed, tokens: Mapping[str, Any] | Failed) -> Mapping[str, Any] | Failed:
    if isinstance(values, Failed):
        return values
    return tokens if isinstance(tokens, Failed) else {**values, **tokens}


def _words(text: str, language: Language) -> int:
    return len(text.split()) if language == "spaced" else len(words(text, language))


def _tokens(rows: datasets.Dataset, source: ModelSource, context: Context) -> Iterator[dict[str, int] | Failed]:
    """The columns of tokens of each record, in order."""
    left = records(rows)
    batches = iter(lambda: list(islice(left, BATCH)), [])
    for batch in context.map(partial(_count, source), batches):
        assert not isinstance(batch, Failed)  # a bad record fails on its own
        yield from batch


def _count(source: ModelSource, batch: Sequence[Record]) -> list[dict[str, int] | Failed]:
    apart = [_texts(record) for record in batch]
    contents = [content for each in apart if not isinstance(each, Failed) for content in each["total"]]
    lengths = dict(zip(contents, _lengths(contents, source), strict=True))
    return [
        each
        if isinstance(each, Failed)
        else {f"{part}_tokens": sum(lengths[content] for content in turns) for part, turns in each.items()}
        for each in apart
    ]


def _texts(record: Record) -> dict[Part, list[str]] | Failed:
    try:
        return texts(record)
    except RowError as error:
        return Failed.of(error)


def _lengths(contents: list[str], source: ModelSource) -> list[int]:
    """Tokens of each text."""
    if not contents:
        return []
    encoded = _tokenizer(source)(
        contents, add_special_tokens=False, truncation=False, return_attention_mask=False, verbose=False
    )
    return [len(ids) for ids in encoded["input_ids"]]


@cache
def _tokenizer(source: ModelSource) -> PreTrainedTokenizerBase:
    """Loaded once a process."""
    try:
        from itune_torch import load_tokenizer
    except ModuleNotFoundError as error:
        raise ModelError(
            "E-SCORE-015",
            f"counting tokens needs a library that is not installed: {error.name}",
            fix="pip install 'itune-scorers[tokens]', or unset model",
        ) from error
    return load_tokenizer(source)
