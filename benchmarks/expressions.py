"""DynamoDB's expressions, as far as this project writes them: parsed once, then evaluated for each item.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

Item: TypeAlias = Mapping[str, Any]
Names: TypeAlias = Mapping[str, str]
Values: TypeAlias = Mapping[str, Any]
Condition: TypeAlias = Callable[[Item, Names, Values], bool]
Assignment: TypeAlias = tuple[str, str]
"""A name, and the placeholder of its value."""

_TOKEN = re.compile(r"\s*(<>|<=|>=|[()=<>,]|[#:]?\w+)")
_ASSIGNMENT = re.compile(r"(#?\w+) = (:\w+)")


@cache
def condition(expression: str) -> Condition:
    tokens = _tokens(expression)
    parsed = _any_of(tokens)
    if tokens:
        raise ValueError(f"not understood from {tokens[-1]!r} on: {expression}")
    return parsed


@cache
def update(expression: str) -> tuple[list[Assignment], list[str]]:
    """What is set, and which names are removed."""
    whole = re.fullmatch(r"SET (.+?)(?: REMOVE (.+))?", expression)
    if whole is None:
        raise ValueError(f"not understood: {expression}")
    assignments = []
    for part in whole[1].split(", "):
        found = _ASSIGNMENT.fullmatch(part)
        if found is None:
            raise ValueError(f"not understood: {part}")
        assignments.append((found[1], found[2]))
    return assignments, whole[2].split(", ") if whole[2] else []


def _tokens(expression: str) -> list[str]:
    """In reverse, so that the next one is popped."""
    found = _TOKEN.findall(expression)
    if "".join(found) != re.sub(r"\s", "", expression):
        raise ValueError(f"not understood: {expression}")
    return [*reversed(found)]


def _any_of(tokens: list[str]) -> Condition:
    conditions = [_all_of(tokens)]
    while tokens and tokens[-1] == "OR":
        tokens.pop()
        conditions.append(_all_of(tokens))
    if len(conditions) == 1:
        return conditions[0]
    return lambda item, names, values: any(holds(item, names, values) for holds in conditions)


def _all_of(tokens: list[str]) -> Condition:
    conditions = [_single(tokens)]
    while tokens and tokens[-1] == "AND":
        tokens.pop()
        conditions.append(_single(tokens))
    if len(conditions) == 1:
        return conditions[0]
    return lambda item, names, values: all(holds(item, names, values) for holds in conditions)


def _single(tokens: list[str]) -> Condition:
    first = tokens.pop()
    if first == "(":
        inner = _any_of(tokens)
        _expect(tokens, ")")
        return inner
    if first in ("attribute_exists", "attribute_not_exists"):
        _expect(tokens, "(")
        name = tokens.pop()
        _expect(tokens, ")")
        is_wanted = first == "attribute_exists"
        return lambda item, names, _: (names.get(name, name) in item) is is_wanted
    return _comparison(first, tokens.pop(), tokens.pop())


def _comparison(name: str, operator: str, placeholder: str) -> Condition:
    """Of an attribute with a value of the call: what is not there is unequal to everything, and nothing else."""

    def is_unequal(item: Item, names: Names, values: Values) -> bool:
        return bool(item.get(names.get(name, name)) != values[placeholder])

    def is_less(item: Item, names: Names, values: Values) -> bool:
        found, given = item.get(names.get(name, name), {}), values[placeholder]
        return "S" in found and "S" in given and bool(found["S"] < given["S"])

    match operator:
        case "<>":
            return is_unequal
        case "=":
            return lambda *given: not is_unequal(*given)
        case "<":
            return is_less
        case "<=":
            return lambda *given: is_less(*given) or not is_unequal(*given)
        case _:
            raise ValueError(f"operator {operator} is not understood")


def _expect(tokens: list[str], token: str) -> None:
    found = tokens.pop()
    if found != token:
        raise ValueError(f"{found!r} where {token!r} was expected")
