"""The formats of `export`: a header, and a line for each user.

`cognito-import` is the CSV file of an import job of Cognito, which has its own rules:
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-using-import-tool.html
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from cognito_user_sync_cli.target_pool import CONTACTS, NotImportableError, TargetPool
from cognito_user_sync_cli.user_records import FIELDS, UserRecord

# The maximum of an import job.
IMPORT_ROWS: Final = 500_000
IMPORT_BYTES: Final = 100_000_000
_IMPORT_ROW_CHARACTERS: Final = 16_000

# A spreadsheet runs a cell that begins with one of these as a formula. An apostrophe before it marks text.
# Some also read the full-width forms.
_FORMULA: Final = re.compile(r"[=+\-@\t\r\n'\uff1d\uff0b\uff0d\uff20]")
# They begin with one, and are numbers in a formula, too.
_NUMBER: Final = re.compile(r"[+-]?\d+")


class Format(StrEnum):
    """A format of `export`."""

    JSONL = "jsonl"
    CSV = "csv"
    COGNITO_IMPORT = "cognito-import"


class Writer(Protocol):
    """Makes the lines of a format. All are UTF-8, with a line break at the end."""

    def header(self) -> bytes: ...

    def line(self, record: UserRecord) -> bytes:
        """Return a user's line. Raises NotImportableError."""
        ...


class JsonLines:
    """One JSON object per line. Members without a value are omitted."""

    def header(self) -> bytes:
        return b""

    def line(self, record: UserRecord) -> bytes:
        return json.dumps(record.fields()).encode() + b"\n"


@dataclass(frozen=True)
class CsvLines:
    """A CSV file for spreadsheets, with the attributes of these names. `groups` is a JSON list."""

    attributes: Sequence[str]

    @property
    def columns(self) -> list[str]:
        return [*FIELDS, *self.attributes]

    def header(self) -> bytes:
        return csv_line(self.columns)

    def line(self, record: UserRecord) -> bytes:
        fields = record.fields()
        return csv_line([_cell(fields.get(name, "")) for name in self.columns])


def _cell(value: Any) -> str:
    """Return a cell. A text that a spreadsheet could run as a formula begins with an apostrophe.

    A text that begins with an apostrophe gets one, too. So the text is what follows the first apostrophe.
    """
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def csv_line(cells: Sequence[str]) -> bytes:
    """Return a line of a CSV file, with CRLF at the end: RFC 4180. Otherwise csv does not quote a CR in a cell."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode(errors="backslashreplace")


@dataclass(frozen=True)
class ImportLines:
    """The CSV file of an import job.

    It has no quotes, and a backslash before each comma in a value. AWS documents no other escape.

    Attributes:
        columns: The answer of GetCSVHeader.
        assumed: Which of email and phone_number count as verified, because the users do not show whether they are.
    """

    columns: Sequence[str]
    pool: TargetPool
    assumed: tuple[str, ...] = ()

    def header(self) -> bytes:
        return ",".join(self.columns).encode() + b"\n"

    def line(self, record: UserRecord) -> bytes:
        self.pool.check(record)
        if not record.enabled:
            raise NotImportableError("a disabled user: an import job would enable the user")
        values = dict(record.attributes)
        for contact in CONTACTS:
            known = values.get(f"{contact}_verified", "").lower() == "true"
            is_verified = contact in values and (known or contact in self.assumed)
            values[f"{contact}_verified"] = "true" if is_verified else "false"
        if not any(values[f"{contact}_verified"] == "true" for contact in self.pool.verifies):
            raise NotImportableError(f"no verified {' or '.join(self.pool.verifies)}")
        if "birthdate" in values:
            values["birthdate"] = _american(values["birthdate"])
        values["cognito:username"] = self.pool.username(record)
        if re.search(r"\s", values["cognito:username"]):
            raise NotImportableError("the username has a space or tab")
        values["cognito:mfa_enabled"] = "true" if self.pool.mfa == "ON" else "false"
        line = ",".join(_escaped(name, values.get(name, "")) for name in self.columns)
        if len(line) > _IMPORT_ROW_CHARACTERS:
            raise NotImportableError(f"the row has more than {_IMPORT_ROW_CHARACTERS:,} characters")
        return line.encode(errors="backslashreplace") + b"\n"


def _escaped(name: str, value: str) -> str:
    if len(value.splitlines()) > 1 or value[-1:] in ("\n", "\r"):
        raise NotImportableError(f"{name} has a line break")
    if value.endswith("\\") or "\\," in value:
        raise NotImportableError(f"{name} has a backslash before a comma or at its end, which cannot be escaped")
    if value.startswith('"'):
        raise NotImportableError(f"{name} begins with a quotation mark, which cannot be escaped")
    return value.replace(",", "\\,")


def _american(birthdate: str) -> str:
    """Return a date as an import job takes it: mm/dd/yyyy. Cognito stores yyyy-mm-dd."""
    parts = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", birthdate)
    if parts is None:
        raise NotImportableError("birthdate is not like 1985-02-01")
    return f"{parts[2]}/{parts[3]}/{parts[1]}"
