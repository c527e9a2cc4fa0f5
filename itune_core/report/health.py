"""Remarks on a run: what a careful colleague would point at. Each follows from figures that are there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median, pstdev, variance
from typing import Any, NamedTuple

from itune_core.report.comparison import number


class Remark(NamedTuple):
    """A sentence about a step, and whether something is probably wrong (or only worth knowing)."""

    step: str
    text: str
    bad: bool


def remarks(
    step: str,
    manifest: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]] = (),
    sources: Sequence[str] = (),
) -> list[Remark]:
    """Remarks on one step, from its manifest and, of a trainer, its history, of a mixer, the names of its sources."""
    found = [*_books(manifest)]
    if manifest["stage"] == "mixers":
        found += _mix(manifest["mix"], sources)
    if manifest["stage"] == "trainers":
        metrics = manifest["metrics"]
        found += [*_training(metrics), *_course(history), *_preferences(metrics, history), *_spikes(history)]
    if manifest["stage"] == "evaluators":
        found += _evaluation(manifest["metrics"])
    return [Remark(step, text, bad) for text, bad in found]


Said = tuple[str, bool]


OFTEN = 0.5
"""Share of steps with a cut gradient from which it is worth a remark."""
LONGER = 1.5
"""How many times as long as the rejected answers the chosen ones may be (or the other way round), on average."""
FAR = 1.0
"""Nats a token by which answers may become more or less likely than under the reference."""
WINDOW, SHORTEST = 20, 8
"""Steps before a step that its loss is held against: at most, and at least."""
DEVIATIONS, TIMES = 6, 10
"""A spike: a loss so many standard deviations above the window's mean, a gradient so many times the median."""


def _books(manifest: Mapping[str, Any]) -> Iterator[Said]:
    counts = manifest["counts"]
    failed, dropped = sum(counts["failed"].values()), sum(counts["dropped"].values())
    if failed:
        yield f"{failed:,} of {counts['inputs']:,} inputs failed; none of them was used", True
    if dropped > counts["inputs"] / 2:
        yield f"more than half of its inputs were dropped: {dropped:,} of {counts['inputs']:,}", False
    for name, output in manifest["outputs"].items():
        if output.get("rows") == 0:
            yield f"its output {name} is empty", True


def _training(metrics: Mapping[str, Any]) -> Iterator[Said]:
    if metrics.get("supervised_tokens_min") == 0 or metrics.get("supervised_tokens") == 0:
        yield "there are rows in which no token is trained on", True
    if metrics.get("truncated_records"):
        text = f"{metrics['truncated_records']:,} records were cut to the longest length"
        if metrics.get("truncated_tokens"):
            text += f", by {metrics['truncated_tokens']:,} tokens together"
        yield text, False
    if metrics.get("truncated_answers"):
        yield f"{metrics['truncated_answers']:,} answers lost their end, and with it the token that ends them", True
    if metrics.get("untrained_ends"):
        text = "do not end in a token at which generation stops: from them the model cannot learn to stop"
        yield f"{metrics['untrained_ends']:,} answers {text}", True
    if metrics.get("grad_norm/clipped", 0) >= OFTEN:
        longest = number(metrics["grad_norm/max"])
        text = f"the gradient was cut in {metrics['grad_norm/clipped']:.0%} of the steps; the longest was {longest}"
        yield f"{text}. max_grad_norm, not the learning rate, decided how far the steps went", False
    if metrics.get("padding_free") is False:
        why = metrics.get("padding_free_why")
        yield f"rows were padded, which is slower{f': {why}' if why else ''}", False
    ratio = metrics.get("desirable_ratio")
    if ratio is not None and not 1 <= ratio <= 4 / 3:
        # The range is that of arXiv 2402.01306.
        yield f"liked answers weigh {number(ratio)} times what the others do; between 1 and 4/3 is advised", False
    before, after = metrics.get("eval/loss/before"), metrics.get("eval/loss")
    if before is not None and after is not None and after > before:
        yield f"the loss on its held-out rows rose from {number(before)} to {number(after)}", True


