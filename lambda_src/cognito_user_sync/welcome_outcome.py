"""Outcomes of welcome emails: codes in outputs of executions, in log lines, and in the dimension of the metric."""

from __future__ import annotations

from enum import StrEnum

SENT = "sent"


class WhyNot(StrEnum):
    """Why no welcome email is sent to a user. The command line shows it in words."""

    NOT_A_SIGN_UP = "not_a_sign_up"
    OTHER_APP_CLIENT = "other_app_client"
    USER_DELETED = "user_deleted"
    USER_DISABLED = "user_disabled"
    USER_UNCONFIRMED = "user_unconfirmed"
    NO_DELIVERABLE_ADDRESS = "no_deliverable_address"
    ADDRESS_NOT_VERIFIED = "address_not_verified"
