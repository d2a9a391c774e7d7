"""Finding files: folders, links, patterns, and names that are no text."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from indexing.loading.discovery import discover, is_under, lies_in_one_of
from indexing.loading.names import canonical_url, is_sitemap, path_of, source_of
from rag.errors import InputError
from rag.sources import FailedPart, Found

ROOT = Path(__file__).resolve().parents[2]
NOT_TEXT = os.fsdecode(b"caf\xe9.md")


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def at(folder: Path, *names: str) -> tuple[str, ...]:
    return tuple(str(folder / name) for name in names)


def found_in(folder: Path, *patterns: str) -> list[str]:
    """What `patterns` below a folder find, by names relative to it."""
    places = [str(folder / pattern) for pattern in patterns]
    return [os.path.relpath(source, folder) for source in discover(places).sources]


def skipped(found: Found, folder: Path) -> dict[str, str]:
    return {os.path.relpath(part.source, folder): part.reason for part in found.skipped}


def test_a_folder_gives_its_supported_files_and_a_reason_for_the_others(tmp_path: Path) -> None:
    make(tmp_path, "b.md", "a.txt", "x.rst", ".hidden.md", "C.HTML", "LICENSE", "a b.MD")
    make(tmp_path, "sub/deep/d.md", ".git/d.md", "sub/.cache/d.md", "sub/p.png")
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "dangling.md").symlink_to(tmp_path / "nowhere.md")
    (tmp_path / "circle.md").symlink_to(tmp_path / "circle.md")
    os.mkfifo(tmp_path / "pipe.md")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "end.txt"))
    found = discover([str(tmp_path)])
    assert found.sources == at(tmp_path, "C.HTML", "a b.MD", "a.txt", "b.md", "sub/deep/d.md")
    assert skipped(found, tmp_path) == {
        "LICENSE": "no extension",
        "circle.md": "a link to what is not there (Too many levels of symbolic links)",
        "dangling.md": "a link to what is not there (No such file or directory)",
        "end.txt": "no ordinary file",
        "pipe.md": "no ordinary file",
        "sub/p.png": "unsupported extension .png",
        "x.rst": "unsupported extension .rst",
    }
    assert discover([]) == Found((), ())


def test_a_named_file_stays_whatever_it_is(tmp_path: Path) -> None:
    make(tmp_path, "x.rst", "a.txt", ".hidden.md")
    os.mkfifo(tmp_path / "pipe")
    names = ["x.rst", "a.txt", ".", ".hidden.md", "a.txt", "pipe"]
    found = discover(at(tmp_path, *names))
    assert found == Found(at(tmp_path, ".hidden.md", "a.txt", "pipe", "x.rst"), ())


def test_the_order_is_that_of_paths(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "a/z.md", "a-b/c.md")
    assert found_in(tmp_path, "") == ["a/z.md", "a-b/c.md", "a.md"]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    make(tmp_path, "here/sub/d.md", "elsewhere/a.md")
    (tmp_path / "here" / "sub" / "loop").symlink_to(tmp_path / "here")
    for number in range(20):  # in whatever order the folder lists them
        (tmp_path / "here" / f"alias{number}").symlink_to(tmp_path / "here" / "sub")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    assert found_in(tmp_path, "here") == ["here/link/a.md", "here/sub/d.md"]
    assert found_in(tmp_path, "here/**/*.md") == ["here/link/a.md", "here/sub/d.md"]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "a.md")
    with pytest.raises(InputError, match=r"/nowhere does not exist: name"):
        discover(at(tmp_path, "a.md", "nowhere"))
    with pytest.raises(InputError, match=r"nothing matches .*/\*\.mdd: correct the pattern"):
        discover(at(tmp_path, "*.mdd"))


def as_nobody(call: str, folder: Path) -> list[str]:
    """What `call` gives to a user for whom permissions count."""
    code = (
        f"import json, os, sys\nsys.path[:] = {[str(ROOT), *sys.path]!r}\n"
        "from indexing.loading.discovery import discover\nfrom rag.errors import InputError\n"
        f"if os.getuid() == 0:\n    os.setuid(65534)\nos.chdir({str(folder)!r})\n"
        f"try:\n    found = {call}\n    told = [*found.sources, *map(str, found.skipped)]\n"
        "except InputError as error:\n    told = [str(error)]\nprint(json.dumps(told))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip("another user may not read the project here")
    assert done.returncode == 0, done.stderr
    told: list[str] = json.loads(done.stdout)
    return told


def test_a_folder_that_may_not_be_listed_stops_nothing(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "shut/b.md")
    for folder in [tmp_path, *list(tmp_path.parents)[:2]]:
        folder.chmod(0o755)
    (tmp_path / "shut").chmod(0)
    try:
        told = as_nobody(f"discover([{str(tmp_path)!r}])", tmp_path)
        assert told[0] == str(tmp_path / "a.md")
        [shut] = told[1:]
        assert f"{tmp_path}/shut" in shut
        assert "cannot be listed (Permission denied): check its permissions" in shut
        [refused] = as_nobody(f"discover([{str(tmp_path / 'shut')!r}])", tmp_path)
        assert refused == (
            f"{tmp_path}/shut cannot be listed (Permission denied): check its permissions"
        )
    finally:
        (tmp_path / "shut").chmod(0o755)


PATTERNS = [
    ("*.md", ["a.md", "b.md"]),
    ("[ab].*", ["a.md", "a.txt", "b.md"]),
    ("?.txt", ["a.txt"]),
    ("**/*.md", ["a.md", "b.md", "one/c.md", "one/two/d.md"]),
    ("**/two/*.md", ["one/two/d.md"]),
    ("**/**/two/**/*.md", ["one/two/d.md"]),
    ("one/**", ["one/c.md", "one/two/d.md"]),
    ("*/two", ["one/two/d.md"]),
    ("o*", ["one/c.md", "one/two/d.md"]),
    ("*", ["a.md", "a.txt", "b.md", "one/c.md", "one/two/d.md"]),
    (".h*/*.md", [".hid/e.md"]),
    ("**/one/**/d.*", ["one/two/d.md"]),
]


@pytest.mark.parametrize(("pattern", "names"), PATTERNS)
def test_patterns(pattern: str, names: Sequence[str], tmp_path: Path) -> None:
    """What a pattern finds is what belongs to it, and nothing else does."""
    all_names = [
        "a.md",
        "a.txt",
        "b.md",
        "one/c.md",
        "one/two/d.md",
        ".hid/e.md",
        ".f.md",
        "one/.g.md",
    ]
    make(tmp_path, *all_names)
    place = str(tmp_path / pattern)
    assert found_in(tmp_path, pattern) == list(names)
    assert [name for name in all_names if is_under(str(tmp_path / name), place)] == list(names)


def test_a_pattern_skips_with_reasons_what_nobody_named(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "p.png")
    assert skipped(discover(at(tmp_path, "*")), tmp_path) == {"p.png": "unsupported extension .png"}
    assert discover(at(tmp_path, "*.png")).sources == ()


def test_a_name_that_looks_like_a_pattern_is_itself_where_it_exists(tmp_path: Path) -> None:
    make(tmp_path, "[ab]/x.md", "a/y.md", "what?.md", "whatx.md")
    assert found_in(tmp_path, "[ab]", "what?.md") == ["[ab]/x.md", "what?.md"]
    place = str(tmp_path / "[ab]")
    assert is_under(str(tmp_path / "[ab]/x.md"), place)
    assert not is_under(str(tmp_path / "a/y.md"), place)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    make(tmp_path, NOT_TEXT, "two\nlines.md", "über 日本.md", f"{NOT_TEXT}.d/{NOT_TEXT}")
    found = discover([str(tmp_path)])
    assert found.sources == (
        str(tmp_path / "über 日本.md"),
        f"file://{tmp_path}/caf%E9.md",
        f"file://{tmp_path}/caf%E9.md.d/caf%E9.md",
        f"file://{tmp_path}/two%0Alines.md",
    )
    assert all(path_of(source).read_text() == "x" for source in found.sources)
    assert all(is_under(source, str(tmp_path)) for source in found.sources)
    assert all(is_under(source, str(tmp_path / "**/*.md")) for source in found.sources)
    assert is_under(found.sources[2], str(tmp_path / f"{NOT_TEXT}.d"))
    assert discover([str(tmp_path / NOT_TEXT)]).sources == (found.sources[1],)
    make(tmp_path, f"{NOT_TEXT}.\udcff")
    [part] = discover([str(tmp_path)]).skipped
    assert part == FailedPart(f"file://{tmp_path}/caf%E9.md.%FF", "unsupported extension .%ff")


@pytest.mark.parametrize(
    ("source", "place", "belongs"),
    [
        ("/docs/a.md", "/docs", True),
        ("/docs/a.md", "/docs/", True),
        ("/docs/a.md", "/docs/a.md", True),
        ("/docs/a.md", "/", True),
        ("/docs-old/a.md", "/docs", False),
        ("/docs", "/docs/a.md", False),
        ("/docs/.a.md", "/docs", False),
        ("/docs/.git/a.md", "/docs", False),
        ("/docs/.a.md", "/docs/.a.md", True),
        ("/home/.docs/a.md", "/home/.docs", True),
        ("/docs/../a.md", "/a.md", False),
        ("upload:a.md", "/", False),
        ("https://h.org/a", "/", False),
        ("https://h.org/a", "https://H.org:443/a#part", True),
        ("https://h.org/a/b", "https://h.org/a", False),
        ("https://h.org/a", "https://h.org/sitemap.xml", True),
        ("http://h.org/a", "https://h.org/sitemap.xml", True),
        ("https://h.org/docs/a", "https://h.org/docs/sitemap-1.xml.gz", True),
        ("https://h.org/blog/a", "https://h.org/docs/sitemap.xml", False),
        ("https://h.org.evil.com/a", "https://h.org/sitemap.xml", False),
        ("/docs/a.md", "https://h.org/sitemap.xml", False),
        ("https://h.org/a", "https://me:secret@h.org/a", False),
    ],
)
def test_is_under(source: str, place: str, belongs: bool) -> None:
    assert is_under(source, place) is belongs


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ("HTTPS://Docs.Example.COM:443/A/b?q=1#part", "https://docs.example.com/A/b?q=1"),
        ("http://h.org", "http://h.org/"),
        ("http://h.org:8080?q", "http://h.org:8080/?q"),
        ("https://h.org/a b/ü?x=ü&y=%20", "https://h.org/a%20b/%C3%BC?x=%C3%BC&y=%20"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://[::1]:80/a", "http://[::1]/a"),
    ],
)
def test_an_address_has_one_spelling(given: str, recorded: str) -> None:
    assert canonical_url(given) == recorded
    assert canonical_url(recorded) == recorded
    assert discover([given]) == Found((recorded,), ())


@pytest.mark.parametrize(
    "url",
    ["http://", "https:///a", "http://h:99999/", "http://a b/", "http://[::1", "http://a b\n/", "http://h/a\nb",
     "http://" + "x" * 70 + "ü/"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="is no address of a page") as caught:
        discover([url])
    assert "\n" not in str(caught.value)


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    for url in ["https://me:secret@h.org/a", "https://me:secret@h:999999/"]:
        with pytest.raises(InputError) as caught:
            canonical_url(url)
        assert "secret" not in str(caught.value)


def test_a_sitemap_is_one_by_its_name() -> None:
    for name in [
        "sitemap.xml",
        "a/post-sitemap2.xml",
        "Sitemap_index.XML",
        "wp-sitemap.xml.gz?p=1",
    ]:
        assert is_sitemap(f"https://h.org/{name}"), name
    for name in ["feed.xml", "sitemap", "sitemap.html", "sitemap.xml/a", "a?sitemap.xml"]:
        assert not is_sitemap(f"https://h.org/{name}"), name


def test_a_source_is_absolute() -> None:
    assert source_of("a/../b.md") == str(Path.cwd() / "b.md")


def test_what_lies_in_a_skipped_folder_or_sitemap(tmp_path: Path) -> None:
    closed, picture = str(tmp_path / "closed"), str(tmp_path / "a.png")
    skipped = {closed, picture, "https://a.example/docs/sitemap.xml"}
    assert lies_in_one_of(f"{closed}/deep/a.md", skipped)
    assert lies_in_one_of(picture, skipped)
    assert not lies_in_one_of(f"{closed}-not/a.md", skipped)
    assert lies_in_one_of("https://a.example/docs/page", skipped)
    assert not lies_in_one_of("https://a.example/blog/page", skipped)
