"""Remarks follow from figures that are there."""

from __future__ import annotations

from typing import Any

import pytest

from itune_core.report.health import environments, remarks


def _manifest(stage: str = "trainers", **more: Any) -> dict[str, Any]:
    counts = {"inputs": 100, "used": 100, "dropped": {}, "failed": {}, "not_drawn": 0, "created": 0}
    return {"stage": stage, "counts": counts, "outputs": {}, "metrics": {}, **more}


def test_a_sound_step_has_none() -> None:
    history = [{"loss": 3.0 - n / 10, "rewards/chosen": n / 10, "rewards/accuracies": 0.9} for n in range(8)]
    sound = {
        "untrained_ends": 0,
        "grad_norm/clipped": 0.4,
        "grad_norm/max": 3.0,
        "truncated_records": 0,
        "supervised_tokens_min": 4,
        "padding_free": True,
        "eval/loss": 1.0,
    }
    sound |= {
        "tokens/chosen": 40.0,
        "tokens/rejected": 30.0,
        "eval/logps/chosen/before": -9.0,
        "eval/logps/chosen": -8.0,
    }
    assert remarks("sft", _manifest(metrics={**sound, "eval/loss/before": 2.0}), history) == []


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"supervised_tokens_min": 0}, "no token is trained on"),
        (
            {"truncated_records": 3, "truncated_tokens": 1200},
            "3 records were cut to the longest length, by 1,200 tokens",
        ),
        ({"truncated_answers": 2}, "2 answers lost their end"),
        ({"desirable_ratio": 2.5}, "liked answers weigh 2.500 times"),
        ({"untrained_ends": 2}, "2 answers do not end in a token at which generation stops"),
        ({"grad_norm/clipped": 0.75, "grad_norm/max": 21.4}, "cut in 75% of the steps; the longest was 21.40"),
        ({"tokens/chosen": 90.0, "tokens/rejected": 45.0}, "longer than the rejected ones: 90.00 and 45.00 tokens"),
        ({"tokens/chosen": 20.0, "tokens/rejected": 45.0}, "shorter than the rejected ones"),
        (
            {"eval/logps/chosen/before": -40.0, "eval/logps/chosen": -44.5},
            "became less likely, by 4.500 nats on held-out pairs",
        ),
        ({"padding_free": False, "padding_free_why": "rows leak"}, "rows were padded, which is slower: rows leak"),
        ({"eval/loss/before": 1.5, "eval/loss": 2.5}, "rose from 1.500 to 2.500"),
    ],
)
def test_of_a_training(metrics: dict[str, Any], said: str) -> None:
    (remark,) = remarks("sft", _manifest(metrics=metrics))
    assert said in remark.text


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([{"loss": 1.0 + n} for n in range(8)], "the training loss did not fall"),
        ([{"rewards/chosen": -n, "rewards/margins": n} for n in range(8)], "the chosen answers became less likely"),
        ([{"rewards/accuracies": 0.5} for _ in range(8)], "no better than chance"),
    ],
)
def test_of_its_course(history: list[dict[str, float]], said: str) -> None:
    (remark,) = remarks("dpo", _manifest(), history)
    assert said in remark.text


def test_chosen_answers_that_fall_with_the_rejected_ones_are_bad() -> None:
    for rejected, bad in ((-30.0, False), (-5.0, True)):
        history = [{"log_ratio/chosen": -n, "log_ratio/rejected": rejected} for n in range(8)]
        (remark,) = remarks("dpo", _manifest(), history)
        assert "less likely than under the reference, by 6.500 nats" in remark.text
        assert remark.bad is bad
    rising = [{"log_ratio/chosen": n, "log_ratio/rejected": -n} for n in range(8)]
    assert remarks("dpo", _manifest(), rising) == []


def test_without_a_reference_a_fall_must_stand_out() -> None:
    noise = [0.0, 9.0, -9.0, 4.0]
    falls = [{"logps/chosen": -50 - n + noise[n % 4]} for n in range(40)]
    assert "less likely: " in remarks("simpo", _manifest(), falls)[0].text
    apart = [{"logps/chosen": -50 - n / 50 + noise[n % 4]} for n in range(40)]
    assert remarks("simpo", _manifest(), apart) == []
    held = {"eval/logps/chosen/before": -44.0, "eval/logps/chosen": -40.0}
    assert remarks("simpo", _manifest(metrics=held), falls) == [], "the same answers say more than others"


