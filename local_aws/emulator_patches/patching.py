"""Checks that the emulator still looks as a patch expects."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TESTED_WITH: Final = "1.5.33"


class EmulatorChangedError(RuntimeError):
    """A patch does not fit the installed ministack."""

    def __init__(self, what: str) -> None:
        installed = importlib.metadata.version("ministack")
        super().__init__(
            f"local_aws cannot patch ministack {installed} (its patches are for {TESTED_WITH}): {what}. "
            f"Install ministack=={TESTED_WITH}, or change the patch."
        )


def expect(function: Callable[..., Any], *snippets: str) -> None:
    """Check that a function still contains the lines on which its wrapper depends."""
    source = inspect.getsource(function)
    for snippet in snippets:
        if snippet not in source:
            raise EmulatorChangedError(f"{_name(function)} has no line {snippet!r}")


def expect_exactly(function: Callable[..., Any], digest: str) -> None:
    """Check that a function that is replaced as a whole has not changed."""
    found = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    if found != digest:
        raise EmulatorChangedError(f"{_name(function)} has the digest {found}, not {digest}")


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def replace_once(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise EmulatorChangedError(f"expected once, found {text.count(old)} times: {old!r}")
    return text.replace(old, new)
