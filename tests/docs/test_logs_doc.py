"""docs/logs.md has every event of the JSON log, and no other."""

import ast
import inspect

from documents import quoted, table_behind

from batchcredit.console import json_lines


def said() -> set[str]:
    """The words that the code gives as an event: literals, or either side of a choice."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(json_lines))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("self._log."):
            place = 1 if ast.unparse(node.func) == "self._log.log" else 0
            words = node.args[place : place + 1]
            found |= {
                each.value
                for word in words
                for each in ast.walk(word)
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
    return found


def test_each_event_is_documented_and_each_documented_one_is_said() -> None:
    """What a collector's rules are written for is told, and comes."""
    documented = {quoted(row[0])[0] for row in table_behind("docs/logs.md", "same as in the results.")}
    assert documented == said()
    assert {"attempt", "refused", "failed", "ended"} <= documented
