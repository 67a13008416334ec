"""Welcome emails for users who have confirmed, and whom no execution has welcomed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cognito_user_sync import executions
from cognito_user_sync.sync_request import SyncRequest
from cognito_user_sync.user import EXTERNAL_PROVIDER, User, timestamp
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import of_sign_up

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

# Others have not confirmed a sign-up: they were imported, created by an administrator, or are not confirmed.
_CONFIRMED = frozenset({"CONFIRMED", EXTERNAL_PROVIDER})

# A confirmation code is valid for so long.
# https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html
_CODE_VALID = timedelta(hours=24)

# Step Functions forgets an execution, and its name, so long after its end. Less a day, for delays.
_REMEMBERED = timedelta(days=89)


def may_have_confirmed(user: User, since: datetime, until: datetime) -> bool:
    """Whether a user may have confirmed a sign-up within this time.

    Cognito does not tell when. A confirmation changes the date of the last change, and comes within a day after the
    sign-up, or the code is no longer valid.
    """
    signed_up = timestamp(since - _CODE_VALID) <= user.created_at <= timestamp(until)
    return signed_up and user.modified_at >= timestamp(since)


def is_confirmed(user: User) -> bool:
    return user.status in _CONFIRMED


def may_be_forgotten(user: User) -> bool:
    """Whether the sign-up was so long ago that Step Functions may not know its execution anymore."""
    return user.created_at < timestamp(datetime.now(UTC) - _REMEMBERED)


def users_of(pool: UserPool) -> Iterator[User]:
    """All users of the pool that Cognito describes completely. Raises what UserPool.page raises."""
    token = None
    while True:
        page = pool.page(token=token)
        yield from page.users
        token = page.next_token
        if token is None:
            return


def execution(deployment: Deployment, user: User) -> DescribeExecutionOutputTypeDef | None:
    """The execution of a user's sign-up; None if there is none."""
    return of_sign_up(deployment.states, deployment.user_sync_state_machine_arn, user.sub)


def start(deployment: Deployment, user: User, client_id: str) -> bool:
    """Start the execution of a user's sign-up. Returns False if there is one: the email is sent once."""
    request = SyncRequest(user.sub, user.username, "sign_up", client_id=client_id)
    return executions.start(deployment.states, deployment.user_sync_state_machine_arn, request)
