"""Settings can be read as they were written, so that a second `terraform plan` is empty.

ministack drops a state machine's tracing. Its XML answers, which version 5 of Terraform's AWS provider reads, omit
most of an alarm: period, statistic, dimensions, actions, missing data, metric math. A new alarm has no data.
On AWS, a table with DynamoDB's own key has no SSEDescription, and the indexes of an on-demand table have no capacity.
The KMS key of an existing log group can be set and removed.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final
from xml.sax.saxutils import escape

from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch, cloudwatch_logs, dynamodb, stepfunctions

from local_aws.emulator_patches.patching import expect

Json = dict[str, Any]
_NO_TRACING: Final = {"enabled": False}
# What ministack omits from <MetricAlarms>.
_LEFT_OUT: Final = (
    "AlarmDescription",
    "ActionsEnabled",
    "AlarmActions",
    "OKActions",
    "InsufficientDataActions",
    "Dimensions",
    "Unit",
    "TreatMissingData",
    "ExtendedStatistic",
    "Metrics",
)
_LEFT_OUT_OF_SIMPLE: Final = ("Statistic", "Period")


def apply() -> None:
    _patch_tracing()
    _patch_alarms()
    _patch_tables()
    _patch_log_groups()


def _patch_tracing() -> None:
    create, update = stepfunctions._create_state_machine, stepfunctions._update_state_machine
    expect(
        stepfunctions._describe_state_machine,
        "body = {k: v for k, v in sm.items() if k not in _SM_INTERNAL_KEYS}",
    )

    def patched_create(data: Json) -> Any:
        answer = create(data)
        if answer[0] == 200:
            machine = json.loads(answer[2])["stateMachineArn"]
            stepfunctions._state_machines[machine]["tracingConfiguration"] = data.get(
                "tracingConfiguration", _NO_TRACING
            )
        return answer

    def patched_update(data: Json) -> Any:
        answer = update(data)
        if answer[0] == 200 and "tracingConfiguration" in data:
            machine = stepfunctions._state_machines[data["stateMachineArn"]]
            machine["tracingConfiguration"] = data["tracingConfiguration"]
        return answer

    stepfunctions._create_state_machine = patched_create
    stepfunctions._update_state_machine = patched_update


def _patch_alarms() -> None:
    put, describe = cloudwatch._put_metric_alarm, cloudwatch._describe_alarms
    # ministack compares a new alarm with the metrics of all functions.
    expect(cloudwatch._evaluate_alarm, "if k_ns == ns and k_mn == mn:")
    cloudwatch._evaluate_alarm = lambda alarm: None  # noqa: ARG005
    expect(put, "_alarms[name] = alarm", '"InsufficientDataActions": [],')
    expect(describe, "f\"<member><AlarmName>{a['AlarmName']}</AlarmName><AlarmArn>{a['AlarmArn']}</AlarmArn>\"")

    def patched_put(params: Json, given: Json, is_cbor: bool, is_json: bool = False) -> Any:
        answer = put(params, given, is_cbor, is_json)
        if answer[0] == 200:
            written = given if is_cbor or is_json else structured(params)
            alarm = cloudwatch._alarms[written["AlarmName"]]
            for key in ("InsufficientDataActions", "Metrics"):
                if key in written:
                    alarm[key] = written[key]
            if "Metrics" in written or "ExtendedStatistic" in written:
                alarm["Statistic"] = None
            if "Metrics" in written:
                alarm["Period"] = alarm["MetricName"] = alarm["Namespace"] = None
        return answer

    def patched_describe(params: Json, given: Json, is_cbor: bool, is_json: bool = False) -> Any:
        status, headers, body = describe(params, given, is_cbor, is_json)
        if status == 200 and not is_cbor and not is_json:
            body = _completed(body.decode()).encode()
        return status, headers, body

    cloudwatch._put_metric_alarm = patched_put
    cloudwatch._describe_alarms = patched_describe


def _patch_tables() -> None:
    describe_encryption, update = dynamodb._sse_description_from_spec, dynamodb._update_table
    expect(describe_encryption, '"Status": "ENABLED" if enabled else "DISABLED",')
    expect(update, 'if new_billing == "PAY_PER_REQUEST":')

    def patched_describe_encryption(given: Json | None) -> Json | None:
        return describe_encryption(given) if given and given.get("Enabled") else None

    def patched_update(data: Json) -> Any:
        answer = update(data)
        if answer[0] == 200 and data.get("BillingMode") == "PAY_PER_REQUEST":
            for index in dynamodb._tables[data["TableName"]].get("GlobalSecondaryIndexes") or []:
                index["ProvisionedThroughput"] = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
        return answer

    dynamodb._sse_description_from_spec = patched_describe_encryption
    dynamodb._update_table = patched_update


def _patch_log_groups() -> None:
    handle = cloudwatch_logs.handle_request
    expect(handle, 'f"Unknown action: {action}"')
    expect(cloudwatch_logs._describe_log_groups, 'entry["kmsKeyId"] = g["kmsKeyId"]')

    async def patched_handle(method: str, path: str, headers: Json, body: Any, query_params: Json) -> Any:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action not in ("AssociateKmsKey", "DisassociateKmsKey"):
            return await handle(method, path, headers, body, query_params)
        data = json.loads(body)
        group = cloudwatch_logs._log_groups.get(data.get("logGroupName"))
        if group is None:
            return error_response_json("ResourceNotFoundException", "The specified log group does not exist.", 400)
        group["kmsKeyId"] = data["kmsKeyId"] if action == "AssociateKmsKey" else None
        return json_response({})

    cloudwatch_logs.handle_request = patched_handle


def _completed(xml: str) -> str:
    for alarm in cloudwatch._alarms.values():
        beginning = f"<member><AlarmName>{alarm['AlarmName']}</AlarmName><AlarmArn>{alarm['AlarmArn']}</AlarmArn>"
        keys = _LEFT_OUT if alarm.get("Metrics") else _LEFT_OUT + _LEFT_OUT_OF_SIMPLE
        rest = "".join(as_xml(key, alarm[key]) for key in keys if alarm.get(key) not in (None, "", []))
        xml = xml.replace(beginning, beginning + rest)
    # An alarm on metric math has no metric.
    return xml.replace("<MetricName>None</MetricName>", "").replace("<Namespace>None</Namespace>", "")


def as_xml(name: str, value: Any) -> str:
    """Return a value as XML of the Query protocol, with a <member> for each element of a list."""
    if isinstance(value, list):
        inner = "".join(as_xml("member", item) for item in value)
    elif isinstance(value, dict):
        inner = "".join(as_xml(key, item) for key, item in value.items() if item is not None)
    elif isinstance(value, bool):
        inner = str(value).lower()
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def structured(params: Json) -> Json:
    """Return query parameters such as "Dimensions.member.1.Name": ["x"] as a structure."""
    structure: Json = {}
    for name, values in params.items():
        at: Json = structure
        *path, last = re.sub(r"\.member\.(\d+)", r".\1", name).split(".")
        for part in path:
            at = at.setdefault(part, {})
        at[last] = values[0] if isinstance(values, list) else values
    result: Json = _lists(structure)
    return result


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdecimal() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(item) for key, item in value.items()}
