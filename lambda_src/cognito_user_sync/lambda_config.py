"""Sets and clears the post-confirmation trigger of a user pool that somebody else owns, and nothing else of it.

UpdateUserPool resets every setting that a request leaves out, so each change reads the whole configuration and
sends it back with the one field changed. boto3 drops members of a response that its model does not know, and so
an older boto3 would reset a newer setting: the raw JSON is read and sent, with signing and errors still botocore's.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

# Members of DescribeUserPool's answer that UpdateUserPool does not take: facts about the pool, not settings.
_NOT_SETTINGS = frozenset(
    {
        "AliasAttributes",
        "Arn",
        "CreationDate",
        "CustomDomain",
        "Domain",
        "EmailConfigurationFailure",
        "EstimatedNumberOfUsers",
        "Id",
        "LastModifiedDate",
        "Name",  # sent as PoolName
        "SchemaAttributes",
        "SmsConfigurationFailure",
        "Status",
        "UsernameAttributes",
        "UsernameConfiguration",
    }
)

# The pool is being updated by someone else, Cognito is busy, or a policy made a moment ago has not arrived everywhere
# (IAM is eventually consistent).
_TRY_AGAIN = frozenset(
    {
        "AccessDeniedException",
        "ConcurrentModificationException",
        "InternalErrorException",
        "TooManyRequestsException",
    }
)

Answer = TypeVar("Answer")


class ForeignTrigger(Exception):
    """The pool has a post-confirmation trigger that is not ours; the message names it."""


class PoolChanged(Exception):
    """After the update the pool differs in more than the trigger; the message names the fields."""


class PoolUnproved(Exception):
    """The trigger was changed, but then Cognito did not show the pool: whether anything else changed is unknown."""


@dataclass(frozen=True)
class UserPool:
    """The pool `id`. Calls are repeated while Cognito is busy, as long as `seconds_left` says there is time."""

    client: CognitoIdentityProviderClient
    id: str
    seconds_left: Callable[[], float]

    def attach(self, function_arn: str, chained_function_arn: str | None) -> str:
        """Make `function_arn` the post-confirmation trigger. Returns what was done, in words.

        Repeating it changes nothing. Raises ForeignTrigger for a trigger that is neither this function nor
        `chained_function_arn`, before anything changes; PoolChanged and PoolUnproved after it.
        """

        def once() -> str:
            pool = self._describe()
            current = _trigger(pool)
            if current == function_arn:
                return "attached already"
            if current not in {None, chained_function_arn}:
                raise ForeignTrigger(
                    f"user pool {self.id} has the post-confirmation trigger {current}. To keep it, and have it called"
                    f" after this module's own function, set chained_function_arn to exactly this ARN; or remove it"
                    f" from the pool. Nothing was changed."
                )
            self._set_trigger(pool, function_arn)
            return f"attached, in place of {current}" if current else "attached"

        return self._patiently(once)

    def detach(self, function_arn: str, chained_function_arn: str | None) -> str:
        """Give the trigger back: to `chained_function_arn`, or to nobody. Returns what was done, in words.

        Does nothing where the trigger is not `function_arn`, or the pool is gone. Raises PoolChanged and PoolUnproved.
        """

        def once() -> str:
            try:
                pool = self._describe()
            except self.client.exceptions.ResourceNotFoundException:
                return "nothing to detach: the user pool does not exist"
            current = _trigger(pool)
            if current != function_arn:
                return f"nothing to detach: the trigger is {current or 'not set'}"
            self._set_trigger(pool, chained_function_arn)
            return f"detached, {chained_function_arn} put back" if chained_function_arn else "detached"

        return self._patiently(once)

    def _set_trigger(self, pool: dict[str, Any], function_arn: str | None) -> None:
        """Send the pool's settings back with this trigger, and prove that nothing else changed."""
        before = _update_request(pool)
        wanted = _update_request(pool)
        triggers = wanted.setdefault("LambdaConfig", {})
        if function_arn is None:
            triggers.pop("PostConfirmation", None)
        else:
            triggers["PostConfirmation"] = function_arn
        self._update(wanted)
        try:
            after = _update_request(self._patiently(self._describe))
        except (BotoCoreError, ClientError) as error:
            # Not to be repeated as a whole: the next round would find the trigger there and prove nothing.
            raise PoolUnproved(
                f"user pool {self.id}: the trigger was changed, and then not to be seen: {error}"
            ) from error
        for request in (before, after):
            request.setdefault("LambdaConfig", {}).pop("PostConfirmation", None)
        different = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if different:
            raise PoolChanged(f"user pool {self.id}: {', '.join(different)} changed together with the trigger")

    def _describe(self) -> dict[str, Any]:
        """The pool as Cognito's JSON has it, members that boto3 does not know included."""
        response: Any = self.client.describe_user_pool(UserPoolId=self.id)
        pool: dict[str, Any] = json.loads(response["RawBody"])["UserPool"]
        return pool

    def _update(self, request: dict[str, Any]) -> None:
        """Send `request` as it is, past boto3's model of UpdateUserPool."""

        def replace_body(params: dict[str, Any], **_: Any) -> None:
            params["body"] = json.dumps(request).encode()

        events = self.client.meta.events
        events.register("before-call.cognito-identity-provider.UpdateUserPool", replace_body)
        try:
            self.client.update_user_pool(UserPoolId=self.id)
        finally:
            events.unregister("before-call.cognito-identity-provider.UpdateUserPool", replace_body)

    def _patiently(self, act: Callable[[], Answer]) -> Answer:
        """Do it again while Cognito is busy. An update is repeated together with the reading before it: whoever made
        it conflict may have changed a setting, and the old reading would undo that."""
        pause_seconds = 0.5
        while True:
            try:
                return act()
            except ClientError as error:
                if error.response["Error"]["Code"] not in _TRY_AGAIN or self.seconds_left() < 2 * pause_seconds:
                    raise
            time.sleep(pause_seconds * random.uniform(0.5, 1))  # noqa: S311
            pause_seconds = min(2 * pause_seconds, 8)


def keep_raw_body(client: CognitoIdentityProviderClient) -> None:
    """Make a client's DescribeUserPool answer carry the body as it came, as `RawBody`."""

    def keep(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
        customized_response_dict["RawBody"] = response_dict["body"]

    client.meta.events.register("before-parse.cognito-identity-provider.DescribeUserPool", keep)


def _trigger(pool: dict[str, Any]) -> str | None:
    trigger: str | None = pool.get("LambdaConfig", {}).get("PostConfirmation")
    return trigger


def _update_request(pool: dict[str, Any]) -> dict[str, Any]:
    """The UpdateUserPool request that would leave the pool as it is (a copy, free to change)."""
    request: dict[str, Any] = json.loads(json.dumps(pool))
    for name in _NOT_SETTINGS:
        request.pop(name, None)
    request["UserPoolId"] = pool["Id"]
    request["PoolName"] = pool["Name"]
    # Two names for one setting; Cognito refuses both together, and the old one once the new one exists:
    # "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays".
    unused_days = request.get("AdminCreateUserConfig", {}).pop("UnusedAccountValidityDays", None)
    if unused_days is not None:
        policy = request.setdefault("Policies", {}).setdefault("PasswordPolicy", {})
        policy.setdefault("TemporaryPasswordValidityDays", unused_days)
    return request
