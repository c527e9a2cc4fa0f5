"""Finders: where a text holds an e-mail address, a phone number, a payment card's number, a key or a token.

Each is a function from a text to spans, cheap on text that holds nothing. They look at form only: what is written
otherwise ("name at example dot org") is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Span = tuple[int, int]

# Possessive (`++`): a long run of letters without an @ is read once, not once from each of its characters. ASCII on
# purpose: in text written without spaces, an address ends where the other script begins.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+'-])[A-Za-z0-9._%+'-]++@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
    r"(?![A-Za-z0-9])"
)

_DIGITS = re.compile(r"\d+")
_CARD_RUN = re.compile(r"(?<![A-Za-z0-9_])(?<!\d\.)\d(?:[ \u00a0-]?\d){12,}(?![A-Za-z0-9_])")
_BRANDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12})"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[68]\d)\d{11}"  # Diners Club
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14,17}",  # UnionPay
    re.ASCII,
)
"""First digits and lengths by issuer (ISO/IEC 7812). The check digit alone would accept one number in ten."""

NORTH_AMERICA = 1
"""Its calling code. Nearly every ten digits are a number by its plan, which has no trunk prefix to tell one by."""

_WORD = r"A-Za-z0-9_"
_TOKENS = re.compile(
    rf"(?<![{_WORD}-])(?:"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r"|gh[opsur]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{40,255}"
    r"|gl(?:pat|ptt|rt)-[A-Za-z0-9_-]{20,}"
    r"|sk-(?:proj|svcacct|admin|ant|or)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{32,}"  # OpenAI, Anthropic, OpenRouter
    r"|hf_[A-Za-z0-9]{30,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|[prs]k_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"  # SendGrid
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"  # JSON web tokens
    rf")(?![{_WORD}])"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-]|-(?!----))*+-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:(?:\s|\\n)*[A-Za-z0-9+/=]{16,})++(?:\s*[A-Za-z0-9+/=]+\Z)?)"
)
"""A block with its end, or, where the text breaks off, the encoded lines that are there."""

_NAME = (
    r"(?:(?P<bare>(?<![A-Za-z_-])(?i:token))"
    r"|(?<![A-Za-z])(?i:passwd|password|passphrase|pwd|secret(?:[_-]?key)?|(?:api|access|private|auth)[_-]?key"
    r"|(?:api|access|auth|bot|refresh)?token)"
    r"|(?:Passwd|Password|Passphrase|Pwd|Secret(?:Key)?|(?:Api|Access|Private|Auth)Key|Token))"  # dbPassword
)
_NAMED = re.compile(rf"{_NAME}$")
_ASSIGNMENT = re.compile(
    rf"{_NAME}\\?[\"'`]?\s{{0,3}}(?::\s?[A-Za-z_.]{{1,30}}\s?=(?=\s?[\"'])|:=|=>|[:=])\s{{0,3}}"
    r"(?:(?P<quote>\\?[\"'`])(?P<quoted>(?:(?!(?P=quote))(?:\\.|[^\n\\])){6,256}+)(?P=quote)"
    r"|\\?[\"'`]?(?P<open>[^\s\"'`<>(){}\[\],;|]{6,}+)(?![ ]?[(\[]))"  # neither a call nor an item of something
)
_CODE = re.compile(r"[a-z]*+(?:\d[a-z]*+)?(?:[._][a-z]*+(?:\d[a-z]*+)?)++")
"""What code looks like, not a secret: words in lower case joined by ``_`` or ``.``, none with more than one digit."""
_CREDENTIALS = re.compile(r"(?<=://)(?P<value>[^\s/:@\[\]<>\"']{0,255}:[^\s/?#\[\]<>\"']{1,255})(?=@)")
_DATABASE = re.compile(
    r"(?<!http://)(?<!https://)(?<=://)(?P<value>[^\s/:@\[\]<>\"']{0,255}:(?!\d{1,5}/)[^\s@\[\]<>\"']{1,255})(?=@)"
)
"""Passwords of databases are written with a slash as well. A port and a path with an @ are no user and password."""
_BEARER = re.compile(r"(?i:\b(?:bearer|basic))\s{1,3}(?P<value>[A-Za-z0-9._~+/-]{16,}=*)")


def emails(text: str) -> Iterator[Span]:
    """E-mail addresses, as RFC 5321 writes them without quotes, at a host with a name."""
    if "@" in text:
        yield from (found.span() for found in _EMAIL.finditer(text))


def phones(text: str, regions: Sequence[str]) -> Iterator[Span]:
    """Phone numbers that exist by the numbering plans of libphonenumber.

    Args:
        text: where to look.
        regions: ISO 3166 codes of the countries whose national way of writing is understood; numbers with a plus sign
            and a country code are found whatever they are. Ten or eleven digits in a row are no number of North
            America's, where most that have no separator are something else.
    """
    if sum(map(len, _DIGITS.findall(text))) < 7:  # the shortest that is not a short code
        return
    from phonenumbers import Leniency, PhoneNumberMatcher

    taken: list[Span] = []
    for region in regions or (None,):
        for found in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
            if found.number.country_code == NORTH_AMERICA and found.raw_string.isdecimal():
                continue
            if all(found.end <= start or end <= found.start for start, end in taken):
                taken.append((found.start, found.end))
    yield from sorted(taken)


def cards(text: str) -> Iterator[Span]:
    """Payment card numbers: an issuer's first digits and length, and the check digit (Luhn; ISO/IEC 7812-1).

    Digits may stand in groups, apart by one space or hyphen each; other groups may stand before and after.
    """
    for run in _CARD_RUN.finditer(text):
        groups = [(run.start() + found.start(), found[0]) for found in _DIGITS.finditer(run[0])]
        first = 0
        while first < len(groups):
            last = _card_end(groups, first)
            if last is not None:
                start, (end, digits) = groups[first][0], groups[last]
                yield start, end + len(digits)
            first = first + 1 if last is None else last + 1


def _card_end(groups: Sequence[tuple[int, str]], first: int) -> int | None:
    """The last group of the longest card number that begins with group `first`."""
    number, end = "", None
    for place in range(first, len(groups)):
        number += groups[place][1]
        if len(number) > 19:
            break
        if len(number) >= 13 and is_card(number):
            end = place
    return end


def is_card(number: str) -> bool:
    """Whether digits are a payment card's number, as far as the digits can tell."""
    plain = number if number.isascii() else "".join(str(int(digit)) for digit in number)  # scripts have their own
    if not _BRANDS.fullmatch(plain):
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in plain[-2::-2])
    return (doubled + sum(map(int, plain[-1::-2]))) % 10 == 0


