"""Keep records whose prompt, answers or whole are neither too short nor too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

from pydantic import Field, model_validator

from itune_core.api import ComponentConfig, Drop, Filter, Keep, Kind, Message, Record, RowError, parts


class Bounds(ComponentConfig):
    """Least and most of each unit, both allowed. A word is a run without white space."""

    min_characters: int | None = Field(None, ge=0, description="Least Unicode characters.")
    max_characters: int | None = Field(None, ge=0, description="Most Unicode characters.")
    min_words: int | None = Field(None, ge=0, description="Least words.")
    max_words: int | None = Field(None, ge=0, description="Most words.")

    @model_validator(mode="after")
    def _bound_something(self) -> Self:
        if all(value is None for value in self.__dict__.values()):
            raise ValueError("set at least one bound: min_characters, max_characters, min_words or max_words")
        for unit in ("characters", "words"):
            least, most = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{unit} ({least}) is above max_{unit} ({most}): nothing would be kept")
        return self


class Length(Filter):
    """Bounds on the text of a record; it reads the text itself, no score is needed.

    - `prompt`: all turns before the answer;
    - `response`: each answer by itself (a conversation's last turn; both sides of a preference; every candidate of a
      ranking; the text of a text record), so the shortest must reach the least and the longest keep to the most;
    - `total`: all of them together.

    Only the content of turns counts, not roles, tool calls or what a chat template adds. Words are split at white
    space: for Chinese, Japanese and Thai bound the characters. Bounds in tokens need a model's tokenizer and are not
    among these.

    Dropped: ``prompt-too-short``, ``prompt-too-long``, and the same of ``response`` and ``total``; the first bound that
    is broken is named. A record fails that has no such part (``E-FILTER-001``): one without an answer where `response`
    is bounded, a text record where `prompt` is.

    Source: this package.
    """

    class Config(ComponentConfig):
        prompt: Bounds | None = Field(None, description="Bounds on the turns before the answer.")
        response: Bounds | None = Field(None, examples=[{"min_words": 3}], description="Bounds on each answer.")
        total: Bounds | None = Field(None, description="Bounds on prompt and answers together.")

        @model_validator(mode="after")
        def _bound_something(self) -> Self:
            if self.prompt is self.response is self.total is None:
                raise ValueError("set bounds on prompt, response or total, e.g. response: {min_words: 3}")
            return self

    def decide(self, record: Record) -> Keep | Drop:
        """Keep it if it is within all bounds.

        Raises:
            RowError: ``E-FILTER-001`` `response` is bounded and the record has none; or `prompt` is, of a text record.
        """
        prompt, responses = parts(record)
        everything = [turn for turns in (prompt, *responses) for turn in turns]
        for name, lacks in (("prompt", record.kind is Kind.TEXT), ("response", not responses)):
            if lacks and getattr(self.config, name) is not None:
                raise RowError(f"a {record.kind.value} record has no {name}", "E-FILTER-001", fix="bound another part")
        for name, texts in (("prompt", [prompt]), ("response", responses), ("total", [everything])):
            bounds = getattr(self.config, name)
            if bounds is not None and (broken := next(_broken(bounds, texts), None)):
                reason, detail = broken
                return Drop(f"{name}-{reason}", detail)
        return Keep()


def _broken(bounds: Bounds, texts: Iterable[Iterable[Message]]) -> Iterator[tuple[str, str]]:
    """The bounds that any of `texts`, each a list of turns, breaks: ``("too-long", detail)``."""
    for turns in texts:
        contents = [turn["content"] for turn in turns]
        lengths = {"characters": sum(map(len, contents)), "words": sum(len(content.split()) for content in contents)}
        for unit, length in lengths.items():
            least, most = getattr(bounds, f"min_{unit}"), getattr(bounds, f"max_{unit}")
            if least is not None and length < least:
                yield "too-short", f"{length} {unit}, at least {least} are wanted"
            if most is not None and length > most:
                yield "too-long", f"{length} {unit}, at most {most} are wanted"
