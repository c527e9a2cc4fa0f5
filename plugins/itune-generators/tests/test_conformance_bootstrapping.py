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
        """No request is made for one row alone: what a failed one asked for is rejected of the seed that stands for it,
        and a seed fails of which nothing at all came."""
        assert subject.trial
        [(key, times)] = subject.bench_of_first.asked.items()
        for number in (0, times - 1):
            hurt = subject.attempt(context=subject.bench(refused=(key, number)))
            assert of_requests(hurt) == of_requests(subject.trial) + 1
            assert hurt.unbalanced is None


def of_requests(trial: Trial) -> int:
    return sum(answer.get("reason") == "request-failed" for said in trial.answers.values() for answer in said)
