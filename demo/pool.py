"""The existing user pool: it belongs to another team, and has settings, triggers and tags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from local_aws.client import LocalAws
from local_aws.resources import let_pool_invoke, make_function, make_role

PRE_SIGN_UP = """\
def handler(event, context):
    if not event["request"]["userAttributes"].get("email", "").endswith("@example.com"):
        raise ValueError("only addresses of example.com")
    return event
"""
OWNER = "another-team"
SENDER = "welcome@example.com"
PASSWORD = "Correct-horse-1"

# Cognito changes these itself: with every update, and with every user.
NOT_COMPARED = ("LastModifiedDate", "EstimatedNumberOfUsers")


@dataclass(frozen=True)
class ForeignPool:
    aws: LocalAws
    id: str
    client_id: str

    def configuration(self) -> dict[str, Any]:
        """Return the pool's settings without NOT_COMPARED, by path: "Policies.PasswordPolicy.MinimumLength"."""
        cognito = self.aws.client("cognito-idp")
        pool = cognito.describe_user_pool(UserPoolId=self.id)["UserPool"]
        mfa = cognito.get_user_pool_mfa_config(UserPoolId=self.id)
        mfa.pop("ResponseMetadata")
        settings = flat({**pool, "GetUserPoolMfaConfig": mfa})
        return {name: value for name, value in settings.items() if name not in NOT_COMPARED}

    def sign_up(self, username: str, attributes: dict[str, str]) -> str:
        """Sign up without confirming. Returns the sub."""
        answer = self.aws.client("cognito-idp").sign_up(
            ClientId=self.client_id,
            Username=username,
            Password=PASSWORD,
            UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
        )
        return str(answer["UserSub"])

    def confirm(self, username: str, code: str) -> None:
        """Confirm a sign-up. As on AWS, this returns after the post-confirmation trigger."""
        self.aws.client("cognito-idp").confirm_sign_up(
            ClientId=self.client_id, Username=username, ConfirmationCode=code
        )

    def post_confirmation_event(self, username: str) -> dict[str, Any]:
        """Return the event of the trigger when the user confirms the sign-up.

        https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-post-confirmation.html
        """
        user = self.aws.client("cognito-idp").admin_get_user(UserPoolId=self.id, Username=username)
        attributes = {attribute["Name"]: attribute["Value"] for attribute in user["UserAttributes"]}
        return {
            "version": "1",
            "region": self.aws.region,
            "userPoolId": self.id,
            "userName": username,
            "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": self.client_id},
            "triggerSource": "PostConfirmation_ConfirmSignUp",
            "request": {"userAttributes": {**attributes, "cognito:user_status": user["UserStatus"]}},
            "response": {},
        }

    def mailed_codes(self, address: str) -> list[str]:
        """Return the codes in Cognito's emails to this address, oldest first."""
        return [
            found[0]
            for mail in self.aws.outbox()
            if address in mail.to and SENDER not in mail.source and (found := re.findall(r"\b\d{6}\b", mail.text))
        ]


def make_foreign_pool(aws: LocalAws) -> ForeignPool:
    """Create the pool with its function and role, an app client, and the sender's identity in SES."""
    pre_sign_up = make_function(aws, f"{OWNER}-pre-sign-up", PRE_SIGN_UP)
    sms_role = make_role(aws, f"{OWNER}-sms", service="cognito-idp.amazonaws.com")
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(
        PoolName=OWNER,
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
        LambdaConfig={"PreSignUp": pre_sign_up},
        Schema=[{"Name": "plan", "AttributeDataType": "String", "Mutable": True}],
        UserPoolTags={"owner": "another-team", "cost-center": "4711"},
        EmailConfiguration={"EmailSendingAccount": "COGNITO_DEFAULT", "ReplyToEmailAddress": "help@example.com"},
        SmsConfiguration={"SnsCallerArn": sms_role, "ExternalId": "4711", "SnsRegion": aws.region},
        SmsAuthenticationMessage="Your code to sign in is {####}",
        VerificationMessageTemplate={
            "DefaultEmailOption": "CONFIRM_WITH_CODE",
            "EmailSubject": "Your code for Example",
            "EmailMessage": "Your code is {####}",
        },
        AdminCreateUserConfig={
            "AllowAdminCreateUserOnly": False,
            "InviteMessageTemplate": {
                "EmailSubject": "Join Example",
                "EmailMessage": "You are {username}, your password is {####}",
                "SMSMessage": "{username}: {####}",
            },
        },
        UserAttributeUpdateSettings={"AttributesRequireVerificationBeforeUpdate": ["email"]},
        AccountRecoverySetting={"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
        DeviceConfiguration={"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": True},
        DeletionProtection="ACTIVE",
    )["UserPool"]
    let_pool_invoke(aws, pre_sign_up, pool["Arn"])
    cognito.set_user_pool_mfa_config(
        UserPoolId=pool["Id"], SoftwareTokenMfaConfiguration={"Enabled": True}, MfaConfiguration="OPTIONAL"
    )
    client = cognito.create_user_pool_client(UserPoolId=pool["Id"], ClientName="app")["UserPoolClient"]
    aws.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    return ForeignPool(aws, pool["Id"], client["ClientId"])


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """Return the settings that differ, as "old -> new"."""
    return {
        name: f"{before.get(name, '(not set)')} -> {after.get(name, '(not set)')}"
        for name in sorted(before.keys() | after.keys())
        if name not in before or name not in after or before[name] != after[name]
    }


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Flatten nested objects to paths and values. A list is one value, and so is an empty object."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= flat(inner, f"{path}.{name}" if path else name)
    return found
