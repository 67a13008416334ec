"""What was written reads back, so that a second `terraform plan` is empty."""

from __future__ import annotations

import json
import urllib.request
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_aws.emulator_patches.patching import EmulatorChangedError, expect, expect_exactly, replace_once
from tests.local_aws.conftest import make_machine, name

if TYPE_CHECKING:
    from local_aws.client import LocalAws

END = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
NAMESPACE = "{http://monitoring.amazonaws.com/doc/2010-08-01/}"


def query(aws: LocalAws, parameters: dict[str, str]) -> ElementTree.Element:
    """CloudWatch's Query protocol, in which Terraform's AWS provider 5 asks; boto3 no longer speaks it."""
    body = urlencode({"Version": "2010-08-01", **parameters})
    request = AWSRequest(
        "POST",
        f"{aws.endpoint_url}/",
        data=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    SigV4Auth(Credentials(aws.access_key, aws.access_key), "monitoring", aws.region).add_auth(request)
    sent = urllib.request.Request(f"{aws.endpoint_url}/", body.encode(), dict(request.headers.items()))
    with urllib.request.urlopen(sent) as answer:
        return ElementTree.fromstring(answer.read())


def plain(element: ElementTree.Element) -> Any:
    children = list(element)
    if not children:
        return element.text or ""
    if all(child.tag == f"{NAMESPACE}member" for child in children):
        return [plain(child) for child in children]
    return {child.tag.removeprefix(NAMESPACE): plain(child) for child in children}


def described(aws: LocalAws, alarm: str) -> Any:
    answer = plain(query(aws, {"Action": "DescribeAlarms", "AlarmNames.member.1": alarm}))
    [found] = answer["DescribeAlarmsResult"]["MetricAlarms"]
    return found


def test_an_alarm_reads_back_in_the_query_protocol(aws: LocalAws) -> None:
    alarm = name("alarm")
    query(
        aws,
        {
            "Action": "PutMetricAlarm",
            "AlarmName": alarm,
            "AlarmDescription": "a < b & c",
            "Namespace": "AWS/States",
            "MetricName": "ExecutionsFailed",
            "Statistic": "Sum",
            "Period": "300",
            "EvaluationPeriods": "1",
            "Threshold": "1",
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "ActionsEnabled": "true",
            "Dimensions.member.1.Name": "StateMachineArn",
            "Dimensions.member.1.Value": "arn:x",
            "AlarmActions.member.1": "arn:alarm",
            "OKActions.member.1": "arn:ok",
            "InsufficientDataActions.member.1": "arn:none",
        },
    )
    found = described(aws, alarm)
    for key, value in {
        "AlarmName": alarm,
        "AlarmDescription": "a < b & c",
        "Namespace": "AWS/States",
        "Statistic": "Sum",
        "MetricName": "ExecutionsFailed",
        "Period": "300",
        "TreatMissingData": "notBreaching",
        "ActionsEnabled": "true",
        "Dimensions": [{"Name": "StateMachineArn", "Value": "arn:x"}],
        "AlarmActions": ["arn:alarm"],
        "OKActions": ["arn:ok"],
        "InsufficientDataActions": ["arn:none"],
    }.items():
        assert found[key] == value


def test_an_alarm_on_metric_math_reads_back_in_the_query_protocol(aws: LocalAws) -> None:
    alarm = name("alarm")
    query(
        aws,
        {
            "Action": "PutMetricAlarm",
            "AlarmName": alarm,
            "EvaluationPeriods": "1",
            "Threshold": "1",
            "ComparisonOperator": "GreaterThanThreshold",
            "Metrics.member.1.Id": "rate",
            "Metrics.member.1.Expression": "errors / calls",
            "Metrics.member.1.ReturnData": "true",
            "Metrics.member.2.Id": "errors",
            "Metrics.member.2.ReturnData": "false",
            "Metrics.member.2.MetricStat.Stat": "Sum",
            "Metrics.member.2.MetricStat.Period": "60",
            "Metrics.member.2.MetricStat.Metric.MetricName": "Errors",
            "Metrics.member.2.MetricStat.Metric.Namespace": "AWS/Lambda",
        },
    )
    found = described(aws, alarm)
    assert found["Metrics"] == [
        {"Id": "rate", "Expression": "errors / calls", "ReturnData": "true"},
        {
            "Id": "errors",
            "ReturnData": "false",
            "MetricStat": {
                "Stat": "Sum",
                "Period": "60",
                "Metric": {"MetricName": "Errors", "Namespace": "AWS/Lambda"},
            },
        },
    ]
    assert not {"Statistic", "Period", "MetricName", "Namespace"} & set(found)


def test_an_alarm_reads_back_through_boto3(aws: LocalAws) -> None:
    cloudwatch, alarm = aws.client("cloudwatch"), name("alarm")
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/Lambda",
        MetricName="Duration",
        ExtendedStatistic="p99",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        InsufficientDataActions=["arn:none"],
    )
    [found] = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert (found["ExtendedStatistic"], found["InsufficientDataActions"]) == ("p99", ["arn:none"])
    assert "Statistic" not in found