def _mix(phases: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[Said]:
    """Sources that have nothing to give, and those that were gone through more than once within an epoch."""
    for name, parts in zip(names, zip(*(phase["sources"] for phase in phases), strict=True), strict=True):
        rows, drawn = parts[0]["rows"], max(part["in_an_epoch"] for part in parts)
        if rows == 0:
            yield f"{name} is empty: nothing could be drawn from it", True
        elif drawn > rows:
            times = f"{drawn / rows:.3g}"
            yield f"{name} has {rows:,} rows and {drawn:,} were drawn: each row comes {times} times an epoch", False


def _course(history: Sequence[Mapping[str, Any]]) -> Iterator[Said]:
    """What the history shows between its first and its last quarter."""
    loss = _quarters(history, "loss")
    if loss and loss[1] >= loss[0]:
        yield f"the training loss did not fall: {number(loss[0])} at first, {number(loss[1])} at the end", True
    accuracy = _quarters(history, "rewards/accuracies")
    if accuracy and accuracy[1] <= 0.5:
        yield (
            f"at the end the chosen answer was preferred in {accuracy[1]:.0%} of the pairs, no better than chance",
            True,
        )


def _preferences(metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Iterator[Said]:
    """What became of the answers on the two sides of a pair, and how they differ in length."""
    fallen = _fallen(metrics, history)
    if fallen is not None:
        how, bad = fallen
        yield (
            f"the chosen answers became less likely{how}; where they should not, add the likelihood "
            "(objectives: {dpo: 1, sft: 0.2}), lower the learning rate, or take apo-zero",
            bad,
        )
    chosen, rejected = metrics.get("tokens/chosen"), metrics.get("tokens/rejected")
    if chosen and rejected and max(chosen / rejected, rejected / chosen) > LONGER:
        longer = "longer" if chosen > rejected else "shorter"
        text = f"the chosen answers are {longer} than the rejected ones: {number(chosen)} and {number(rejected)} tokens"
        yield f"{text} on average, so that length alone tells them apart", False
    for side, tokens in (("chosen", chosen), ("rejected", rejected)):
        ratio = _quarters(history, f"log_ratio/{side}")
        if ratio and tokens and abs(ratio[1]) / tokens > FAR:
            yield (
                f"it went far from its reference: the {side} answers ended {number(ratio[1])} nats from where they "
                f"were on average, {number(ratio[1] / tokens)} a token (no KL divergence: the answers are not its own)",
                False,
            )


def _fallen(metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> tuple[str, bool] | None:
    """How much less likely the chosen answers became, and whether that is bad (they fell as fast as the rejected).

    Compared are the same answers, where there is a way to: with those under the reference, or held-out ones before and
    after. Else the first and last quarter, which hold other answers; the fall must be twice its standard error then.
    """
    chosen, rejected = (_quarters(history, f"log_ratio/{side}") for side in ("chosen", "rejected"))
    if chosen is not None and rejected is not None:
        bad = chosen[1] <= rejected[1]
        return (f" than under the reference, by {number(-chosen[1])} nats", bad) if chosen[1] < 0 else None
    reward, margin = _quarters(history, "rewards/chosen"), _quarters(history, "rewards/margins")
    before, after = metrics.get("eval/logps/chosen/before"), metrics.get("eval/logps/chosen")
    if before is not None and after is not None:
        return (f", by {number(before - after)} nats on held-out pairs", False) if after < before else None
    quarters = _quarters(history, "logps/chosen")
    if quarters is not None:
        fall, error = quarters[0] - quarters[1], _error(history, "logps/chosen")
        text = f": {number(quarters[0])} nats in the first quarter, {number(quarters[1])} in the last"
        return (text, False) if error is not None and fall > 2 * error else None
    if reward and margin and reward[1] < 0 < margin[1]:
        return f" than before training: their implicit reward ended at {number(reward[1])}", False
    return None


def _error(history: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Standard error of the difference of the means over the first and the last quarter."""
    values = _values(history, name)
    size = len(values) // 4
    return math.sqrt((variance(values[:size]) + variance(values[-size:])) / size) if size > 1 else None


def _spikes(history: Sequence[Mapping[str, Any]]) -> Iterator[Said]:
    """Steps whose loss or gradient stands out from those around it."""
    steps = [entry.get("step", place + 1) for place, entry in enumerate(history) if _finite(entry.get("loss"))]
    losses = _values(history, "loss")
    high = []
    for place, loss in enumerate(losses):
        window = losses[max(0, place - WINDOW) : place]
        # a spread of nothing would make a spike of rounding
        if len(window) >= SHORTEST and loss > fmean(window) + DEVIATIONS * max(
            pstdev(window), 1e-3 * abs(fmean(window))
        ):
            high.append(steps[place])
    if high:
        yield f"the loss jumped at {_steps(high)}, {DEVIATIONS} standard deviations above the steps before", False
    usual = median(_values(history, "grad_norm") or [math.inf])
    long = [
        entry.get("step", place + 1)
        for place, entry in enumerate(history)
        if _finite(entry.get("grad_norm")) and entry["grad_norm"] > TIMES * usual
    ]
    if long:
        yield f"the gradient was more than {TIMES} times as long as the median at {_steps(long)}", False


def _steps(places: Sequence[int]) -> str:
    shown = ", ".join(map(str, places[:5]))
    return f"step{'s' if len(places) > 1 else ''} {shown}{f' and {len(places) - 5} more' if len(places) > 5 else ''}"


def _values(history: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [entry[name] for entry in history if _finite(entry.get(name))]


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _quarters(history: Sequence[Mapping[str, Any]], name: str) -> tuple[float, float] | None:
    """Means over the first and the last quarter; None if these are single batches, which differ by chance."""
    values = _values(history, name)
    size = len(values) // 4
    return (fmean(values[:size]), fmean(values[-size:])) if size > 1 else None


def _evaluation(metrics: Mapping[str, Mapping[str, Any]]) -> Iterator[Said]:
    unfinished = [figures["unfinished"] / figures["examples"] for figures in metrics.values() if _measured(figures)]
    if unfinished and max(unfinished) > 0:
        yield f"answers hit the longest length and were cut: up to {max(unfinished):.0%} of a model's", False


def _measured(figures: Mapping[str, Any]) -> bool:
    return bool(figures.get("examples")) and "unfinished" in figures


def environments(manifests: Mapping[str, Mapping[str, Any]]) -> list[Remark]:
    """Steps whose library versions are not those of the run's last step: they were made earlier and reused."""
    if not manifests:
        return []
    last = list(manifests.values())[-1]["environment"]["versions"]
    found = []
    for step, manifest in manifests.items():
        there = manifest["environment"]["versions"]
        differ = [f"{name} {there.get(name, 'none')}" for name in last if there.get(name) != last[name]]
        if differ:
            found.append(Remark(step, f"was made with {', '.join(differ)}, other versions than the last step", False))
    return found
