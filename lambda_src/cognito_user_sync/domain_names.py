"""Converts domain names of email addresses to ASCII, if all mail programs agree on the domain.

Python's codec "idna" implements IDNA 2003. Registries and mail programs use IDNA 2008, in which some names are another
domain or not a domain: `faß.de` is `fass.de` in one and `xn--fa-hia.de` in the other.
https://www.rfc-editor.org/rfc/rfc5892, https://github.com/python/cpython/issues/92025
"""

from __future__ import annotations

import re
import unicodedata

_MAX_LENGTH = 253  # https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4

_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

# Categories of the characters that IDNA 2008 allows, and the exceptions to them (RFC 5892, 2.6). Old Hangul, musical
# notation, and invisible characters are not allowed either (2.3, 2.4 and 2.9).
_LETTERS_AND_DIGITS = {"Ll", "Lo", "Lm", "Mn", "Mc", "Nd"}
_ALSO_ALLOWED = "\u06fd\u06fe\u0f0b\u3007"
_NOT_ALLOWED = re.compile(
    "[\u0640\u07fa\u302e\u302f\u3031-\u3035\u303b"
    "\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff"
    "\u20d0-\u20ff\U0001d100-\U0001d24f"
    "\u17b4\u17b5\u180f\U000e0100-\U000e01ef]"
)
# The only punctuation mark of IDNA 2008 in use: Catalan writes l·l.
_MIDDLE_DOT = re.compile("(?<=l)\u00b7(?=l)")


def to_ascii(domain: str) -> str | None:
    """Return the domain in ASCII, or None if it is not a valid domain name, or if IDNA 2003 and 2008 differ.

    ASCII names, also Punycode, are returned unchanged. A name needs at least two labels. IP addresses are not valid.
    """
    labels = [label if label.isascii() else _punycode(label) for label in domain.split(".")]
    if len(labels) < 2 or labels[-1].isdigit() or not all(map(_HOST_LABEL.fullmatch, labels)):
        return None
    name = ".".join(labels)
    return name if len(name) <= _MAX_LENGTH else None


def _punycode(label: str) -> str:
    """Return a label in Punycode, or "" if IDNA 2003 and 2008 differ, or if it decodes to another label.

    Both ignore case.
    """
    lower = label.lower()
    if not unicodedata.is_normalized("NFKC", label) or not _is_allowed_in_2008(lower):
        return ""
    try:
        encoded = lower.encode("idna")
        return encoded.decode("ascii") if encoded.decode("idna") == lower else ""
    except UnicodeError:
        return ""


def _is_allowed_in_2008(label: str) -> bool:
    if label.startswith("-") or label.endswith("-") or label[2:4] == "--" or unicodedata.category(label[0])[0] == "M":
        return False
    return all(map(_is_character_allowed, _MIDDLE_DOT.sub("", label))) and _has_one_direction(label)


def _is_character_allowed(char: str) -> bool:
    if unicodedata.category(char) not in _LETTERS_AND_DIGITS or _NOT_ALLOWED.match(char):
        return char == "-" or char in _ALSO_ALLOWED
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())
    return folded == char  # False for ß and ς


def _has_one_direction(label: str) -> bool:
    """Return whether a label with right-to-left characters follows https://www.rfc-editor.org/rfc/rfc5893#section-2."""
    classes = [unicodedata.bidirectional(char) for char in label]
    found = set(classes)
    if not found & {"R", "AL", "AN"}:
        return True
    last = next((each for each in reversed(classes) if each != "NSM"), "")
    ends_are_right = classes[0] in {"R", "AL"} and last in {"R", "AL", "EN", "AN"}
    return ends_are_right and "L" not in found and not {"EN", "AN"} <= found
