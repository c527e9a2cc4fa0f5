"""Finding out an encoding; where more than one would do, nobody guesses.

A byte order mark decides. Else strict UTF-8 does, over the whole file: next to nothing in another encoding passes for
it. Else encodings are tried over the whole file, charset-normalizer ranks the texts they give by how little they look
like mishap (its "chaos", 0 to 1), and one must be clearly ahead of those that give another text.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from pathlib import Path

from itune_core.api.errors import DataError
from itune_core.api.reading.compression import decompressed
from itune_core.api.reading.encodings import MARKS, byte_order_mark
from itune_core.api.reading.standard_input import shown
from itune_core.api.reading.streams import BLOCK, DAMAGE, opened

WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
SHIFTED = ("iso2022_jp", "iso2022_jp_2", "iso2022_kr")
"""Encodings in seven bits, which strict UTF-8 cannot tell from itself."""

LEGACY = (
    *("cp949", "johab", "shift_jis", "cp932", "euc_jp", "gb18030", "big5", "cp950"),
    *("cp1252", "cp1251", "koi8-r", "cp1250", "cp1253", "cp1254", "cp1256"),
)
"""Tried where a file is not UTF-8; of those that give one text the first is named."""

SAMPLE = 2**17
"""Bytes, in lines that are not ASCII, by which texts are ranked."""

CLEAN = 0.1
AHEAD = 0.05
"""The most chaos that the right text may show, and how much more all others must."""

EVIDENCE = 32
"""The fewest bytes outside ASCII by which a text can be told from mishap."""


def detect(files: Sequence[Path]) -> str:
    """The encoding of all `files`.

    Raises:
        DataError: ``E-DATA-025`` none, or more than one, fits a file; or what fits one does not fit another.
    """
    found: dict[str, str] = {}
    for file in files:
        fits = fitting(file)
        if fits is None:
            continue
        if len(fits) != 1:
            raise DataError(
                "E-DATA-025",
                "the encoding cannot be told for certain" if fits else "no known encoding fits",
                where=shown(file),
                why=f"these fit, and give different texts: {', '.join(fits)}" if fits else None,
                fix="look at the file, and set `reading: {encoding: ...}` to its name",
            )
        found.setdefault(fits[0], shown(file))
    if len(found) > 1:
        (one, first), (other, second), *_ = found.items()
        raise DataError(
            "E-DATA-025",
            "the files of this step are in different encodings",
            where=second,
            why=f"this one is in {other}, and {first} in {one}",
            fix="make a step of each, with `reading: {encoding: ...}`",
        )
    return next(iter(found), "utf-8")


def fitting(file: Path) -> list[str] | None:
    """The encodings that fit a file, each giving another text, the likeliest first; None: any does, it is all ASCII."""
    head = next(_blocks(file), b"")
    mark = byte_order_mark(head[:4])
    if mark:
        return [MARKS[mark].removesuffix("-le").removesuffix("-be")]
    plain, nul, shifts = True, False, False
    for block in _blocks(file):
        plain = plain and block.isascii()
        nul = nul or b"\x00" in block
        shifts = shifts or b"\x1b$" in block
    if nul and (wide := list(_texts(file, WIDE))):
        return wide
    if plain and shifts:
        return list(_distinct(_texts(file, SHIFTED))) or None
    if plain:
        return None
    return list(_texts(file, ["utf-8"])) or _ranked(_distinct(_texts(file, LEGACY)), _sample(file))


def _blocks(file: Path) -> Iterator[bytes]:
    """What the file holds beneath its compression, as far as it can be read; an empty block, if that is all of it."""
    try:
        with opened(file) as raw:
            stream = decompressed(raw, file)
            while block := stream.read1(BLOCK):
                yield block
            yield b""
    except DAMAGE:  # it will stand in the ledger
        return


def _texts(file: Path, encodings: Sequence[str]) -> dict[str, bytes]:
    """Those of `encodings` that all of the file can be decoded from, and a digest of the text that each gives."""
    decoders = {encoding: codecs.getincrementaldecoder(encoding)() for encoding in encodings}
    digests = {encoding: blake2b(digest_size=16) for encoding in encodings}
    first = True
    for block in _blocks(file):
        for encoding in list(decoders):
            try:
                text = decoders[encoding].decode(block, not block)
            except UnicodeDecodeError:
                del decoders[encoding]
                continue
            # a row of any text format begins with a character that ASCII has, and holds no NUL
            if encoding in WIDE and ("\0" in text or (first and not text[:1].isascii())):
                del decoders[encoding]
                continue
            digests[encoding].update(text.encode("utf-8", "surrogatepass"))
        first = False
    return {encoding: digests[encoding].digest() for encoding in decoders}


def _distinct(texts: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Encodings by the one to name them by: the first of those that give the same text."""
    names: dict[bytes, str] = {}
    same: dict[str, list[str]] = {}
    for encoding, text in texts.items():
        same.setdefault(names.setdefault(text, encoding), []).append(encoding)
    return same


def _sample(file: Path) -> bytes:
    """Lines that are not ASCII, from the beginning of the file."""
    sample = bytearray()
    rest = b""
    for block in chain(_blocks(file), [b"\n"]):  # which ends the last line
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if not line.isascii():
                sample += line + b"\n"
        if len(sample) > SAMPLE:
            break
    return bytes(sample)


def _ranked(same: Mapping[str, Sequence[str]], sample: bytes) -> list[str]:
    """The one encoding that is clearly ahead; else all that may be meant, the likeliest first."""
    from charset_normalizer import from_bytes

    every = [encoding for members in same.values() for encoding in members]
    if not every:
        return []
    chaos: dict[str, float] = {}
    for match in from_bytes(
        sample, steps=32, threshold=1.0, cp_isolation=every, preemptive_behaviour=False, enable_fallback=False
    ):
        for name in match.could_be_from_charset:
            chaos[codecs.lookup(name).name] = match.chaos
    ranks = {name: min(chaos.get(member, 1.0) for member in members) for name, members in same.items()}
    enough = sum(byte > 0x7F for byte in sample) >= EVIDENCE
    likely = [name for name in sorted(ranks, key=lambda name: ranks[name]) if ranks[name] < 1.0]
    if enough and likely:
        best, *others = (ranks[name] for name in likely)
        if best <= CLEAN and all(other >= best + AHEAD for other in others):
            return likely[:1]
    return likely or list(same)
