"""The parts of an .xlsx file: XML in a zip, read as streams of bounded length. ECMA-376, parts 1 and 2."""

import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from batchcredit.workbook.fault import WorkbookFaultError, damaged

_CHUNK_BYTES = 1 << 18
#: XML of a sheet packs to a thirtieth; what unpacks to so much more, beyond what is harmless, is a bomb.
_FEW_BYTES = 64 << 20
_BYTES_PER_BYTE = 200
_OLE = b"\xd0\xcf\x11\xe0"
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, KeyError)

Attributes = Mapping[str, str]


class Element(NamedTuple):
    """The beginning of an element, and the name of the one around it."""

    parent: str
    name: str
    attributes: Attributes


class Package:
    """An .xlsx file. Raises WorkbookFaultError where it is none, is locked, or unpacks to too much."""

    def __init__(self, file: Path) -> None:
        _refuse_locked(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except _UNREADABLE as error:
            raise damaged(f"it is no zip archive ({error})") from None
        self.room = max(_FEW_BYTES, file.stat().st_size * _BYTES_PER_BYTE)

    def close(self) -> None:
        """Gives the file back."""
        self._zip.close()

    def chunks(self, part: str) -> Iterator[bytes]:
        """The bytes of a part, in pieces."""
        try:
            with self._zip.open(part) as file:
                while piece := file.read(_CHUNK_BYTES):
                    self.spend(len(piece))
                    yield piece
        except _UNREADABLE as error:
            raise damaged(f"{part} can not be unpacked: {error}") from None

    def spend(self, size: int) -> None:
        """Counts bytes that were unpacked, or characters that were made of them."""
        self.room -= size
        if self.room < 0:
            raise damaged("it unpacks to far more than its size")

    def elements(self, part: str) -> Iterator[Element]:
        """Every element of a small part, as it begins."""
        around, found = [""], list[Element]()

        def start(name: str, attributes: Attributes) -> None:
            plain = name.rpartition(":")[2]
            found.append(Element(around[-1], plain, attributes))
            around.append(plain)

        def end(_: str) -> None:
            around.pop()

        for _ in parsed(xml_parser(start, end), self.chunks(part), part):
            yield from found
            found.clear()

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """The relationships of a part ("" for the package): id -> (kind, name of the part it leads to)."""
        folder, name = posixpath.split(part)
        found = {}
        for _, element, given in self.elements(posixpath.join(folder, "_rels", f"{name}.rels")):
            if element == "Relationship" and given.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, given.get("Target", "")))
                found[given.get("Id", "")] = (given.get("Type", "").rpartition("/")[2], target.lstrip("/"))
        return found


def _refuse_locked(file: Path) -> None:
    with file.open("rb") as opened:
        if opened.read(len(_OLE)) == _OLE:
            raise WorkbookFaultError(
                "it is locked with a password, or an old .xls under another name",
                "file_locked",
                "save it without a password, as an Excel workbook (.xlsx)",
            )


def xml_parser(
    start: Callable[[str, Attributes], object], end: Callable[[str], object]
) -> expat.XMLParserType:
    """A parser without entities: no workbook declares any, and a few of them can be made a billion."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    return parser


def _refuse_doctype(*_: object) -> None:
    raise damaged("its XML declares entities, which no workbook does")


def parsed(parser: expat.XMLParserType, pieces: Iterator[bytes], part: str) -> Iterator[None]:
    """Gives the parser piece after piece; resumes here after each."""
    try:
        for piece in pieces:
            parser.Parse(piece)
            yield
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise damaged(f"{part}: {error}") from None
