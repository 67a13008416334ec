"""Event source mappings of DynamoDB streams handle failures as on AWS.

On AWS, a mapping with ReportBatchItemFailures continues with the first record that the function reports. With
BisectBatchOnFunctionError, a batch that fails is halved. Records that become too old are left out, and a message about
them is sent to the on-failure destination. ministack sends a failed batch again as a whole, and lets the queues wait
for the function.
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html

MaximumRetryAttempts is not implemented.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from ministack.core.responses import AccountRegionScopedDict, _request_account_id, _request_region
from ministack.services import dynamodb, lambda_svc

from local_aws.emulator_patches.patching import expect, expect_exactly

Json = dict[str, Any]
# Between two attempts. AWS does not document its pause.
_PAUSE_SECONDS: Final = 0.2

# The number of records in the next batch of a mapping whose last batch failed, by the mapping's UUID.
_next_sizes: Final = AccountRegionScopedDict()


def apply() -> None:
    """Replace the poller of DynamoDB streams."""
    expect_exactly(lambda_svc._poll_dynamodb_streams, "2b2460e933a9f3c3")
    expect(lambda_svc._send_ddb_stream_failure_record, "(esm, func_rec, batch, stream_arn, result, condition)")
    expect(lambda_svc._create_esm, '_init_stream_position(esm_id, event_source_arn, esm["StartingPosition"])')
    expect(lambda_svc._dispatch_esm_batch, "_esm_inflight[esm_id] = _esm_inflight.get(esm_id, 0) + 1")
    lambda_svc._poll_dynamodb_streams = _poll
    # in_process_calls.py wraps it.
    lambda_svc._run_stream_batch = _run_batch


def _poll() -> bool:
    """Return whether a mapping has made progress."""
    progress = False
    for account, region, mapping in lambda_svc._iter_all_esms():
        tokens = _request_account_id.set(account), _request_region.set(region)
        try:
            if ":dynamodb:" in mapping["EventSourceArn"] and _is_ready(mapping):
                progress = _start_batch(mapping) or progress
        finally:
            _request_account_id.reset(tokens[0])
            _request_region.reset(tokens[1])
    return progress


def _is_ready(mapping: Json) -> bool:
    uuid = mapping["UUID"]
    table = dynamodb._tables.get(_table_name(mapping))
    return bool(
        mapping["Enabled"]
        and table
        and table.get("LatestStreamArn") == mapping["EventSourceArn"]
        and not lambda_svc._esm_inflight.get(uuid)
        and lambda_svc._esm_backoff_until.get(uuid, 0) <= time.time()
    )


def _table_name(mapping: Json) -> str:
    name: str = mapping["EventSourceArn"].split("/")[1]
    return name


def _start_batch(mapping: Json) -> bool:
    uuid, table = mapping["UUID"], _table_name(mapping)
    function, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    start = max(lambda_svc._dynamodb_stream_positions[uuid], dynamodb.stream_start_position(table))
    records = dynamodb.stream_records_since(table, start, _next_sizes.get(uuid) or mapping["BatchSize"])
    if function is None or not records:
        return False
    matching = lambda_svc._apply_filter_criteria(records, mapping)
    expired = [record for record in matching if _is_expired(record, mapping)]
    if expired:
        lambda_svc._send_ddb_stream_failure_record(
            mapping, function, expired, mapping["EventSourceArn"], {}, "RecordAgeExceeded"
        )
        _continue_at(mapping, _position(records, expired[-1], start) + 1)
    elif matching:
        lambda_svc._dispatch_esm_batch(uuid, lambda_svc._run_stream_batch, mapping, function, records, matching, start)
    else:
        _continue_at(mapping, start + len(records))
    return True


def _is_expired(record: Json, mapping: Json) -> bool:
    limit = mapping.get("MaximumRecordAgeInSeconds", -1)
    return bool(0 < limit < time.time() - record["dynamodb"]["ApproximateCreationDateTime"])


def _run_batch(mapping: Json, function: Json, records: Sequence[Json], matching: Sequence[Json], start: int) -> None:
    """Invoke the function with the records that match the filters, and set the start of the next batch."""
    result = lambda_svc._execute_function(function, {"Records": matching})
    end = start + len(records)
    failed = _first_failed(result, matching, mapping)
    if failed is None:
        mapping["LastProcessingResult"] = "OK"
        _continue_at(mapping, end)
        return
    mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
    position = _position(records, failed, start)
    left = end - position
    is_halved = result.get("error") and mapping.get("BisectBatchOnFunctionError")
    _continue_at(mapping, position)
    _next_sizes[mapping["UUID"]] = max(1, left // 2) if is_halved else left
    lambda_svc._esm_backoff_until[mapping["UUID"]] = time.time() + _PAUSE_SECONDS


def _first_failed(result: Json, records: Sequence[Json], mapping: Json) -> Json | None:
    """Return the first record that must be sent again, or None."""
    if result.get("error"):
        return records[0]
    body = result.get("body")
    if "ReportBatchItemFailures" not in mapping["FunctionResponseTypes"] or not isinstance(body, dict):
        return None
    reported = {each.get("itemIdentifier") for each in body.get("batchItemFailures") or []}
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    if reported <= set(numbers):
        return next((record for record, each in zip(records, numbers, strict=True) if each in reported), None)
    # After an unknown number, the whole batch counts as failed.
    return records[0]


def _position(records: Sequence[Json], record: Json, start: int) -> int:
    return start + next(place for place, each in enumerate(records) if each is record)


def _continue_at(mapping: Json, position: int) -> None:
    lambda_svc._dynamodb_stream_positions[mapping["UUID"]] = position
    _next_sizes.pop(mapping["UUID"], None)
