"""The substitute for hashicorp/archive."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local_aws.offline.archive_provider import entries, zip_bytes
from local_aws.offline.terraform_providers import CONFIG_VARIABLE, find_terraform, write_configuration

CONFIGURATION = """\
terraform {
  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4"
    }
  }
}

resource "terraform_data" "made" {
  input = "later"
}

data "archive_file" "folder" {
  type             = "zip"
  output_path      = "${path.root}/out/folder.zip"
  output_file_mode = "0644"
  source_dir       = "${path.root}/src"
  excludes         = ["notes.md"]
}

data "archive_file" "text" {
  type                    = "zip"
  output_path             = "${path.root}/out/text.zip"
  source_content          = terraform_data.made.output
  source_content_filename = "made.txt"
}

output "folder" {
  value = data.archive_file.folder
}
"""


def put(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_archive_file_under_terraform(tmp_path: Path) -> None:
    """A source that is known only after the apply is read then."""
    home = tmp_path / "made for terraform"  # a space, as in many home folders
    configuration = write_configuration(tmp_path / "no mirror", find_terraform().platform, home)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment |= {CONFIG_VARIABLE: str(configuration), "CHECKPOINT_DISABLE": "1"}
    put(tmp_path / "main.tf", CONFIGURATION)
    for name in ("a.py", "b/b.py", "notes.md"):
        put(tmp_path / "src" / name, name)

    def terraform(*arguments: str) -> str:
        command = ["terraform", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, check=True
        ).stdout.decode()

    terraform("init", "-input=false")
    terraform("apply", "-auto-approve", "-input=false")
    content = (tmp_path / "out/folder.zip").read_bytes()
    folder = json.loads(terraform("output", "-json", "folder"))
    sha256 = hashlib.sha256(content)
    assert folder["output_base64sha256"] == base64.b64encode(sha256.digest()).decode()
    assert (folder["output_sha256"], folder["output_size"]) == (sha256.hexdigest(), len(content))
    with zipfile.ZipFile(tmp_path / "out/folder.zip") as archive:
        assert archive.namelist() == ["a.py", "b/b.py"]
    with zipfile.ZipFile(tmp_path / "out/text.zip") as archive:
        assert archive.read("made.txt") == b"later"
    assert len([*(tmp_path / "out").iterdir()]) == 2


def test_same_sources_have_the_same_bytes(tmp_path: Path) -> None:
    config = {"type": "zip", "source_dir": str(tmp_path), "output_file_mode": "0644"}
    put(tmp_path / "b.py", "b")
    put(tmp_path / "a/a.py", "a")
    content = zip_bytes(entries(config))
    # Another time, mode, and order in the folder.
    (tmp_path / "b.py").unlink()
    put(tmp_path / "b.py", "b").chmod(0o600)
    os.utime(tmp_path / "a/a.py", (0, 0))
    assert zip_bytes(entries(config)) == content
    assert [entry.mode for entry in entries(config)] == [0o644, 0o644]
    put(tmp_path / "b.py", "c")
    assert zip_bytes(entries(config)) != content


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "tar.gz"}, 'type "tar.gz" is not supported'),
        ({"source_dir": "nowhere"}, "source_dir nowhere has no file"),
        ({"source_dir": ".", "excludes": ["*.md"]}, "wildcards"),
    ],
)
def test_unsupported_configuration_is_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entries({"type": "zip", **config})
