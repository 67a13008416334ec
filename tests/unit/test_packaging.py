"""The package of the command line. A build needs a network, so these tests check the settings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_install_leaves_nothing_in_the_clone() -> None:
    """setuptools would leave build/ and *.egg-info."""
    assert SETTINGS["build-system"]["build-backend"] == "hatchling.build"


def test_wheel_has_cli_and_shared_sources() -> None:
    packages = SETTINGS["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["cli/cognito_user_sync_cli", "lambda_src/cognito_user_sync"]
    assert all((ROOT / package / "__init__.py").exists() for package in packages)


def test_readme_of_the_package_has_no_link_into_the_repository() -> None:
    """PyPI shows it outside of the repository."""
    assert "](" not in (ROOT / SETTINGS["project"]["readme"]).read_text(encoding="utf-8")


def test_newest_version_of_the_changelog_is_that_of_the_package() -> None:
    """The release workflow compares the tag with both. The module reads its version from pyproject.toml, too."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, newest, *_ = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d{2}-\d{2})?$", changelog, re.MULTILINE)
    assert (unreleased, newest) == ("Unreleased", SETTINGS["project"]["version"])
