"""Relays a Terraform provider, with the schemas of only those resource types that this project uses.

Every Terraform command reads all schemas of its providers. The AWS provider has 1,500, in five megabytes, and reading
them takes most of the CPU time of a command. All other calls are relayed unchanged.

    python -m local_aws.offline.provider_relay PROGRAM

Starts the provider, and prints its line with TF_REATTACH_PROVIDERS, with the address of this process. Stops the
provider when standard input closes, and so when the parent process ends. The provider
runs with `nice`, because the functions of the local AWS have deadlines.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from tf.gen.tfplugin_pb2 import GetProviderSchema

from local_aws.offline.provider_processes import REATTACH_VARIABLE
from local_aws.offline.terraform_providers import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The provider answers with five megabytes; gRPC's default limit is four.
_OPTIONS: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
# More than the concurrent calls of a command (-parallelism).
_THREADS: Final = 64
# The names of the call in versions 5 and 6 of the plugin protocol. The messages have the same field numbers.
_SCHEMA_CALLS: Final = ("/GetSchema", "/GetProviderSchema")


def named_types() -> set[str]:
    """Return the resource types and data sources of the AWS provider in this project's files."""
    types: set[str] = set()
    for folder, folders, files in os.walk(PROJECT):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.endswith((".tf", ".hcl", ".py", ".md")):
                text = (Path(folder) / name).read_text(encoding="utf-8")
                types.update(re.findall(r"\baws_[a-z0-9_]+", text))
    return types


def without_other_types(answer: bytes, types: set[str]) -> bytes:
    """Remove the schemas of other types from the answer to GetProviderSchema."""
    schema = GetProviderSchema.Response.FromString(answer)
    for schemas in (schema.resource_schemas, schema.data_source_schemas):
        for name in schemas.keys() - types:
            del schemas[name]
    kept: bytes = schema.SerializeToString()
    return kept


class _Relay(grpc.GenericRpcHandler):
    def __init__(self, provider: grpc.Channel) -> None:
        self._provider = provider
        self._schema = b""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method.endswith(_SCHEMA_CALLS):
            return grpc.unary_unary_rpc_method_handler(self._answer_with_schema(details.method))
        if details.method.startswith("/tfplugin"):
            return grpc.unary_unary_rpc_method_handler(self._answer(details.method))
        # Standard output and error of the provider are not relayed under -debug.
        return None

    def _answer(self, method: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        call = self._provider.unary_unary(method)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                answered: bytes = call(request)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            return answered

        return answer

    def _answer_with_schema(self, method: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        whole = self._answer(method)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if not self._schema:
                self._schema = without_other_types(whole(request, context), named_types())
            return self._schema

        return answer


def relay(provider: subprocess.Popen[str]) -> Iterator[str]:
    """Serve until the caller is done. Yields the provider's line with the address of this process."""
    assert provider.stdout is not None
    for line in provider.stdout:
        if found := re.search(rf"{REATTACH_VARIABLE}='(.*)'", line):
            break
    else:
        return
    [(name, reattach)] = json.loads(found[1]).items()
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=_OPTIONS)
    channel = grpc.insecure_channel(f"unix:{reattach['Addr']['String']}", options=_OPTIONS)
    server.add_generic_rpc_handlers((_Relay(channel),))
    address = f"{tempfile.mkdtemp(prefix='relay-')}/socket"
    server.add_insecure_port(f"unix:{address}")
    server.start()
    reattach["Addr"]["String"] = address
    yield f"{REATTACH_VARIABLE}='{json.dumps({name: reattach})}'"
    server.stop(None)


def main(program: str) -> None:
    command = ["nice", "-n", "5", program, "-debug"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as provider:
        try:
            for line in relay(provider):
                print(line, flush=True)
                sys.stdin.read()
        finally:
            provider.kill()


if __name__ == "__main__":
    main(sys.argv[1])
