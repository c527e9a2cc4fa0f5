"""Drop evolved instructions that failed: WizardLM's elimination."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
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
)
from itune_filters.evol_phrases import COPIED, SORRY, says_nothing
from itune_filters.refusal_phrases import plain
from itune_filters.wordcount import word_count

if TYPE_CHECKING:
    import datasets

SHORT = 80
"""An answer that says sorry in fewer words is a refusal."""

GIVES = frozenset({"parent", "evolved"})
"""What the prompt may ask for."""

_VERDICT = re.compile(r"\W*(equal|different|unequal|not\W+equal)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Parent:
    """What is known of a record that others were made from.

    Attributes:
        prompt: its instruction.
        whole: instruction, answers and references, as :func:`plain` has them.
    """

    prompt: str
    whole: str


class EvolElimination(Filter):
    """Drop the records whose evolution failed, by WizardLM's four rules, in English, Korean, Japanese and Chinese.

    An evolved record names the records it was made from (`parents`); these are looked for in the input `parents`, which
    is only read, and in `records` itself, where later rounds evolve earlier ones. A record without parents was not
    evolved: the rules that compare with a parent do not apply to it, the others do. The cheap rules come first:

    - ``sorry``: the answer says sorry in fewer than 80 words. It may, if its parent says so too. Every two characters
      of Chinese or Japanese are a word.
    - ``only-stop-words``: the answer is made of punctuation and stop words. Yes and no are answers, and so is the
      call of a tool.
    - ``copied-prompt-words``: the instruction has words of the prompt that asked for it ("rewritten prompt"), and its
      parent has not; that of a record without parents was asked for by none. `copied` adds to the list.
    - ``no-information-gain``: the model `judge` finds that the instruction asks for the same as its parent. Without a
      `judge` the rule is left out.

    The question to the judge is a Jinja file of this package, over `parent` and `evolved`; `prompt` names another. The
    answer begins with ``equal`` or ``different``; any other fails the record (``E-FILTER-021``). So does a parent that
    a rule needs and that is in neither input (``E-FILTER-020``), and a prompt that cannot be rendered
    (``E-DATA-033``, ``E-DATA-034``, ``E-DATA-036``); one that cannot be used at all is an error (``E-DATA-035``).

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
        evolved, said = _text(prompt), plain(_text(prompt))
        known = _Known(record["parents"] or [], parents)
        if responses:
            answer = _text(responses[0])
            apology = next((word for word in SORRY if word in plain(answer)), None)
            words = word_count(answer)
            if apology and words < SHORT and not any(word in parent.whole for parent in known.all() for word in SORRY):
                return Drop("sorry", f"the answer says {apology!r} in {words} words, fewer than {SHORT}")
            if says_nothing(answer) and not any(turn["tool_calls"] for turn in responses[0]):
                return Drop("only-stop-words", f"the answer is {answer[:40]!r}")
        for words_of_prompt in (*COPIED, *map(plain, self.config.copied)) if known.names else ():
            if words_of_prompt in said and not any(words_of_prompt in plain(parent.prompt) for parent in known.all()):
                return Drop("copied-prompt-words", f"it says {words_of_prompt!r}")
        if asked is not None:
            for name, parent in zip(known.names, known.all(), strict=True):
                messages = asked.turns(parent=parent.prompt, evolved=evolved)
                answered: Answer = yield Ask(self.config.judge, messages, max_tokens=8)
                if _is_equal(answered.text):
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
            yield record["id"], Parent(next(filter(None, texts), ""), plain(" ".join(texts)))


def _text(turns: Any) -> str:
    return "\n".join(turn["content"] for turn in turns)


def _is_equal(answer: str) -> bool:
    """What the judge says.

    Raises:
        RowError: ``E-FILTER-021`` neither.
    """
    found = _VERDICT.match(answer)
    if found is None:
        raise RowError(
            "the judge answers neither equal nor different",
            "E-FILTER-021",
            why=f"it says {answer[:40]!r}",
            fix="use a model that follows instructions, or a prompt that it understands",
        )
    return found[1].lower() == "equal"
