"""A user pool that is as strict as AWS documents it, behind HTTP, for the real function under the real botocore.

Emulators are kinder: they keep what an update leaves out, take what it must not have, and know no setting that the
installed boto3 does not know. https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/
"""

from __future__ import annotations

import copy
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TypeAlias

from tests.unit.fakes import Response, refusal

Json: TypeAlias = dict[str, Any]

# What DescribeUserPool shows and UpdateUserPool does not take.
FACTS: Final = frozenset(
    {
        "AliasAttributes",
        "Arn",
        "CreationDate",
        "CustomDomain",
        "Domain",
        "EmailConfigurationFailure",
        "EstimatedNumberOfUsers",
        "Id",
        "LastModifiedDate",
        "Name",
        "SchemaAttributes",
        "SmsConfigurationFailure",
        "Status",
        "UsernameAttributes",
        "UsernameConfiguration",
    }
)
# What a setting is reset to; one that is not here is gone when it is left out.
DEFAULTS: Final[Json] = {
    "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False},
    "DeletionProtection": "INACTIVE",
    "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT"},
    "LambdaConfig": {},
    "MfaConfiguration": "OFF",
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 8,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": True,
            "RequireUppercase": True,
            "TemporaryPasswordValidityDays": 7,
        }
    },
    "UserPoolTier": "ESSENTIALS",
}


class StrictPool:
    """`settings` are what UpdateUserPool sets, `mfa` what SetUserPoolMfaConfig alone sets, `facts` all else that is
    shown. Tests may change them between calls with `after`, refuse calls with `refuse`, and lose answers with `lose`.
    """

    def __init__(self, settings: Json, facts: Json, mfa: Json | None = None) -> None:
        self.exists = True
        self.facts = copy.deepcopy(facts)
        self.settings = copy.deepcopy({**DEFAULTS, **settings})
        self.mfa = copy.deepcopy(mfa or {})
        self.calls: list[str] = []
        self.updates: list[Json] = []
        self.after: dict[str, Callable[[], None]] = {}
        """What happens to the pool once a call of an operation has been carried out."""
        self.lose: Counter[str] = Counter()
        """How many of an operation's next calls are carried out without an answer."""
        self._refusals: dict[str, deque[Callable[[], Response]]] = {}

    def refuse(self, operation: str, *responses: Callable[[], Response]) -> None:
        """Refuse the next calls of an operation, one for each response."""
        self._refusals[operation] = deque(responses)

    @property
    def trigger(self) -> str | None:
        trigger: str | None = self.settings.get("LambdaConfig", {}).get("PostConfirmation")
        return trigger

    def set_trigger(self, function_arn: str | None) -> None:
        """As somebody else sets it."""
        triggers = self.settings.setdefault("LambdaConfig", {})
        triggers.pop("PostConfirmation", None)
        if function_arn:
            triggers["PostConfirmation"] = function_arn

    def shown(self) -> Json:
        """The answers of DescribeUserPool and GetUserPoolMfaConfig."""
        pool = copy.deepcopy({**self.facts, **self.settings})
        # Two names of one setting: Cognito shows the old one beside the new one.
        days = pool.get("Policies", {}).get("PasswordPolicy", {}).get("TemporaryPasswordValidityDays")
        if days is not None:
            pool.setdefault("AdminCreateUserConfig", {})["UnusedAccountValidityDays"] = days
        mfa = copy.deepcopy(self.mfa)
        if "MfaConfiguration" in self.settings:
            mfa["MfaConfiguration"] = self.settings["MfaConfiguration"]
        if sms := self.settings.get("SmsConfiguration"):
            mfa["SmsMfaConfiguration"] = {"SmsConfiguration": copy.deepcopy(sms)}
            if "SmsAuthenticationMessage" in self.settings:
                mfa["SmsMfaConfiguration"]["SmsAuthenticationMessage"] = self.settings["SmsAuthenticationMessage"]
        return {"UserPool": pool, "Mfa": mfa}

    def answer(self, operation: str, request: Json) -> Response | None:
        """None: the connection breaks."""
        self.calls.append(operation)
        if self._refusals.get(operation):
            return self._refusals[operation].popleft()()
        if not self.exists or request["UserPoolId"] != self.facts["Id"]:
            return refusal("ResourceNotFoundException", message="User pool does not exist.")
        match operation:
            case "DescribeUserPool":
                response = Response({"UserPool": self.shown()["UserPool"]})
            case "GetUserPoolMfaConfig":
                response = Response(self.shown()["Mfa"])
            case "UpdateUserPool":
                response = self._update(request)
            case "SetUserPoolMfaConfig":
                response = self._set_mfa(request)
            case _:
                raise AssertionError(f"unexpected call of {operation}")
        if response.status == 200 and operation in self.after:
            self.after[operation]()
        if self.lose[operation]:
            self.lose[operation] -= 1
            return None
        return response

    def _update(self, request: Json) -> Response:
        self.updates.append(request)
        settings = {name: value for name, value in request.items() if name not in {"UserPoolId", "PoolName"}}
        if refused := settings.keys() & FACTS:
            return refusal("InvalidParameterException", message=f"not settings: {sorted(refused)}")
        password_policy = settings.get("Policies", {}).get("PasswordPolicy", {})
        if (
            "UnusedAccountValidityDays" in settings.get("AdminCreateUserConfig", {})
            and "TemporaryPasswordValidityDays" in password_policy
        ):
            return refusal(
                "InvalidParameterException",
                message="Please use TemporaryPasswordValidityDays in PasswordPolicy instead of"
                " UnusedAccountValidityDays",
            )
        tags = settings.get("UserPoolTags", {})
        if any(name.lower().startswith("aws:") for name in tags):
            return refusal("InvalidParameterException", message="aws: prefixed tag key names are not allowed")
        if aws_tags := {n: v for n, v in self.settings.get("UserPoolTags", {}).items() if n.lower().startswith("aws:")}:
            settings["UserPoolTags"] = aws_tags | tags
        self.settings = {**copy.deepcopy(DEFAULTS), **settings}
        self.facts["Name"] = request.get("PoolName", self.facts["Name"])
        self.facts["LastModifiedDate"] = self.facts.get("LastModifiedDate", 1767225600.0) + 1
        return Response()

    def _set_mfa(self, request: Json) -> Response:
        mfa = {name: value for name, value in request.items() if name != "UserPoolId"}
        sms = mfa.pop("SmsMfaConfiguration", {})
        self.settings["MfaConfiguration"] = mfa.pop("MfaConfiguration", DEFAULTS["MfaConfiguration"])
        self.settings.update(copy.deepcopy(sms))
        self.mfa = mfa
        return Response(self.shown()["Mfa"])

    @contextmanager
    def served(self) -> Iterator[str]:
        """The endpoint's URL, while it is up."""
        pool = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                response = pool.answer(operation, json.loads(body))
                if response is None:
                    self.close_connection = True
                    return
                content = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
                self.send_response(response.status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Connection", "keep-alive")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True  # a client keeps its connection open
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()
