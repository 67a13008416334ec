"""Users who confirmed their sign-up and got no welcome email, because no execution was started for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cognito_user_sync import executions
from cognito_user_sync.sync_request import SyncRequest
from cognito_user_sync.user import EXTERNAL_PROVIDER, User, timestamp
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync_cli.deployment import Deployment

# Users with another status were imported, were created by an administrator, or have not confirmed yet.
_CONFIRMED = frozenset({"CONFIRMED", EXTERNAL_PROVIDER})

# How long a confirmation code is valid.
# https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html
_CODE_VALID = timedelta(hours=24)

# Step Functions keeps an execution and its name for 90 days after its end. One day less, to allow for delays.
_EXECUTIONS_KEPT = timedelta(days=89)


def may_have_confirmed(user: User, since: datetime, until: datetime) -> bool:
    """Return whether a user may have confirmed a sign-up in this period.

    Cognito does not return the time of the confirmation. A confirmation changes the date of the last change, and is
    possible only within a day after the sign-up, while the code is valid.
    """
    signed_up = timestamp(since - _CODE_VALID) <= user.created_at <= timestamp(until)
    return signed_up and user.modified_at >= timestamp(since)


def is_confirmed(user: User) -> bool:
    return user.status in _CONFIRMED


def may_have_expired_execution(user: User) -> bool:
    """Return whether the sign-up was so long ago that Step Functions may have deleted its execution."""
    return user.created_at < timestamp(datetime.now(UTC) - _EXECUTIONS_KEPT)


def list_users(pool: UserPool) -> Iterator[User]:
    """Yield all users of the pool that Cognito describes completely. Raises what UserPool.page raises."""
    token = None
    while True:
        page = pool.page(token=token)
        yield from page.users
        token = page.next_token
        if token is None:
            return


def start_sign_up(deployment: Deployment, user: User, client_id: str) -> bool:
    """Start the execution of a user's sign-up. Return False if it exists: the email is sent once."""
    request = SyncRequest(user.sub, user.username, "sign_up", client_id=client_id)
    return executions.start(deployment.states, deployment.user_sync_state_machine_arn, request)
