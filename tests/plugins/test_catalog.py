"""Finding imports nothing, and is right where stevedore's listing is not.

Traps of stevedore 5.10, each a test: its managers import what they list; its disk cache misses an entry point added in
place; it pairs duplicates only if they stand side by side, and names no distribution when it complains; it merges two
distributions that publish the same target; its entry points do not know their distribution.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api.errors import PluginError
from itune_core.api.hookspecs import RESOURCES, STAGES
from itune_core.plugins import catalog

BOMB = "raise RuntimeError('imported')"


def test_entries_know_their_owner(site) -> None:
    site.install(
        "Acme.Itune_PII", {"filters/pii": "acme_pii:PII"}, {"acme_pii": BOMB}, version="2.3", requires=("x<1",)
    )
    entry = catalog.find("filters", "pii")
    assert (entry.stage, entry.name, entry.value) == ("filters", "pii", "acme_pii:PII")
    assert (entry.distribution, entry.version, entry.requires) == ("Acme.Itune_PII", "2.3", ("x<1",))
    assert Path(entry.location) == site.folder
    assert (entry.label, str(entry)) == ("filters/pii", "filters/pii (Acme.Itune_PII 2.3)")


def test_entries_are_sorted_and_complete(site) -> None:
    names = ["zz-last", "aa-first", "mm-middle"]
    site.install("acme", {f"mixers/{name}": f"acme:{name[:2]}" for name in names})
    mine = [entry.name for entry in catalog.entries("mixers") if entry.distribution == "acme"]
    assert mine == sorted(names)


def test_finding_and_listing_import_no_plugin(site) -> None:
    site.install("acme", {"filters/bomb": "acme_bomb:X", "extensions/bomb": "acme_bomb:Y"}, {"acme_bomb": BOMB})
    script = """
import os
import sys
from itune_core.plugins import catalog
assert not {"stevedore", "pydantic", "torch"} & set(sys.modules), "importing the catalog must cost nothing"
for stage in catalog.GROUPS:
    catalog.names(stage), catalog.entries(stage)
