"""The calls that fakes receive. Each is counted, and a test can act before and after it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeAlias

from botocore.exceptions import BotoCoreError

from tests.fakes.answers import Answer, Response

Action: TypeAlias = Callable[[], object]
"""What happens at a call. If it returns an answer, this replaces the answer of the call."""


class ProcessKilled(BaseException):
    """The process ends here. No code catches it, as no code survives a kill."""


def kill_process() -> NoReturn:
    raise ProcessKilled


class Calls:
    """The calls of all clients of a test, in their order. Operations have the names that AWS gives them."""

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.counts: Counter[str] = Counter()
        self._before: dict[tuple[str | None, int | None], Action] = {}
        self._after: dict[tuple[str | None, int | None], Action] = {}
        self._lock = threading.Lock()

    def count(self, operation: str) -> int:
        return self.counts[operation]

    def before(self, operation: str | None, number: int | None, action: Action) -> None:
        """Run `action` before a call. The call is not made if `action` returns an answer.

        Args:
            operation: The operation. None means any.
            number: The number of the call, counted from 1. None means every call.
            action: What to do.
        """
        self._before[operation, number] = action

    def after(self, operation: str | None, number: int | None, action: Action) -> None:
        """Run `action` after a call has taken effect. If it returns an answer, this replaces the answer of the call."""
        self._after[operation, number] = action

    def fail(self, operation: str, answer: Answer, *numbers: int | None) -> None:
        """Answer these calls of an operation instead of making them. None means every call."""
        for number in numbers:
            self.before(operation, number, lambda: answer)

    def answer_next(self, operation: str, *answers: Answer | Action) -> None:
        """Answer the next calls of an operation with these in turn instead of making them."""
        for number, answer in enumerate(answers, self.count(operation) + 1):
            self.before(operation, number, answer if callable(answer) else partial(_same, answer))

    def lose_next(self, operation: str, error: BotoCoreError, times: int = 1) -> None:
        """Make the next calls of an operation, and lose their responses."""
        for number in range(self.count(operation) + 1, self.count(operation) + 1 + times):
            self.after(operation, number, lambda: error)

    def forget(self) -> None:
        """Reset the counts, and the actions before and after calls."""
        self.operations.clear()
        self.counts.clear()
        self._before.clear()
        self._after.clear()

    def make(self, operation: str, call: Callable[[], Any]) -> Any:
        """Return what `call` returns, or the answer that replaces it."""
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
