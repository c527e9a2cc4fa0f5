"""``itune selftest``: the table, its JSON and its exit code. What the checks find is tested where they are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from itune_core.api import Check, Context, ModelError, Trainer

Call = Callable[..., Result]


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the self-test of ``trainers/sft`` find this."""

    def let(*found: Check) -> None:
        def selftest(self: Any, context: Context) -> Iterator[Check]:
            assert self.config.device != "auto", "settings are settled for this machine"
            assert context.model(self.config.model).files.is_dir()
            yield from found

        monkeypatch.setattr("itune_trainers.objective.Objective.selftest", selftest)

    return let


SOUND = Check("mask", True, 2, "2", "answers that are trained")
BROKEN = Check("ends", False, None, None, "\x1b[31mE-TORCH-011 no template")


def test_all_is_well(tiny: Path, call: Call, finds: Callable[..., None]) -> None:
    finds(SOUND)
    (_, line) = call("selftest", "--model", str(tiny), "--with", "device=cpu").stdout.splitlines()
    assert line.split(maxsplit=4) == ["mask", "passed", "2", "2", "answers that are trained"]


def test_one_that_fails_is_said_by_the_exit_code(tiny: Path, call: Call, finds: Callable[..., None]) -> None:
    finds(SOUND, BROKEN)
    said = call("selftest", "--model", str(tiny), code=1).stdout
    assert "FAILED" in said
    assert "\x1b" not in said
    plain = json.loads(call("selftest", "--model", str(tiny), "--json", code=1).stdout)
    assert plain[0] == {
        "name": "mask",
        "passed": True,
        "figure": 2,
        "tolerance": "2",
        "note": "answers that are trained",
    }
    assert plain[1]["note"] == BROKEN.note


def test_a_long_reason_is_cut_in_the_table_alone(tiny: Path, call: Call, finds: Callable[..., None]) -> None:
    long = "cannot be loaded\n" + "a page about it\n" * 300
    finds(Check("isolation", False, None, None, long), Check("ends", False, None, None, "x" * 500))
    _, first, second = call("selftest", "--model", str(tiny), code=1).stdout.splitlines()
    assert first.rstrip().endswith("cannot be loaded ... (--json prints all)")
    assert second.endswith("x" * 200 + " ... (--json prints all)")
    assert json.loads(call("selftest", "--model", str(tiny), "--json", code=1).stdout)[0]["note"] == long


def test_what_one_check_could_not_keep_is_made_by_the_next(tiny: Path, call: Call, monkeypatch: Any) -> None:
    def selftest(self: Any, context: Context) -> Iterator[Check]:
        def breaks(folder: Path) -> None:
            (folder / "half").write_text("")
            raise ModelError("E-MODEL-019", "no more")

        with pytest.raises(ModelError):
            context.artifact({"rows": 1}, breaks)
        kept = context.artifact({"rows": 1}, lambda folder: (folder / "whole").touch())
        again = context.artifact({"rows": 1}, breaks)
        yield Check("kept", [path.name for path in again.iterdir()] == ["whole"] and kept == again, None, None, "")

    monkeypatch.setattr("itune_trainers.objective.Objective.selftest", selftest)
    call("selftest", "--model", str(tiny))


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("--uses", "filters/length"), "E-SELFTEST-001", 2),
        (("--uses", "trainers/nothing"), "E-PLUGIN-001", 3),
        (("--with", "beta=2"), "E-TRY-003", 2),
        (("--with", "beta"), "E-TRY-002", 2),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], code: str, exit_code: int, tiny: Path, call: Call) -> None:
    assert code in call("selftest", "--model", str(tiny), *arguments, code=exit_code).output


def test_a_model_that_is_not_there(call: Call) -> None:
    assert "E-MODEL-014" in call("selftest", "--model", "./nothing", code=4).output


def test_a_trainer_without_one_says_so() -> None:
    context: Any = None
    with pytest.raises(ModelError, match="Trainer has no self-test"):
        Trainer(None).selftest(context)
