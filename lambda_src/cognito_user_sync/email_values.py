"""Sanitizes values that users choose, before an email shows them: one short line of visible text without links.

Otherwise an attacker could use a username to send advertisements with links from a verified sender.
"""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 100
# Cognito's limit for the value of an attribute. The rest of a longer value is ignored.
_LONGEST_VALUE = 2048

# Text that mail programs turn into a link, or that looks like an address: a URL, www., a host or an IP address with a
# path or a port. A host name alone can be a name: ada.lovelace. U+3002 is a dot in a host name.
_LINK = re.compile(
    r"""
    ://
    | (?<!\w) (?: https? | ftp | mailto | tel | sms | data | javascript ) :\S
    | //\S
    | (?<!\w) www\. \S
    | [^\s./:] [.\u3002] [^\W\d_] [^\s./:?\#@\u3002]+ [.\u3002]? (?: :\d+ | [/\\\u2215] | \?\S )
    | (?<!\d) \d{1,3} (?: \.\d{1,3} ){3} (?: :\d+ | [/\\\u2215] | \?\S )
    """,
    re.VERBOSE | re.IGNORECASE,
)

# Invisible characters outside Unicode's category Cf: tags, fillers, and unassigned ones between them.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
# They change how the character before them looks: an emoji, or a Japanese or Mongolian character.
_VARIATION_SELECTOR = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")

# Zero-width non-joiner and joiner. Scripts in which they change how a word is written or read, by the first word of
# the Unicode names of their characters. Between an emoji and a joiner there can be skin tones and U+FE0F.
_JOINERS = "\u200c\u200d"
_SCRIPTS_WITH_JOINERS = {
    *("ADLAM", "ARABIC", "BENGALI", "DEVANAGARI", "GUJARATI", "GURMUKHI", "HANIFI", "KANNADA", "KHMER", "MALAYALAM"),
    *("MANDAIC", "MONGOLIAN", "MYANMAR", "NKO", "ORIYA", "SINHALA", "SYRIAC", "TAMIL", "TELUGU", "TIBETAN"),
}
_EMOJI_MODIFIERS = "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_VIRAMA = 9  # canonical combining class


def clean_value(value: str) -> str:
    """Return a user's value as an email shows it, or "" if it looks like it has a link.

    Control characters and line breaks become spaces. Invisible characters and those that change the direction of text
    are removed, except joiners that an emoji or a script needs. The value is cut after MAX_LENGTH characters.
    """
    visible = _without_invisible(one_line(value[:_LONGEST_VALUE]))
    compared = "".join(char for char in visible if char not in _JOINERS and not _VARIATION_SELECTOR.match(char))
    if _LINK.search(unicodedata.normalize("NFKC", compared)):
        return ""
    # Again, because the cut may leave a joiner without a second character.
    return _without_invisible(visible[:MAX_LENGTH])


def one_line(text: str) -> str:
    """Replace control characters and line separators (Unicode Cc, Zl, Zp) with spaces."""
    return "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)


def _without_invisible(text: str) -> str:
    kept = ""
    for index, char in enumerate(text):
        if char in _JOINERS:
            keep = _joins(kept, text[index + 1 : index + 2])
        elif _VARIATION_SELECTOR.match(char):
            keep = kept[-1:].strip() != "" and not is_invisible(kept[-1])
        else:
            keep = not is_invisible(char)
        kept += char if keep else ""
    return kept


def is_invisible(char: str) -> bool:
    """Return whether a character is invisible, or changes how others look."""
    return unicodedata.category(char) == "Cf" or bool(_BLANK.match(char) or _VARIATION_SELECTOR.match(char))


def _joins(before: str, after: str) -> bool:
    """Return whether a joiner between `before` and the character `after` belongs to a script or an emoji."""
    if not before or before[-1] in _JOINERS:
        return False
    if unicodedata.combining(before[-1]) == _VIRAMA:  # also at the end of a word: the older form of Malayalam chillus
        return True
    script = _script(before[-1])
    return (script in _SCRIPTS_WITH_JOINERS and script == _script(after)) or (
        _is_emoji(before.rstrip(_EMOJI_MODIFIERS)[-1:]) and _is_emoji(after)
    )


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0] if char else ""


def _is_emoji(char: str) -> bool:
    # Emoji are "other symbols", except U+2194. An older Python does not know the latest ones.
    return char != "" and (
        unicodedata.category(char) == "So" or char == "\u2194" or "\U0001f000" <= char <= "\U0001faff"
    )
