"""docs/ARCHITECTURE.md tells of the code that is there."""

import re
import tomllib
from pathlib import Path

import batchcredit
from batchcredit.transfer import MOVES

PACKAGE = Path(batchcredit.__file__).parent
ROOT = PACKAGE.parent
TEXT = (ROOT / "docs" / "ARCHITECTURE.md").read_text()


def test_the_table_of_states_is_the_table_of_moves() -> None:
    """Each row of the document's table is a move of the code, and the other way round."""
    section = TEXT.partition("\n## States\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|", section, re.MULTILINE)[1:]
    code = {(state.value, event.value, after.value) for (state, event), after in MOVES.items()}
    assert len(rows) == len(code)
    assert set(rows) == code


def test_every_module_is_on_the_map() -> None:
    """The folder listing has each module once, below its folder, and none that is gone."""
    listed: set[str] = set()
    folders: list[str] = []
    for line in TEXT.partition("\nbatchcredit/\n")[2].partition("```")[0].splitlines():
        name, depth = line.split()[0], (len(line) - len(line.lstrip())) // 2 - 1
        del folders[depth:]
        if name.endswith("/"):
            folders.append(name)
        elif name.endswith(".py"):
            listed.add("".join((*folders, name)))
    modules = (path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    assert listed == {name for name in modules if not name.endswith("__init__.py")}


def test_the_layers_are_those_that_are_checked() -> None:
    """The chain of imports in the document is the one in the project file."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    checked = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    chain = re.search(r"^__main__ > .*?(?=^```)", TEXT, re.MULTILINE | re.DOTALL)
    assert chain is not None
    assert [layer.strip() for layer in re.split(r"\s>\s", chain[0].strip())] == checked


def test_constraints_named_in_the_document_exist() -> None:
    """Each index that a promise rests on is in the schema."""
    schema = "\n".join(step.read_text() for step in (PACKAGE / "ledger" / "migrations").glob("*/*.sql"))
    named = re.findall(r"unique index `(\w+)`", TEXT)
    assert len(named) >= 2
    assert all(f"CREATE UNIQUE INDEX {name} " in schema for name in named)
