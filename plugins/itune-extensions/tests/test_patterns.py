"""Finders, each against what it must find and what it must leave alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_extensions import patterns


def found(finder: object, text: str, *more: object) -> list[str]:
    return [text[start:end] for start, end in finder(text, *more)]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to ann@example.org.", ["ann@example.org"]),
        ("<a.b+c@mail.example.co.uk>, x_1%y@z-9.io", ["a.b+c@mail.example.co.uk", "x_1%y@z-9.io"]),
        ("联系我test@example.com谢谢", ["test@example.com"]),
        ("mailto:o'neil@example.ie?subject=x", ["o'neil@example.ie"]),
        ("a@b, @user, user@localhost, x@1.2.3, lodash@4.17.21, two@@example.org", []),
        ("@example.org and example@", []),
    ],
)
def test_emails(text: str, expected: list[str]) -> None:
    assert found(patterns.emails, text) == expected


@pytest.mark.parametrize(
    ("text", "regions", "expected"),
    [
        ("call (212) 555-0123 or 212.555.0199 now", ["US"], ["(212) 555-0123", "212.555.0199"]),
        ("ring +44 20 7946 0958!", [], ["+44 20 7946 0958"]),
        ("ring 020 7946 0958", [], []),
        ("ring 020 7946 0958 or 212-555-0123", ["GB", "US"], ["020 7946 0958", "212-555-0123"]),
        ("电话13812345678谢谢", ["CN"], ["13812345678"]),
        (
            "order 2125550123 or 12125550123, call 212-555-0123 or +12125550123",
            ["US"],
            ["212-555-0123", "+12125550123"],
        ),
        ("in 1990-1995 and 2001-2005, pi is 3.14159265358979", ["US"], []),
        ("It costs 1,234,567,890 or 12345678 in all; 123-456-7890 is nobody's", ["US"], []),
        ("2024-11-21 14:06:16, 192.168.100.200, ISBN 978-3-16-148410-0", ["US"], []),
    ],
)
def test_phones(text: str, regions: list[str], expected: list[str]) -> None:
    assert found(patterns.phones, text, regions) == expected


# Numbers that the issuers publish for tests.
CARDS = [
    "4111111111111111",
    "4012888888881881",
    "4222222222222",
    "5555555555554444",
    "5105105105105100",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "30569309025904",
    "38520000023237",
    "6011111111111117",
    "6011000990139424",
    "3530111333300000",
    "6200000000000005",
]


@pytest.mark.parametrize("card", CARDS)
def test_cards(card: str) -> None:
    assert found(patterns.cards, f"It is {card}.") == [card]
    spaced = " ".join(card[start : start + 4] for start in range(0, len(card), 4))
    assert found(patterns.cards, f"No 12 {spaced}, 07/29") == [spaced]
    assert found(patterns.cards, f"卡号{card}。") == [card]
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert found(patterns.cards, f"It is {wrong}.") == []
    assert found(patterns.cards, f"0.{card} x{card} {card}0{card}") == []


@given(st.from_regex(r"[0-9]{8,24}", fullmatch=True))
def test_a_card_has_the_check_digit_that_a_sum_by_hand_gives(number: str) -> None:
    if patterns.is_card(number):
        digits = [int(digit) for digit in reversed(number)]
        total = sum(
            digit if place % 2 == 0 else (2 * digit if digit < 5 else 2 * digit - 9)
            for place, digit in enumerate(digits)
        )
        assert total % 10 == 0


KEYS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "a1B2c3D4e5" * 4,
    "github_pat_" + "11ABCDEFG0" * 6,
    "glpat-" + "x1y2z3-4_5" * 2,
    "sk-" + "a1B2c3D4e5" * 4,
    "sk-proj-" + "a1_B2-c3D4" * 4,
    "sk-ant-" + "api03-a1B2c3D4e5_" * 3,
    "hf_" + "abcDEFghiJ" * 3 + "abcd",
    "xoxb-" + "123456789012-abcdefABCDEF",
    "AIza" + "SyA-1234567890_abcdefghijklmnopqrst",
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "npm_" + "a1B2c3D4e5F6" * 3,
    "pypi-" + "AgEIcHlwaS5vcmc" * 5,
    "SG." + "a1B2c3D4e5F6g7H8i9J0k1." + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
]
"""None of them opens anything; put together here, so that no scanner takes this file for a leak."""


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:8])
def test_tokens(key: str) -> None:
    for text in (key, f'token="{key}"', f"Use {key}, please", f"https://example.org/?k={key}&x=1"):
        assert found(patterns.keys, text) == [key]


BLOCK = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEAx\n" * 4 + "-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"my key:\n{BLOCK}\nthanks", [BLOCK]),
        (f"{BLOCK}\n{BLOCK}", [BLOCK, BLOCK]),
        (f"{BLOCK[:80]}", [BLOCK[:80]]),
        ("a file that begins with -----BEGIN PRIVATE KEY----- is a key", []),
        ('password = "hunter2"', ["hunter2"]),
        ("DB_PASSWORD: s3cr3tvalue # here", ["s3cr3tvalue"]),
        ("api_key='0123456789abcdef', x=1", ["0123456789abcdef"]),
        ('{"client_secret": "a1b2c3d4"}', ["a1b2c3d4"]),
        ("Authorization: Bearer 0123456789abcdef.ghi", ["0123456789abcdef.ghi"]),
        ("postgres://user:pass@db.example.org/x", ["user:pass"]),
        ("API_TOKEN=abcd1234efgh5678", ["abcd1234efgh5678"]),
        ("api_token: abc123\nrefresh_token=x9y8z7w6 csrfToken: 'q1w2e3'", ["abc123", "x9y8z7w6", "q1w2e3"]),
        ("token = abc123def456ghi", ["abc123def456ghi"]),
        ('secretKey: "abc123def456"', ["abc123def456"]),
        ("dbPassword=hunter2222 DBPassword=hunter3333", ["hunter2222", "hunter3333"]),
        ('{\\"password\\": \\"Tr0ub4,dor\\"}', ["Tr0ub4,dor"]),
        ('password: str = "hunter2222"', ["hunter2222"]),
        ('password="Tr0ub4,dor&3xyz" x', ["Tr0ub4,dor&3xyz"]),
        ("password: 'a(b)c1234567'", ["a(b)c1234567"]),
        ("password: `a\\`b)c1234567`", ["a\\`b)c1234567"]),
        ('password = "say \\"fr1end\\" and enter"; x = "1"', ['say \\"fr1end\\" and enter']),
        ('password="hunter2222', ["hunter2222"]),
        ("token: abc123def456ghi=\nnot0this", ["abc123def456ghi="]),
        ("redis://:s3cr3tpass@localhost:6379/0", [":s3cr3tpass"]),
        ("postgres://bob:p/ss99@db", ["bob:p/ss99"]),
        ("postgres://bob:p@ss99@db/x", ["bob:p@ss99"]),
        ("password = get_password2() or token = tokens2[0] or pwd = self.get(1, 'abc')", []),
        ("secret_key: str1ng_type2", []),
        ("api_key = settings.service2.api_key", []),
        ("token: ERC20-based, max_tokens=1024x768", []),
        ('{"password": "It must have at least 8 characters."}', []),
        ("http://localhost:3000/@user and ws://host:8080/x@y and https://medium.com/@user1", []),
        ("password = input('your password: ')", []),
        ("The password must have at least 8 characters.", []),
        ("password: required|min:8", []),
        ("Your password is wrong; the secret: patience", []),
        ("if password == None: raise", []),
        ("sk-learn-container-id and task-1234567890123456789012345678901234567890", []),
        ("https://example.org:8080/path@2x.png", []),
    ],
)
def test_keys_in_their_places(text: str, expected: list[str]) -> None:
    assert found(patterns.keys, text) == expected


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("password", "hunter2", True),
        ("DB_PASSWORD", "hunter2", True),
        ("dbPassword", "hunter2", True),
        ("secretKey", "abc123", True),
        ("api_token", "abc123", True),
        ("refreshToken", "abc123", True),
        ("token", "abc123def456ghi", True),
        ("token", "word12", False),
        ("password", "patience", False),
        ("password", "8 or more characters", False),
        ("tokens", "abc123def456ghi", False),
        ("password_hint", "hunter2", False),
        ("monkey", "abc123def456ghi", False),
    ],
)
def test_settings_that_hold_a_secret(name: str, value: str, secret: bool) -> None:
    assert patterns.is_secret(name, value) is secret


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "a." * 100_000,
        "1 " * 100_000,
        "4 " * 100_000,
        "+1 212 " * 5_000,
        "-----BEGIN PRIVATE KEY-----" * 5_000,
        "password=" * 20_000,
        "://" * 50_000 + "a:b" * 1000,
        "db://a:" * 30_000,
        "password=" + "a" * 100_000 + "1",
        'token="' * 30_000,
        'password="a\\' * 20_000,
        "eyJ" * 50_000,
        "@" * 100_000,
        "a@" * 50_000,
        "a@b." * 30_000,
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.timeout(120)
def test_no_text_makes_them_slow(text: str) -> None:
    """All are read in about a second; what reads them again from each of their characters needs hours."""
    for finder in (patterns.emails, patterns.cards, patterns.keys, lambda text: patterns.phones(text, ["US"])):
        list(finder(text))
