"""Plugins that break one promise each: the kit must refuse every one, for that reason and no other.

All are run in one process of its own, as their authors would run them: ``pytest`` with the installed kit.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from itune_core.testing.plugin import NOT_APPLICABLE

HOSTILE = Path(__file__).parent / "hostile"
STAGE_OF = {
    "Filter": "filters",
    "_KeepsAll": "filters",
    "Formatter": "formatters",
    "Table": "formatters",
    "Generator": "generators",
    "Scorer": "scorers",
    "Mixer": "mixers",
    "Trainer": "trainers",
    "Evaluator": "evaluators",
    "Backend": "backends",
    "Executor": "executors",
}

EXPECTED: Mapping[str, tuple[str, str]] = {
    # the classics
    "Undecorated": ("test_its_hooks_are_in_order", "is not decorated, so it would never be called"),
    "WrongArgument": ("test_its_hooks_are_in_order", "takes rows: 'Any', which would never be filled"),
    "GivesNone": (
        "test_it_gives_what_its_stage_gives",
        "filters/gives-none (kit-hostile 1.0) gave None",
    ),
    "EqualByValue": ("test_two_of_it_are_two", "count as equal"),
    "ImportsTorch": ("test_its_import_is_light", "importing imports_torch:ImportsTorch imports torch"),
    "Exits": ("test_it_can_be_imported", "called sys.exit('no licence found')"),
    "Asserts": ("test_it_can_be_imported", "AssertionError: run me as a script"),
    "WritesToWorkingFolder": ("test_it_writes_to_its_scratch_folder_only", "it wrote working folder/seen.txt"),
    "MutatesItsInput": ("test_it_leaves_its_inputs_as_they_were", "it changed messages of Record(conversation"),
    "Twice": ("test_it_is_published_once", "filters/twice is published by 2 distributions"),
    "DependsOnOrder": ("test_the_order_of_rows_matters_only_if_declared", "depends on where it stands"),
    "Unbounded": ("test_it_says_which_cores_it_works_with", "has no upper bound"),
    "SwallowsAnException": ("test_a_bad_row_fails_alone", "it swallows what a bad row raises"),
    # and the rest of what the kit promises
    "LosesRows": ("test_a_bad_row_fails_alone", "a row without fields vanished without a trace"),
    "FillsIn": ("test_a_bad_row_fails_alone", "it made a record of a bad row: a row without fields"),
    "StopsAtABadRow": ("test_a_bad_row_fails_alone", "one bad row stopped the whole step: KeyError"),
    "OneBadRowStopsAll": ("test_it_gives_what_its_stage_gives", "the error of one row stopped the whole step"),
    "SwallowsInItsHook": ("test_a_bad_row_fails_alone", "it swallows what a bad row raises"),
    "SwallowsAFailedReply": ("test_a_failed_reply_fails_its_row", "it swallows that a model did not answer"),
    "SkipsEverySecond": ("test_no_row_vanishes", "of 4 rows 2 are accounted for"),
    "OpensWhatIsNotThere": ("test_a_missing_file_is_an_error_that_says_so", "it raised FileNotFoundError"),
    "WritesLater": ("test_it_writes_to_its_scratch_folder_only", "it wrote working folder/later.txt"),
    "WritesBesideItself": ("test_it_writes_to_its_scratch_folder_only", "hostile/cache.txt"),
    "Burns": ("test_its_import_is_fast", "s of CPU time"),
    "LeavesATrace": ("test_importing_it_writes_nothing", "writes home/.leaves-a-trace"),
    "FormatsItsInput": ("test_it_leaves_its_inputs_as_they_were", "it changed data set 0 of input 'records'"),
    "DependsOnOthers": ("test_other_rows_matter_only_if_declared", "depends on other rows"),
    "Dice": ("test_the_same_seed_gives_the_same_bytes", "a second time, with the same seed"),
    "Hashes": (
        "test_another_process_gives_the_same_bytes",
        "in another process, with the same seed, the result is another",
    ),
    "BatchesIfTold": ("test_how_the_work_is_done_changes_nothing", "with {'batch': 1} the result is another"),
    "Hurries": ("test_how_the_work_is_done_changes_nothing", "with {'pace': 'fast'} the result is another"),
    "Batches": ("test_how_the_work_is_done_changes_nothing", "with {'batch': 1} the result is another"),
    "MapsALambda": ("test_other_processes_give_the_same", "it does not work in other processes"),
    "KnowsOneKind": (
        "test_it_takes_every_kind_it_declares",
        "it takes prompt records, and raised ValueError",
    ),
    "NeedsARow": ("test_no_rows_are_no_mishap", "with no rows it raised IndexError"),
    "DependsOnAStranger": (
        "test_what_its_output_depends_on_is_declared",
        "depends on kiwipiepy, which kit-hostile does",
    ),
    "HoldsALambda": ("test_it_pickles", "it cannot be sent to another process"),
    "BareSetting": ("test_it_keeps_its_contract", "have no description: share"),
    "BareInnerSetting": ("test_every_setting_is_described", "settings without a description: Inner.share"),
    "TakesAnything": ("test_an_unknown_setting_is_refused", "takes a setting that it does not have"),
    "OfNoSource": ("test_its_docstring_says_what_it_does_and_where_it_is_from", "where the method is from"),
    "AnswersShort": ("test_it_gives_what_its_stage_gives", "answered for 10 of 11 records"),
    "ForgetsARow": ("test_its_books_balance", "11 inputs, 10 accounted for"),
    "WrongKind": ("test_it_gives_what_its_stage_gives", "which is not a prompt record"),
    "WrongColumn": ("test_it_gives_what_its_stage_gives", "it declares the columns ['words']"),
    "DrawsNothing": ("test_it_gives_what_its_stage_gives", "which does not exist"),
    "AsksForMore": ("test_it_gives_what_its_stage_gives", "asked for shares that do not sum to 1"),
    "Divides": ("test_an_empty_source_is_no_mishap", "it raised ZeroDivisionError"),
    "LeavesReplayOut": ("test_optional_inputs_may_be_given", "with the input 'replay': mixers/leaves-replay-out drew"),
    "Guesses": ("test_a_failed_reply_fails_its_row", "it draws although a model did not answer about 'source 0'"),
    "NothingInCommon": ("test_its_inputs_can_be_mixed", "no kind of record is taken by all"),
    "Infinite": ("test_it_gives_what_its_stage_gives", "gave inf for loss"),
    "Pickles": ("test_it_saves_safetensors_and_no_code", "it saves model/state.pkl"),
    "Sloppy": ("test_a_reply_does_not_depend_on_its_batch", "asked one by one, the replies are others"),
    "Shuffles": ("test_it_gives_what_local_gives", "for 999 items the results are not those of the local executor"),
    "Meddles": ("test_its_wrappers_give_what_they_were_given", "around filters it changes the result"),
    "Hushes": ("test_its_wrappers_let_errors_pass", "around formatters it swallows the error of the component"),
    "HushesFilters": ("test_its_wrappers_let_errors_pass", "around filters it swallows the error of the component"),
    "OnlyOnce": ("test_runs_go_through_with_it", "raised RuntimeError: there was a run before"),
    "Trips": ("test_runs_go_through_with_it", "raised KeyError: 'lines'"),
}
"""Class to the one test that must fail, and what its message must say."""

OWNERS = {"well_behaved": "kit-good"}
"""Module to distribution, where it is not ``kit-hostile``."""

ABSENT = {"exits": "Exits", "asserts": "Asserts"}
"""Modules that never get as far as a class."""


def label(name: str, base: str) -> str:
    hyphened = re.sub(r"(?<=.)([A-Z])", r"-\1", name).lower()
    return f"{STAGE_OF.get(base, 'extensions')}/{hyphened}"


def published() -> dict[str, dict[str, str]]:
    """Entry points by distribution: ``{distribution: {label: value}}``."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted(HOSTILE.glob("*.py")):
        if path.stem == "cases":
            continue
        classes = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
        for node in classes:
            base = ast.unparse(node.bases[0]) if node.bases else ""
            if base != "ComponentConfig" and not node.name.startswith("_"):
                owner = "kit-unbounded" if node.name == "Unbounded" else OWNERS.get(path.stem, "kit-hostile")
                found[owner][label(node.name, base)] = f"{path.stem}:{node.name}"
    for module, name in ABSENT.items():
        found["kit-hostile"][label(name, "Filter")] = f"{module}:{name}"
    found["kit-second"]["filters/twice"] = "filters:Twice"
    return found


