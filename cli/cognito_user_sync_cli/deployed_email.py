"""The deployed welcome email: sender, templates and translations, as the function send-welcome has them."""

from __future__ import annotations

import io
import urllib.request
import zipfile
from typing import TYPE_CHECKING

from cognito_user_sync.welcome_email import WelcomeEmail

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# The name in the layer of the function: see main.tf.
_FILE = "python/welcome_email.json"


class NoWelcomeEmailError(Exception):
    """There is no deployed welcome email, or it cannot be read. The message has the reason."""


def read_deployed_email(functions: LambdaClient, function_name: str) -> WelcomeEmail:
    """Return the welcome email that a function sends. Raises NoWelcomeEmailError."""
    try:
        layers = functions.get_function_configuration(FunctionName=function_name).get("Layers", [])
    except functions.exceptions.ResourceNotFoundException:
        raise NoWelcomeEmailError(
            "this deployment sends no welcome email, since welcome_email is null: set it, and apply"
        ) from None
    try:
        name, version = layers[0]["Arn"].split(":")[-2:]
        location = functions.get_layer_version(LayerName=name, VersionNumber=int(version))["Content"]["Location"]
        with urllib.request.urlopen(location, timeout=30) as answer:  # noqa: S310 - a signed address from AWS
            content = answer.read()
        with zipfile.ZipFile(io.BytesIO(content)) as layer:
            return WelcomeEmail.from_json(layer.read(_FILE).decode())
    except (OSError, zipfile.BadZipFile, LookupError, ValueError) as error:
        raise NoWelcomeEmailError(f"the layer of {function_name} could not be read: {error}") from error
