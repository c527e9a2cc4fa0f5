"""Text in any encoding comes out as it was written, and a byte that is none spoils its own row only."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import BadRow, DataError, Reading, Row, read_rows

Write = Callable[[str, bytes], str]
Seen = Callable[..., list[tuple[str, str]]]

ENCODINGS = ["cp949", "shift_jis", "euc_jp", "gb18030", "big5", "utf-16", "utf-16-be", "utf-32", "iso2022_jp", "cp1252"]


def dicts(path: str, **reading: Any) -> list[dict[str, Any]]:
    rows = list(read_rows([path], Reading(**reading)))
    assert all(isinstance(row, Row) for row in rows), [str(row.error) for row in rows if isinstance(row, BadRow)][:3]
    return [dict(row) for row in rows if isinstance(row, Row)]


def real_rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def spelt(rows: list[dict[str, Any]], layout: str, encoding: str) -> bytes:
    """Rows in a format and an encoding, those left out that the encoding cannot spell."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = "\n".join(lines) if layout == "jsonl" else f"[{','.join(lines)}]"
    return text.encode(encoding)


def fitting(rows: list[dict[str, Any]], encoding: str) -> list[dict[str, Any]]:
    def fits(row: dict[str, Any]) -> bool:
        text = json.dumps(row, ensure_ascii=False)
        return text.encode(encoding, "ignore").decode(encoding) == text

    return [row for row in rows if fits(row)]


REAL = [
    ("ko/ko_alpaca_500.jsonl.gz", "cp949", 450),
    ("ko/ko_alpaca_500.jsonl.gz", "utf-16", 500),
    ("ja/ja_vicuna_qa.jsonl.gz", "shift_jis", 450),
    ("ja/jcommonsenseqa_400.jsonl.gz", "shift_jis", 390),
    ("ja/jcommonsenseqa_400.jsonl.gz", "euc_jp", 390),
    ("ja/jsquad_200.jsonl.gz", "euc_jp", 100),
    ("ja/jsquad_200.jsonl.gz", "utf-16-le", 200),
]


@pytest.mark.parametrize("layout", ["jsonl", "json"])
@pytest.mark.parametrize(("name", "encoding", "least"), REAL)
def test_real_rows_come_through_unchanged(
    name: str, encoding: str, least: int, layout: str, real: Path, write: Write
) -> None:
    rows = fitting(real_rows(real / name), encoding)
    assert len(rows) >= least
    path = write(f"rows.{layout}.gz", spelt(rows, layout, encoding))
    assert dicts(path, encoding=encoding) == rows
    with pytest.raises((DataError, AssertionError), match=r"E-DATA-0(24|09|08)"):  # as UTF-8, it fails and says so
        dicts(path)


def test_a_real_table_comes_through_unchanged(real: Path, write: Write) -> None:
    text = (real / "ko" / "chatbot_qa_500.csv").read_text("utf-8")
    rows = dicts(str(real / "ko" / "chatbot_qa_500.csv"))
    for encoding in ("cp949", "utf-16", "utf-8-sig"):
        assert dicts(write("rows.csv", text.encode(encoding)), encoding=encoding) == rows


def test_a_row_in_cp949_read_as_utf8_says_what_to_set(write: Write) -> None:
    good, korean = b'{"text": "good"}', '{"text": "\uc138\uc0c1"}'.encode("cp949")
    path = write("rows.jsonl", b"\n".join([good, korean, good]))
    first, bad, last = read_rows([path])
    assert isinstance(first, Row)
    assert isinstance(last, Row)
    assert isinstance(bad, BadRow)
    assert (bad.where, bad.error.code, bad.error.what) == (f"{path}:2", "E-DATA-009", "not UTF-8: byte 0xbc")
    assert "encoding: detect" in str(bad.error.fix)