def test_tracing_and_logging_of_a_state_machine_read_back(aws: LocalAws) -> None:
    states = aws.client("stepfunctions")
    logging = {
        "level": "ERROR",
        "includeExecutionData": False,
        "destinations": [
            {"cloudWatchLogsLogGroup": {"logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:g:*"}}
        ],
    }
    machine = make_machine(aws, END, tracingConfiguration={"enabled": True}, loggingConfiguration=logging)
    found = states.describe_state_machine(stateMachineArn=machine)
    assert (found["tracingConfiguration"], found["loggingConfiguration"]) == ({"enabled": True}, logging)
    states.update_state_machine(stateMachineArn=machine, definition=json.dumps(END))
    assert states.describe_state_machine(stateMachineArn=machine)["tracingConfiguration"] == {"enabled": True}
    states.update_state_machine(stateMachineArn=machine, tracingConfiguration={"enabled": False})
    assert states.describe_state_machine(stateMachineArn=machine)["tracingConfiguration"] == {"enabled": False}
    plain_machine = states.describe_state_machine(stateMachineArn=make_machine(aws, END))
    assert plain_machine["tracingConfiguration"] == {"enabled": False}


def test_a_mend_that_does_not_fit_the_installed_emulator_says_so() -> None:
    with pytest.raises(EmulatorChangedError, match=r"has no line 'no such line'\. Install ministack=="):
        expect(plain, "no such line")
    with pytest.raises(EmulatorChangedError, match="has the digest"):
        expect_exactly(plain, "0")
    with pytest.raises(EmulatorChangedError, match="expected once, found 2 times"):
        replace_once("aa", "a", "b")


def test_an_index_counts_the_items_that_have_its_keys(aws: LocalAws) -> None:
    dynamodb, table = aws.client("dynamodb"), name("table")
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("id", "shard")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_shard",
                "KeySchema": [
                    {"AttributeName": "shard", "KeyType": "HASH"},
                    {"AttributeName": "id", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    dynamodb.put_item(TableName=table, Item={"id": {"S": "1"}, "shard": {"S": "1"}})
    dynamodb.put_item(TableName=table, Item={"id": {"S": "2"}})
    described = dynamodb.describe_table(TableName=table)["Table"]
    assert (described["ItemCount"], described["GlobalSecondaryIndexes"][0]["ItemCount"]) == (2, 1)


def test_key_of_a_log_group_can_be_set_and_removed(aws: LocalAws) -> None:
    logs, group = aws.client("logs"), name("group")

    def key() -> str | None:
        (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return found.get("kmsKeyId")  # type: ignore[no-any-return]

    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.associate_kms_key(logGroupName=group, kmsKeyId="arn:a")
    logs.create_log_group(logGroupName=group)
    logs.associate_kms_key(logGroupName=group, kmsKeyId="arn:a")
    assert key() == "arn:a"
    logs.disassociate_kms_key(logGroupName=group)
    assert key() is None


def test_table_reads_back_its_own_key_and_capacity(aws: LocalAws) -> None:
    """With DynamoDB's own key there is no description; on demand, no index has capacity."""
    dynamodb, table = aws.client("dynamodb"), name("table")
    capacity = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    keys: list[Any] = [{"AttributeName": "id", "KeyType": "HASH"}]
    dynamodb.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=keys,
        GlobalSecondaryIndexes=[
            {
                "IndexName": "again",
                "KeySchema": keys,
                "Projection": {"ProjectionType": "KEYS_ONLY"},
                "ProvisionedThroughput": capacity,
            }
        ],
        ProvisionedThroughput=capacity,
        SSESpecification={"Enabled": True, "KMSMasterKeyId": "arn:a"},
    )
    found = dynamodb.describe_table(TableName=table)["Table"]
    assert (found["SSEDescription"]["Status"], found["SSEDescription"]["KMSMasterKeyArn"]) == ("ENABLED", "arn:a")
    dynamodb.update_table(TableName=table, BillingMode="PAY_PER_REQUEST", SSESpecification={"Enabled": False})
    found = dynamodb.describe_table(TableName=table)["Table"]
    assert "SSEDescription" not in found
    throughput = found["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
    assert (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]) == (0, 0)
