"""An encoding is found out for certain, or the error says what may be meant; the settled name stands in the config."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itune_core.api import DataError, Reading, Row, read_rows
from itune_core.api.reading import settled

Write = Callable[[str, bytes], str]

DETECT = Reading(encoding="detect")


def text_of(path: Path) -> str:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return "".join(json.dumps(json.loads(line), ensure_ascii=False) + "\n" for line in stream)


def detected(*paths: str) -> str:
    return settled(paths, DETECT).encoding


REAL = [
    ("ko/ko_alpaca_500.jsonl.gz", ["cp949", "utf-16", "utf-16-le", "utf-8", "utf-32-be"]),
    ("ja/jcommonsenseqa_400.jsonl.gz", ["euc_jp", "utf-16-be", "utf-8"]),
    ("ja/jsquad_200.jsonl.gz", ["euc_jp"]),
    ("zh/alpaca_zh_500.jsonl.gz", ["gb18030"]),
]


@pytest.mark.parametrize(("name", "encoding"), [(name, encoding) for name, all in REAL for encoding in all])
@pytest.mark.parametrize("rows", [20, 400])
def test_real_rows_are_told(name: str, encoding: str, rows: int, real: Path, write: Write) -> None:
    lines = [
        line
        for line in text_of(real / name).splitlines()[:rows]
        if line.encode(encoding, "ignore").decode(encoding) == line
    ]
    path = write("rows.jsonl.gz", "\n".join(lines).encode(encoding))
    assert detected(path) == encoding
    read = [dict(row) for row in read_rows([path], DETECT) if isinstance(row, Row)]
    assert read == [json.loads(line) for line in lines]


def test_shift_jis_is_told_where_its_variants_agree(real: Path, write: Write) -> None:
    both = ("shift_jis", "cp932")

    def agreed(line: str) -> bool:
        spelt = [line.encode(name, "ignore") for name in both]
        return spelt[0] == spelt[1] and spelt[0].decode("shift_jis") == spelt[0].decode("cp932") == line

    lines = [line for line in text_of(real / "ja" / "jcommonsenseqa_400.jsonl.gz").splitlines() if agreed(line)]
    assert len(lines) > 300
    path = write("rows.jsonl", "\n".join(lines).encode("shift_jis"))
    assert detected(path) == "shift_jis"
    differs = '{"text": "\u6ce2\u301c\u6ce2"}\n'.encode("shift_jis")  # a dash that the two read differently
    with pytest.raises(DataError) as caught:
        detected(write("both.jsonl", "\n".join(lines).encode("shift_jis") + b"\n" + differs))
    assert caught.value.code == "E-DATA-025"
    assert {"shift_jis", "cp932"} <= set(str(caught.value.why).replace(",", "").split())


AMBIGUOUS = {
    "one letter of Latin": '{"text": "n\u00e9e"}\n'.encode("cp1252"),
    "two Chinese characters": '{"text": "\u6811\u6728"}\n'.encode("gb18030"),
    "noise": b'{"text": "\xff\xfe\x81\x8d"}\n',
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_is_not_certain_is_not_guessed(name: str, write: Write) -> None:
    path = write("rows.jsonl", AMBIGUOUS[name])
    with pytest.raises(DataError) as caught:
        detected(path)
    assert caught.value.code == "E-DATA-025"
    assert caught.value.where == path
    assert "reading" in str(caught.value.fix)


def test_files_of_one_step_are_in_one_encoding(write: Write, real: Path) -> None:
    korean = text_of(real / "ko" / "ko_alpaca_500.jsonl.gz")
    korean = "".join(line for line in korean.splitlines(True) if line.encode("cp949", "ignore").decode("cp949") == line)
    one, two = write("one.jsonl", korean.encode("cp949")), write("two.jsonl", korean.encode())
    plain = write("plain.jsonl", b'{"text": "only ASCII"}\n')
    assert detected(plain, one) == detected(one, plain) == "cp949"
    assert detected(plain) == "utf-8"
    with pytest.raises(DataError) as caught:
        detected(one, two)
    assert caught.value.code == "E-DATA-025"
    assert "cp949" in str(caught.value.why)
    assert "utf-8" in str(caught.value.why)


def test_a_file_cut_short_is_told_by_what_is_left(real: Path, tmp_path: Path) -> None:
    text = text_of(real / "ko" / "ko_alpaca_500.jsonl.gz")
    for encoding, size in (("utf-8", 5_000), ("utf-8", 5_001), ("utf-8", 5_002), ("cp949", 5_000)):
        whole = gzip.compress(text.encode(encoding, "ignore"))
        path = tmp_path / "rows.jsonl.gz"
        path.write_bytes(whole[:size])
        assert detected(str(path)) == encoding


def test_nul_bytes_and_shifts_do_not_pass_for_utf8(write: Write) -> None:
    assert detected(write("wide.csv", "a,b\n1,2\n".encode("utf-16-le"))) == "utf-16-le"
    assert detected(write("stray.jsonl", b'{"text": "a\0b"}\n')) == "utf-8"  # a bad row, to be told as one
    assert detected(write("shifts.csv", "a,b\n\u6728,2\n".encode("iso2022_jp"))) == "iso2022_jp"


def test_what_has_no_encoding_is_left_alone(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow.parquet import write_table

    write_table(pyarrow.table({"text": ["\ub098\ubb34"]}), tmp_path / "rows.parquet")
    assert detected(str(tmp_path)) == "utf-8"


def test_the_format_is_settled_too(write: Write, tmp_path: Path) -> None:
    one, two = write("a.json", b"[]"), write("b.jsonl.gz", b"{}")
    known: dict[tuple[str, ...], Any] = {(one,): "json", (two,): "jsonl", (str(tmp_path),): ["json", "jsonl"]}
    assert {paths: settled(paths, Reading()).format for paths in known} == known
    assert settled([one], Reading(format="jsonl")).format == "jsonl"
    again = settled([str(tmp_path)], settled([str(tmp_path)], Reading()))
    assert again.format == ["json", "jsonl"]
    with pytest.raises(DataError) as caught:
        settled([one], Reading(delimiter=";"))
    assert caught.value.code == "E-DATA-032"
    with pytest.raises(DataError) as caught:
        settled([one], Reading(format=["json", "json"]))
    assert caught.value.code == "E-DATA-021"
