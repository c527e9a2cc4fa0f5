"""How surely a model says yes to a question about an answer."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from pydantic import Field

from itune_core.api import Record, Scorer
from itune_scorers.asking.options import weigh
from itune_scorers.asking.prompting import PromptConfig, Prompted
from itune_scorers.asking.turns import question, response


class YesNo(Prompted, Scorer):
    """Probability of yes, of a model that is asked to answer yes or no.

    A subclass names the question (`template`) and what it may mention (`gives`): ``response``, the text of the answer;
    ``prompt``, the turns before it, each with ``role`` and ``content``.
    """

    gives = frozenset({"response"})
    columns = {"": "float64", "mass": "float64"}

    class Config(PromptConfig):
        max_length: int = Field(
            2048, ge=2, description="Most tokens of the question, the record's text in it; a longer one fails."
        )

    def score(self, record: Record) -> Generator[Any, Any, Mapping[str, Any]]:
        """Ask whether.

        Raises:
            DataError: ``E-DATA-035`` the prompt cannot be used.
            RowError: ``E-SCORE-020`` no turn precedes the answer, and the question mentions them; ``E-SCORE-023`` the
                answer has no text; ``E-DATA-033`` the prompt cannot be rendered; ``E-SCORE-025`` the model says
                nothing of an option; and what the backend says of rows it cannot answer.
        """
        known: dict[str, Any] = {"response": response(record)}
        if "prompt" in self.gives:
            known["prompt"] = question(record)
        [yes, _], mass = yield from weigh(self.config.model, self.asked(**known), ("Yes", "No"), self.config.max_length)
        return {"": yes, "mass": mass}
