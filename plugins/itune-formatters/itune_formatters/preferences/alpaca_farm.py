"""AlpacaFarm and AlpacaEval annotations: two outputs for one instruction, and which of them an annotator prefers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import Field

from itune_core.api import Drop, Failed, Kind, Record, Row, RowError, Used, message, preference
from itune_formatters.building.frame import Frame
from itune_formatters.building.instance import Instance
from itune_formatters.groups import GroupFormatter, Outcome
from itune_formatters.rest import rest

READ = ("instruction", "input", "output_1", "output_2")


class Vote(NamedTuple):
    """What a row says: what is compared, and the probability that the second output is better."""

    instruction: str
    input: str
    outputs: tuple[str, str]
    second: float
    others: dict[str, Any]


class AlpacaFarm(GroupFormatter):
    """Annotations of AlpacaFarm and AlpacaEval, one preference for each comparison that was decided.

    Fields: `instruction`, `input` (may be missing or empty), `output_1`, `output_2`, `preference`. 1 and 2 name the
    better output; a number between them is the probability of the second one plus 1 (weighted annotators), which gives
    the record's `probability`; 1.5 and 0 are a tie. All else is kept in ``meta``, `annotator` and the generators too,
    and `preference` itself.

    Annotators err and disagree: AlpacaFarm's simulated ones flip a quarter of their verdicts on purpose. With
    ``annotations: apart`` each row speaks for itself; ``joined`` makes one record of all rows on one pair of outputs,
    whichever of the two stands first: `probability` is the mean of what they say (null where they agree), ``meta``
    keeps their other fields under ``annotations``, `swapped` where a row has the two the other way round than the
    record's first row. The record stands at one of these rows, the others are used. They may stand anywhere; memory is
    said in :mod:`itune_formatters.groups`.

    Dropped: ``no-preference`` (it is null), ``tie`` (of the row, or of all that are joined), ``equal-responses``,
    ``empty-prompt``, ``empty-output``.

    Source: arXiv:2305.14387, https://github.com/tatsu-lab/alpaca_farm, https://github.com/tatsu-lab/alpaca_eval (rows
    CC BY-NC 4.0).
    """

    produces = Kind.PREFERENCE

    class Config(GroupFormatter.Config):
        annotations: Literal["apart", "joined"] = Field(
            "apart", description="Whether several annotations of one pair make a record each, or one together."
        )
        frame: Frame = Field(Frame(), description="How instruction and input are laid out.")

    @property
    def grouped(self) -> bool:
        return self.config.annotations == "joined"

    def group(self, row: Row) -> str:
        outputs = sorted((row.text("output_1"), row.text("output_2")))
        return json.dumps([row.text("instruction"), row.text("input", ""), *outputs])

    def format_group(self, rows: Sequence[Row]) -> Sequence[Sequence[Outcome]]:
        read = [self._read(row) for row in rows]
        votes = [(number, vote) for number, vote in enumerate(read) if isinstance(vote, Vote)]
        # at which of the rows the record stands must not depend on their order
        votes.sort(key=lambda pair: json.dumps(dict(rows[pair[0]]), sort_keys=True))
        if not votes:
            return [[item] for item in read if not isinstance(item, Vote)]
        made = self._decided([vote for _, vote in votes])
        first = votes[0][0]
        others: Outcome = made if isinstance(made, Drop) else Used("joined", f"one of {len(votes)} annotations")
        return [
            [item if not isinstance(item, Vote) else made if number == first else others]
            for number, item in enumerate(read)
        ]

    def _read(self, row: Row) -> Vote | Drop | Failed:
        try:
            vote = _vote(row)
            if isinstance(vote, Vote):
                self._record(vote, 0, None, vote.others)  # what no record can hold fails here, alone
        except RowError as error:
            return Failed.of(error)
        return vote

    def _decided(self, votes: Sequence[Vote]) -> Record | Drop:
        """What votes on one pair of outputs come to; there is at least one."""
        first = votes[0]
        swapped = [vote.outputs != first.outputs for vote in votes]
        seconds = [1 - vote.second if other else vote.second for vote, other in zip(votes, swapped, strict=True)]
        second = math.fsum(seconds) / len(seconds)
        if second == 0.5:
            return Drop("tie", f"{len(votes)} annotations" if len(votes) > 1 else "")
        better = int(second > 0.5)
        probability = max(second, 1 - second)
        others = first.others
        if self.config.annotations == "joined":
            told = [{**vote.others, "swapped": other} for vote, other in zip(votes, swapped, strict=True)]
            others = {"annotations": told}
        return self._record(first, better, None if probability == 1 else probability, others)

    def _record(self, vote: Vote, better: int, probability: float | None, others: dict[str, Any]) -> Record:
        *prompt, chosen = self.config.frame.turns(Instance(vote.instruction, vote.outputs[better], vote.input))
        rejected = message("assistant", vote.outputs[1 - better])
        return preference(prompt, [chosen], [rejected], probability=probability, **rest(others))


def _vote(row: Row) -> Vote | Drop:
    instruction, given = row.text("instruction"), row.text("input", "")
    outputs = row.text("output_1"), row.text("output_2")
    verdict = row.get("preference")
    if "preference" not in row:
        raise RowError("no field 'preference': the row is not annotated", "E-FORMAT-049")
    if verdict is not None and (
        isinstance(verdict, bool) or not isinstance(verdict, (int, float)) or not (verdict == 0 or 1 <= verdict <= 2)
    ):
        raise RowError(f"'preference' is {verdict!r}", "E-FORMAT-049", fix="it must be 0, 1 to 2, or null")
    if not instruction.strip():
        return Drop("empty-prompt")
    for number, output in enumerate(outputs, start=1):
        if not output.strip():
            return Drop("empty-output", f"output_{number}")
    if outputs[0].strip() == outputs[1].strip():
        return Drop("equal-responses")
    if verdict is None:
        return Drop("no-preference")
    others = {name: value for name, value in row.items() if name not in READ}
    return Vote(instruction, given if given.strip() else "", outputs, verdict - 1 if verdict else 0.5, others)