def install(site: Path, name: str, entries: Mapping[str, str], bound: str) -> None:
    """A distribution as pip leaves it: a dist-info folder; its modules are found beside."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {bound}\n")
    groups: dict[str, list[str]] = defaultdict(list)
    for label_, value in entries.items():
        stage, _, entry = label_.partition("/")
        groups[stage].append(f"{entry} = {value}\n")
    (info / "entry_points.txt").write_text(
        "".join(f"[itune.{stage}]\n{''.join(lines)}" for stage, lines in groups.items())
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[str, str]]]:
    """By class and test: ``passed``, ``failed``, ``skipped`` or ``not applicable``, and what was said."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, entries in published().items():
        install(folder / "site", name, entries, "itune-core>=0.1" if name == "kit-unbounded" else "itune-core>=0.1,<1")
    report = folder / "report.xml"
    modules = shutil.copytree(HOSTILE, folder / "hostile", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(modules)])}
    options = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}", f"--confcutdir={modules}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", str(modules / "cases.py")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert report.exists(), done.stdout + done.stderr
    found: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for test in ElementTree.parse(report).iter("testcase"):
        verdict, said = "passed", ""
        for child in test:
            if child.tag == "properties":
                verdict, said = NOT_APPLICABLE, str(child[0].get("value"))
            else:
                verdict = "skipped" if child.tag == "skipped" else "failed"
                said = f"{child.get('message')}\n{child.text}"
        found[str(test.get("classname")).rpartition(".Test")[2]][str(test.get("name"))] = (verdict, said)
    return found


