"""The list of regions without SES in welcome_email.tf, which must be renewed when AWS adds regions, or SES to one."""

from __future__ import annotations

import re
from pathlib import Path

import boto3

SOURCE = Path(__file__).parents[2] / "welcome_email.tf"


def test_regions_without_ses_are_those_of_botocore() -> None:
    """If this fails after `make lock`: write the regions below into welcome_email.tf, with the version of botocore."""
    (listed,) = re.findall(r"regions_without_ses = \[([^\]]*)\]", SOURCE.read_text(encoding="utf-8"))
    session = boto3.Session()
    without_ses = {
        region
        for partition in session.get_available_partitions()
        for region in {*session.get_available_regions("cognito-idp", partition)}
        - {*session.get_available_regions("sesv2", partition)}
    }
    assert re.findall(r'"([^"]+)"', listed) == sorted(without_ses)
