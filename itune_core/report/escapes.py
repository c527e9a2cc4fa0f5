"""Text from rows, recipes, plugins and models is shown, never obeyed: what would act unseen is spelled out."""

from __future__ import annotations

import json
from typing import Any

_ACTING = [
    *(code for code in range(0x20) if chr(code) not in "\t\n"),  # terminals obey these
    *range(0x7F, 0xA0),  # and these: 0x9B alone begins an escape sequence
    0x061C,
    *range(0x200E, 0x2010),
    *range(0x202A, 0x202F),  # directions: embeddings and overrides reorder what a person reads
    *range(0x2066, 0x206A),
    0x200B,
    *range(0x2028, 0x202A),
    *range(0x2060, 0x2065),
    0xFEFF,  # of no width: texts that differ look alike. Joiners stay: Persian, Hindi and emoji are spelled with them
    *range(0xD800, 0xE000),  # half of a character, which no encoding can write
    *range(0xE0000, 0xE0080),  # tags: a second text inside the first, for machines only
]


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ESCAPES = {code: _spelled(code) for code in _ACTING}
_IN_JSON = {code: json.dumps(chr(code))[1:-1] for code in _ACTING}


def safe(text: str) -> str:
    r"""`text` with control, direction and invisible characters spelled out (``\x1b``); tab and newline stay."""
    return text.translate(_ESCAPES)


def safe_json(value: Any) -> str:
    """`value` as indented JSON that is safe to look at and reads back as the same value."""
    return json.dumps(value, indent=2, ensure_ascii=False).translate(_IN_JSON)
