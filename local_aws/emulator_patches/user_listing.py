"""Users have subs like Cognito's, ListUsers has short and empty pages, and the number of users is an estimate.

On AWS, the subs of a newer pool have the region's hex digit at every second place of their beginning. Those of an older
pool are plain UUIDs. ministack creates plain UUIDs; here the kinds alternate.
ListUsers may return fewer users than requested, or none, although more follow: only a missing token ends a list.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html
"""

from __future__ import annotations

import itertools
import json
import random
from typing import Any, Final

from ministack.services import cognito

from local_aws import cognito_settings
from local_aws.emulator_patches.patching import expect
from local_aws.gate import gate

Json = dict[str, Any]
# The first twelve hex digits in us-east-1. x: any digit.
_REGIONAL: Final = "x4x8x4x8-x0x1"
_kinds = itertools.cycle((True, False))


def apply() -> None:
    _patch_subs()
    _patch_pages()
    _patch_estimate()


def _patch_subs() -> None:
    plain = cognito.new_uuid
    for makes_users in (cognito._sign_up, cognito._admin_create_user):
        expect(makes_users, 'attr_dict["sub"] = new_uuid()')

    def as_cognito() -> str:
        made: str = plain()
        if not next(_kinds):
            return made
        fixed = "".join(digit if digit != "x" else own for digit, own in zip(_REGIONAL, made, strict=False))
        return fixed + made[len(_REGIONAL) :]

    cognito.new_uuid = as_cognito


def _patch_pages() -> None:
    list_users = cognito._list_users
    expect(list_users, 'limit = min(data.get("Limit", 60), 60)', 'resp["PaginationToken"] = str(start + limit)')

    def with_short_pages(data: Json) -> Any:
        share = gate.quotas.short_pages("cognito-idp:ListUsers")
        if random.random() >= share:
            return list_users(data)
        limit = min(data.get("Limit", 60), 60)
        shorter = random.randrange(limit)
        if shorter:
            return list_users({**data, "Limit": shorter})
        start = data.get("PaginationToken", "0")
        status, headers, body = list_users({**data, "Limit": 1})
        if status != 200 or not json.loads(body)["Users"]:
            return status, headers, body
        return cognito.json_response({"Users": [], "PaginationToken": start})

    cognito._list_users = with_short_pages


def _patch_estimate() -> None:
    describe = cognito._describe_user_pool
    expect(describe, 'json_response({"UserPool": _pool_out(pool)})')

    def with_estimate(data: Json) -> Any:
        status, headers, body = describe(data)
        users = cognito_settings.in_force.current.estimated_users
        if users is None or status != 200:
            return status, headers, body
        return cognito.json_response({"UserPool": {**json.loads(body)["UserPool"], "EstimatedNumberOfUsers": users}})

    cognito._describe_user_pool = with_estimate
