"""Remarks on a run: what a careful colleague would point at. Each follows from figures that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
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
        found += [*_training(manifest["metrics"]), *_course(history)]
    if manifest["stage"] == "evaluators":
        found += _evaluation(manifest["metrics"])
    return [Remark(step, text, bad) for text, bad in found]


Said = tuple[str, bool]


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
    if metrics.get("padding_free") is False:
        why = metrics.get("padding_free_why")
        yield f"rows were padded, which is slower{f': {why}' if why else ''}", False
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
    """What the history shows; its first and last quarters are compared, since single batches differ by chance."""
    loss = _quarters(history, "loss")
    if loss and loss[1] >= loss[0]:
        yield f"the training loss did not fall: {number(loss[0])} at first, {number(loss[1])} at the end", True
    reward = _quarters(history, "rewards/chosen")
    margin = _quarters(history, "rewards/margins")
    if reward and margin and reward[1] < 0 < margin[1]:
        yield (
            "the chosen answers became less likely than before training: their implicit reward ended at "
            f"{number(reward[1])}; the margin grows because the rejected ones fall faster",
            False,
        )
    accuracy = _quarters(history, "rewards/accuracies")
    if accuracy and accuracy[1] <= 0.5:
        yield (
            f"at the end the chosen answer was preferred in {accuracy[1]:.0%} of the pairs, no better than chance",
            True,
        )


def _quarters(history: Sequence[Mapping[str, Any]], name: str) -> tuple[float, float] | None:
    """Means over the first and the last quarter; None if there are fewer than four values."""
    values = [entry[name] for entry in history if isinstance(entry.get(name), (int, float))]
    size = len(values) // 4
    return (fmean(values[:size]), fmean(values[-size:])) if size else None


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
