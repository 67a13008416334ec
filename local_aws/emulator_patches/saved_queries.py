"""Saved queries of CloudWatch Logs Insights, which ministack does not have."""

from __future__ import annotations

import json
import uuid
from typing import Any, Final

from ministack.core.responses import AccountRegionScopedDict, error_response_json, json_response
from ministack.services import cloudwatch_logs

from local_aws.emulator_patches.patching import expect

Json = dict[str, Any]
_queries: Final = AccountRegionScopedDict()  # by ID


def apply() -> None:
    """Let CloudWatch Logs answer the three operations of saved queries."""
    handle, reset = cloudwatch_logs.handle_request, cloudwatch_logs.reset
    expect(reset, "_log_groups.clear()")
    answers = {
        "PutQueryDefinition": _put,
        "DescribeQueryDefinitions": _describe,
        "DeleteQueryDefinition": _delete,
    }

    async def patched_handle(method: str, path: str, headers: Json, body: Any, query_params: Json) -> Any:
        answer = answers.get(headers.get("x-amz-target", "").rpartition(".")[2])
        return answer(json.loads(body)) if answer else await handle(method, path, headers, body, query_params)

    def patched_reset() -> None:
        reset()
        _queries.clear()

    cloudwatch_logs.handle_request = patched_handle
    cloudwatch_logs.reset = patched_reset


def _put(given: Json) -> Any:
    identifier = given.get("queryDefinitionId") or str(uuid.uuid4())
    kept = ("name", "queryString", "logGroupNames")
    _queries[identifier] = {"queryDefinitionId": identifier, **{name: given[name] for name in kept if name in given}}
    return json_response({"queryDefinitionId": identifier})


def _describe(given: Json) -> Any:
    prefix = given.get("queryDefinitionNamePrefix", "")
    return json_response(
        {"queryDefinitions": [query for query in _queries.values() if query["name"].startswith(prefix)]}
    )


def _delete(given: Json) -> Any:
    if _queries.pop(given.get("queryDefinitionId"), None) is None:
        return error_response_json("ResourceNotFoundException", "The specified query definition does not exist.", 400)
    return json_response({"success": True})
