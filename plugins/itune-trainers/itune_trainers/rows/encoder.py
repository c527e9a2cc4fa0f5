"""From one record to a token row, under the recipe's length policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from itune_core.api import Message, Record, RowError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from itune_torch import Encoded
    from itune_trainers.rows.token_cache import TokenCache


class OverLength(Exception):
    """A row is longer than allowed and the policy is to drop its record. Caught where records are encoded."""


@dataclass(frozen=True)
class Encoder:
    """Tokenises the parts of one record, under the recipe's length policy.

    Attributes:
        tokenizer: of the model that is trained.
        max_length: longest row, in tokens.
        overlength: what happens to a longer one.
        cache: keeps what was tokenised; None: nothing is kept.
        variables: what the tokenizer's chat template was given besides the turns, see :meth:`using`.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    overlength: str
    cache: TokenCache | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def using(self, **variables: str) -> Encoder:
        """This encoder, with the chat template's variables set."""
        from itune_torch import with_variables

        key = tuple(sorted(variables.items()))
        if key not in self._variants:
            tokenizer = with_variables(self.tokenizer, variables)
            self._variants[key] = replace(self, tokenizer=tokenizer, variables=variables)
        return self._variants[key]

    @cached_property
    def _variants(self) -> dict[tuple[tuple[str, str], ...], Encoder]:
        return {}

    @cached_property
    def control_tokens(self) -> tuple[str, ...]:
        """What the tokenizer reads as a control token wherever it stands."""
        return tuple(token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special)

    def conversation(self, record: Record) -> Encoded:
        """The record's messages; the assistant's turns are trained, or those whose `train` flag says so."""
        from itune_torch import encode_conversation

        messages = record["messages"]
        self._refuse_control_tokens(messages)
        return self._row(messages, record, lambda policy: encode_conversation(self.tokenizer, messages, **policy))

    def completion(self, record: Record, column: str) -> Encoded:
        """The record's prompt and the completion in `column`, all of which is trained."""
        return self.answer(record, record[column])

    def answer(self, record: Record, completion: Sequence[Message]) -> Encoded:
        """The record's prompt and this completion, all of which is trained."""
        from itune_torch import encode_completion

        prompt = record["prompt"]
        self._refuse_control_tokens([*prompt, *completion])
        return self._row(
            [prompt, completion], record, lambda policy: encode_completion(self.tokenizer, prompt, completion, **policy)
        )

    def source_target(self, record: Record) -> Encoded:
        """The record's last message, the assistant's, for a decoder to learn; those before it for its encoder."""
        from itune_torch import encode_source_target

        *source, target = record["messages"]
        if target.get("train") is False or any(turn.get("train") for turn in source):
            raise RowError(
                "what is to be trained is not the last message alone",
                "E-TRAIN-061",
                why="the encoder reads all messages but the last, which is the one that the decoder writes",
                fix="set train on no turn, or make a conversation of every turn that is to be trained",
            )
        self._refuse_control_tokens([*source, target])
        return self._row(
            {"source": source, "target": target},
            record,
            lambda policy: encode_source_target(self.tokenizer, source, [target], **policy),
        )

    def text(self, record: Record) -> Encoded:
        """The record's text, every token trained."""
        from itune_torch import encode_text

        self._refuse_control_tokens([{"content": record["text"]}])
        text = record["text"]
        return self._row(text, record, lambda policy: encode_text(self.tokenizer, text, **policy))

    def _row(self, content: Any, record: Record, make: Callable[[dict[str, Any]], Encoded | None]) -> Encoded:
        """The row of some content, from the cache or made under the length policy."""
        policy = {"max_length": self.max_length, "overlength": self.overlength}

        def fresh() -> Encoded | None:
            return make({**policy, "row": record["id"]})

        key = [content, policy, self.variables] if self.variables else [content, policy]
        found = fresh() if self.cache is None else self.cache.row(key, fresh)
        if found is None:
            raise OverLength
        return found

    def _refuse_control_tokens(self, messages: Sequence[Message]) -> None:
        """A typed ``<|im_end|>`` would be tokenised as the real one, and train the model on turns nobody took."""
        for message in messages:
            for token in self.control_tokens:
                if token in (message["content"] or ""):
                    raise RowError(
                        f"the text holds the control token {token!r}",
                        "E-TRAIN-003",
                        why="the tokenizer would read it as the end or start of a turn, not as text",
                        fix="filter such rows out, or write the token differently",
                    )
