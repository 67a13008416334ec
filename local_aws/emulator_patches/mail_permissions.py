"""SES authorizes an email on the sending identity, with the ses:* condition keys.

On AWS, the resources are the identity (the address if it is one, or its domain) and the configuration set, with
condition keys such as ses:FromAddress. ministack authorizes on `*` without these keys, so a policy with them denies.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsesv2.html
"""

from __future__ import annotations

import json
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import parse_qs

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import ses, ses_v2

from local_aws.emulator_patches import current_request
from local_aws.emulator_patches.patching import expect
from local_aws.emulator_patches.read_back import structured

Json = dict[str, Any]
_SENDS: Final = (
    "ses:SendEmail",
    "ses:SendRawEmail",
    "ses:SendTemplatedEmail",
    "ses:SendBulkTemplatedEmail",
    "ses:SendBulkEmail",
)


def apply() -> None:
    enforce = iam_evaluator.enforce
    expect(
        enforce,
        "context = {key.lower(): value for key, value in (service_context or {}).items()}",
        "service_context=context,",
    )

    def patched_enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Json | None = None,
    ) -> Any:
        request = current_request.get()
        if iam_action not in _SENDS or request is None:
            return enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        mail = _mail(request.headers.get("content-type", ""), request.body)
        for resource in _resources(mail, region):
            denied = enforce(
                access_key_id,
                iam_action,
                service,
                region,
                resource,
                {**(service_context or {}), **_keys(mail)},
            )
            if denied is not None:
                return denied
        return None

    iam_evaluator.enforce = patched_enforce


def _mail(content_type: str, body: bytes) -> Json:
    """Return sender, recipients and configuration set by their names in SES v2."""
    if not content_type.startswith("application/x-www-form-urlencoded"):
        try:
            mail: Json = json.loads(body)
        except ValueError:
            mail = {}
        return mail
    form = structured(parse_qs(body.decode(errors="replace")))
    return {
        "FromEmailAddress": form.get("Source", ""),
        "Destination": form.get("Destination") or {},
        "ConfigurationSetName": form.get("ConfigurationSetName"),
    }


def _keys(mail: Json) -> Json:
    name, address = parseaddr(mail.get("FromEmailAddress") or "")
    recipients = [recipient for group in (mail.get("Destination") or {}).values() for recipient in group]
    keys: Json = {"ses:FromAddress": address, "ses:Recipients": recipients}
    if name:
        keys["ses:FromDisplayName"] = name
    if feedback := mail.get("FeedbackForwardingEmailAddress"):
        keys["ses:FeedbackAddress"] = feedback
    return keys


def _resources(mail: Json, region: str) -> list[str]:
    _, address = parseaddr(mail.get("FromEmailAddress") or "")
    domain = address.rpartition("@")[2]
    known = [name for name in (address, domain) if name in ses._identities or name in ses_v2._identities]
    identity = known[0] if known else address
    owner = f"arn:aws:ses:{region}:{get_account_id()}"
    resources = [f"{owner}:identity/{identity}"]
    if name := mail.get("ConfigurationSetName"):
        resources.append(f"{owner}:configuration-set/{name}")
    return resources
