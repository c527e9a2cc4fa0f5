"""Drop evolved instructions that failed: WizardLM's elimination."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints

from itune_core.api import (
    Answer,
    Ask,
    ComponentConfig,
    Context,
    Drop,
    Failed,
    Filter,
    Input,
    InputFile,
    Inputs,
    Keep,
    Kind,
    ModelRef,
    Prompt,
    Record,
    RowError,
    hookimpl,
    parts,
    records,
    spoken,
)
from itune_filters.phrases.evolution import Parent, evolution_failure, judged_equal

if TYPE_CHECKING:
    import datasets

GIVES = frozenset({"parent", "evolved"})
"""What the prompt may ask for."""


class EvolElimination(Filter):
    """Drop the records whose evolution failed, by WizardLM's four rules, in English, Korean, Japanese and Chinese.

    An evolved record names the records it was made from (`parents`); these are looked for in the input `parents`, which
    is only read, and in `records` itself, where later rounds evolve earlier ones. A record without parents was not
    evolved: the rules that compare with a parent do not apply to it, the others do. The cheap rules come first:

    - ``sorry``: the answer says sorry in fewer than 80 words. It may, if its parent says so too. Every two characters
      of Chinese or Japanese are a word.
    - ``only-stop-words``: the answer is made of punctuation and stop words. Yes and no are answers, and so are a
      single Latin letter and the call of a tool.
    - ``copied-prompt-words``: the instruction has words of the prompt that asked for it ("rewritten prompt"), and its
      parent has not; that of a record without parents was asked for by none. `copied` adds to the list.
    - ``no-information-gain``: the model `judge` finds that the instruction asks for the same as its parent. Without a
      `judge` the rule is left out.

    The question to the judge is a Jinja file of this package, over `parent` and `evolved`; `prompt` names another. The
    answer begins with ``equal`` or ``different``; any other fails the record (``E-FILTER-021``), and so does a thought
    that is longer than `verdict_tokens` (``E-MODEL-020``). So does a parent that a rule needs and that is in neither
    input (``E-FILTER-020``), and a prompt that cannot be rendered (``E-DATA-033``, ``E-DATA-034``, ``E-DATA-036``); one
    that cannot be used at all is an error (``E-DATA-035``).

    Source: WizardLM, arXiv:2304.12244, section 3.2; its published code has no elimination. The lists are this package's
    own.
    """

    inputs = {
        "records": Input((Kind.CONVERSATION, Kind.PROMPT)),
        "parents": Input(required=False, scored=False),
    }

    class Config(ComponentConfig):
        judge: ModelRef | None = Field(
            None, description="The model that is asked whether an instruction asks for more than its parent."
        )
        verdict_tokens: int = Field(
            8, ge=1, description="Most new tokens of the judge's answer; one that thinks first needs more."
        )
        prompt: InputFile | None = Field(
            None, description="A Jinja file with the question, in the place of the built-in one."
        )
        copied: list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]] = Field(
            [], description="More words that an evolved instruction must not copy."
        )

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: what a record is compared with are other records.
        rows, given = inputs["records"], inputs.get("parents")
        wanted = {parent for names in rows["parents"] for parent in names or ()}
        parents = dict(_parents(rows, wanted))
        if given is not None:
            parents.update(_parents(given, wanted))
        asked = None
        if self.config.judge is not None:
            asked = Prompt.read(__package__, "evol_equal", self.config.prompt, GIVES)
        for finished in context.converse((row["id"], self._judged(row, parents, asked)) for row in records(rows)):
            yield finished.result

    def _judged(
        self, record: Record, parents: Mapping[str, Parent], asked: Prompt | None
    ) -> Generator[Any, Any, Keep | Drop]:
        prompt, responses = parts(record)
        evolved, answer = _text(prompt), _text(responses[0]) if responses else None
        known = _Known(record["parents"] or [], parents)
        calls = any(turn["tool_calls"] for turn in responses[0]) if responses else False
        failure = evolution_failure(evolved, answer, known.all, copied=self.config.copied, calls_tools=calls)
        if failure is not None:
            return failure
        if asked is not None:
            for name, parent in zip(known.names, known.all(), strict=True):
                messages = asked.turns(parent=parent.prompt, evolved=evolved)
                answered: Answer = yield Ask(self.config.judge, messages, max_tokens=self.config.verdict_tokens)
                if judged_equal(spoken(*answered.completions).text):
                    return Drop("no-information-gain", f"{self.config.judge} calls it equal to {name}")
        return Keep()


class _Known:
    """The parents of a record, looked up when a rule needs them."""

    def __init__(self, names: list[str], parents: Mapping[str, Parent]) -> None:
        self.names, self._parents = names, parents

    def all(self) -> list[Parent]:
        """Them, in order.

        Raises:
            RowError: ``E-FILTER-020`` one is in neither input.
        """
        missing = [name for name in self.names if name not in self._parents]
        if missing:
            raise RowError(
                f"the parent {missing[0]} is not among the rows",
                "E-FILTER-020",
                fix="hand in the step that was evolved: from: {records: EVOLVED, parents: SEEDS}",
            )
        return [self._parents[name] for name in self.names]


def _parents(rows: datasets.Dataset, wanted: set[str]) -> Iterator[tuple[str, Parent]]:
    for record in records(rows) if wanted else ():
        if record["id"] in wanted:
            prompt, responses = parts(record)
            texts = [_text(prompt), *map(_text, responses), *(record["references"] or [])]
            yield record["id"], Parent(next(filter(None, texts), ""), " ".join(texts))


def _text(turns: Any) -> str:
    return "\n".join(turn["content"] for turn in turns)
