"""Workbooks written by hand, so that a test says exactly what stands in them."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

import polars as pl

from batchcredit.formulas import unescaped
from batchcredit.workbook import Workbook, WorkbookFaultError, unpacking

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def text(words: str) -> str:
    """A cell with text in it; its place follows from those before it."""
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(words)}</t></is></c>'


def number(stored: str, style: int = 0) -> str:
    return f'<c s="{style}"><v>{stored}</v></c>'


def row(*cells: str, given: str = "") -> str:
    return f"<row {given}>{''.join(cells)}</row>"


def write(
    path: Path,
    sheets: Mapping[str, str],
    *,
    after: str = "",
    states: Mapping[str, str] | None = None,
    formats: tuple[str, ...] = (),
    since_1904: bool = False,
    **parts: str,
) -> Path:
    """`sheets` maps names to rows; style N + 1 has the Nth of `formats`; `parts` replaces whole parts."""
    names = list(enumerate(sheets, 1))
    states = states or {}
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}" state="{states.get(name, "visible")}"/>'
        for n, name in names
    )
    codes = "".join(
        f'<numFmt numFmtId="{200 + n}" formatCode="{escape(code, {chr(34): "&quot;"})}"/>'
        for n, code in enumerate(formats)
    )
    used = '<xf numFmtId="0"/>' + "".join(f'<xf numFmtId="{200 + n}"/>' for n in range(len(formats)))
    leads = "".join(
        f'<Relationship Id="r{n}" Type="{_RELATED}/worksheet" Target="s{n}.xml"/>' for n, _ in names
    )
    found = {
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="a" '
        f'Type="{_RELATED}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATED}"><workbookPr '
        f'date1904="{int(since_1904)}"/><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{leads}'
        f'<Relationship Id="s" Type="{_RELATED}/styles" Target="/xl/styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts>{codes}</numFmts>'
        f"<cellXfs>{used}</cellXfs></styleSheet>",
    }
    for n, name in names:
        body = f"<sheetData>{sheets[name]}</sheetData>{after}"
        found[f"xl/s{n}.xml"] = f'<worksheet xmlns="{_MAIN}">{body}</worksheet>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in {**found, **parts}.items():
            zipped.writestr(name, content)
    return path


def unpacked_here(_: str, *arguments: str, patience_s: float) -> tuple[bool, str]:
    """As `trial.tried` of the unpacking, in this process: a start of Python for each test takes too long."""
    file, folder, sheet, most_rows = arguments
    assert patience_s > 0
    try:
        found = unpacking._unpack(Path(file), Path(folder), sheet, int(most_rows))
    except WorkbookFaultError as fault:
        return True, json.dumps({"problem": fault.problem, "reason": fault.reason, "cure": fault.cure})
    return True, json.dumps(asdict(found))


def read_xlsx(path: Path) -> pl.DataFrame:
    """A spreadsheet of ours as its reader sees it: text throughout, quotes taken off, null for nothing."""
    with TemporaryDirectory() as folder:
        pieces = [piece.cells for piece in Workbook(path, Path(folder)).pieces()]
    return unescaped(pl.concat(pieces)).with_columns(pl.all().replace("", None))
