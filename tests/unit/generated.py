"""Unusual input for the handlers: texts and values that hypothesis draws, combined to as many events as a test needs.

If hypothesis drew each event, it would take many times as long as the handlers. So it draws a `Drawn`: some texts, some
values and a seed. `Drawn` makes any number of different events of them, and the same events for the same seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from hypothesis import strategies as st

from tests.fakes.subs import numbered_sub

Json: TypeAlias = dict[str, Any]
Choice = TypeVar("Choice")

# In nearly every value of a user, so that a test recognizes a value everywhere.
CANARY = "canary-5f2c"

# Synced attributes, which users have. DynamoDB must not interpret a name as a part of an expression.
ATTRIBUTES = ("name", "email", "custom:plan", "size", "#a", ":v", "#n0", ":v0", "a.b[0]", "SET x = y", "{{name}}")
INDEX_KEYS = ("email", "a.b[0]")

_NASTY_TEXTS = (
    "",
    " ",
    "Ada",
    "{{name}}",
    "{{{{",
    "}}{{ email }}{{",
    "<script>alert('x')</script>",
    '"><img src=x onerror="x">',
    "<!--",
    "&lt;b&gt; & &#60;",
    "a\r\nBcc: x@y.z\r\n\r\nhello",
    "line\u2028separator\u2029paragraph\x85next",
    "\x00\x07\x1b[31m\x7f",
    "\u202eright to left\u200f\u2066",
    "\ud800",
    "half \udfff of a pair",
    "e\u0301\u00e9\U0001f469\u200d\U0001f680",
    "#a",
    ":v0",
    "a.b[0]",
    "SET x = y",
    '" or sub ^= "',
    "null",
    "name",
    "status",
    "deleted_at",
)
# The longest value that Cognito accepts.
_LONG_TEXTS = tuple(char * 2048 for char in ("x", "<", "&", "\U0001f600", "\ud800", "\u2028", "{"))
_NASTY_EMAILS = (
    "{}@example.com",
    "{}@münchen.de",
    "{}@b.c\r\nBcc: x@y.z",
    "{}@b.c\nx@y.z",
    "{}@b.c\u2028x@y.z",
    "{}@b.c,x@y.z",
    "{}@b.c;x@y.z",
    "{}@b.c\uff0cx.y",
    "{}@b\uff20c.d",
    "{}@b\u3002c",
    "{}@b..c",
    "{}@.c",
    "{}@\ud800.c",
    "{}\ud800@b.c",
    "ü{}@b.c",
    "{} <x@y.z>",
    "<{}@b.c>",
    '"{}"@b.c',
    "{}@b.c\x00",
    "\ufeff{}@b.c",
    "{}@",
    "@{}",
    "{}@" + "x" * 300,
    "{}@xn--a.b",
    "{}@\u00ad.c",
    "{}@\u202eb.c",
)
# Over the limit of Step Functions and SQS (256 KB), and near and over that of DynamoDB (400 KB).
_HUGE_SIZES = (262_000, 300_000, 409_000, 420_000)

_SURROGATES = st.characters(categories=["Cs"])
_MARKUP = st.sampled_from("<>&\"'{}@,:;#\r\n\t \x00\x85\u2028\u202eab=()[]^\\")
_TEXTS = st.text(st.characters() | _SURROGATES | _MARKUP, max_size=24)
_SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS
)
_VALUES = st.recursive(
    _SCALARS | st.just(CANARY),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(_TEXTS | st.just(CANARY), values, max_size=3),
    max_leaves=6,
)
_ALWAYS_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**70, 1.5, "", CANARY, [], {}, [None], [CANARY], [[]], [{}]),
    *({CANARY: CANARY}, {"S": CANARY}, {"N": "1"}, [CANARY, {CANARY: [CANARY]}]),
)


@dataclass
class Drawn:
    """Makes events of what hypothesis has drawn."""

    seed: int
    texts: Sequence[str]
    values: Sequence[Any]
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def among(self, choices: Sequence[Choice]) -> Choice:
        return self._random.choice(choices)

    def number(self, smallest: int, largest: int) -> int:
        return self._random.randint(smallest, largest)

    def any_text(self) -> str:
        if self.chance(0.02):
            return self.among(_LONG_TEXTS)
        return self.among(self.texts if self.chance(0.5) else _NASTY_TEXTS)

    def text(self) -> str:
        """Return a value of a user."""
        if self.chance(1 / 800):
            return CANARY + self.among("x<\u05d0") * self.among(_HUGE_SIZES)
        text = self.any_text()
        return self.among((f"{CANARY}{text}", f"{CANARY}{text}", f"{text}{CANARY}", text))

    def email(self) -> str:
        """Return an email address, or a text that a user gave instead."""
        kind = self.number(0, 5)
        if kind > 2:
            return f"{CANARY}@example.com"
        if kind == 0:
            return self.text()
        if kind == 1:
            return f"{CANARY}@{self.any_text()}.com"
        return self.among(_NASTY_EMAILS).format(CANARY)

    def any_json(self) -> Any:
        """Return a value of any JSON type."""
        return copied(self.among((*self.values, *_ALWAYS_ODD)))

    def sub(self, beginning: str = "") -> str:
        """Return a UUID in lower case, of few different ones, so that some are repeated."""
        sub = numbered_sub(self.number(0, 4_000) << 12 | self.among((0, 0xBB000000)))
        return beginning + sub[len(beginning) :]

    def attributes(self) -> dict[str, str]:
        """Return attributes of a user without the sub, some of them not synced."""
        names = [*(name for name in ATTRIBUTES if self.chance(0.6)), *(["phone", self.any_text()] * self.chance(0.2))]
        return {name: self.email() if name == "email" else self.text() for name in names if name != "sub"}

    def corrupted(self, whole: Any, probability: float = 1.0) -> Any:
        """Return `whole` with one member, at any depth, removed or replaced by any JSON; or any JSON instead."""
        if not self.chance(probability):
            return whole
        if not whole or self.chance(0.03):
            return self.any_json()
        inner = whole
        while True:
            key = self.among(list(inner) if isinstance(inner, dict) else range(len(inner)))
            if not inner[key] or not isinstance(inner[key], dict | list) or self.chance(0.3):
                break
            inner = inner[key]
        if self.chance(0.3):
            del inner[key]
        else:
            inner[key] = self.text() if self.chance(0.3) else self.any_json()
        return whole


draws = st.builds(
    Drawn,
    st.integers(0, 2**32),
    st.lists(_TEXTS, min_size=4, max_size=8),
    st.lists(_VALUES, min_size=4, max_size=8),
)


def copied(value: Any) -> Any:
    """Return a copy, as a function receives it: JSON."""
    return json.loads(json.dumps(value))
