"""A healthy deployment, as AWS shows it to `cognito-user-sync status`."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import OURS, QUEUE_URL, USER_SYNC, environment, outputs

PREFIX = "dev"
_PLACE = "eu-central-1:111122223333"
_QUEUES = QUEUE_URL.rpartition("/")[0]
_CONSUMERS = {"retry": "retry-sign-ups", "changes": "sync-changes"}
BUS = f"arn:aws:events:{_PLACE}:event-bus/users"
_LAYER = f"arn:aws:lambda:{_PLACE}:layer:{PREFIX}-welcome-email"
_MAPPED = (*_CONSUMERS.values(), "publish-user-events")
_FUNCTIONS = ("post-confirmation", "sync-user", "send-welcome", "pool-trigger", *_MAPPED)

OUTPUTS = outputs(
    user_table_name=f"{PREFIX}-users",
    user_sync_state_machine_arn=USER_SYNC.replace("user-sync", f"{PREFIX}-user-sync"),
    reconciliation_schedule_arn=f"arn:aws:scheduler:{_PLACE}:schedule/default/{PREFIX}-reconciliation",
    retry_queue_url=f"{_QUEUES}/{PREFIX}-retry",
    changes_queue_url=f"{_QUEUES}/{PREFIX}-changes",
    function_arns={name: f"arn:aws:lambda:{_PLACE}:function:{PREFIX}-{name}" for name in _FUNCTIONS},
)
"""Of a deployment with every feature but alarms: the fakes do not implement CloudWatch's protocol."""

ROLE = f"{PREFIX}-eu-central-1-post-confirmation"
_LOG_GROUPS = [f"/aws/lambda/{PREFIX}-{name}" for name in ("post-confirmation", "send-welcome")]


def configuration(**variables: str) -> Response:
    """Return Lambda's description of each function."""
    role = f"arn:aws:iam::111122223333:role/{ROLE}"
    variables = environment(**{"EVENT_BUS_ARN": BUS, **variables})
    described = {"Environment": {"Variables": variables}, "Layers": [{"Arn": f"{_LAYER}:1"}]}
    return Response({**described, "Role": role})


def answer_healthy(aws: FakeAws) -> None:
    """Answer every call of `status`. A test replaces the answers that it needs."""
    aws.on(f"{COGNITO}.DescribeUserPool", Response({"UserPool": {"LambdaConfig": {"PostConfirmation": OURS}}}))
    aws.on(
        "cloudwatch-logs.DescribeLogGroups", Response({"logGroups": [{"logGroupName": name} for name in _LOG_GROUPS]})
    )
    aws.on("cloudwatch-logs.FilterLogEvents", Response({"events": []}))
    aws.on("sfn.ListExecutions", Response({"executions": []}))
    aws.answers["sqs.GetQueueAttributes"] = _queue
    answer_mappings(aws, *map(mapping, _MAPPED))
    aws.on("eventbridge.DescribeRule", Response({"State": "ENABLED"}))
    aws.on("eventbridge.DescribeEventBus", Response({"Arn": BUS}))
    aws.on("scheduler.GetSchedule", Response({"ScheduleExpression": "cron(0 3 * * ? *)", "State": "ENABLED"}))
    index = {"IndexName": "by_shard", "ItemCount": 5}
    aws.on("dynamodb.DescribeTable", Response({"Table": {"GlobalSecondaryIndexes": [index]}}))
    aws.on("lambda.GetFunctionConfiguration", configuration())
    aws.on("lambda.GetLayerVersion", Response({"Content": {"Location": _welcome_email()}}))
    aws.on("sesv2.GetEmailIdentity", Response({"VerifiedForSendingStatus": True}))
    aws.on(f"{COGNITO}.ListUsers", Response({"Users": []}))
    aws.on("dynamodb.BatchGetItem", Response({"Responses": {}}))
    aws.on(
        "iam.GetRolePolicy",
        Response(b"<R><GetRolePolicyResult><PolicyDocument>{}</PolicyDocument></GetRolePolicyResult></R>"),
    )
    aws.on("lambda.GetFunctionConcurrency", Response({}))
    aws.on("lambda.ListVersionsByFunction", Response({"Versions": [{"Version": "$LATEST", "CodeSha256": "a"}]}))


def _welcome_email() -> str:
    """Return the address of a layer with the welcome email."""
    email = {"from": "Shop <hello@mail.example.com>", "subject": "", "text": "", "html": "", "app_client_ids": []}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as layer:
        layer.writestr("python/welcome_email.json", json.dumps({**email, "reply_to": None, "configuration_set": None}))
    return f"data:application/zip;base64,{base64.b64encode(content.getvalue()).decode()}"


def answer_mappings(aws: FakeAws, *mappings: Mapping[str, str]) -> None:
    """Answer with these event source mappings, or those of the requested function."""

    def answer(_: Mapping[str, Any]) -> Answer:
        function = aws.asked.query.get("FunctionName", "")
        return Response({"EventSourceMappings": [each for each in mappings if each["FunctionArn"].endswith(function)]})

    aws.answers["lambda.ListEventSourceMappings"] = answer


def mapping(consumer: str, state: str = "Enabled") -> dict[str, str]:
    return {"FunctionArn": OUTPUTS["function_arns"][consumer], "State": state}


def _queue(request: Mapping[str, Any]) -> Answer:
    name = request["QueueUrl"].rpartition("/")[2]
    given = {"QueueArn": f"arn:aws:sqs:{_PLACE}:{name}", "RedrivePolicy": "{}"}
    return Response({"Attributes": {each: given.get(each, "0") for each in request["AttributeNames"]}})


def lose_queue(aws: FakeAws, lost: str) -> None:
    """Answer as if the queue of this name did not exist."""
    aws.answers["sqs.GetQueueAttributes"] = lambda request: (
        error_response("QueueDoesNotExist") if request["QueueUrl"].endswith(f"/{PREFIX}-{lost}") else _queue(request)
    )


def lose_function(aws: FakeAws, lost: str) -> None:
    """Answer as if every function but that with this name, or ARN, existed."""
    gone = error_response("ResourceNotFoundException", 404)
    aws.answers["lambda.GetFunctionConfiguration"] = lambda _: (
        gone if aws.asked.path.endswith(f"/{lost}/configuration") else configuration()
    )
