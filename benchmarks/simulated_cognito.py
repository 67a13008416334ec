"""Cognito as far as a reconciliation sees it: pages of users, each of which takes its time, and a quota for all.

Kinder than AWS in two ways that the figures do not need: pages are full, and the list shows at once what was changed.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.generated_users import GeneratedUsers
from benchmarks.virtual_time import VirtualTime

_PREFIX = re.compile(r'sub \^= "([0-9a-f-]+)"')
_SUB = re.compile(r'sub = "([0-9a-f-]+)"')


class UserNotFoundException(ClientError):
    pass


class InvalidParameterException(ClientError):
    pass


class TokenBucket:
    """A quota that holds one second's worth."""

    def __init__(self, per_second: float, time: VirtualTime) -> None:
        self._per_second = per_second
        self._time = time
        self._tokens = per_second
        self._filled_at = time.now

    def take(self) -> bool:
        now = self._time.now
        self._tokens = min(self._per_second, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        # A hair's breadth less than one is one: sums of floats.
        if self._tokens < 1 - 1e-6:
            return False
        self._tokens -= 1
        return True


class SimulatedCognito:
    """What the code under test calls of boto3's client. `calls` counts each call, `refused` those over the quota."""

    exceptions = SimpleNamespace(
        UserNotFoundException=UserNotFoundException, InvalidParameterException=InvalidParameterException
    )

    def __init__(
        self,
        users: GeneratedUsers,
        time: VirtualTime,
        calls: Counter[str],
        *,
        list_users_per_second: float,
        call_seconds: float,
        processor_seconds: float,
    ) -> None:
        self.refused = 0
        self._users = users
        self._time = time
        self._calls = calls
        self._quota = TokenBucket(list_users_per_second, time)
        self._call_seconds = call_seconds
        self._processor_seconds = processor_seconds

    def describe_user_pool(self, *, UserPoolId: str) -> dict[str, Any]:  # noqa: N803
        self._charge("DescribeUserPool")
        return {"UserPool": {"Id": UserPoolId, "EstimatedNumberOfUsers": len(self._users)}}

    def list_users(
        self,
        *,
        UserPoolId: str,  # noqa: ARG002, N803
        Limit: int = 60,  # noqa: N803
        Filter: str = "",  # noqa: N803
        PaginationToken: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        is_allowed = self._quota.take()
        self._charge("ListUsers")
        if not is_allowed:
            self.refused += 1
            raise ClientError(_error("TooManyRequestsException"), "ListUsers")
        if not 1 <= Limit <= 60:
            raise InvalidParameterException(_error("InvalidParameterException"), "ListUsers")
        positions = self._asked_for(Filter)
        # A token says where the next page begins.
        start = int(PaginationToken) if PaginationToken else positions.start
        left = self._users.living(range(start, positions.stop))
        answer: dict[str, Any] = {"Users": [self._users.found(position) for position in islice(left, Limit)]}
        following = next(left, None)
        if following is not None:
            answer["PaginationToken"] = str(following)
        return answer

    def admin_get_user(self, *, UserPoolId: str, Username: str) -> dict[str, Any]:  # noqa: ARG002, N803
        self._charge("AdminGetUser")
        position = self._users.position(Username)
        if position is None:
            raise UserNotFoundException(_error("UserNotFoundException"), "AdminGetUser")
        found = self._users.found(position)
        return {**found, "UserAttributes": found.pop("Attributes")}

    def _asked_for(self, query: str) -> range:
        if not query:
            return self._users.positions("")
        asked = _PREFIX.fullmatch(query) or _SUB.fullmatch(query)
        if asked is None:
            raise InvalidParameterException(_error("InvalidParameterException"), "ListUsers")
        return self._users.positions(asked[1])

    def _charge(self, operation: str) -> None:
        self._calls[operation] += 1
        self._time.compute(self._processor_seconds)
        self._time.sleep(self._call_seconds)


def _error(code: str) -> Any:
    return {"Error": {"Code": code, "Message": "simulated"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
