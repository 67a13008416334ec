"""The calls that stand-ins receive: each is counted, and anything can happen before or after it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeAlias

from botocore.exceptions import BotoCoreError

from tests.fakes.answers import Answer, Response

Act: TypeAlias = Callable[[], object]
"""What happens at a call. An answer that it returns takes the place of the call's own."""


class Killed(BaseException):
    """The process ends here. No code may catch it."""


def kill() -> NoReturn:
    raise Killed


class Calls:
    """The calls of all clients of a test, in their order. Operations have the names that AWS gives them."""

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.counts: Counter[str] = Counter()
        self._before: dict[tuple[str | None, int | None], Act] = {}
        self._after: dict[tuple[str | None, int | None], Act] = {}
        self._lock = threading.Lock()

    def count(self, operation: str) -> int:
        return self.counts[operation]

    def before(self, operation: str | None, number: int | None, act: Act) -> None:
        """Do `act` before a call; the call is not made if `act` returns an answer.

        Args:
            operation: The operation. None means any.
            number: The number of the call, counted from 1. None means every call.
            act: What to do.
        """
        self._before[operation, number] = act

    def after(self, operation: str | None, number: int | None, act: Act) -> None:
        """Do `act` after a call has taken effect. An answer that it returns replaces the call's own."""
        self._after[operation, number] = act

    def fail(self, operation: str, answer: Answer, *numbers: int | None) -> None:
        """Answer these calls of an operation instead of making them. None means every call."""
        for number in numbers:
            self.before(operation, number, lambda: answer)

    def answer_next(self, operation: str, *answers: Answer | Act) -> None:
        """Answer the next calls of an operation with these in turn instead of making them."""
        for number, answer in enumerate(answers, self.count(operation) + 1):
            self.before(operation, number, answer if callable(answer) else partial(_same, answer))

    def lose_next(self, operation: str, error: BotoCoreError, times: int = 1) -> None:
        """Make the next calls of an operation, and lose their answers."""
        for number in range(self.count(operation) + 1, self.count(operation) + 1 + times):
            self.after(operation, number, lambda: error)

    def forget(self) -> None:
        """Count from the beginning again, with nothing before or after a call."""
        self.operations.clear()
        self.counts.clear()
        self._before.clear()
        self._after.clear()

    def make(self, operation: str, call: Callable[[], Any]) -> Any:
        """Return what `call` returns, or the answer that takes its place."""
        with self._lock:
            self.operations.append(operation)
            self.counts[operation] += 1
            keys = ((None, len(self.operations)), (operation, self.counts[operation]), (operation, None))
        for key in keys:
            answer = self._before[key]() if key in self._before else None
            if isinstance(answer, Response | BotoCoreError):
                return answer
        replaced = None
        try:
            made = call()
        finally:
            for key in keys:
                answer = self._after[key]() if key in self._after else None
                if isinstance(answer, Response | BotoCoreError):
                    replaced = answer
        return replaced or made


def _same(answer: Answer) -> Answer:
    return answer
