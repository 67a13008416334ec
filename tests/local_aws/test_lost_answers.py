"""A call that an SDK sends again gets the answer of its first attempt; another call does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from tests.local_aws.conftest import name

if TYPE_CHECKING:
    from local_aws.client import LocalAws


def create_role(aws: LocalAws, role: str, invocation: str) -> Any:
    iam: Any = botocore.session.get_session().create_client(
        "iam",
        region_name=aws.region,
        endpoint_url=aws.endpoint_url,
        aws_access_key_id=aws.access_key,
        aws_secret_access_key=aws.access_key,
    )

    def name_invocation(request: Any, **_: Any) -> None:
        request.headers["amz-sdk-invocation-id"] = invocation

    iam.meta.events.register("before-send.iam.CreateRole", name_invocation)
    return iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")["Role"]


def test_the_second_attempt_of_a_call_is_answered_as_the_first(aws: LocalAws) -> None:
    role = name("role")
    first = create_role(aws, role, "an-invocation")
    assert create_role(aws, role, "an-invocation")["RoleId"] == first["RoleId"]


def test_a_second_call_is_carried_out(aws: LocalAws) -> None:
    role = name("role")
    create_role(aws, role, "one-invocation")
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        create_role(aws, role, "another-invocation")


def test_a_call_whose_answer_a_fault_hides_is_not_spared(aws: LocalAws) -> None:
    role = name("role")
    aws.set_faults([{"operation": "iam:CreateRole", "fault": "500", "times": 1, "after": True}])
    try:
        with pytest.raises(ClientError, match="EntityAlreadyExists"):
            create_role(aws, role, "a-lost-invocation")
    finally:
        aws.clear_faults()
