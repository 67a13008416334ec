"""The stand-in for hashicorp/archive, under the real Terraform."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.archive_provider import exclude_pattern, parse_mode
from local_aws.provider_processes import running_archive_provider, with_addresses
from local_aws.terraform_providers import CONFIG_VARIABLE, find_terraform, write_configuration

REQUIRED = """\
terraform {
  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4"
    }
  }
}
"""


class Project:
    """A Terraform project that requires hashicorp/archive and gets the stand-in, wherever the tests run."""

    def __init__(self, folder: Path, configuration: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        self.environment |= {CONFIG_VARIABLE: str(configuration), "CHECKPOINT_DISABLE": "1"}

    def put(self, path: str, content: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["terraform", arguments[0], "-no-color", *arguments[1:]]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def archive(self, *settings: str) -> Path:
        """Apply one `archive_file` with these settings and return the zip."""
        self.put("archive.tf", archive_file(*settings) + 'output "zip" { value = data.archive_file.this }\n')
        applied = self.terraform("apply", "-auto-approve", "-input=false")
        assert applied.returncode == 0, applied.stderr
        return self.folder / "out" / "this.zip"

    def attributes(self) -> dict[str, object]:
        answer = self.terraform("output", "-json", "zip")
        parsed: dict[str, object] = json.loads(answer.stdout)
        return parsed

    def errors(self, **settings: tuple[str, ...]) -> dict[str, str]:
        """Plan an `archive_file` with each of these settings; return what Terraform says, by name."""
        self.put("archive.tf", "".join(archive_file(*each, name=name) for name, each in settings.items()))
        planned = self.terraform("plan", "-input=false", "-json")
        assert planned.returncode == 1, planned.stdout
        assert not (self.folder / "out").exists()
        events = [json.loads(line) for line in planned.stdout.splitlines()]
        found = [event["diagnostic"] for event in events if event["type"] == "diagnostic"]
        return {each["address"].rpartition(".")[2]: f"{each['summary']}: {each['detail']}" for each in found}


def archive_file(*settings: str, name: str = "this") -> str:
    archive_type = () if any(setting.startswith("type ") for setting in settings) else ('type = "zip"',)
    lines = (*archive_type, f'output_path = "${{path.root}}/out/{name}.zip"', *settings)
    return "\n".join([f'data "archive_file" "{name}" {{', *lines, "}", ""])


@pytest.fixture(scope="module")
def initialized(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("initialized")
    home = folder / "made for terraform"  # a space, as in many home folders
    project = Project(folder, write_configuration(folder / "no mirror", find_terraform().platform, home))
    project.put("main.tf", REQUIRED)
    done = project.terraform("init", "-input=false")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def own_provider(initialized: Project, tmp_path: Path) -> Project:
    """A copy, in which Terraform starts the provider: that and the lock file are what `terraform init` makes."""
    copy = Project(tmp_path / "copy", Path(initialized.environment[CONFIG_VARIABLE]))
    shutil.copytree(initialized.folder, copy.folder, symlinks=True)
    return copy


@pytest.fixture
def project(own_provider: Project) -> Iterator[Project]:
    """The same with a provider that runs, which takes less time."""
    with running_archive_provider(own_provider.environment, own_provider.folder) as address:
        own_provider.environment |= with_addresses("{}", address)
        yield own_provider


def names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        return opened.namelist()


def test_the_same_sources_give_the_same_bytes(project: Project) -> None:
    first = project.put("src/b.py", "b")
    project.put("src/a/a.py", "a")
    settings = ('source_dir = "${path.root}/src"', 'output_file_mode = "0644"')
    content = project.archive(*settings).read_bytes()
    first.unlink()  # made again: another time, another mode, another place in the folder's listing
    project.put("src/b.py", "b").chmod(0o600)
    os.utime(project.folder / "src/a/a.py", (0, 0))
    again = project.archive(*settings)
    assert again.read_bytes() == content
    sha256 = hashlib.sha256(content)
    attributes = project.attributes()
    assert attributes["output_base64sha256"] == base64.b64encode(sha256.digest()).decode()
    assert attributes["output_sha256"] == sha256.hexdigest()
    assert attributes["output_size"] == len(content)
    with zipfile.ZipFile(again) as opened:
        assert [oct(entry.external_attr >> 16) for entry in opened.infolist()] == ["0o100644", "0o100644"]
    project.put("src/b.py", "c")
    assert project.archive(*settings).read_bytes() != content
    assert not [path for path in (project.folder / "out").iterdir() if path.name != "this.zip"]


def test_nested_sources_become_entries_in_the_order_of_names(project: Project) -> None:
    archive = project.archive(
        'dynamic "source" {\n'
        'for_each = { "pkg/handler.py" = "handler", "z.txt" = "", "a.txt" = "wörld\\n" }\n'
        "content {\nfilename = source.key\ncontent = source.value\n}\n}"
    )
    assert names(archive) == ["a.txt", "pkg/handler.py", "z.txt"]
    with zipfile.ZipFile(archive) as opened:
        assert opened.read("a.txt") == "wörld\n".encode()
        assert opened.read("z.txt") == b""


def test_a_folder_goes_in_without_what_is_excluded(project: Project) -> None:
    for path in ("pkg/a.py", "pkg/__pycache__/a.pyc", "__pycache__/b.pyc", "tests/unit/test_a.py", "notes.md"):
        project.put(f"src/{path}", path)
    archive = project.archive('source_dir = "${path.root}/src"', 'excludes = ["**/__pycache__", "tests", "*.md"]')
    assert names(archive) == ["pkg/a.py"]


def test_one_file_goes_in(own_provider: Project) -> None:
    own_provider.put("src/handler.py", "file")
    assert names(own_provider.archive('source_file = "${path.root}/src/handler.py"')) == ["handler.py"]


def test_one_content_goes_in(project: Project) -> None:
    settings = ('source_content = "content"', 'source_content_filename = "made.py"')
    assert names(project.archive(*settings)) == ["made.py"]


def test_a_source_that_is_known_only_after_apply_is_read_then(project: Project) -> None:
    project.put("made.tf", 'resource "terraform_data" "made" { input = "later" }\n')
    settings = ("source_content = terraform_data.made.output", 'source_content_filename = "made.txt"')
    with zipfile.ZipFile(project.archive(*settings)) as opened:
        assert opened.read("made.txt") == b"later"


MISTAKES = {
    "two_kinds": (
        ('source_dir = "src"', 'source_file = "src/a.py"'),
        "archive_file needs exactly one kind of source",
    ),
    "folder_and_block": (
        ('source_dir = "src"', 'source {\nfilename = "a"\ncontent = "a"\n}'),
        "set here: source, source_dir.",
    ),
    "none": ((), "set here: none."),
    "missing_folder": (('source_dir = "nowhere"',), "source_dir: nowhere is not a folder"),
    "missing_file": (('source_file = "nowhere"',), "source_file: nowhere is not a file"),
    "empty": (('source_dir = "src"', 'excludes = ["**"]'), "holds no file, or every file is excluded"),
    "mode": (('source_file = "src/a.py"', 'output_file_mode = "rw"'), "must be an octal mode"),
    "glob": (('source_dir = "src"', 'excludes = ["*.{md,txt}"]'), "this stand-in knows *, ** and ? only"),
    "type": (('type = "tar.gz"', 'source_dir = "src"'), "makes zip files only"),
}


def test_archive_file_names_each_mistake(project: Project) -> None:
    project.put("src/a.py", "a")
    # Terraform reads nothing while a configuration is invalid: the mistakes in the sources themselves come second.
    invalid = ("two_kinds", "folder_and_block", "none", "type")
    errors: dict[str, str] = {}
    for names in (invalid, MISTAKES.keys() - set(invalid)):
        errors |= project.errors(**{name: MISTAKES[name][0] for name in names})
    assert {name for name, (_, message) in MISTAKES.items() if message in errors[name]} == MISTAKES.keys()


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.py", "a.py", True),
        ("*.py", "a/b.py", False),
        ("**/*.py", "a.py", True),
        ("**/*.py", "a/b/c.py", True),
        ("a/**", "a", True),
        ("a/**", "a/b/c", True),
        ("a/**", "ab", False),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("?.py", "a.py", True),
        ("?.py", "/.py", False),
        ("a.py", "abpy", False),
        ("a", "a/b", False),
    ],
)
def test_a_glob_matches_as_the_real_providers_do(glob: str, path: str, matches: bool) -> None:
    assert bool(exclude_pattern(glob).fullmatch(path)) is matches


@pytest.mark.parametrize(("text", "mode"), [("0644", 0o644), ("0o755", 0o755), ("0x1a4", 0o644), ("420", 0o644)])
def test_a_mode_is_read_as_the_real_provider_reads_it(text: str, mode: int) -> None:
    assert parse_mode(text) == mode