def test_far_from_the_reference_is_by_the_token() -> None:
    history = [{"log_ratio/chosen": 1.0, "log_ratio/rejected": -120.0} for _ in range(8)]
    long = _manifest(metrics={"tokens/chosen": 200.0, "tokens/rejected": 200.0})
    assert remarks("dpo", long, history) == []
    short = _manifest(metrics={"tokens/chosen": 40.0, "tokens/rejected": 40.0})
    (remark,) = remarks("dpo", short, history)
    assert "the rejected answers ended -120.0 nats from where they were on average, -3.000 a token" in remark.text


def test_spikes_are_called_by_their_steps() -> None:
    """A trainer may log every fifth step, and an evaluation as an entry of its own."""
    entries = [
        [{"step": 5 * n, "loss": 2 - n / 50, "grad_norm": 1.0}, {"step": 5 * n, "eval_loss": 1.0}] for n in range(1, 21)
    ]
    history: list[dict[str, float]] = [entry for pair in entries for entry in pair]
    history[20] |= {"loss": 6.0, "grad_norm": 40.0}
    texts = [remark.text for remark in remarks("trl", _manifest(), history)]
    assert [text.rpartition(" at ")[2].partition(",")[0] for text in texts] == ["step 55", "step 55"]


def test_what_is_not_finite_is_no_figure() -> None:
    history = [{"loss": 3.0 - n / 10, "rewards/chosen": float("nan") if n == 3 else n / 10} for n in range(12)]
    assert remarks("sft", _manifest(), history) == []


@pytest.mark.parametrize("quiet", [True, False])
def test_of_spikes(quiet: bool) -> None:
    history = [{"loss": 2 - n / 50 + (n % 3) / 20, "grad_norm": 1 + (n % 4) / 5} for n in range(30)]
    if quiet:
        history[20] |= {"loss": 1.9, "grad_norm": 9.0}
        assert remarks("sft", _manifest(), history) == []
        return
    history[20] |= {"loss": 6.0, "grad_norm": 40.0}
    history[27] |= {"grad_norm": 41.0}
    assert [remark.text for remark in remarks("sft", _manifest(), history)] == [
        "the loss jumped at step 21, 6 standard deviations above the steps before",
        "the gradient was more than 10 times as long as the median at steps 21, 28",
    ]


def test_a_loss_that_stands_still_has_no_spikes() -> None:
    history = [{"loss": 2.0 + n * 1e-7 if n < 29 else 1.0} for n in range(30)]
    assert not [remark for remark in remarks("sft", _manifest(), history) if "jumped" in remark.text]


def test_three_steps_are_too_few_to_say_anything() -> None:
    assert remarks("sft", _manifest(), [{"loss": 1.0 + n} for n in range(3)]) == []


def test_of_the_books() -> None:
    counts = {"inputs": 100, "used": 0, "dropped": {"short": 60}, "failed": {"E-DATA-001": 40}, "not_drawn": 0}
    found = remarks("f", _manifest("filters", counts=counts, outputs={"records": {"rows": 0}}))
    assert [remark.bad for remark in found] == [True, False, True]


def test_of_answers_that_were_cut() -> None:
    metrics = {"a": {"unfinished": 8, "examples": 32}, "b": {"unfinished": 0, "examples": 32}}
    (remark,) = remarks("style", _manifest("evaluators", metrics=metrics))
    assert "up to 25%" in remark.text
    assert remarks("loss", _manifest("evaluators", metrics={"a": {"token_mean": 1.0}})) == []


def _mix(*phases: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """Phases of a mix from rows, drawn and most drawn in an epoch, source by source."""
    return [
        {"sources": [{"rows": rows, "drawn": drawn, "in_an_epoch": most} for rows, drawn, most in phase]}
        for phase in phases
    ]


def test_of_sources_that_ran_out_or_had_nothing() -> None:
    mix = _mix([(120, 960, 480), (0, 0, 0), (50, 50, 50)], [(120, 130, 130), (0, 0, 0), (50, 100, 50)])
    found = remarks("m", _manifest("mixers", mix=mix), sources=["faq", "parts.train", "chat"])
    assert [(remark.text, remark.bad) for remark in found] == [
        ("faq has 120 rows and 480 were drawn: each row comes 4 times an epoch", False),
        ("parts.train is empty: nothing could be drawn from it", True),
    ]
    assert remarks("m", _manifest("mixers", mix=_mix([(3, 0, 0)])), sources=["faq"]) == []


def test_of_steps_made_with_other_versions() -> None:
    made = {
        name: {"environment": {"versions": {"torch": version, "numpy": "2"}}}
        for name, version in (("a", "2.12"), ("b", "2.13"), ("c", "2.13"))
    }
    (remark,) = environments(made)
    assert (remark.step, remark.text) == ("a", "was made with torch 2.12, other versions than the last step")
