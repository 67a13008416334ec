from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from local_aws.client import LocalAws, LocalAwsError
from local_aws.faults import FaultRule
from tests.local_aws.conftest import ONCE, invoking, make_function, make_machine, name, run, until

CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "states:ListStateMachines": ("stepfunctions", "list_state_machines", {}),
    "dynamodb:ListTables": ("dynamodb", "list_tables", {}),
    "cognito-idp:ListUserPools": ("cognito-idp", "list_user_pools", {"MaxResults": 1}),
    "sqs:ListQueues": ("sqs", "list_queues", {}),
    "ses:ListEmailIdentities": ("sesv2", "list_email_identities", {}),
    "lambda:ListFunctions": ("lambda", "list_functions", {}),
    "cloudwatch:DescribeAlarms": ("cloudwatch", "describe_alarms", {}),
    "events:ListRules": ("events", "list_rules", {}),
    "iam:ListRoles": ("iam", "list_roles", {}),
}


def call(aws: LocalAws, operation: str) -> Any:
    service, method, arguments = CALLS[operation]
    return getattr(aws.client(service, config=ONCE), method)(**arguments)


def error_response(aws: LocalAws, operation: str) -> tuple[str, int]:
    with pytest.raises(ClientError) as failed:
        call(aws, operation)
    answer = failed.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("operation", "errors"),
    [
        ("states:ListStateMachines", "ThrottlingException 400, InternalFailure 500, AccessDeniedException 400"),
        ("dynamodb:ListTables", "ThrottlingException 400, InternalServerError 500, AccessDeniedException 400"),
        (
            "cognito-idp:ListUserPools",
            "TooManyRequestsException 400, InternalErrorException 500, AccessDeniedException 400",
        ),
        ("sqs:ListQueues", "RequestThrottled 400, InternalFailure 500, AccessDenied 403"),
        ("ses:ListEmailIdentities", "TooManyRequestsException 429, InternalFailure 500, AccessDeniedException 403"),
        ("lambda:ListFunctions", "TooManyRequestsException 429, ServiceException 500, AccessDeniedException 403"),
        ("cloudwatch:DescribeAlarms", "Throttling 400, InternalServiceFault 500, AccessDeniedException 400"),
        ("events:ListRules", "ThrottlingException 400, InternalException 500, AccessDeniedException 400"),
        ("iam:ListRoles", "Throttling 400, InternalFailure 500, AccessDenied 403"),
    ],
)
def test_each_service_fails_with_its_own_error(aws: LocalAws, operation: str, errors: str) -> None:
    faults: tuple[Any, ...] = ("throttle", "500", "access_denied")
    for fault, expected in zip(faults, errors.split(", "), strict=True):
        aws.set_faults([{"operation": operation, "fault": fault, "times": 1}])
        assert "{} {}".format(*error_response(aws, operation)) == expected
        call(aws, operation)
    assert aws.calls()[operation] == 6


def test_fault_reset_closes_the_connection(aws: LocalAws) -> None:
    aws.set_faults([{"operation": "states:ListStateMachines", "fault": "reset", "times": 1}])
    with pytest.raises(ConnectionClosedError):
        call(aws, "states:ListStateMachines")
    call(aws, "states:ListStateMachines")


def test_fault_timeout_never_answers(aws: LocalAws) -> None:
    aws.set_faults([{"operation": "states:ListStateMachines", "fault": "timeout"}])
    with pytest.raises(ReadTimeoutError):
        aws.client("stepfunctions", config=ONCE.merge(type(ONCE)(read_timeout=0.5))).list_state_machines()


def test_fault_latency_delays_a_call(aws: LocalAws) -> None:
    aws.set_faults([{"operation": "states:*", "fault": "latency", "latency_ms": 300}])
    began = time.monotonic()
    call(aws, "states:ListStateMachines")
    assert time.monotonic() - began >= 0.3


def test_seeded_rate_fires_in_the_same_sequence() -> None:
    def sequence(seed: int) -> list[bool]:
        rule = FaultRule("dynamodb:ListTables", "500", rate=0.4, seed=seed)
        return [rule.fires("dynamodb:ListTables", None) for _ in range(40)]

    assert 5 < sum(sequence(7)) < 30
    assert sequence(7) == sequence(7)
    assert sequence(8) != sequence(7)


