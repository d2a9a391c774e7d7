"""The readers of text and Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_files import document, failure, written

from indexing.identity import document_id_for


def test_markdown_is_kept_and_front_matter_is_taken_out(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "refund_policy.md",
        "\ufeff---\r\ntitle: Refunds\r\ndescription: How to pay back\r\nupdated: 2024-05-01\r\n"
        "tags: [a, b]\r\nlevel: 2\r\nsidebar_position: 7\r\n---\r\n\r\n# Money back\r\n\r\n"
        "Within *30* days, see [terms](terms.md).\r\n",
    )
    found = document(path)
    assert found.text == "# Money back\n\nWithin *30* days, see [terms](terms.md)."
    assert found.title == "Refunds"
    assert found.metadata == {"description": "How to pay back", "updated": "2024-05-01", "level": 2}
    assert (found.collection, found.sources) == ("help", ("refund_policy.md",))
    assert found.document_id == document_id_for("refund_policy.md")
    assert found.page_starts == ()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# The `rag` *tool*\n\ntext", "The rag tool"),
        ("```\n# a comment\n```\n\n# Real\n", "Real"),
        ("Setup guide\n===========\n\ntext", "Setup guide"),
        ("---\ntitle: Helm: a story\n---\ntext", "Helm: a story"),
        ("## Only a second level\n\ntext", "My file"),
        ("# snake_case_name and [a link](x.md)\n", "snake_case_name and a link"),
    ],
)
def test_title_of_markdown(tmp_path: Path, text: str, title: str) -> None:
    assert document(written(tmp_path, "my-file.md", text)).title == title


def test_mdx_loses_what_only_the_site_generator_reads(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "a.mdx",
        "import Tabs from '@theme/Tabs';\nimport {\n  One,\n  Two\n} from './parts';\n\n"
        "export const answer = 42;\n\n# Install {#install}\n\n<Tabs>\n"
        '<TabItem value="mac" label="Mac">\n\nRun it.\n\n</TabItem>\n</Tabs>\n\n<Video />\n\n'
        "{/* a note */}\n<!-- hidden\nstill hidden --> shown `<!-- code -->` <!-- x -->end\n\n"
        "import the chart by hand.\n\n```js\nimport x from 'y'\n<Tabs>\n<!-- kept -->\n\n\n```\n",
    )
    assert document(path).text == (
        "# Install\n\nRun it.\n\n shown `<!-- code -->` end\n\nimport the chart by hand.\n\n"
        "```js\nimport x from 'y'\n<Tabs>\n<!-- kept -->\n\n\n```"
    )


def test_markdown_that_only_looks_like_front_matter_or_comment_stays(tmp_path: Path) -> None:
    text = "---\nJust a line between rules.\n---\n\nAn arrow <!-- that never closes.\n\nEnd."
    assert document(written(tmp_path, "a.md", text)).text == text


def test_underlined_headings_become_lines_with_hashes(tmp_path: Path) -> None:
    text = "Top\n===\n\nSub\n---\n\npara\n\n---\n\n| a |\n| - |\n\n- item\n---\n"
    expected = "# Top\n\n## Sub\n\npara\n\n---\n\n| a |\n| - |\n\n- item\n---"
    assert document(written(tmp_path, "a.md", text)).text == expected


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Grüße 日本"),
        ("utf-8-sig", "Grüße 日本"),
        ("utf-16", "Grüße 日本"),
        ("utf-16-le", "Plain English without a mark"),
        ("utf-32", "Grüße"),
        ("cp1252", "Das Café öffnet um neun. Preis: 5 €."),
        ("cp1252", "Le garçon a mangé à la crémerie près de l’hôtel. Où êtes-vous?"),
        ("cp932", "こんにちは、返金は三十日以内に可能です。"),
        ("cp932", "Set the key. API キー: abc123 を設定してください。"),
        ("gb18030", "退款政策：三十天内可以退款。请联系客服。"),
        ("cp1251", "Возврат средств возможен в течение 30 дней."),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, text: str) -> None:
    assert document(written(tmp_path, "a.txt", text.encode(encoding))).text == text


def test_text_is_normalised(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "\n\nCafe\u0301\x00\x07 a\u00adb\u200b\xa0c  \r\nd\re\ff\n\n")
    assert document(path).text == "Caf\u00e9 ab c\nd\ne\nf"


def test_binary_under_a_text_name_is_refused(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 40
    assert "UTF-8" in failure(written(tmp_path, "a.txt", noise))
