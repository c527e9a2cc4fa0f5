"""The parts of an instruction example, whatever data set it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Demonstration:
    """A solved example that is shown before the question.

    Attributes:
        input: what is asked.
        output: the answer.
        instruction: the task it belongs to; empty: that of the instance it is shown in.
        rationale: why this is the answer; empty: not said.
        wrong: it shows how not to answer.
    """

    input: str
    output: str
    instruction: str = ""
    rationale: str = ""
    wrong: bool = False


@dataclass(frozen=True)
class Instance:
    """An instruction example: a task description, perhaps an input, the output, perhaps demonstrations and a rationale.

    Source: the parts are those of the survey, arXiv:2303.18223, section 5.1.

    Attributes:
        instruction: what is to be done.
        output: the answer.
        input: what it is to be done to; empty where the task needs none.
        system: what is said before the conversation begins, as its system turn; empty: nothing.
        rationale: the reasoning that leads to the answer, or an explanation of it; empty: not said.
        demonstrations: solved examples, in the order they are shown.
        common: other columns of the record, see :func:`itune_formatters.rest.rest`.
    """

    instruction: str
    output: str
    input: str = ""
    system: str = ""
    rationale: str = ""
    demonstrations: Sequence[Demonstration] = ()
    common: Mapping[str, Any] = field(default_factory=dict)
