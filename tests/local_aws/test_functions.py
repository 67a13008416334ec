"""Lambda functions in Python fail and log as on AWS."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local_aws.client import LocalAws
from local_aws.resources import zip_of
from tests.local_aws.conftest import invoking, make_function, make_machine, name, run

JSON_LOGS = {"LogFormat": "JSON"}


def invoke(aws: LocalAws, function: str, event: object = None) -> Any:
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event or {}))
    return json.loads(answer["Payload"].read())


def logged(aws: LocalAws, group: str) -> list[str]:
    events = aws.client("logs").filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in events]


FAILING = """
class PoolNotFoundError(Exception): pass
def handler(event, context):
    raise PoolNotFoundError("no such pool")
"""


def test_exception_class_is_the_error_of_the_task(aws: LocalAws) -> None:
    ended = run(aws, make_machine(aws, invoking(make_function(aws, FAILING))))
    assert (ended["status"], ended["error"]) == ("FAILED", "PoolNotFoundError")
    cause = json.loads(ended["cause"])
    assert (cause["errorType"], cause["errorMessage"]) == ("PoolNotFoundError", "no such pool")
    assert ", in handler\n    raise PoolNotFoundError" in cause["stackTrace"][-1]


def test_new_alarm_has_no_data_of_another_function(aws: LocalAws) -> None:
    invoke(aws, make_function(aws, FAILING))
    alarms = aws.client("cloudwatch")
    alarms.put_metric_alarm(
        AlarmName="of-another",
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": "another"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    (alarm,) = alarms.describe_alarms(AlarmNames=["of-another"])["MetricAlarms"]
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"


def test_version_keeps_its_code_after_an_update(aws: LocalAws) -> None:
    functions, function = aws.client("lambda"), make_function(aws, "first = True\n")
    functions.publish_version(FunctionName=function)
    functions.update_function_code(FunctionName=function, ZipFile=zip_of("first = False\n"))

    def downloaded(**qualifier: str) -> tuple[str, str]:
        found = functions.get_function(FunctionName=function, **qualifier)
        with urllib.request.urlopen(found["Code"]["Location"]) as answer:
            digest = hashlib.sha256(answer.read()).digest()
        return base64.b64encode(digest).decode(), found["Configuration"]["CodeSha256"]

    old, new = downloaded(Qualifier="1"), downloaded()
    assert (old[0], new[0]) == (old[1], new[1])
    assert old != new


def test_concurrency_and_mappings_have_their_iam_actions(aws: LocalAws) -> None:
    functions, function = aws.client("lambda"), make_function(aws, FAILING)
    url = aws.client("sqs").create_queue(QueueName=name("queue"))["QueueUrl"]
    queue = f"arn:aws:sqs:us-east-1:000000000000:{url.rpartition('/')[2]}"
    mapping = functions.create_event_source_mapping(FunctionName=function, EventSourceArn=queue, Enabled=False)["UUID"]
    aws.reset_calls()
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    functions.get_function_concurrency(FunctionName=function)
    functions.delete_function_concurrency(FunctionName=function)
    functions.list_event_source_mappings(FunctionName=function)
    functions.get_event_source_mapping(UUID=mapping)
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    functions.delete_event_source_mapping(UUID=mapping)
    concurrency = [f"lambda:{verb}FunctionConcurrency" for verb in ("Put", "Get", "Delete")]
    mappings = [f"lambda:{verb}EventSourceMapping" for verb in ("Get", "Update", "Delete")]
    expected = [*concurrency, "lambda:ListEventSourceMappings", *mappings]
    assert aws.calls_by_caller()["root"] == dict.fromkeys(expected, 1)


@pytest.mark.parametrize(
    ("code", "error"),
    (
        ("import os\ndef handler(event, context): os._exit(1)", "Runtime.ExitError"),
        ("import no_such_module\ndef handler(event, context): pass", "Runtime.ImportModuleError"),
        ("def handler(event, context) pass", "Runtime.UserCodeSyntaxError"),
        ("raise KeyError('TABLE_NAME')", "KeyError"),
        ("def other(event, context): pass", "Runtime.HandlerNotFound"),
        ("def handler(event, context): return object()", "Runtime.MarshalError"),
        ("import time\ndef handler(event, context): time.sleep(9)", "Sandbox.Timedout"),
    ),
)
def test_error_outside_the_handler_has_lambdas_name(aws: LocalAws, code: str, error: str) -> None:
    assert invoke(aws, make_function(aws, code, Timeout=1))["errorType"] == error


def test_worker_continues_after_an_exception(aws: LocalAws) -> None:
    function = make_function(
        aws,
        """
        import os
        def handler(event, context):
            if event.get("fail"):
                raise ValueError
            return os.getpid()
    """,
    )
    before = invoke(aws, function)
    assert invoke(aws, function, {"fail": True})["errorType"] == "ValueError"
    assert invoke(aws, function) == before


LOGGING = """
import logging
log = logging.getLogger("sync")
def handler(event, context):
    log.debug("hidden")
    log.info("synced %s", "a user", extra={"sub": "1-2", "attempt": 3})
    try:
        raise ValueError("odd")
    except ValueError:
        log.exception("failed")
    return context.aws_request_id
