"""A user pool with a history, made by somebody else before the module comes to it."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from typing import Any

from local_aws.client import LocalAws

PRE_SIGN_UP = """\
def handler(event, context):
    if "example" not in event["request"]["userAttributes"].get("email", ""):
        raise ValueError("only our own people")
    return event
"""
SENDER = "welcome@example.com"
PASSWORD = "Correct-horse-1"

# What changes by itself, and the deprecated twin of Policies.PasswordPolicy.TemporaryPasswordValidityDays: no update
# may name both, AWS shows the one for the other, and the emulator shows what it was sent.
NOT_COMPARED = ("LastModifiedDate", "EstimatedNumberOfUsers", "AdminCreateUserConfig.UnusedAccountValidityDays")


@dataclass(frozen=True)
class ForeignPool:
    aws: LocalAws
    id: str
    client_id: str

    def configuration(self) -> dict[str, Any]:
        """Every setting of the pool but NOT_COMPARED, flat: "Policies.PasswordPolicy.MinimumLength" and its value."""
        cognito = self.aws.client("cognito-idp")
        pool = cognito.describe_user_pool(UserPoolId=self.id)["UserPool"]
        mfa = cognito.get_user_pool_mfa_config(UserPoolId=self.id)
        mfa.pop("ResponseMetadata")
        settings = _flat({**pool, "MfaConfig": mfa})
        return {name: value for name, value in settings.items() if name not in NOT_COMPARED}

    def sign_up(self, username: str, **attributes: str) -> str:
        """Returns the sub."""
        answer = self.aws.client("cognito-idp").sign_up(
            ClientId=self.client_id,
            Username=username,
            Password=PASSWORD,
            UserAttributes=[{"Name": name.replace("__", ":"), "Value": text} for name, text in attributes.items()],
        )
        return str(answer["UserSub"])

    def mailed_code(self, address: str) -> str:
        """The code in the newest mail of Cognito to this address."""
        codes = [
            found[0]
            for mail in self.aws.outbox()
            if address in mail.to and SENDER not in mail.source and (found := re.findall(r"\b\d{6}\b", mail.text))
        ]
        return codes[-1] if codes else ""


def make_foreign_pool(aws: LocalAws) -> ForeignPool:
    """Password policy, custom attribute, another trigger, tags, optional MFA, mail templates."""
    role = aws.client("iam").create_role(
        RoleName="somebody-elses-pre-sign-up",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        ),
    )["Role"]["Arn"]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("pre_sign_up.py", PRE_SIGN_UP)
    functions = aws.client("lambda")
    function = functions.create_function(
        FunctionName="somebody-elses-pre-sign-up",
        Runtime="python3.13",
        Role=role,
        Handler="pre_sign_up.handler",
        Code={"ZipFile": content.getvalue()},
    )["FunctionArn"]
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(
        PoolName="somebody-elses",
        AutoVerifiedAttributes=["email"],
        Policies={
            "PasswordPolicy": {
                "MinimumLength": 12,
                "RequireUppercase": True,
                "RequireLowercase": True,
                "RequireNumbers": True,
                "RequireSymbols": True,
                "TemporaryPasswordValidityDays": 3,
            }
        },
        LambdaConfig={"PreSignUp": function},
        Schema=[{"Name": "plan", "AttributeDataType": "String", "Mutable": True}],
        UserPoolTags={"owner": "somebody-else", "cost-center": "4711"},
        VerificationMessageTemplate={
            "DefaultEmailOption": "CONFIRM_WITH_CODE",
            "EmailSubject": "Your code for Example",
            "EmailMessage": "Your code is {####}",
        },
        AccountRecoverySetting={"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
        DeviceConfiguration={"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": True},
        DeletionProtection="ACTIVE",
    )["UserPool"]
    functions.add_permission(
        FunctionName=function,
        StatementId="UserPool",
        Action="lambda:InvokeFunction",
        Principal="cognito-idp.amazonaws.com",
        SourceArn=pool["Arn"],
    )
    cognito.set_user_pool_mfa_config(
        UserPoolId=pool["Id"], SoftwareTokenMfaConfiguration={"Enabled": True}, MfaConfiguration="OPTIONAL"
    )
    client = cognito.create_user_pool_client(UserPoolId=pool["Id"], ClientName="app")["UserPoolClient"]
    aws.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    return ForeignPool(aws, pool["Id"], client["ClientId"])


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """The settings that differ, as "old -> new"."""
    return {
        name: f"{before.get(name, '(not set)')} -> {after.get(name, '(not set)')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= _flat(inner, f"{path}.{name}" if path else name)
    return found
