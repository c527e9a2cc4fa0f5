"""Personal data and secrets, masked before a record leaves its formatter."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from itune_core.api import ComponentConfig, Drop, Failed, Record, Used, hookimpl
from itune_extensions.masking import KINDS, Kind, Masker
from itune_extensions.notes import leave

Result = tuple[str, Record | Used | Drop | Failed]


class Redact:
    """Masks e-mail addresses, phone numbers, payment card numbers and keys in the text of every record, and in what is
    said of rows that are dropped or fail.

    It wraps the formatters, so that nothing after them has seen the originals: not the store, not a model that is
    asked, not the report. It enters the keys of formatters; changing what is masked formats again, and so does, where
    phone numbers are masked, another version of `phonenumbers`.

    - `email`: addresses as RFC 5321 writes them, without quotes;
    - `phone`: numbers that exist by the numbering plans of Google's libphonenumber (the `phonenumbers` package), with a
      country code or as the chosen regions write them; ten digits without a separator are none of North America's;
    - `card`: numbers with an issuer's first digits, its length and a right check digit (ISO/IEC 7812-1);
    - `key`: tokens of the forms that AWS, GitHub, GitLab, OpenAI, Anthropic, Hugging Face, Slack, Google, Stripe, npm,
      PyPI and SendGrid give them, JSON web tokens, private key blocks, values with letters and digits that are assigned
      to a password, secret, key or token, and user and password in a URL.

    How many of each were masked stands in the record's `meta`, ``{"redacted": {"email": 1}}``, and summed up in the
    report. Records without any are not touched. It finds what has a form; names and addresses of people have none.

    Source: this package; RFC 5321, ISO/IEC 7812-1, and the `phonenumbers` package.
    """

    class Config(ComponentConfig):
        kinds: list[Kind] = Field(list(KINDS), min_length=1, description="What is masked; all of them if unset.")
        mask: str = Field(
            "[{kind}]",
            description="What is put in its place, in square or angle brackets: letters, spaces, underscores, and "
            "{kind} for EMAIL, PHONE, CARD or KEY.",
        )
        regions: list[str] = Field(
            ["US"],
            description="Countries (ISO 3166, two letters) whose phone numbers are known without a country code; none: "
            "only numbers that begin with a plus sign.",
        )

        @field_validator("mask")
        @classmethod
        def _mask_is_no_find(cls, mask: str) -> str:
            if not re.fullmatch(
                r"(?:\[[A-Za-z_ ]*(?:\{kind\})?[A-Za-z_ ]*\]|<[A-Za-z_ ]*(?:\{kind\})?[A-Za-z_ ]*>)", mask
            ):
                raise ValueError("write it in brackets, such as [{kind}], <{kind}> or [REDACTED]")
            return mask

        @field_validator("regions")
        @classmethod
        def _regions_exist(cls, regions: list[str]) -> list[str]:
            from phonenumbers import SUPPORTED_REGIONS

            unknown = [region for region in regions if region not in SUPPORTED_REGIONS]
            if unknown:
                raise ValueError(f"no region {', '.join(unknown)}; they are written like US, GB, DE, JP")
            return regions

    def __init__(self, config: Config) -> None:
        self.config = config
        self._folder: Path | None = None
        self._step = ""
        self._table: dict[str, Counter[str]] = {}

    def depends_on(self) -> Sequence[str]:
        """What holds the numbering plans, which change every few weeks."""
        return ("phonenumbers",) if "phone" in self.config.kinds else ()

    @hookimpl(wrapper=True)
    def itune_format(self) -> Generator[None, Iterable[Result], Iterable[Result]]:
        results = yield
        return self._redacted(results)

    def _redacted(self, results: Iterable[Result]) -> Iterator[Result]:
        masker = Masker(self.config.kinds, self.config.mask, self.config.regions)
        counts = self._table.setdefault(self._step, Counter())
        for where, outcome in results:
            masked = masker.outcome(outcome)
            counts.update(masker.found)
            if isinstance(outcome, Record):
                counts["records"] += 1
                counts["changed"] += masked is not outcome
            yield where, masked

    @hookimpl
    def itune_run_started(self, folder: Path) -> None:
        self._folder, self._table = folder, {}

    @hookimpl
    def itune_step_started(self, step: str) -> None:
        self._step = step

    @hookimpl
    def itune_step_finished(self, step: str) -> None:
        if self._folder is not None and step in self._table:
            columns = ("step", "records", "changed", *self.config.kinds)
            rows: list[list[Any]] = [
                [name, *(counts[column] for column in columns[1:])] for name, counts in self._table.items()
            ]
            leave(self._folder, "redact", "What was masked", columns, rows)
