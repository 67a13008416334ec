"""Virtual time, which passes only in sleep(): minutes take seconds, and each run has the same result.

Lanes are threads, because the code under test is synchronous. Only one of them runs at a time: a lane that sleeps
hands over to the lane with the earliest time. So the order of events does not depend on the machine.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tests.fakes.clock import Clock

Answer = TypeVar("Answer")
Argument = TypeVar("Argument")


class VirtualTime(Clock):
    """A clock with lanes. `seconds` is the time of the running lane."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._order = itertools.count()
        self._is_parallel = False
        self._processor_free_at = 0.0

    def sleep(self, seconds: float) -> None:
        """Let other lanes run until this one's time has come."""
        until = self.seconds + seconds
        if not self._is_parallel and self._waiting and self._waiting[0][0] <= until:
            baton = threading.Semaphore(0)
            heapq.heappush(self._waiting, (until, next(self._order), baton))
            self._hand_over()
            baton.acquire()
        self.seconds = until

    def compute(self, seconds: float) -> None:
        """Use the lane's only processor. Parallel calls of a lane wait for each other."""
        if self._is_parallel:
            self.seconds = self._processor_free_at = max(self.seconds, self._processor_free_at) + seconds
        elif seconds:
            self.sleep(seconds)

    def in_parallel(
        self, act: Callable[[Argument], Answer], arguments: Iterable[Argument], threads: int
    ) -> list[Answer]:
        """Call `act` for each argument, one after another, in the virtual time of `threads` parallel threads.

        Other lanes do not run in this time, so `act` must not affect them within these milliseconds.
        """
        began_at = self.seconds
        free_at = [began_at] * threads
        answers = []
        self._is_parallel, self._processor_free_at = True, began_at
        try:
            for argument in arguments:
                self.seconds = heapq.heappop(free_at)
                answers.append(act(argument))
                heapq.heappush(free_at, self.seconds)
        finally:
            self._is_parallel, self.seconds = False, began_at
        self.sleep(max(free_at) - began_at)
        return answers

    def run(self, lanes: Sequence[Callable[[], None]]) -> None:
        """Run all lanes until each ends. Raises the first error of a lane."""
        began_at = self.seconds
        ended_at: list[float] = []

        def run(lane: Callable[[], None], baton: threading.Semaphore) -> None:
            baton.acquire()
            self.seconds = began_at
            try:
                lane()
            finally:
                ended_at.append(self.seconds)
                if self._waiting:
                    self._hand_over()

        batons = [threading.Semaphore(0) for _ in lanes]
        for baton in batons:
            heapq.heappush(self._waiting, (began_at, next(self._order), baton))
        with ThreadPoolExecutor(len(lanes)) as threads:
            running = [threads.submit(run, lane, baton) for lane, baton in zip(lanes, batons, strict=True)]
            self._hand_over()
        self.seconds = max(ended_at)
        for lane_run in running:
            lane_run.result()

    def _hand_over(self) -> None:
        heapq.heappop(self._waiting)[2].release()
