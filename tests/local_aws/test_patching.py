"""Patches that do not fit the installed emulator."""

from __future__ import annotations

import pytest

from local_aws.emulator_patches.patching import EmulatorChangedError, expect, expect_exactly, replace_once


def test_patching_fails_when_the_emulator_has_changed() -> None:
    with pytest.raises(EmulatorChangedError, match=r"has no line 'no such line'\. Install ministack=="):
        expect(pytest.raises, "no such line")
    with pytest.raises(EmulatorChangedError, match="has the digest"):
        expect_exactly(pytest.raises, "0")
    with pytest.raises(EmulatorChangedError, match="expected once, found 2 times"):
        replace_once("aa", "a", "b")
