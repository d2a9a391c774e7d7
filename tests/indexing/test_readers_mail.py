"""The readers of e-mail."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import FindData
from made_files import document, eml, failure, pdf, read, written, zipped


def test_eml_with_attachments(tmp_path: Path) -> None:
    raw = eml(("invoice.pdf", pdf(["Total 5 dollars"])), ("logo.png", b"\x89PNG\r\n"))
    mail, invoice = read(written(tmp_path, "m.eml", raw)).documents
    assert mail.title == "Refund für order 7"
    assert mail.dated == "2024-05-31T08:15:00+00:00"
    assert mail.text == (
        "# Refund für order 7\n\nFrom: Ada <ada@acme.test>\nTo: help@acme.test\n"
        "Date: Fri, 31 May 2024 10:15:00 +0200\nAttachments: invoice.pdf, logo.png\n\n"
        "Please pay back."
    )
    assert invoice.sources == ("m.eml#invoice.pdf",)
    assert (invoice.title, invoice.text) == ("Invoice", "Total 5 dollars")


def test_eml_attachment_that_is_damaged_is_one_failed_part(tmp_path: Path) -> None:
    result = read(written(tmp_path, "m.eml", eml(("a.pdf", b"%PDF-1.7 nothing"))))
    assert len(result.documents) == 1
    (bad,) = result.failed
    assert bad.source == "m.eml#a.pdf"
    assert "m.eml#a.pdf is damaged or no PDF" in bad.reason


def test_eml_html_alone_is_read_as_a_page(tmp_path: Path) -> None:
    raw = eml(text="", html="<p>Pay <b>now</b></p><script>x</script>")
    assert document(written(tmp_path, "m.eml", raw)).text.endswith("\n\nPay now")
    both = eml(text="Plain.", html="<p>Page</p>")
    assert document(written(tmp_path, "n.eml", both)).text.endswith("\n\nPlain.")


def test_eml_mail_within_a_mail_and_an_archive_within_both(tmp_path: Path) -> None:
    inner = eml(("deep.zip", zipped({"a.txt": "Too deep"})), text="Inner text")
    result = read(written(tmp_path, "m.eml", eml(("inner.eml", inner))))
    assert [each.sources[0] for each in result.documents] == ["m.eml", "m.eml#inner.eml"]
    (bad,) = result.failed
    assert bad.source == "m.eml#inner.eml#deep.zip#a.txt"
    assert "3 files deep, the limit is 2" in bad.reason


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("just some text\n\nwithout a head", "no e-mail"),
        ("From: a@b.c\nContent-Type: multipart/encrypted; boundary=x\n\n--x\n\n--x--", "encrypted"),
    ],
)
def test_eml_that_cannot_be_read(tmp_path: Path, content: str, words: str) -> None:
    assert words in failure(written(tmp_path, "m.eml", content))


@pytest.mark.parametrize(
    "header",
    ["Date: nonsense", "To: " + "a@b.c, " * 5000, "Subject: =?utf-8?q?broken", "From: <<>@[",
     "Subject: =?x-unknown?b?4pyT?=", "Content-Type: multipart/mixed", "Content-Type: text/;;;="],
)  # fmt: skip
def test_eml_with_broken_lines(tmp_path: Path, header: str) -> None:
    path = written(tmp_path, "m.eml", f"Message-ID: <1@b.c>\n{header}\n\nThe text.")
    assert "The text." in document(path).text


def test_eml_nested_deep(tmp_path: Path) -> None:
    head = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3000))
    path = written(tmp_path, "m.eml", f"From: a@b.c\nSubject: s\n{head}\nText")
    assert "no e-mail" in failure(path)


def test_mbox(tmp_path: Path) -> None:
    mails = b"".join(
        b"From ada@acme.test Fri May 31 10:15:00 2024\n"
        + (b"Message-ID: <%d@acme.test>\n" % number if number else b"")
        + b"Subject: Mail %d\nFrom: ada@acme.test\n\n>From here on.\n\n" % number
        for number in range(3)
    )
    found = read(written(tmp_path, "all.mbox", mails))
    assert found.failed == []
    assert [each.sources[0] for each in found.documents] == [
        "all.mbox#1.eml", "all.mbox#1@acme.test.eml", "all.mbox#2@acme.test.eml",
    ]  # fmt: skip
    assert [each.title for each in found.documents] == ["Mail 0", "Mail 1", "Mail 2"]
    assert all(each.text.endswith("\n\nFrom here on.") for each in found.documents)
    assert "no mailbox" in failure(written(tmp_path, "none.mbox", "hello"))


def test_msg(tmp_path: Path, find_data: FindData) -> None:
    raw = (find_data("files_office") / "test_outlook_msg.msg").read_bytes()
    found = document(written(tmp_path, "a.msg", raw))
    assert found.title == "Test Email Message"
    assert found.dated == "2024-12-22T08:23:00+00:00"
    assert "To: test.recipient@example.com" in found.text
    assert "This is the body of the test email message" in found.text
    assert "no Outlook message" in failure(written(tmp_path, "cut.msg", raw[:600]))