"""


def test_json_logs_have_the_format_of_the_runtime(aws: LocalAws) -> None:
    group = name("/custom/group")
    function = make_function(aws, LOGGING, LoggingConfig={**JSON_LOGS, "LogGroup": group})
    request_id = invoke(aws, function)
    lines = [json.loads(line) for line in logged(aws, group)]
    assert [line.get("type") for line in lines] == ["platform.start", None, None, "platform.report"]
    info, error = lines[1:3]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", info.pop("timestamp"))
    assert info == {
        "level": "INFO",
        "message": "synced a user",
        "logger": "sync",
        "requestId": request_id,
        "sub": "1-2",
        "attempt": 3,
    }
    assert (error["level"], error["errorType"], error["errorMessage"]) == ("ERROR", "ValueError", "odd")
    assert isinstance(error["stackTrace"], list)


def test_log_level_of_the_function_is_applied(aws: LocalAws) -> None:
    def messages(level: str) -> list[str]:
        function = make_function(aws, LOGGING, LoggingConfig={**JSON_LOGS, "ApplicationLogLevel": level})
        invoke(aws, function)
        lines = [json.loads(line) for line in logged(aws, f"/aws/lambda/{function.rpartition(':')[2]}")]
        return [line["message"] for line in lines if "message" in line]

    assert messages("DEBUG") == ["hidden", "synced a user", "failed"]
    assert messages("WARN") == ["failed"]


def test_unhandled_exception_is_logged(aws: LocalAws) -> None:
    function = make_function(aws, FAILING, LoggingConfig=JSON_LOGS)
    invoke(aws, function)
    lines = [json.loads(line) for line in logged(aws, f"/aws/lambda/{function.rpartition(':')[2]}")]
    [error] = [line for line in lines if line.get("log_level") == "ERROR"]
    assert error["errorType"] == "PoolNotFoundError"


def test_log_line_is_in_the_log_of_its_invocation(aws: LocalAws) -> None:
    function = make_function(
        aws,
        """
        import sys
        def handler(event, context):
            for number in range(event["lines"]):
                print(event["name"], number)
            sys.stderr.write("no newline")
    """,
    )
    for event in ({"name": "a", "lines": 300}, {"name": "b", "lines": 1}):
        invoke(aws, function, event)
    logs = aws.client("logs")
    group = f"/aws/lambda/{function.rpartition(':')[2]}"
    streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime")["logStreams"]
    messages = [
        [
            event["message"]
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ][1:-2]
        for stream in streams
    ]
    assert sorted(map(len, messages)) == [2, 301]
    assert ["b 0", "no newline"] in messages


@pytest.mark.parametrize("change", ["update", "delete"])
def test_invocation_continues_after_update_and_deletion(aws: LocalAws, change: str) -> None:
    sqs, functions = aws.client("sqs"), aws.client("lambda")
    begun, go_on = (sqs.create_queue(QueueName=name(queue))["QueueUrl"] for queue in ("begun", "go-on"))
    code = f"""
        import boto3
        def handler(event, context):
            sqs = boto3.client("sqs")
            sqs.send_message(QueueUrl="{begun}", MessageBody="begun")
            return sqs.receive_message(QueueUrl="{go_on}", WaitTimeSeconds=10)["Messages"][0]["Body"]
    """
    allowed = {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:ReceiveMessage"], "Resource": "*"}
    function = make_function(aws, code, allowed)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(invoke, aws, function)
        assert sqs.receive_message(QueueUrl=begun, WaitTimeSeconds=10)["Messages"]
        if change == "update":
            functions.update_function_configuration(FunctionName=function, Environment={"Variables": {"A": "b"}})
        else:
            functions.delete_function(FunctionName=function)
        sqs.send_message(QueueUrl=go_on, MessageBody="ended")
        assert answer.result() == "ended"


def test_function_has_no_variable_of_the_caller(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_PROFILE", "AWS_CA_BUNDLE", "HTTPS_PROXY", "SECRET_OF_THE_CALLER"):
        monkeypatch.setenv(variable, "of the caller")
    with LocalAws.started() as other:
        seen = invoke(other, make_function(other, "import os\ndef handler(event, context): return dict(os.environ)"))
        assert seen["AWS_ENDPOINT_URL"] == other.endpoint_url
    assert "of the caller" not in seen.values()
    assert "PYTHONPATH" not in seen
    assert seen["HOME"] != os.environ["HOME"]
    assert seen["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