def test_fault_fires_a_limited_number_of_times(aws: LocalAws) -> None:
    aws.set_faults([{"operation": "dynamodb:*", "fault": "throttle", "times": 2}])
    for _ in range(2):
        assert error_response(aws, "dynamodb:ListTables")[0] == "ThrottlingException"
    call(aws, "dynamodb:ListTables")
    [rule] = aws.faults()
    assert (rule["operation"], rule["times"], rule["fired"]) == ("dynamodb:*", 2, 2)
    aws.clear_faults()
    assert aws.faults() == []


def test_fault_after_the_call_has_taken_effect(aws: LocalAws) -> None:
    queue = name("queue")
    aws.set_faults([{"operation": "sqs:CreateQueue", "fault": "reset", "after": True}])
    with pytest.raises(ConnectionClosedError):
        aws.client("sqs", config=ONCE).create_queue(QueueName=queue)
    assert aws.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"].endswith(queue)


INVOKED_BY_STATES = (
    ("throttle", "Lambda.TooManyRequestsException"),
    ("500", "Lambda.ServiceException"),
    ("timeout", "Lambda.SdkClientException"),
    ("reset", "Lambda.SdkClientException"),
    ("access_denied", "Lambda.AWSLambdaException"),
    ("kms_access_denied", "Lambda.KMSAccessDeniedException"),
    ("kms_invalid_state", "Lambda.KMSInvalidStateException"),
)


def test_fault_fails_an_invocation_by_a_state_machine(aws: LocalAws) -> None:
    function = make_function(aws, "def handler(event, context): return event")
    machine = make_machine(aws, invoking(function))
    for fault, error in INVOKED_BY_STATES:
        aws.set_faults([{"operation": "lambda:InvokeFunction", "fault": fault}])  # type: ignore[typeddict-item]
        ended = run(aws, machine)
        assert (ended["status"], ended["error"]) == ("FAILED", error)
    aws.clear_faults()
    assert run(aws, machine)["status"] == "SUCCEEDED"
    assert aws.calls_by_caller()["states.amazonaws.com"] == {"lambda:InvokeFunction": 8}


def test_throttled_function_fails_its_task(aws: LocalAws) -> None:
    function = make_function(aws, "def handler(event, context): return 1")
    aws.client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    assert run(aws, make_machine(aws, invoking(function)))["error"] == "Lambda.TooManyRequestsException"


def test_fault_fails_one_function_after_its_work(aws: LocalAws) -> None:
    queue = aws.client("sqs").create_queue(QueueName=name("queue"))["QueueUrl"]
    sending = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    code = f"""
        import boto3
        def handler(event, context):
            boto3.client("sqs").send_message(QueueUrl="{queue}", MessageBody="done")
    """
    failing, other = make_function(aws, code, sending), make_function(aws, code, sending)
    aws.set_faults(
        [
            {
                "operation": "lambda:InvokeFunction",
                "fault": "500",
                "after": True,
                "function": failing.rpartition(":")[2],
            }
        ]
    )
    assert run(aws, make_machine(aws, invoking(failing)))["error"] == "Lambda.ServiceException"
    assert run(aws, make_machine(aws, invoking(other)))["status"] == "SUCCEEDED"
    assert aws.calls_by_caller()[failing.rpartition(":")[2]] == {"sqs:SendMessage": 1}
    with pytest.raises(ClientError, match="ServiceException"):
        aws.client("lambda", config=ONCE).invoke(FunctionName=failing)
    assert aws.calls_by_caller()[failing.rpartition(":")[2]] == {"sqs:SendMessage": 2}


