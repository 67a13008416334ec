"""Access control rejects requests of web pages and of other users of the machine."""

from __future__ import annotations

import hashlib
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from local_aws.client import LocalAws
from local_aws.resources import make_role
from tests.local_aws.conftest import make_function, name

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = "http://localhost:5173"
COGNITO = "AWSCognitoIdentityProviderService"
# Requests that every page may send without a preflight, from its origin or from a domain that resolves to 127.0.0.1.
FROM_A_PAGE = pytest.mark.parametrize(
    "page",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": APP},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin", "Host": "evil.example"},
        {"Host": "evil.example:4566"},
        {"Host": "localhost.evil.example"},
    ],
    ids=str,
)


def send(
    aws: LocalAws, method: str, path: str, headers: dict[str, str], body: str = ""
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(aws.endpoint_url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = {key.lower(): value for key, value in answer.getheaders()}
        return answer.status, found, "" if answer.status == 101 else answer.read().decode(errors="replace")
    finally:
        connection.close()


def signed(aws: LocalAws, access_key: str | None = None) -> str:
    """Return a query string with credentials. The emulator does not verify the root's signature."""
    scope = "20260101/us-east-1/lambda/aws4_request"
    return f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={access_key or aws.access_key}/{scope}"


def create_function(aws: LocalAws, headers: dict[str, str], query: str) -> bool:
    """Send CreateFunction as a page does. Returns whether the function exists."""
    function = name("function")
    made = {
        "FunctionName": function,
        "Runtime": "python3.13",
        "Role": make_role(aws, function),
        "Handler": "function.handler",
        "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="},
    }
    status, _, _ = send(
        aws, "POST", f"/2015-03-31/functions?{query}", {"Content-Type": "text/plain", **headers}, json.dumps(made)
    )
    exists = any(each["FunctionName"] == function for each in aws.client("lambda").list_functions()["Functions"])
    assert exists == (status == 201)
    assert exists or status == 403
    return exists


def test_access_lets_a_signed_call_create_a_function(aws: LocalAws) -> None:
    assert create_function(aws, {}, signed(aws))
    assert create_function(aws, {"Host": "LOCALHOST"}, signed(aws))


@FROM_A_PAGE
def test_page_cannot_create_a_function(aws: LocalAws, page: dict[str, str]) -> None:
    assert not create_function(aws, page, signed(aws))


@pytest.mark.parametrize("access_key", ["test", "000000000000", "AKIAIOSFODNN7EXAMPLE"])
def test_other_access_key_cannot_create_a_function(aws: LocalAws, access_key: str) -> None:
    assert not create_function(aws, {}, signed(aws, access_key))


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "AWS4-HMAC-SHA256 "}])
def test_access_rejects_a_call_without_a_key(aws: LocalAws, headers: dict[str, str]) -> None:
    assert not create_function(aws, headers, "")


@pytest.mark.parametrize(
    ("service", "operation"), [("sts", "get_caller_identity"), ("sqs", "list_queues"), ("s3", "list_buckets")]
)
def test_access_error_is_readable_in_sdks(aws: LocalAws, service: str, operation: str) -> None:
    client = aws.client(service, aws_access_key_id="test", aws_secret_access_key="test")
    with pytest.raises(ClientError, match="not signed with the access key of this start") as error:
        getattr(client, operation)()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_session_of_a_function_cannot_be_derived(aws: LocalAws) -> None:
    """The emulator derives these keys from the ARNs of the function and its role."""
    function = make_function(aws, "def handler(event, context): return 1")
    aws.client("lambda").invoke(FunctionName=function)
    role = aws.client("lambda").get_function_configuration(FunctionName=function)["Role"]
    digest = hashlib.sha256(f"{function}:{role}".encode()).hexdigest()
    guessed = aws.client(
        "sts",
        aws_access_key_id=f"ASIA{digest[:16].upper()}",
        aws_secret_access_key=hashlib.sha256(f"secret:{digest}".encode()).hexdigest(),
        aws_session_token=hashlib.sha256(f"token:{digest}".encode()).hexdigest(),
    )
    with pytest.raises(ClientError, match="not signed with the access key of this start"):
        guessed.get_caller_identity()


def test_access_accepts_keys_of_the_emulator(aws: LocalAws) -> None:
    user = name("user")
    aws.client("iam").create_user(UserName=user)
    made = aws.client("iam").create_access_key(UserName=user)["AccessKey"]
    theirs = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    assert aws.client("sts", **theirs).get_caller_identity()["Arn"].endswith(f":user/{user}")


@pytest.mark.parametrize(
    "path", ["/_local/health", "/_local/faults", "/_ministack/ses/messages", "/_localstack/health"]
)
@pytest.mark.parametrize("key", [None, "", "test"])
def test_control_endpoint_needs_the_key(aws: LocalAws, path: str, key: str | None) -> None:
    headers = {} if key is None else {"X-Local-Aws-Key": key}
    status, _, body = send(aws, "GET", path, headers)
    assert status == 403
    assert "X-Local-Aws-Key must have the access key of this start" in json.loads(body)["message"]
    assert send(aws, "GET", path, {"X-Local-Aws-Key": aws.access_key})[0] == 200


