"""ZIP files and the formats that are ZIP files inside, opened with care; and XML, parsed with care.

Nothing is unpacked to disk, no entity is resolved, nothing is fetched.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING

from indexing.readers.limits import ReadLimits
from rag.errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

_LARGE_BYTES = 20_000_000  # below this a high ratio is only a repetitive file
_ENCRYPTED = 0x1
_HEAD_BYTES = 4096


def open_package(raw: bytes, source: str, limits: ReadLimits) -> zipfile.ZipFile:
    """The ZIP file, once its list of members is within the limits.

    Raises DocumentError when it is damaged, encrypted, or would unpack to too much.
    """
    try:
        package = zipfile.ZipFile(io.BytesIO(raw))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, OSError) as error:
        raise DocumentError(
            f"{source} is damaged: its list of files cannot be read ({_brief(error)}): "
            "make or download it again"
        ) from error
    members = package.infolist()
    if len(members) > limits.max_members:
        raise DocumentError(
            f"{source} holds {len(members)} files, the limit is {limits.max_members}: split it"
        )
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.max_unpacked_bytes:
        raise DocumentError(
            f"{source} unpacks to {unpacked} bytes, the limit is {limits.max_unpacked_bytes}: "
            "split it or raise ingestion.max_unpacked_bytes"
        )
    ratio = unpacked // max(len(raw), 1)
    if unpacked > _LARGE_BYTES and ratio > limits.max_unpacked_ratio:
        raise DocumentError(
            f"{source} unpacks to {ratio} times its size, as a zip bomb does, the limit is "
            f"{limits.max_unpacked_ratio}: unpack it first"
        )
    if members and all(member.flag_bits & _ENCRYPTED for member in members if member.file_size):
        raise DocumentError(f"{source} is locked by a password: save it without one")
    return package


def unpack(package: zipfile.ZipFile, name: str, source: str) -> bytes:
    """The bytes of one member. Raises DocumentError when it is damaged or encrypted."""
    member = package.getinfo(name)
    if member.flag_bits & _ENCRYPTED:
        raise DocumentError(f"{source} is locked by a password: save it without one")
    try:
        return package.read(member)
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError
    ) as error:  # fmt: skip
        # RuntimeError has NotImplementedError below it: an unknown way of packing.
        raise DocumentError(
            f"{source} is damaged at {name} ({_brief(error)}): make or download it again"
        ) from error


def refuse_entities(package: zipfile.ZipFile, source: str) -> None:
    """Raise DocumentError when a part of an office file declares entities, as only attacks do."""
    for name in package.namelist():
        if name.endswith((".xml", ".rels")):
            try:
                with package.open(name) as part:
                    head = part.read(_HEAD_BYTES)
            except Exception:  # noqa: S112  it is found to be damaged when it is read
                continue
            if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                raise DocumentError(
                    f"{source} declares XML entities in {name}, which no office program writes: "
                    "save it again with the program that made it"
                )


def parse_xml(raw: bytes) -> _Element:
    """The root of an XML text. Raises lxml's XMLSyntaxError; entities stay what they are."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
        remove_pis=True, huge_tree=False,
    )  # fmt: skip
    return etree.fromstring(raw, parser)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