def title(name: str) -> str:
    """As the cases spell it."""
    return "".join(part.capitalize() for part in re.sub(r"(?<=.)([A-Z])", r"-\1", name).split("-"))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_hostile_plugin_fails_for_its_own_reason(name: str, outcomes: dict[str, dict[str, tuple[str, str]]]) -> None:
    test, words = EXPECTED[name]
    failed = {found: said for found, (verdict, said) in outcomes[title(name)].items() if verdict == "failed"}
    assert list(failed) == [test], "\n".join(failed.values())
    assert words in failed[test]
    assert "fix: " in failed[test]


@pytest.mark.parametrize("name", ["Exits", "Asserts", "AnswersShort"])
def test_the_advice_is_for_the_author(name: str, outcomes: dict[str, dict[str, tuple[str, str]]]) -> None:
    """What the engine tells users, to report it to the author, would send the author to themselves."""
    said = outcomes[name][EXPECTED[name][0]][1]
    assert "report it" not in said.split("fix: ")[1]


def test_what_keeps_its_promises_passes(outcomes: dict[str, dict[str, tuple[str, str]]]) -> None:
    good = {title(value.partition(":")[2]) for value in published()["kit-good"].values()}
    assert len(good) == 13, "of each stage one or two, a backend, an executor, an extension"
    wrong = {
        f"{name}.{test}": said
        for name in good
        for test, (verdict, said) in outcomes[name].items()
        if verdict not in ("passed", NOT_APPLICABLE)
    }
    assert wrong == {}
    assert all(len(outcomes[name]) >= 17 for name in good)


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("Questions", {"test_how_the_work_is_done_changes_nothing", "test_a_failed_reply_fails_its_row"}),
        (
            "Rare",
            {
                "test_how_the_work_is_done_changes_nothing",
                "test_other_processes_give_the_same",
                "test_other_rows_matter_only_if_declared",
                "test_a_failed_reply_fails_its_row",
                "test_a_missing_file_is_an_error_that_says_so",
            },
        ),
    ],
)
def test_what_does_not_apply_is_told_apart(
    name: str, absent: set[str], outcomes: dict[str, dict[str, tuple[str, str]]]
) -> None:
    told = {test: said for test, (verdict, said) in outcomes[name].items() if verdict == NOT_APPLICABLE}
    assert told.keys() == absent
    assert all(told.values())


def test_every_plugin_of_the_set_is_expected(outcomes: dict[str, dict[str, tuple[str, str]]]) -> None:
    good = {title(value.partition(":")[2]) for value in published()["kit-good"].values()}
    assert set(outcomes) == good | set(map(title, EXPECTED))