@pytest.mark.parametrize("layout", ["jsonl", "json", "csv", "yaml"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_under_utf8_says_whose_it_is(encoding: str, layout: str, write: Write) -> None:
    path = write(f"rows.{layout}", '{"text": "a"}'.encode(encoding))
    with pytest.raises(DataError) as caught:
        dicts(path)
    assert caught.value.code == "E-DATA-024"
    assert f"encoding: {encoding}}}" in str(caught.value.fix)


def test_utf16_without_its_mark_must_say_its_order(write: Write) -> None:
    path = write("rows.jsonl", '{"text": "a"}'.encode("utf-16-be"))
    with pytest.raises(DataError) as caught:
        dicts(path, encoding="utf-16")
    assert caught.value.code == "E-DATA-024"
    assert dicts(path, encoding="utf-16-be") == [{"text": "a"}]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("layout", ["jsonl", "csv", "json", "yaml"])
def test_an_undecodable_byte_spoils_its_own_row_only(layout: str, encoding: str, write: Write, seen: Seen) -> None:
    newline, plain = "\n".encode(encoding), encoding.removesuffix("-be")
    mark = {"utf-16": codecs.BOM_UTF16, "utf-32": codecs.BOM_UTF32}.get(encoding, b"")
    newline = newline.removeprefix(mark)
    wrong = {"utf-16": b"\xff\xdb", "utf-32": b"\xff\xff\xff\xff", "iso2022_jp": b"\x80", "cp1252": b"\x81"}
    broken = b"\xdb\xff" if encoding == "utf-16-be" else wrong.get(plain, b"\xff")
    good = {
        "jsonl": '{"text": "good"}', "json": '{"text": "good"}', "csv": '"good",1', "yaml": '- {text: "good"}'
    }[layout]  # fmt: skip
    lines = [good.encode(encoding).removeprefix(mark) for _ in range(3)]
    word = "good".encode(encoding).removeprefix(mark)
    lines[1] = lines[1].replace(word, broken)
    begin, between, end = {"json": ("[", ",", "]"), "csv": ("a,b\n", "", "")}.get(layout, ("", "", ""))
    pieces = [text.encode(encoding).removeprefix(mark) for text in (begin, between, end)]
    content = mark + pieces[0] + (pieces[1] + newline).join(lines) + pieces[2] + newline
    codes = [code for _, code in seen(write(f"rows.{layout}", content), encoding=encoding)]
    assert codes == ["good", "E-DATA-009", "good"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(), encoding=st.sampled_from(ENCODINGS))
def test_any_text_that_an_encoding_has_is_read_back(text: str, encoding: str, tmp_path: Path) -> None:
    text = text.encode(encoding, "ignore").decode(encoding, "ignore")
    path = tmp_path / "rows.jsonl"
    line = json.dumps({"text": text}, ensure_ascii=False) + "\n"
    if line.encode(encoding, "ignore").decode(encoding, "replace") != line:  # what it writes it cannot read
        return
    path.write_bytes((line * 2).encode(encoding))
    assert dicts(str(path), encoding=encoding) == [{"text": text}] * 2


@given(noise=st.binary(max_size=40), encoding=st.sampled_from([*ENCODINGS, "utf-8", "johab", "cp037"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_crash_a_reader_of_any_encoding(noise: bytes, encoding: str, tmp_path: Path) -> None:
    for suffix in ("jsonl", "csv", "json", "yaml"):
        path = tmp_path / f"rows.{suffix}"
        path.write_bytes(noise)
        try:
            list(read_rows([str(path)], Reading(encoding=encoding)))
        except DataError as error:
            if error.code not in ("E-DATA-024", "E-DATA-026"):
                raise


def test_names_of_encodings() -> None:
    assert Reading(encoding="UTF8").encoding == Reading(encoding="utf_8_sig").encoding == Reading().encoding
    assert Reading(encoding="ks_c_5601").encoding == Reading(encoding="EUC-KR").encoding
    assert Reading(encoding="UHC").encoding == "cp949"
    for name in ("hex", "base64", "rot13", "idna", "unicode_escape", "no-such", "", "undefined"):
        with pytest.raises(ValidationError):
            Reading(encoding=name)