def test_access_to_code_needs_the_signed_address(aws: LocalAws) -> None:
    function = make_function(aws, "def handler(event, context): return 1")
    given = urlsplit(aws.client("lambda").get_function(FunctionName=function)["Code"]["Location"])
    assert send(aws, "GET", f"{given.path}?{given.query}", {})[0] == 200
    assert send(aws, "GET", f"{given.path}?X-Amz-Signature=ministack-local-presigned", {})[0] == 403
    assert send(aws, "GET", f"/_local/logs?{given.query}", {})[0] == 403


@FROM_A_PAGE
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/_local/health"), ("POST", "/_ministack/reset"), ("OPTIONS", "/")]
)
def test_page_cannot_use_control_endpoints(aws: LocalAws, page: dict[str, str], method: str, path: str) -> None:
    status, headers, _ = send(aws, method, path, {"X-Local-Aws-Key": aws.access_key, **page})
    assert status == 403
    assert not [header for header in headers if header.startswith("access-control-")]


@FROM_A_PAGE
def test_page_cannot_open_a_websocket(aws: LocalAws, page: dict[str, str], websocket: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "X-Local-Aws-Key": aws.access_key,
    }
    assert send(aws, "GET", websocket, upgrade)[0] == 101
    assert send(aws, "GET", websocket, {**upgrade, **page})[0] == 403


@pytest.fixture(scope="module")
def websocket(aws: LocalAws) -> str:
    """The path of an API that accepts WebSockets."""
    api = aws.client("apigatewayv2")
    made: str = api.create_api(Name="chat", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")[
        "ApiId"
    ]
    api.create_stage(ApiId=made, StageName="live")
    return f"/_aws/execute-api/{made}/live"


def test_no_answer_is_readable_for_every_page(aws: LocalAws) -> None:
    answer = aws.client("cognito-idp").list_user_pools(MaxResults=1)
    assert not [header for header in answer["ResponseMetadata"]["HTTPHeaders"] if header.startswith("access-control-")]


@pytest.fixture(scope="module")
def open_to_app() -> Iterator[LocalAws]:
    with LocalAws.started(allow_origin=APP) as started:
        yield started


def from_app(operation: str, **headers: str) -> dict[str, str]:
    """The headers of a browser that calls Cognito, as the SDK for JavaScript does."""
    return {
        "Origin": APP,
        "Sec-Fetch-Site": "same-site",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"{COGNITO}.{operation}",
        **headers,
    }


def test_allowed_origin_signs_up(open_to_app: LocalAws) -> None:
    cognito: Any = open_to_app.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="pool")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="app")["UserPoolClient"]["ClientId"]
    user = json.dumps({"ClientId": client, "Username": "ada", "Password": "Correct-horse-1"})
    status, headers, _ = send(open_to_app, "POST", "/", from_app("SignUp"), user)
    assert status == 200
    assert headers["access-control-allow-origin"] == APP
    assert headers["vary"] == "origin"
    assert cognito.admin_get_user(UserPoolId=pool, Username="ada")["UserStatus"] == "UNCONFIRMED"


def test_allowed_origin_gets_a_preflight_response(open_to_app: LocalAws) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-amz-target"}
    status, headers, _ = send(open_to_app, "OPTIONS", "/", {"Origin": APP, "Sec-Fetch-Site": "same-site", **asked})
    assert status == 204
    assert headers["access-control-allow-origin"] == APP
    assert headers["access-control-allow-methods"] == "POST"
    assert headers["access-control-allow-headers"] == "content-type,x-amz-target"


@pytest.mark.parametrize("operation", ["AdminGetUser", "ListUsers", "CreateUserPool", "SignUp, ListUsers", "Unknown"])
def test_allowed_origin_calls_no_operation_with_credentials(open_to_app: LocalAws, operation: str) -> None:
    credentials = f"AWS4-HMAC-SHA256 Credential={open_to_app.access_key}/20260101/us-east-1/cognito-idp/aws4_request"
    headers = from_app(operation, Authorization=credentials)
    assert send(open_to_app, "POST", "/", headers, '{"MaxResults": 1}')[0] == 403


@pytest.mark.parametrize("path", ["/2015-03-31/functions", "/_local/calls", "/_ministack/config", "/?Action=ListRoles"])
def test_allowed_origin_calls_nothing_else(open_to_app: LocalAws, path: str) -> None:
    key = {"X-Local-Aws-Key": open_to_app.access_key}
    assert send(open_to_app, "POST", path, from_app("SignUp", **key), "{}")[0] == 403


@pytest.mark.parametrize("origin", ["http://localhost:5174", "https://localhost:5173", "null", f"{APP}.evil.example"])
def test_access_rejects_an_origin_that_is_not_allowed(open_to_app: LocalAws, origin: str) -> None:
    status, headers, _ = send(open_to_app, "POST", "/", from_app("SignUp", Origin=origin), "{}")
    assert status == 403
    assert "access-control-allow-origin" not in headers


def test_public_keys_of_a_pool_need_no_key(aws: LocalAws) -> None:
    pool = aws.client("cognito-idp").create_user_pool(PoolName="pool")["UserPool"]["Id"]
    assert "keys" in json.loads(send(aws, "GET", f"/{pool}/.well-known/jwks.json", {})[2])
