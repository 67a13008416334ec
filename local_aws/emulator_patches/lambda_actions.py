"""Calls for reserved concurrency, event source mappings and layer versions have AWS's IAM actions.

ministack authorizes each call for reserved concurrency as PutFunctionConcurrency, and GetLayerVersion as ListLayers.
It does not authorize updates and deletions of event source mappings.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
"""

from __future__ import annotations

from typing import Final

from ministack.core import iam_actions

from local_aws.emulator_patches.patching import expect

_VERBS_OF_CONCURRENCY: Final = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}
_VERBS_OF_A_MAPPING: Final = {"GET": "Get", "PUT": "Update", "DELETE": "Delete"}


def apply() -> None:
    action_of = iam_actions._lambda_action
    expect(
        action_of, '"concurrency": "PutFunctionConcurrency"', 'return "ListEventSourceMappings"', 'return "ListLayers"'
    )
    expect(iam_actions.extract_iam_action, "_lambda_action(method, path)")

    def action(method: str, path: str) -> str | None:
        match path.strip("/").split("/"):
            case [_, "functions", _, "concurrency"] if method in _VERBS_OF_CONCURRENCY:
                return f"{_VERBS_OF_CONCURRENCY[method]}FunctionConcurrency"
            case [_, "layers", _, "versions", _] if method == "GET":
                return "GetLayerVersion"
            case [_, "event-source-mappings", _] if method in _VERBS_OF_A_MAPPING:
                return f"{_VERBS_OF_A_MAPPING[method]}EventSourceMapping"
        original: str | None = action_of(method, path)
        return original

    iam_actions._lambda_action = action
