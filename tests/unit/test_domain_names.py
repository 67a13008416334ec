"""A domain in ASCII is the one that was typed, whichever version of IDNA reads it."""

from __future__ import annotations

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cognito_user_sync.domain_names import to_ascii


@pytest.mark.parametrize(
    "domain", ["example.com", "Sub.EXAMPLE.co.uk", "4711.example", "a--b.de", "xn--fa-hia.de", "a" * 63 + ".de"]
)
def test_ascii_domain_is_kept(domain: str) -> None:
    assert to_ascii(domain) == domain


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("Österreich.at", "xn--sterreich-z7a.at"),
        ("bücher.xn--mnchen-3ya.de", "xn--bcher-kva.xn--mnchen-3ya.de"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("二〇〇〇.cn", "xn--w6jaa3632a.cn"),
        ("paral·lel.cat", "xn--parallel-koa.cat"),
        ("коммерсантъ.рф", "xn--80ajoiaictjm2g.xn--p1ai"),
        ("한국.kr", "xn--3e0b707e.kr"),
        ("उदाहरण.परीक्षा", "xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"),
        ("مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"),
        ("דוגמה.קום", "xn--6dbbec0c.xn--9dbq2a"),
    ],
)
def test_international_domain_becomes_punycode(domain: str, expected: str) -> None:
    assert to_ascii(domain) == expected
    assert idna.encode(domain.lower()).decode() == expected


@pytest.mark.parametrize(
    "domain",
    [
        # In IDNA 2008 another domain.
        *["faß.de", "FAẞ.de", "σοφός.gr", "ΣΟΦΌΣ.gr", "نامه\u200cای.com", "ශ්\u200dරී.com"],
        # In IDNA 2008 none.
        *["☃.net", "i♥u.ws", "√.com", "ab\u30fbc.jp", "a·b.cat", "bü--cher.de", "\u0301ü.de", "-ü.de", "ü-.de"],
        *["abc٣.com", "٣٤.com", "א٣4ב.com", "ـمثال.com", "\u1112\u119e.kr", "ᏣᎳᎩ\u0483\u20dd.com", "\u3164.kr"],
        # In IDNA 2003 none.
        "דוגמה2.קום",
        # Another one than what was typed.
        *["exam\u200bple.com", "exa\u00admple.com", "exa\ufe0fmple.com", "example\uff0ecom", "example\u3002com"],
        *["\u2100.example", "\uff45xample.com", "\u212aelvin.com", "example.\u24d2om", "mu\u0308nchen.de", "½.com"],
        # None anywhere.
        *["", ".", "localhost", "example.com.", ".example.com", "a..com", "-a.com", "a-.com", "a_b.com", "a b.com"],
        *["ü_b.com", "127.0.0.1", "a.1", "xn--ü.de", "\ud800.com", "\u202emoc.com", "a" * 64 + ".de", "ü" * 60 + ".de"],
        ".".join(["a" * 62] * 5),
    ],
    ids=ascii,
)
def test_domain_that_is_not_certain_is_none(domain: str) -> None:
    assert to_ascii(domain) is None


# What the two versions of IDNA, directions and scripts disagree about.
DIFFICULT = st.sampled_from(
    "aBüÜßẞςσΣİıſ\u212aäﬁⅷ½²\u00b7l\u30fbの漢〇・\u00ad\u034f\u200b\u200c\u200d\u2060\ufeff\ufe0f\U000e0101"
    "\u0301\u0308\u0345\u0591\u064b\u0640אבגاب\u06fd٣٤۴۵४1-.\u3002\uff0e\uff61☃♥😀क्ष\u0d7b\u07c0\u07d0\u1160\u1112\u119e가ᏣꭰႠⴀ"
)
LABELS = st.text(DIFFICULT | st.characters(), min_size=1, max_size=8)


@given(st.lists(LABELS, min_size=2, max_size=3).map(".".join))
def test_result_is_what_idna_2008_says(domain: str) -> None:
    """`idna` follows the tables of RFC 5892, and with `uts46` maps upper case as programs do."""
    found = to_ascii(domain)
    if found is not None:
        assert found.lower() == idna.encode(domain, uts46=True, std3_rules=True).decode()


@given(st.lists(LABELS, min_size=2, max_size=3).map(".".join))
def test_result_decodes_to_what_was_typed(domain: str) -> None:
    found = to_ascii(domain)
    if found is not None:
        assert found.isascii()
        assert found.encode().decode("idna").lower() == domain.lower()
        assert to_ascii(found) == found
