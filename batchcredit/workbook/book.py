"""What a workbook says before its cells: sheets, texts that cells share, formats."""

import re
from dataclasses import dataclass

from batchcredit.workbook.fault import damaged
from batchcredit.workbook.formats import PLAIN, Format, built_in, custom
from batchcredit.workbook.package import Attributes, Package, parsed, xml_parser

_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
TRUE = ("1", "true")
_FIRST_CUSTOM_FORMAT = 164


@dataclass(frozen=True, slots=True)
class SheetName:
    """A sheet: its name, its part, and whether people see it."""

    name: str
    part: str
    visible: bool


class Book:
    """An opened workbook."""

    def __init__(self, package: Package) -> None:
        self.package = package
        main = [part for kind, part in package.related("").values() if kind == "officeDocument"]
        if not main:
            raise damaged("it has no workbook in it")
        self._related = package.related(main[0])
        self.since_1904 = False
        self.sheets: list[SheetName] = []
        for _, name, given in package.elements(main[0]):
            self._note(name, given)
        self.formats = self._formats()

    def _note(self, name: str, given: Attributes) -> None:
        if name == "workbookPr":
            self.since_1904 = given.get("date1904") in TRUE
        if name == "sheet":
            place = next((value for key, value in given.items() if key.rpartition(":")[2] == "id"), "")
            kind, part = self._related.get(place, ("", ""))
            if kind == "worksheet":  # a chart may be a sheet of its own
                visible = given.get("state", "visible") == "visible"
                self.sheets.append(SheetName(given.get("name", ""), part, visible))

    def _part(self, wanted: str) -> str:
        return next((part for kind, part in self._related.values() if kind == wanted), "")

    def _formats(self) -> list[Format]:
        """The number format of each style that a cell may name."""
        part, codes, found = self._part("styles"), dict[int, str](), list[Format]()
        for parent, name, given in self.package.elements(part) if part else ():
            if name == "numFmt" and parent == "numFmts":
                codes[_number(given.get("numFmtId"))] = given.get("formatCode", "")
            if name == "xf" and parent == "cellXfs":
                number = _number(given.get("numFmtId", "0"))
                known = number in codes or number >= _FIRST_CUSTOM_FORMAT
                found.append(custom(codes.get(number, "")) if known else built_in(number))
        return found or [PLAIN]

    def texts(self) -> list[str]:
        """The texts that cells share, by their number."""
        part, found, pieces = self._part("sharedStrings"), list[str](), list[str]()
        if not part:
            return found
        hushed = 0  # inside what says how a text is pronounced

        def start(name: str, _: Attributes) -> None:
            nonlocal hushed
            plain = name.rpartition(":")[2]
            hushed += plain == "rPh"
            parser.CharacterDataHandler = pieces.append if plain == "t" and not hushed else None

        def end(name: str) -> None:
            nonlocal hushed
            plain = name.rpartition(":")[2]
            hushed -= plain == "rPh"
            parser.CharacterDataHandler = None
            if plain == "si":
                found.append(unescaped("".join(pieces)))
                pieces.clear()

        parser = xml_parser(start, end)
        for _ in parsed(parser, self.package.chunks(part), part):
            pass
        return found


def unescaped(text: str) -> str:
    """A text of a workbook, in which `_x000D_` stands for what XML can't hold (ST_Xstring)."""
    if "_x" not in text:
        return text
    units = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return units.encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    )  # two units may be one character


def _number(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise damaged(f"a number is missing where {str(text)[:20]!r} stands")
    return int(text)
