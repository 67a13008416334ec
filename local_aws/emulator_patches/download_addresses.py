"""Download addresses of functions and layers are signed, as on AWS. The address of a version has the version's code.

ministack's addresses are public, and always have the code of $LATEST.
"""

from __future__ import annotations

import contextvars
import hmac
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ministack.services import lambda_svc

from local_aws.emulator_patches.patching import expect

if TYPE_CHECKING:
    from collections.abc import Callable

# The qualifier of the GetFunction that is being answered.
_qualifier: contextvars.ContextVar[str | None] = contextvars.ContextVar("qualifier", default=None)


def apply() -> None:
    expect(lambda_svc._get_function, "_presigned_code_url(name)")
    expect(
        lambda_svc.serve_function_code, 'func.get("code_zip")', "_functions.get_scoped(account_id, region, func_name)"
    )
    for name, path in (("_presigned_code_url", "lambda-code"), ("_layer_content_url", "lambda-layers")):
        expect(getattr(lambda_svc, name), f"/_ministack/{path}/")
        setattr(lambda_svc, name, _signed(getattr(lambda_svc, name)))
    lambda_svc._presigned_code_url = _of_the_version(lambda_svc._presigned_code_url)
    lambda_svc._get_function = _with_its_qualifier(lambda_svc._get_function)
    lambda_svc.serve_function_code = _serving_versions(lambda_svc.serve_function_code)


def signature(path: str) -> str:
    return hmac.new(os.environ["AWS_ACCESS_KEY_ID"].encode(), path.encode(), "sha256").hexdigest()


def _signed(address_of: Callable[..., str]) -> Callable[..., str]:
    def address(*args: object) -> str:
        unsigned = urlsplit(address_of(*args))
        return unsigned._replace(query=f"X-Amz-Signature={signature(unsigned.path)}").geturl()

    return address


def _with_its_qualifier(get_function: Callable[..., Any]) -> Callable[..., Any]:
    def answer(name: str, qualifier: str | None = None) -> Any:
        token = _qualifier.set(qualifier)
        try:
            return get_function(name, qualifier)
        finally:
            _qualifier.reset(token)

    return answer


def _of_the_version(address_of: Callable[[str], str]) -> Callable[[str], str]:
    def address(name: str) -> str:
        qualifier = _qualifier.get()
        return address_of(f"{name}:{qualifier}" if qualifier else name)

    return address


def _serving_versions(serve: Callable[..., Any]) -> Callable[..., Any]:
    def served(func_name: str, account_id: str | None = None, region: str | None = None) -> Any:
        name, _, qualifier = func_name.partition(":")
        status, headers, body = serve(name, account_id=account_id, region=region)
        if status != 200 or not qualifier:
            return status, headers, body
        function = lambda_svc._functions.get_scoped(account_id, region, name)
        record, _ = lambda_svc._effective_func_record_for_qualifier(function, qualifier)
        return (200, headers, record["code_zip"]) if record else (404, {"Content-Type": "text/plain"}, b"")

    return served
