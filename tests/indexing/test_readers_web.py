"""The readers of books, feeds and other XML."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_files import document, epub, failure, read, written, zipped


def test_epub_chapters_in_the_order_of_reading(tmp_path: Path) -> None:
    chapters = {
        "one": "<h1>One</h1><p>First &amp; <b>best</b>.</p>",
        "two": "<h1>Two</h1>Last.",
    }
    found = document(written(tmp_path, "b.epub", epub(chapters, ["two", "one", "two"])))
    assert found.title == "The Handbook"
    assert found.text == "# Two\n\nLast.\n\n# One\n\nFirst & best."


def test_epub_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no EPUB" in failure(
        written(tmp_path, "a.epub", zipped({"mimetype": "application/epub+zip"}))
    )
    whole = epub({"one": "<p>x</p>"})
    assert "damaged" in failure(written(tmp_path, "cut.epub", whole[:-100]))
    locked = zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/encryption.xml": '<EncryptionMethod Algorithm="aes256"/>',
        }
    )
    assert "encrypted (DRM)" in failure(written(tmp_path, "drm.epub", locked))


RSS = """<?xml version="1.0"?><rss version="2.0"
 xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>News</title>
<description>All of it</description><item><title>One &amp; only</title>
<pubDate>Fri, 31 May 2024 10:15:00 GMT</pubDate><description>Teaser</description>
<content:encoded><![CDATA[<p>The <b>whole</b></p><ul><li>point</li></ul>]]></content:encoded></item>
<item><description>Untold &lt;i&gt;entry&lt;/i&gt;</description></item></channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Log</title><entry><title>Two</title>
<updated>2024-05-31</updated><author><name>Ada</name></author>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>As it is.</p></div></content>
</entry></feed>"""


@pytest.mark.parametrize("name", ["feed.xml", "feed.rss", "feed", "https://a.test/feed/?page=2"])
def test_rss(tmp_path: Path, name: str) -> None:
    found = document(written(tmp_path, "feed", RSS), name)
    assert found.title == "News"
    assert found.text == (
        "# News\n\nAll of it\n\n## One & only\n\nFri, 31 May 2024 10:15:00 GMT\n\nThe whole\n\n"
        "- point\n\n## Untitled\n\nUntold entry"
    )


def test_atom(tmp_path: Path) -> None:
    found = document(written(tmp_path, "a.atom", ATOM))
    assert found.text == "# Log\n\n## Two\n\n2024-05-31, by Ada\n\nAs it is."


def test_other_xml(tmp_path: Path) -> None:
    content = (
        '<order id="7"><title>An order</title><item sku="A1">Bolt</item><empty/>'
        "<note>Pay <b>on</b> time.</note></order>"
    )
    found = document(written(tmp_path, "a.xml", content))
    assert found.title == "An order"
    assert found.text == "order (id: 7)\ntitle: An order\nitem (sku: A1): Bolt\n\nPay on time."


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "content",
    [
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l "ha">]><a><b>safe</b>&l;</a>',
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        "<a><b>safe</b>&x;</a>",
        '<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a><b>safe</b></a>',
    ],
)
def test_entities_are_never_resolved(tmp_path: Path, content: str) -> None:
    text = document(written(tmp_path, "a.xml", content)).text
    assert "safe" in text
    assert "ha" not in text
    assert "root:" not in text


def test_xml_that_cannot_be_read(tmp_path: Path) -> None:
    laughs = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a>&l9;</a>'
    assert "amplification" in failure(written(tmp_path, "c.xml", laughs))
    assert "no XML" in failure(written(tmp_path, "a.xml", "<a><b></a>"))
    assert "no XML" in failure(written(tmp_path, "b.xml", "<a>" * 10_000 + "x" + "</a>" * 10_000))


def test_archive_members_are_documents_and_bad_ones_are_reported(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "docs/b.md": "# Bee\n\ntext",
        "a.txt": "A text",
        "rows.jsonl": '{"id": "r", "text": "row"}\n',
        "logo.png": b"\x89PNG\r\n",
        "broken.pdf": b"%PDF-1.4 no",
        ".hidden.md": "no",
        "__MACOSX/a.txt": "no",
        "empty.md": "",
        "inner.zip": zipped({"deep.md": "deep", "deeper.zip": zipped({"x.md": "x"})}),
    }
    result = read(written(tmp_path, "a.zip", zipped(members)))
    assert [(each.sources[0], each.title) for each in result.documents] == [
        ("a.zip#a.txt", "A"),
        ("a.zip#docs/b.md", "Bee"),
        ("a.zip#inner.zip#deep.md", "Deep"),
        ("a.zip#rows.jsonl#r", "Rows"),
    ]
    reasons = {part.source: part.reason for part in result.failed}
    assert reasons.keys() == {
        "a.zip#broken.pdf", "a.zip#empty.md", "a.zip#inner.zip#deeper.zip#x.md",
    }  # fmt: skip
    assert "a.zip#broken.pdf is damaged or no PDF" in reasons["a.zip#broken.pdf"]
    assert "is empty" in reasons["a.zip#empty.md"]
    assert "3 files deep" in reasons["a.zip#inner.zip#deeper.zip#x.md"]


def test_archive_member_that_is_damaged_is_one_failed_part(tmp_path: Path) -> None:
    raw = bytearray(zipped({"a.txt": "A" * 1000, "b.txt": "good"}))
    raw[raw.index(b"a.txt") + 8] ^= 0xFF
    result = read(written(tmp_path, "a.zip", bytes(raw)))
    assert [each.sources[0] for each in result.documents] == ["a.zip#b.txt"]
    assert "damaged" in result.failed[0].reason
