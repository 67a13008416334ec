"""Event source mappings of DynamoDB streams handle failures as on AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.local_aws.conftest import make_function, name, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.client import LocalAws

# Prints the keys of each batch, and fails the first time that it gets "b".
REPORTING = """
seen = []
def handler(event, context):
    keys = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
    print("".join(keys))
    failed = [record["dynamodb"]["SequenceNumber"] for record in event["Records"] if "b" in keys and "b" not in seen]
    first = [number for number, key in zip(failed, keys) if key == "b"]
    seen.extend(keys)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in first]}
"""
RAISING = """
def handler(event, context):
    keys = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
    print("".join(keys))
    if len(keys) > 1 or "c" in keys:
        raise ValueError
"""


def mapped(aws: LocalAws, code: str, keys: str, **settings: Any) -> tuple[str, Callable[[], list[str]]]:
    """Write items with these keys, and map their stream to a function that prints each batch.

    Returns the table, and a function that returns the batches.
    """
    tables, table, function = aws.client("dynamodb"), name("table"), make_function(aws, code)
    made = tables.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    for key in keys:
        tables.put_item(TableName=table, Item={"id": {"S": key}})
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=made["TableDescription"]["LatestStreamArn"],
        FunctionName=function,
        StartingPosition="TRIM_HORIZON",
        **settings,
    )
    own_name = function.rpartition(":")[2]
    return table, lambda: [line for line in aws.logs().get(own_name, []) if line.isalpha() and line.islower()]


def test_mapping_continues_with_the_first_reported_record(aws: LocalAws) -> None:
    """Without the records that the filter excludes."""
    pattern = json.dumps({"dynamodb": {"NewImage": {"id": {"S": [{"anything-but": ["x"]}]}}}})
    _, found = mapped(
        aws,
        REPORTING,
        "xaxbcx",
        FunctionResponseTypes=["ReportBatchItemFailures"],
        FilterCriteria={"Filters": [{"Pattern": pattern}]},
    )
    assert until(lambda: found() if len(found()) == 2 else []) == ["abc", "bc"]
    assert aws.calls_by_caller()["lambda.amazonaws.com"] == {"lambda:InvokeFunction": 2}


def test_mapping_halves_failed_batch_and_leaves_out_old_record(aws: LocalAws) -> None:
    queues = aws.client("sqs")
    url = queues.create_queue(QueueName=name("queue"))["QueueUrl"]
    destination = f"arn:aws:sqs:us-east-1:000000000000:{url.rpartition('/')[2]}"
    table, found = mapped(
        aws,
        RAISING,
        "abcd",
        BisectBatchOnFunctionError=True,
        DestinationConfig={"OnFailure": {"Destination": destination}},
    )
    until(lambda: "c" in found())
    functions = aws.client("lambda")
    (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"][-1:]
    functions.update_event_source_mapping(UUID=mapping["UUID"], MaximumRecordAgeInSeconds=1)
    (message,) = until(lambda: queues.receive_message(QueueUrl=url).get("Messages", []))
    assert json.loads(message["Body"])["DDBStreamBatchInfo"]["batchSize"] == 1
    assert [*dict.fromkeys(found())] == ["abcd", "ab", "a", "bcd", "b", "cd", "c"]
    aws.client("dynamodb").put_item(TableName=table, Item={"id": {"S": "e"}})
    until(lambda: found()[-1] == "e")
