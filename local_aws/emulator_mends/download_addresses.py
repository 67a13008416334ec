"""The addresses from which functions' code and layers are downloaded are signed, as AWS's are: only who was given one
can use it."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ministack.services import lambda_svc

from local_aws.emulator_mends.patching import expect

if TYPE_CHECKING:
    from collections.abc import Callable


def apply() -> None:
    for name, path in (("_presigned_code_url", "lambda-code"), ("_layer_content_url", "lambda-layers")):
        expect(getattr(lambda_svc, name), f"/_ministack/{path}/")
        setattr(lambda_svc, name, _signed(getattr(lambda_svc, name)))


def signature(path: str) -> str:
    return hmac.new(os.environ["AWS_ACCESS_KEY_ID"].encode(), path.encode(), "sha256").hexdigest()


def _signed(address_of: Callable[..., str]) -> Callable[..., str]:
    def address(*args: object) -> str:
        unsigned = urlsplit(address_of(*args))
        return unsigned._replace(query=f"X-Amz-Signature={signature(unsigned.path)}").geturl()

    return address