def keys(text: str) -> Iterator[Span]:
    """Keys and tokens: of the forms that services give them, private key blocks, and what is assigned to a password.

    A value after ``password =``, ``api_key:``, ``dbPassword=`` and the like, or after ``Bearer``, is taken for one if
    it has both letters and digits; so prose and code that only speak of passwords are left alone. In quotes it goes to
    the closing one, on its line; without, to a space or a bracket, comma, semicolon, bar or quote, and it is left alone
    if it is called or reads like a name in code (``get_password2``). After a bare ``token`` it has 12 characters at
    least. User and password before the ``@`` of a URL are taken whatever they are; the user may be missing.
    """
    spans = [found.span() for pattern in (_PRIVATE_KEY, _TOKENS) for found in pattern.finditer(text)]
    spans += [found.span("value") for pattern in (_CREDENTIALS, _DATABASE) for found in pattern.finditer(text)]
    spans += [found.span("value") for found in _BEARER.finditer(text) if is_mixed(found["value"])]
    for found in _ASSIGNMENT.finditer(text):
        value = found["quoted"] or found["open"]
        if _suits(found, value) and not (found["open"] and _CODE.fullmatch(value)):
            spans.append(found.span("quoted" if found["quoted"] else "open"))
    yield from _joined(spans)


def is_secret(name: str, value: str) -> bool:
    """Whether a setting of that name and value holds a secret: ``password``, ``api_key``, ``dbPassword``, ..."""
    found = _NAMED.search(name)
    return found is not None and len(value) >= 6 and _suits(found, value)


def _suits(name: re.Match[str], value: str) -> bool:
    """Whether a value may be a secret of that name: a word of it is mixed, and it is long after a bare ``token``."""
    return len(value) >= (12 if name["bare"] else 6) and any(map(is_mixed, value.split()))


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans in order, those that overlap as one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def is_mixed(value: str) -> bool:
    """Whether a value has letters and digits, as what is drawn at random has."""
    return bool(re.search(r"[A-Za-z]", value) and re.search(r"\d", value))
