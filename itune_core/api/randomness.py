"""All randomness is derived, never drawn from a shared stream: same parts, same numbers, in any order or process."""

from __future__ import annotations

import hashlib
import random


def derive_seed(*parts: str | int) -> int:
    """A 63-bit seed from `parts`. Distinct part lists give independent seeds: lengths and types are hashed too."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part.encode() if isinstance(part, str) else b"%d" % part
        digest.update(b"%c%d:" % (b"s" if isinstance(part, str) else b"i", len(data)) + data)
    return int.from_bytes(digest.digest(), "big") >> 1


def derive_rng(*parts: str | int) -> random.Random:
    """A generator seeded with :func:`derive_seed` of `parts`."""
    return random.Random(derive_seed(*parts))
