"""DynamoDB's expressions in the forms that this project uses: parsed once, then evaluated for each item.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

Condition: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, str], Mapping[str, Any]], bool]
"""Takes an item, ExpressionAttributeNames and ExpressionAttributeValues."""
Assignment: TypeAlias = tuple[str, str]
"""A name, and the placeholder of its value."""

_TERM = re.compile(r"(attribute_exists|attribute_not_exists)\((#?\w+)\)|(#?\w+) (=|<>|<=|<) (:\w+)")
_ASSIGNMENT = re.compile(r"(#?\w+) = (:\w+)")


def _is_less(found: Any, given: Any) -> bool:
    return found is not None and "S" in found and "S" in given and bool(found["S"] < given["S"])


# A missing attribute is None here: it is unequal to every value.
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": _is_less,
    "<=": lambda found, given: found == given or _is_less(found, given),
}


@cache
def condition(expression: str) -> Condition:
    """Compile a condition. Python's `and` and `or` have the precedence of DynamoDB's AND and OR.

    Raises:
        ValueError: The expression has an unknown function or operator.
        SyntaxError: Parentheses or operands are missing.
    """
    if re.sub(rf"{_TERM.pattern}|\b(AND|OR)\b|[()\s]", "", expression):
        raise ValueError(f"unknown condition: {expression}")
    terms = [_term(*found.groups()) for found in _TERM.finditer(expression)]
    numbers = itertools.count()
    source = _TERM.sub(lambda _: f"terms[{next(numbers)}](item, names, values)", expression)
    source = source.replace(" AND ", " and ").replace(" OR ", " or ")
    compiled: Condition = eval(f"lambda item, names, values: {source}", {"terms": terms})  # noqa: S307 - checked above
    return compiled


def _term(function: str | None, attribute: str, name: str, comparison: str, placeholder: str) -> Condition:
    if function:
        is_wanted = function == "attribute_exists"
        return lambda item, names, _: (names.get(attribute, attribute) in item) is is_wanted
    holds = _COMPARISONS[comparison]
    return lambda item, names, values: holds(item.get(names.get(name, name)), values[placeholder])


@cache
def update(expression: str) -> tuple[list[Assignment], list[str]]:
    """Return the assignments of a SET, and the names of a REMOVE."""
    whole = re.fullmatch(r"SET (.+?)(?: REMOVE (.+))?", expression)
    assignments = [_ASSIGNMENT.fullmatch(part) for part in whole[1].split(", ")] if whole else [None]
    if whole is None or None in assignments:
        raise ValueError(f"unknown update: {expression}")
    return [(found[1], found[2]) for found in assignments if found], whole[2].split(", ") if whole[2] else []
