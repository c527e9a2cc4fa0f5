"""Generators that grow a data set from itself keep to the contract that all generators keep to."""

from __future__ import annotations

from itune_core.api import Answer, Ask, Completion, Failed, Reply, Request
from itune_core.testing import GeneratorConformance
from itune_core.testing.trial import Trial
from itune_core.testing.tried import RowSubject


def written(text: str) -> Answer:
    return Answer([Completion(text, "stop", 10, 10)])


class TestEvolInstruct(GeneratorConformance):
    component = "generators/evol-instruct"
    config = {"model": "tiny", "judge": "tiny", "rounds": 2}

    def reply(self, request: Request) -> Reply | Failed:
        assert isinstance(request, Ask)
        if request.max_tokens == 8:
            return written("different")
        asked = request.messages[-1]["content"]
        if "<instruction>" in asked:
            return written(f"{asked.split('instruction>')[1].strip('</ ')} Then give the reason for it.")
        return written("Because the harvest was late.")


class TestSelfInstruct(GeneratorConformance):
    component = "generators/self-instruct"
    config = {"model": "tiny", "instructions": 2, "at_once": 2, "seeds_shown": 3}
    scope = "whole"
    order = "defined"

    def reply(self, request: Request) -> Reply | Failed:
        assert isinstance(request, Ask)
        if request.max_tokens == 8:
            return written("No")
        if request.temperature:
            return written("4. Describe the smell of rain to somebody.\n5. Decide whether an animal lays its eggs.")
        return written("Example 1\nOutput: Earth and iron.")

    def test_a_failed_reply_fails_its_row(self, subject: RowSubject) -> None:
        """No request is made for one row alone: the seed fails that stands for what a failed one asked for."""
        assert subject.trial
        [(key, times)] = subject.bench_of_first.asked.items()
        for number in (0, times - 1):
            hurt = subject.attempt(context=subject.bench(refused=(key, number)))
            assert failures(hurt) == failures(subject.trial) + 1
            assert hurt.unbalanced is None


def failures(trial: Trial) -> int:
    return sum(answer.get("outcome") == "Failed" for said in trial.answers.values() for answer in said)
