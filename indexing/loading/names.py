"""What a source is called: an absolute path, or the address of a page in one spelling.

A path whose name is no text (bytes that are not UTF-8, line breaks) goes by its `file:` URL, which
every message, table and store can hold.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes, urlsplit, urlunsplit

from rag.errors import InputError

_FILE = "file://"
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HOST = re.compile(r"[a-z0-9_.:-]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_KEPT = "/%:@!$&'()*+,;=~?"  # what may stand in a path or a query as it is
_SITEMAP = re.compile(r"[^/]*sitemap[^/]*\.xml(\.gz)?", re.IGNORECASE)


def source_of(path: str) -> str:
    """The source that a path is recorded as: its absolute path, or its `file:` URL."""
    absolute = os.path.abspath(path)
    if _NO_TEXT.search(absolute):
        return _FILE + quote_from_bytes(os.fsencode(absolute))
    return absolute


def path_of(source: str) -> Path:
    """The path that a source stands for."""
    if source.startswith(_FILE):
        return Path(os.fsdecode(unquote_to_bytes(source.removeprefix(_FILE))))
    return Path(source)


def is_there(source: str) -> bool:
    """Whether a source, or the file that it is a part of, is a file here."""
    return path_of(source).is_file() or path_of(source.partition("#")[0]).is_file()


def is_url(place: str) -> bool:
    """Whether a place is an address of the web."""
    return place.lower().startswith(("http://", "https://"))


def canonical_url(url: str) -> str:
    """An address in the one spelling that it is recorded in.

    Scheme and host are in lower case, a default port and the fragment are gone, and what may not
    stand in an address is escaped. Raises InputError for one that is none or holds a password.
    """
    shown = one_line(url.partition("?")[0].rpartition("@")[2])
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        raise InputError(f"{shown} is no address of a page: correct it") from None
    known = parts.scheme in _DEFAULT_PORTS and _HOST.fullmatch(host)
    if not known or _NO_TEXT.search(url.strip()):
        raise InputError(f"{shown} is no address of a page: give one with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise InputError(
            f"the address at {host} holds a name or password, which every citation would show: "
            "leave it out"
        )
    where = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        where += f":{port}"
    path, query = quote(parts.path or "/", safe=_KEPT), quote(parts.query, safe=_KEPT)
    return urlunsplit((parts.scheme, where, path, query, ""))


def in_order(source: str) -> list[str]:
    """The key that sorts sources as paths are sorted, part by part."""
    return source.split("/")


def one_line(text: str) -> str:
    """A text of others, fit to stand in a message: one line of at most 300 characters."""
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text.strip())[:300]


def is_sitemap(url: str) -> bool:
    """Whether an address is that of a sitemap, by its name: `….sitemap….xml` or `.xml.gz`."""
    return _SITEMAP.fullmatch(urlsplit(url).path.rpartition("/")[2]) is not None
