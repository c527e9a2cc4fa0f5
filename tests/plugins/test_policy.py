"""The policy speaks before anything is imported; it sees plain data only."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from itune_core.api.errors import PluginError
from itune_core.plugins.catalog import UNKNOWN, Entry
from itune_core.plugins.locks.lock import Lock, Locked
from itune_core.plugins.policy import FIRST_PARTY, Policy, check

ROOT = Path(__file__).resolve().parents[2]

CORE = "1.4.0"
TRUSTING = Policy.of(["acme-itune"])


def entry(*requires: str, name: str = "acme-itune") -> Entry:
    return Entry("trainers", "x", "acme:X", name, "2.0", "/site", requires)


def verdict(checked: Entry, policy: Policy | None = None, core: str = CORE) -> str | None:
    try:
        check(checked, policy or TRUSTING, core)
    except PluginError as error:
        return error.code
    return None


def test_only_first_party_distributions_are_allowed_unless_a_list_says_otherwise() -> None:
    bound = entry("itune-core>=1,<2")
    assert verdict(bound, Policy()) == "E-PLUGIN-010"
    assert verdict(bound, Policy(frozenset({"acme-itune"}))) is None
    assert verdict(bound, Policy(frozenset({"other"}))) == "E-PLUGIN-010"
    assert verdict(bound, Policy(frozenset())) == "E-PLUGIN-010"


def test_the_first_party_list_names_what_this_repository_publishes() -> None:
    publishing = [
        path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml") if "entry-points" in path.read_text()
    ]
    assert set(publishing) <= set(FIRST_PARTY)
    for name in FIRST_PARTY:
        assert verdict(entry("itune-core<2", name=name), Policy()) is None
    assert verdict(entry("itune-core<2", name="itune-filters-better"), Policy()) == "E-PLUGIN-010"


def test_a_refusal_says_what_to_type() -> None:
    with pytest.raises(PluginError) as caught:
        check(entry("itune-core<2", name="Acme_Itune"), Policy.of(["other-itune"]), CORE)
    assert "Acme_Itune 2.0" in str(caught.value)
    assert "other-itune" in str(caught.value.why)
    assert "itune run RECIPE --allow acme-itune;" in str(caught.value.fix)
    assert "plugins: {allow: [other-itune, acme-itune]}" in str(caught.value.fix)


def test_with_a_lock_only_what_is_locked_is_allowed() -> None:
    pii = Locked("acme-itune", "2.0", {"trainers/x": "acme:X"})
    library = Locked("acme-library", "1.0")
    lock = Lock(Path("pylock.itune.toml"), "", {pii.name: pii, library.name: library}, {})
    bound = "itune-core>=1,<2"
    assert verdict(entry(bound), Policy(lock=lock)) is None
    for name in ("itune-filters", "other", "acme-library"):
        assert verdict(entry(bound, name=name), Policy.of(["other"], lock=lock)) == "E-LOCK-020"


@given(st.lists(st.sampled_from("-_."), min_size=1, max_size=3), st.booleans(), st.booleans())
def test_a_name_is_the_same_in_every_spelling(separators: list[str], upper: bool, listed_upper: bool) -> None:
    spelled = "acme" + "".join(separators) + "itune"
    listed = "Acme-iTune" if listed_upper else "acme-itune"
    checked = entry("itune-core<2", name=spelled.upper() if upper else spelled)
    assert verdict(checked, Policy(frozenset({listed}))) is None


@pytest.mark.parametrize(
    ("requires", "code"),
    [
        (("itune-core>=1.2,<2",), None),
        (("itune_core>=1.2,<2",), None),
        (("Itune.Core~=1.2",), None),
        (("itune-core==1.*",), None),
        (("itune-core>=1", "itune-core<2"), None),
        (("itune-core>=1,<2 ; python_version >= '3.0'",), None),
        ((), "E-PLUGIN-012"),
        (("torch<3",), "E-PLUGIN-012"),
        (("itune-core",), "E-PLUGIN-012"),
        (("itune-core>=1.2",), "E-PLUGIN-012"),
        (("itune-core!=1.3",), "E-PLUGIN-012"),
        (("itune-core<2 ; extra == 'dev'",), "E-PLUGIN-012"),
        (("itune-core<2 ; python_version < '3.0'",), "E-PLUGIN-012"),
        (("itune-core ==== 1",), "E-PLUGIN-012"),
        (("itune-core===banana",), "E-PLUGIN-011"),
        (("itune-core<2 ; os_name ~= '1'",), "E-PLUGIN-012"),
        (("itune-core<2 ; 'a' in extras",), "E-PLUGIN-012"),
        (("itune-core>=1.5,<2",), "E-PLUGIN-011"),
        (("itune-core>=0.1,<1",), "E-PLUGIN-011"),
        (("itune-core==1.3",), "E-PLUGIN-011"),
        (("itune-core<=1.4.0",), None),
    ],
)
def test_the_bound_on_the_core(requires: tuple[str, ...], code: str | None) -> None:
    assert verdict(entry(*requires)) == code


@pytest.mark.parametrize(
    ("bound", "side"),
    [
        (">=2,<3", "upgrade the core"),
        ("==1.5.*", "upgrade the core"),
        ("~=1.6", "upgrade the core"),
        (">=0.1,<1", "upgrade the plugin"),
        ("==1.3", "upgrade the plugin"),
        ("<1.4", "upgrade the plugin"),
    ],
)
def test_an_excluded_core_is_told_which_side_is_behind(bound: str, side: str) -> None:
    with pytest.raises(PluginError, match="E-PLUGIN-011") as caught:
        check(entry(f"itune-core{bound}"), TRUSTING, CORE)
    assert str(caught.value.fix).startswith(side)
    assert "itune-core 1.4.0" in caught.value.what


VERSIONS = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda pair: f"{pair[0]}.{pair[1]}")


@given(lower=VERSIONS, upper=VERSIONS, core=VERSIONS)
def test_a_bounded_plugin_passes_exactly_inside_its_bound(lower: str, upper: str, core: str) -> None:
    bound = f">={lower},<{upper}"
    expected = None if core in SpecifierSet(bound) else "E-PLUGIN-011"
    assert verdict(entry(f"itune-core{bound}"), core=core) == expected


def test_a_pre_release_of_the_core_counts_as_what_it_is() -> None:
    assert verdict(entry("itune-core>=1.2,<2"), core="1.4.0.dev3") is None
    assert verdict(entry("itune-core>=1.4,<2"), core="1.4.0.dev3") == "E-PLUGIN-011"


def test_the_core_needs_no_leave() -> None:
    assert verdict(entry(name="itune_core"), Policy(frozenset())) is None


def test_damaged_metadata_is_refused_even_if_allowed() -> None:
    assert verdict(entry("itune-core<2", name=UNKNOWN), Policy(frozenset({UNKNOWN}))) == "E-PLUGIN-013"