catalog.find("filters", "bomb")
print(sorted(name for name in sys.modules if name.startswith(("acme", "itune_", "torch")) and "." not in name))
"""
    assert site.python(script) == "['itune_core']"


def test_names_are_what_is_found(site) -> None:
    site.install("acme", {"scorers/one": "acme:A", "scorers/two": "acme:B"})
    found = site.python(
        "from itune_core.plugins import catalog as c\n"
        "print(all(c.names(s) == sorted({e.name for e in c.entries(s)}) for s in c.GROUPS), c.names('scorers'))"
    )
    assert found.startswith("True")
    assert "'one'" in found
    assert "'two'" in found


def test_what_a_stale_cache_misses_is_found(site) -> None:
    """The same version re-installed in place within two minutes: stevedore still lists the old names."""
    info = site.install("acme", {"trainers/old": "acme:Old"})
    points = info / "entry_points.txt"
    ask = "from itune_core.plugins import catalog as c; print('new' in c.names('trainers'))"
    assert site.python(ask) == "False"
    cached = any((site.folder.parent / "cache").rglob("*-entrypoints/*"))

    before = points.stat()
    points.write_text("[itune.trainers]\nold = acme:Old\nnew = acme:New\n")
    # pin the time: stevedore compares it in steps of 128 s
    os.utime(points, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert site.python(ask) == str(not cached), "stevedore's cache holds (it has none if Python itself lies in /tmp)"
    find = "from itune_core.plugins import catalog as c; print(c.find('trainers', 'new').value)"
    assert site.python(find) == "acme:New"


def test_what_is_installed_later_is_found(site) -> None:
    with pytest.raises(PluginError, match="E-PLUGIN-001"):
        catalog.find("filters", "later")
    site.install("acme", {"filters/later": "acme:Later"})
    assert catalog.find("filters", "later").distribution == "acme"


def test_a_new_path_is_seen_at_once(site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.entries("filters")
    site.install("acme", {"filters/aside": "acme:Aside"}, folder=tmp_path / "aside")
    monkeypatch.syspath_prepend(str(tmp_path / "aside"))
    assert "aside" in [entry.name for entry in catalog.entries("filters")]


@pytest.mark.parametrize("second", ["beta:X", "alpha:X"], ids=["other target", "same target"])
def test_duplicates_are_told_with_both_distributions(site, second: str) -> None:
    """They do not stand side by side, and with one and the same target stevedore shows a single entry."""
    bombs = {"alpha": BOMB, "beta": BOMB}
    site.install("acme-alpha", {"trainers/twice": "alpha:X", "trainers/zebra": "alpha:Z"}, bombs, version="1.2")
    site.install("acme-beta", {"trainers/aardvark": "beta:A", "trainers/twice": second}, version="3.4")
    with pytest.raises(PluginError) as caught:
        catalog.find("trainers", "twice")
    assert caught.value.code == "E-PLUGIN-002"
    assert "acme-alpha 1.2 (alpha:X)" in str(caught.value)
    assert f"acme-beta 3.4 ({second})" in str(caught.value)
    assert [entry.name for entry in catalog.entries("trainers")].count("twice") == 2
    assert catalog.find("trainers", "zebra").distribution == "acme-alpha"
    assert not {"alpha", "beta"} & set(sys.modules)


def test_a_distribution_that_hides_an_older_self_is_no_conflict(site, tmp_path: Path, monkeypatch) -> None:
    """Twice on ``sys.path``, as with an editable install over a wheel: the first is the one that is imported."""
    site.install("acme", {"filters/one": "acme:Old"}, version="1.0")
    site.install("acme", {"filters/one": "acme:New"}, version="2.0", folder=tmp_path / "front")
    monkeypatch.syspath_prepend(str(tmp_path / "front"))
    assert catalog.find("filters", "one").version == "2.0"


def test_a_miss_names_what_is_near(site) -> None:
    site.install("acme", {"filters/gibberish": "acme:G", "scorers/wordiness": "acme:W"})
    with pytest.raises(PluginError) as caught:
        catalog.find("filters", "gibbrish")
    assert caught.value.code == "E-PLUGIN-001"
    assert "did you mean filters/gibberish?" in str(caught.value.fix)
    assert "gibberish (acme 1.0)" in str(caught.value.why)
    with pytest.raises(PluginError, match="did you mean scorers/wordiness"):
        catalog.find("filters", "wordiness")
    assert caught.value.exit_code == 3


def test_a_miss_in_an_empty_stage_says_what_to_install(site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(site.folder)])
    with pytest.raises(PluginError) as caught:
        catalog.find("trainers", "dpo")
    assert caught.value.fix == "pip install itune-trainers"


def test_an_unknown_stage_is_told_with_the_nearest() -> None:
    for call in (catalog.names, catalog.entries):
        with pytest.raises(PluginError, match="E-PLUGIN-003") as caught:
            call("trainer")
        assert caught.value.fix == "did you mean trainers?"
    with pytest.raises(PluginError, match="E-PLUGIN-003"):
        catalog.find("pluggy", "x")


@given(st.sampled_from([*STAGES, *RESOURCES]), st.text(min_size=1).filter(lambda name: "/" not in name))
def test_a_label_is_parsed_back(stage: str, name: str) -> None:
    assert catalog.parse(f"{stage}/{name}") == (stage, name)


@pytest.mark.parametrize("label", ["", "dpo", "trainers/", "trainers", "trainers/a/b", "/dpo"])
def test_what_is_no_label_is_told(label: str) -> None:
    with pytest.raises(PluginError, match=r"E-PLUGIN-00[34]"):
        catalog.parse(label)


def test_damaged_metadata_does_not_break_the_listing(site) -> None:
    """An interrupted install leaves entry points without METADATA."""
    info = site.install("acme", {"filters/half": "acme:Half"})
    (info / "METADATA").unlink()
    entry = catalog.find("filters", "half")
    assert (entry.distribution, entry.version) == (catalog.UNKNOWN, catalog.UNKNOWN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\n")
    catalog.refresh()
    assert catalog.find("filters", "half").distribution == catalog.UNKNOWN


@pytest.mark.parametrize("points", [b"[itune.filters]\nno equals sign\n", b"[itune.filters]\nx = \xff:X\n"])
def test_a_distribution_that_cannot_be_read_hides_nothing_but_itself(site, points: bytes) -> None:
    site.install("acme-good", {"filters/good": "acme:X"})
    info = site.install("acme-garbled", {"filters/garbled": "acme:X"})
    (info / "entry_points.txt").write_bytes(points)
    catalog.refresh()
    names = [entry.name for entry in catalog.entries("filters")]
    assert "good" in names
    assert "garbled" not in names


def test_metadata_that_is_no_text_is_damaged_metadata(site) -> None:
    info = site.install("acme-garbled", {"filters/garbled": "acme:X"})
    (info / "METADATA").write_bytes(b"Name: \xff\n")
    catalog.refresh()
    assert catalog.find("filters", "garbled").distribution == catalog.UNKNOWN


def test_a_preferred_distribution_decides_who_is_taken(site) -> None:
    site.install("acme-one", {"trainers/ppo": "acme_one:X"})
    site.install("acme-two", {"trainers/ppo": "acme_two:X"})
    with pytest.raises(PluginError, match="E-PLUGIN-002") as caught:
        catalog.find("trainers", "ppo", {"trainers/other": "acme-two"})
    assert "plugins: {prefer: {trainers/ppo: acme-one}}" in str(caught.value.fix)
    for spelling in ("acme-two", "Acme_Two"):
        assert catalog.find("trainers", "ppo", {"trainers/ppo": spelling}).distribution == "acme-two"


def test_a_preference_is_not_fulfilled_by_somebody_else(site) -> None:
    site.install("acme-one", {"trainers/ppo": "acme_one:X"})
    with pytest.raises(PluginError, match="E-PLUGIN-014") as caught:
        catalog.find("trainers", "ppo", {"trainers/ppo": "acme-three"})
    assert "acme-one 1.0" in str(caught.value.why)
    assert "pip install acme-three" in str(caught.value.fix)


def test_a_folder_whose_metadata_bears_another_name_is_damaged(site) -> None:
    """Else anybody's could pass for the core, which needs no leave."""
    info = site.install("evil", {"filters/borrowed": "evil:X"}, {"evil": BOMB})
    (info / "METADATA").write_text((info / "METADATA").read_text().replace("Name: evil", "Name: itune-core"))
    assert catalog.find("filters", "borrowed").distribution == catalog.UNKNOWN


def test_what_stands_for_damaged_metadata_is_nobodys_name(site) -> None:
    """There is a distribution of the name `unknown`: setuptools named so what it could not read."""
    site.install("unknown", {"filters/anon": "anon:X"})
    assert catalog.find("filters", "anon").distribution == "unknown" != catalog.UNKNOWN
    assert not re.match(r"(?i)[a-z0-9]", catalog.UNKNOWN)


def test_a_conflict_is_mended_in_a_recipe_or_by_uninstalling(site) -> None:
    site.install("acme-alpha", {"filters/both": "alpha:X"})
    site.install("acme-beta", {"filters/both": "beta:X"})
    with pytest.raises(PluginError, match="E-PLUGIN-002") as caught:
        catalog.find("filters", "both")
    fix = str(caught.value.fix)
    assert "for steps of a recipe" in fix
    assert "plugins: {prefer: {filters/both: acme-alpha}}" in fix
    assert "without a recipe" in fix
    assert "pip uninstall all but one of acme-alpha, acme-beta" in fix
