"""A value in an email is a short text on one line, with nothing hidden and no link."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cognito_user_sync.email_values import MAX_LENGTH, clean_value

NAMES = [
    *[
        "Ada",
        "ada@example.com",
        "ada.lovelace",
        "ada.lovelace#1234",
        "example.com",
        "Zoë 李 😀 عمر",
        "e\u0301\u00e9",
        "",
    ],
    *["Müller & Söhne", "c/o Ada", "Raj s/o Kumar", "AC/DC", "J.R./K.", "St. John/Smith", "3.5/5", "1.10/2", "24/7"],
    *["Who?", "Who is ada.l?", "a: b", "// x", " "],
]


@pytest.mark.parametrize("value", NAMES)
def test_name_is_kept(value: str) -> None:
    assert clean_value(value) == value


# Links.

LINKS = [
    *["https://evil.example/prize", "HTTP://evil.example", "ftp://evil", "myapp://open"],
    *["http:evil.example", "mailto:a@evil.example", "tel:+123456", "javascript:alert(1)", "//evil.example"],
    *["evil.example:443", "evil.example\\win", "evil.example\u2215win"],
    *["evil.example/prize", "evil.example/", "EVIL.Example/x", "evil.example:8080/x", "evil.example./x"],
    *["a@b.example/x", "evil.example?user=1", "www.evil.example", "WWW.evil", "127.0.0.1/x", "127.0.0.1:80/x"],
    *["xn--e1afmkfd.xn--p1ai/x", "пример.рф/акция", "例え.テスト/あ", "उदाहरण.परीक्षा/क", "مثال\u200cها.ایران/x"],
    *["evil\uff0eexample\uff0fx", "evil\u3002example/x", "evil.com\u2100", "\uff48ttps\uff1a\uff0f\uff0fx.y"],
]
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u180b\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061"
    "\u2064\u2065\u2800\u2066\u2067\u2068\u2069\u206a\u3164\ufe00\ufe0f\ufeff\uffa0\ufff9\U000e0001\U000e0041\U000e007f\U000e0100"
)


@pytest.mark.parametrize("link", LINKS, ids=ascii)
@pytest.mark.parametrize("text", ["{}", "Click {} now", "({})", "x" * 200 + " {}"])
def test_value_with_a_link_is_left_out(link: str, text: str) -> None:
    assert clean_value(text.format(link)) == ""


@given(st.sampled_from(LINKS), st.data())
def test_invisible_characters_hide_no_link(link: str, data: st.DataObject) -> None:
    position = st.integers(0, len(link))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(position)
        link = link[:at] + data.draw(st.sampled_from(INVISIBLE)) + link[at:]
    assert clean_value(link) == ""


@given(st.text(max_size=60), st.text(max_size=60))
def test_clean_value_removes_a_url_in_any_text(before: str, after: str) -> None:
    assert clean_value(f"{before} https://evil.example/x {after}") == ""


# Length.


def test_long_value_is_cut() -> None:
    assert clean_value("x" * MAX_LENGTH) == "x" * MAX_LENGTH
    assert clean_value("x" * MAX_LENGTH + "y") == "x" * MAX_LENGTH
    assert clean_value("\u200b" * MAX_LENGTH + "x") == "x"


def test_cut_leaves_no_joiner_behind() -> None:
    astronaut = "👩\u200d🚀"
    assert clean_value("x" * 97 + astronaut) == "x" * 97 + astronaut
    assert clean_value("x" * 98 + astronaut) == "x" * 98 + "👩"


# Characters that show nothing, or change the direction of text.


@pytest.mark.parametrize("char", sorted(set(INVISIBLE) - set("\u180b\ufe00\ufe0f\U000e0100")), ids=ascii)
def test_invisible_character_is_removed(char: str) -> None:
    assert clean_value(f"{char}A{char}d{char}{char}a {char}") == "Ada "


@pytest.mark.parametrize("selector", "\u180b\ufe00\ufe0f\U000e0100", ids=ascii)
def test_variation_selector_is_kept_once_after_a_character(selector: str) -> None:
    assert clean_value(f"{selector}A{selector}{selector}da {selector}") == f"A{selector}da "


def test_text_of_tag_characters_is_removed() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "https://evil.example")
    assert clean_value(f"Ada{hidden}") == "Ada"


@pytest.mark.parametrize(
    "value",
    [
        *["👩\u200d🚀", "👨🏽\u200d👩🏽\u200d👧", "❤\ufe0f\u200d🔥", "🏳\ufe0f\u200d🌈", "👁\ufe0f\u200d🗨\ufe0f"],
        *["🙂\u200d↔\ufe0f", "1\ufe0f\u20e3", "می\u200cخواهم", "نامه\u200cای", "क्\u200dष", "क्\u200cष", "র\u200d্যাব"],
        *["ශ්\u200dරී", "രാജന്\u200d", "രാജന്\u200d നായർ"],
        "葛\U000e0100城",
    ],
    ids=ascii,
)
def test_joiner_and_selector_are_kept_where_they_are_needed(value: str) -> None:
    assert clean_value(value) == value


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("A\u200dd\u200ca", "Ada"),
        ("\u200dAda\u200d", "Ada"),
        ("👩\u200d\u200d🚀", "👩\u200d🚀"),
        ("👩\u200d", "👩"),
        ("👩\u200dA", "👩A"),
        ("م\u200cA", "مA"),
        ("م\u200cक", "مक"),
        ("क्\u200d\u200dष", "क्\u200dष"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f"),
    ],
    ids=ascii,
)
def test_joiner_and_selector_are_removed_elsewhere(value: str, cleaned: str) -> None:
    assert clean_value(value) == cleaned


ODD = st.text(st.characters() | st.sampled_from(INVISIBLE + "👩🚀🏽कष्من :/.?wx\r\n\u2028"), max_size=300)


@given(ODD)
def test_cleaned_value_is_short_and_shows_all_that_it_has(value: str) -> None:
    cleaned = clean_value(value)
    assert len(cleaned) <= MAX_LENGTH
    assert "://" not in unicodedata.normalize("NFKC", cleaned)
    categories = {unicodedata.category(char) for char in cleaned if char not in "\u200c\u200d"}
    assert not categories & {"Cf", "Cc", "Zl", "Zp"}
    assert clean_value(cleaned) == cleaned
