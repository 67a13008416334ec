"""A stand-in for the Terraform provider hashicorp/archive: its data source `archive_file`, for zip files.

Terraform runs it where no real one can be had (`terraform_providers.py` decides that). What Terraform code
can see follows hashicorp/archive 2.7: names of entries, modification times, modes, excludes, errors for
contradictory sources. The bytes differ from the real provider's, since the two compress with different
libraries; they are the same at every run with the same sources.

Left out: `tar.gz`, the `archive_file` resource, and `[...]` and `{...}` in excludes. Each is refused.
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

from tf.blocks import SetNestedBlock
from tf.iface import DataSource, Provider
from tf.runner import run_provider
from tf.schema import Attribute, Block, Schema
from tf.types import Bool, Number, Set, String, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE_KINDS = ("source", "source_content_filename", "source_dir", "source_file")

# What the real provider's zero time turns into in a zip header.
MODIFIED = (2049, 1, 1, 0, 0, 0)
UNIX, FAT = 3, 0
REGULAR_FILE = 0o100000


class ArchiveError(ValueError):
    """Something that the author of the Terraform code has to mend."""


@dataclass(frozen=True)
class Entry:
    name: str
    content: bytes
    mode: int | None  # None: without Unix permissions, as the real provider writes what is made from content


def parse_mode(text: str) -> int:
    """Read `output_file_mode` as the real provider does: "0644" and "0o644" are octal, "420" is decimal."""
    try:
        return int(text, 8) if re.fullmatch(r"0[0-7]+", text) else int(text, 0)
    except ValueError:
        raise ArchiveError(f'output_file_mode must be an octal mode such as "0644", not "{text}"') from None


def exclude_pattern(glob: str) -> re.Pattern[str]:
    """Compile a doublestar glob, matched against a whole path relative to `source_dir`."""
    if re.search(r"[\[\]{}\\]", glob):
        raise ArchiveError(f'excludes: "{glob}" is refused: this stand-in knows *, ** and ? only')
    regex = ""
    position = 0
    while position < len(glob):
        at_start_of_part = position == 0 or glob[position - 1] == "/"
        if at_start_of_part and glob.startswith("**/", position):
            regex += "(?:[^/]+/)*"
            position += 3
        elif glob[position:] == "/**":
            regex += "(?:/.*)?"
            position += 3
        elif at_start_of_part and glob[position:] == "**":
            regex += ".*"
            position += 2
        else:
            regex += {"*": "[^/]*", "?": "[^/]"}.get(glob[position], re.escape(glob[position]))
            position += 1
    return re.compile(regex, re.DOTALL)


def directory_entries(root: Path, excludes: list[str], *, follow_links: bool, mode: int | None) -> Iterator[Entry]:
    """Yield every file below `root` that no exclude matches; a folder that matches is left out as a whole."""
    if not root.is_dir():
        raise ArchiveError(f"source_dir: {root} is not a folder")
    patterns = [exclude_pattern(glob) for glob in excludes if glob]
    # A folder that comes again below itself is reached through a link: without this the walk would never end.
    pending = [(root, "", frozenset({root.resolve()}))]
    while pending:
        folder, prefix, parents = pending.pop()
        for path in folder.iterdir():
            name = prefix + path.name
            if any(pattern.fullmatch(name) for pattern in patterns):
                continue
            if not path.is_dir():
                yield Entry(name, path.read_bytes(), path.stat().st_mode & 0o7777 if mode is None else mode)
            elif follow_links or not path.is_symlink():
                real = path.resolve()
                if real in parents:
                    raise ArchiveError(f"source_dir: {path} links to a folder that contains it")
                pending.append((path, name + "/", parents | {real}))


def entries(config: Mapping[str, Any]) -> list[Entry]:
    """Read what one `archive_file` block asks for, in the order of names."""
    mode = parse_mode(config["output_file_mode"]) if config.get("output_file_mode") else None
    found: list[Entry]
    if config.get("source_dir") is not None:
        follow_links = not config.get("exclude_symlink_directories")
        folder = Path(config["source_dir"])
        found = list(directory_entries(folder, config.get("excludes") or [], follow_links=follow_links, mode=mode))
        if not found:
            raise ArchiveError(f"source_dir: {folder} holds no file, or every file is excluded")
    elif config.get("source_file") is not None:
        path = Path(config["source_file"])
        if not path.is_file():
            raise ArchiveError(f"source_file: {path} is not a file")
        found = [Entry(path.name, path.read_bytes(), path.stat().st_mode & 0o7777 if mode is None else mode)]
    elif config.get("source_content_filename") is not None:
        content = config.get("source_content") or ""
        found = [Entry(config["source_content_filename"], content.encode(), None)]
    else:
        # A file that is named twice is written once, with its last content, as a Go map does it.
        contents = {block["filename"]: block["content"] for block in config["source"]}
        found = [Entry(name, content.encode(), None) for name, content in contents.items()]
    return sorted(found, key=lambda entry: entry.name)


def zip_bytes(files: list[Entry]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for entry in files:
            header = zipfile.ZipInfo(entry.name, MODIFIED)
            header.compress_type = zipfile.ZIP_DEFLATED
            header.create_system = FAT if entry.mode is None else UNIX
            archive.writestr(header, entry.content)
            # writestr gives an entry without permissions some of its own; what counts is written at close.
            header.external_attr = 0 if entry.mode is None else (REGULAR_FILE | entry.mode) << 16
    return buffer.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it meanwhile sees the old bytes or the new ones, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def checksums(content: bytes) -> dict[str, str | int]:
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    sha256, sha512 = hashlib.sha256(content), hashlib.sha512(content)
    return {
        "id": sha1,
        "output_size": len(content),
        "output_md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "output_sha": sha1,
        "output_sha256": sha256.hexdigest(),
        "output_base64sha256": base64.b64encode(sha256.digest()).decode(),
        "output_sha512": sha512.hexdigest(),
        "output_base64sha512": base64.b64encode(sha512.digest()).decode(),
    }


def is_known(value: Any) -> bool:
    """Tell a value from a placeholder: a plain unknown, or one refined with what Terraform knows of it."""
    return value is not Unknown and type(value).__name__ != "ExtType"


class ArchiveFile(DataSource):
    def __init__(self, provider: Provider) -> None:
        pass

    @classmethod
    def get_name(cls) -> str:
        return "file"

    @classmethod
    def get_schema(cls) -> Schema:
        required = ["type", "output_path"]
        contents = ["source_content", "source_content_filename"]
        optional = ["source_dir", "source_file", *contents, "output_file_mode"]
        computed = ["id", *(name for name in checksums(b"") if name not in {"id", "output_size"})]
        source = Block(
            attributes=[Attribute(name, String(), required=True) for name in ("content", "filename")],
        )
        return Schema(
            attributes=[
                *(Attribute(name, String(), required=True) for name in required),
                *(Attribute(name, String(), optional=True) for name in optional),
                Attribute("excludes", Set(String()), optional=True),
                Attribute("exclude_symlink_directories", Bool(), optional=True),
                *(Attribute(name, String(), computed=True) for name in computed),
                Attribute("output_size", Number(), computed=True),
            ],
            block_types=[SetNestedBlock("source", source)],
        )

    def validate(self, diags: Any, type_name: str, config: dict[str, Any]) -> None:
        super().validate(diags, type_name, config)
        archive_type = config.get("type")
        if is_known(archive_type) and archive_type != "zip":
            diags.add_error(
                f"archive_file of type {archive_type}",
                "This stand-in for hashicorp/archive makes zip files only.",
                path=["type"],
            )
        values = {kind: config.get(kind) for kind in SOURCE_KINDS}
        chosen = [kind for kind, value in values.items() if is_known(value) and value not in (None, [])]
        if len(chosen) > 1 or (not chosen and all(is_known(value) for value in values.values())):
            diags.add_error(
                "archive_file needs exactly one kind of source",
                f"Set one of {', '.join(SOURCE_KINDS)}; set here: {', '.join(chosen) or 'none'}.",
            )

    def read(self, ctx: Any, config: dict[str, Any]) -> dict[str, Any] | None:
        try:
            content = zip_bytes(entries(config))
            write_whole(Path(config["output_path"]), content)
        except (ArchiveError, OSError) as error:
            ctx.diagnostics.add_error("The archive could not be made", f"{config['output_path']}: {error}")
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
    """End this process once `parent` is gone: a Terraform that is killed cannot tell its providers to stop."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    # Ctrl-C reaches the whole process group; it is Terraform that decides when a provider ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    run_provider(ArchiveProvider())


if __name__ == "__main__":
    main()
