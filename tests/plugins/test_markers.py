from __future__ import annotations

import pytest
from packaging.markers import Marker

from itune_core.plugins.markers import holds


@pytest.mark.parametrize(
    ("marker", "alone", "of_extra"),
    [
        (None, True, True),
        ("python_version >= '3.0'", True, True),
        ("python_version < '3.0'", False, False),
        ("extra == 'dev'", False, True),
        ("extra == 'Dev'", False, True),
        ("extra != 'dev'", True, False),
        ("os_name ~= '1'", False, False),
        ("'dev' in extras", False, False),
        ("'dev' in dependency_groups", False, False),
    ],
)
def test_markers(marker: str | None, alone: bool, of_extra: bool) -> None:
    read = None if marker is None else Marker(marker)
    assert (holds(read), holds(read, "dev")) == (alone, of_extra)
