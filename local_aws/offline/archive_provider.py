"""A substitute for hashicorp/archive, for machines that cannot reach the provider registry. Never used for AWS.

`archive_file` supports what this project uses: zips of a folder (`source_dir`, `excludes` without wildcards) or of a
text (`source_content`, `source_content_filename`). The same input gives the same bytes, on every machine.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import signal
import sys
import threading
import time
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf.iface import DataSource, Provider
from tf.runner import run_provider
from tf.schema import Attribute, Schema
from tf.types import Number, Set, String

if TYPE_CHECKING:
    from collections.abc import Mapping

# The real provider's zero time in a zip header.
MODIFIED = (2049, 1, 1, 0, 0, 0)
UNIX, FAT = 3, 0
REGULAR_FILE = 0o100000


@dataclass(frozen=True)
class Entry:
    """A file in the archive. `mode` None: without Unix permissions, as the real provider writes a text."""

    name: str
    content: bytes
    mode: int | None


def entries(config: Mapping[str, Any]) -> list[Entry]:
    """Return the files of one `archive_file` block, in the order of their names. Raises ValueError."""
    if config["type"] != "zip":
        raise ValueError(f'type "{config["type"]}" is not supported: it must be "zip"')
    if config.get("source_dir") is None:
        return [Entry(config["source_content_filename"], config["source_content"].encode(), None)]
    folder, excluded = Path(config["source_dir"]), set(config.get("excludes") or [])
    if wildcards := [name for name in excluded if re.search(r"[*?\[\]{}\\]", name)]:
        raise ValueError(f"excludes {wildcards} are not supported: wildcards are not")
    mode = int(config["output_file_mode"], 8) if config.get("output_file_mode") else None
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found = [
        Entry(name, path.read_bytes(), path.stat().st_mode & 0o7777 if mode is None else mode)
        for name, path in sorted(files.items())
        if name not in excluded
    ]
    if not found:
        raise ValueError(f"source_dir {folder} has no file, or every file is excluded")
    return found


def zip_bytes(files: list[Entry]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for entry in files:
            header = zipfile.ZipInfo(entry.name, MODIFIED)
            header.compress_type = zipfile.ZIP_DEFLATED
            header.create_system = FAT if entry.mode is None else UNIX
            archive.writestr(header, entry.content)
            # writestr sets permissions if there are none. The value at close is written.
            header.external_attr = 0 if entry.mode is None else (REGULAR_FILE | entry.mode) << 16
    return buffer.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file atomically: a concurrent reader sees the old bytes or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def checksums(content: bytes) -> dict[str, str | int]:
    sha256 = hashlib.sha256(content)
    return {
        "id": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "output_size": len(content),
        "output_sha256": sha256.hexdigest(),
        "output_base64sha256": base64.b64encode(sha256.digest()).decode(),
    }


class ArchiveFile(DataSource):
    def __init__(self, provider: Provider) -> None:
        pass

    @classmethod
    def get_name(cls) -> str:
        return "file"

    @classmethod
    def get_schema(cls) -> Schema:
        optional = ["source_dir", "source_content", "source_content_filename", "output_file_mode"]
        return Schema(
            attributes=[
                *(Attribute(name, String(), required=True) for name in ("type", "output_path")),
                *(Attribute(name, String(), optional=True) for name in optional),
                Attribute("excludes", Set(String()), optional=True),
                *(Attribute(name, String(), computed=True) for name in ("id", "output_sha256", "output_base64sha256")),
                Attribute("output_size", Number(), computed=True),
            ],
        )

    def read(self, ctx: Any, config: dict[str, Any]) -> dict[str, Any] | None:
        try:
            content = zip_bytes(entries(config))
            write_whole(Path(config["output_path"]), content)
        except (ValueError, OSError) as error:
            ctx.diagnostics.add_error("The archive could not be created", f"{config['output_path']}: {error}")
            return None
        return {**config, **checksums(content)}


class ArchiveProvider(Provider):
    def get_model_prefix(self) -> str:
        return "archive_"

    def full_name(self) -> str:
        return "registry.terraform.io/hashicorp/archive"

    def get_provider_schema(self, diags: Any) -> Schema:  # noqa: ARG002 (the framework's signature)
        return Schema(attributes=[])

    def validate_config(self, diags: Any, config: Any) -> None:
        pass

    def configure_provider(self, diags: Any, config: Any) -> None:
        pass

    def get_data_sources(self) -> list[type[DataSource]]:
        return [ArchiveFile]

    def get_resources(self) -> list[Any]:
        return []


def end_with(parent: int) -> None:
    """End this process when `parent` has ended: a killed Terraform cannot stop its providers."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    # Ctrl-C reaches the whole process group, but Terraform decides when a provider ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    run_provider(ArchiveProvider())


if __name__ == "__main__":
    main()