def test_fault_fails_a_service_integration(aws: LocalAws) -> None:
    queue = aws.client("sqs").create_queue(QueueName=name("queue"))["QueueUrl"]
    machine = make_machine(
        aws,
        {
            "StartAt": "Send",
            "States": {
                "Send": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sqs:sendMessage",
                    "End": True,
                    "Parameters": {"QueueUrl": queue, "MessageBody": "hello"},
                }
            },
        },
    )
    aws.set_faults([{"operation": "sqs:SendMessage", "fault": "throttle", "times": 1}])
    assert run(aws, machine)["error"] == "SQS.RequestThrottled"
    assert run(aws, machine)["status"] == "SUCCEEDED"
    assert aws.calls_by_caller()["states.amazonaws.com"] == {"sqs:SendMessage": 2}


def test_calls_are_counted_by_operation_and_caller(aws: LocalAws) -> None:
    function = make_function(aws, "def handler(event, context): return 1")
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName=name("pool"))["UserPool"]["Id"]
    app = cognito.create_user_pool_client(UserPoolId=pool, ClientName="app")["UserPoolClient"]["ClientId"]
    aws.reset_calls()
    aws.client("lambda").invoke(FunctionName=function)
    cognito.sign_up(ClientId=app, Username="ann", Password="Passw0rd!")
    aws.client("sesv2").get_account()
    assert aws.calls() == {"cognito-idp:SignUp": 1, "lambda:InvokeFunction": 1, "ses:GetAccount": 1}
    assert aws.calls_by_caller() == {
        "anonymous": {"cognito-idp:SignUp": 1},
        "root": {"lambda:InvokeFunction": 1, "ses:GetAccount": 1},
    }
    aws.reset_calls()
    assert aws.calls() == {}


def test_calls_of_a_service_have_the_service_as_caller(aws: LocalAws) -> None:
    sqs, events = aws.client("sqs"), aws.client("events")
    queue = sqs.create_queue(QueueName=name("queue"))["QueueUrl"]
    queue_arn = f"arn:aws:sqs:us-east-1:000000000000:{queue.rpartition('/')[2]}"
    receiving = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    function = make_function(aws, "def handler(event, context): return 1", receiving)
    mapping = aws.client("lambda").create_event_source_mapping(EventSourceArn=queue_arn, FunctionName=function)
    sqs.send_message(QueueUrl=queue, MessageBody="hello")
    until(lambda: aws.calls_by_caller().get("lambda.amazonaws.com") == {"lambda:InvokeFunction": 1})
    aws.client("lambda").delete_event_source_mapping(UUID=mapping["UUID"])
    rule = name("rule")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [rule]}))
    events.put_targets(
        Rule=rule,
        Targets=[
            {
                "Id": "machine",
                "Arn": make_machine(aws, {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            }
        ],
    )
    events.put_events(Entries=[{"Source": rule, "DetailType": "x", "Detail": "{}"}])
    until(lambda: aws.calls_by_caller().get("events.amazonaws.com") == {"states:StartExecution": 1})


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    (
        ("PUT", "faults", {"operation": "x"}, "must be a mapping, not str"),
        ("PUT", "faults", [{"operation": "StartExecution", "fault": "500"}], 'operation "StartExecution" must be'),
        ("PUT", "faults", [{"operation": "sqs:*", "fault": "explode"}], 'fault "explode" must be one of throttle'),
        ("PUT", "faults", [{"operation": "sqs:*", "fault": "500", "often": 1}], "unexpected keyword argument 'often'"),
        ("PUT", "quotas", [], "'list' object has no attribute 'items'"),
        ("PUT", "cognito", {"delay": 1}, "unexpected keyword argument 'delay'"),
        ("POST", "faults", None, "POST /_local/faults: expected one of GET, PUT and DELETE /_local/faults"),
    ),
)
def test_control_endpoint_rejects_invalid_settings(
    aws: LocalAws, method: str, path: str, body: object, message: str
) -> None:
    with pytest.raises(LocalAwsError) as rejected:
        aws._request(method, f"/_local/{path}", body)
    assert message in str(rejected.value)


def test_rejected_setting_keeps_the_old_one(aws: LocalAws) -> None:
    aws.set_faults([{"operation": "states:*", "fault": "500"}])
    with pytest.raises(LocalAwsError):
        aws.set_faults([{"operation": "states:*", "fault": "explode"}])  # type: ignore[typeddict-item]
    assert [rule["fault"] for rule in aws.faults()] == ["500"]
