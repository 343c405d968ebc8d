"""completion: what Tab offers in a shell."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from batchcredit.cli.flags import Common
from batchcredit.cli.session import console_of, put
from batchcredit.errors import StorageError

_COMMON = Common()

#: What a shell reads when it starts, where completion needs a line in it.
_STARTS_WITH = {"bash": ".bashrc", "zsh": ".zshrc"}

#: For a zsh that has not begun to complete anything yet, and for one that looked for such files before.
_LOADED = """
# Complete batchcredit
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit -i }}
autoload -Uz {name} && compdef {name} batchcredit
"""


def completion(
    shell: Literal["bash", "zsh", "fish"],
    /,
    *,
    install: Annotated[bool, Parameter(negative=(), help="Write it where the shell looks.")] = False,
    common: Common = _COMMON,
) -> int:
    """Let Tab complete commands, flags, files and batches.

    It prints a script for your shell. With --install it writes the script into your home, and for bash and
    zsh lines into .bashrc or .zshrc that load it; it says what it wrote. Start a new shell then.
    """
    if not install:
        put(_script(shell))
        return 0
    from batchcredit.cli.app import app

    console, start = console_of(common), Path.home() / _STARTS_WITH.get(shell, "")
    try:
        before = start.read_bytes() if start.is_file() else b""
        written = app.install_completion(shell=shell)
        written.write_text(_script(shell))
        if shell == "zsh" and written.name.encode() not in before:
            with start.open("a") as file:
                file.write(_LOADED.format(name=written.name))
        changed = start.is_file() and start.read_bytes() != before
    except OSError as error:
        raise StorageError(
            f"{error.filename or Path.home()} can not be written: {error.strerror}",
            reason="out_unwritable",
            cure=f"write it yourself: batchcredit completion {shell} > FILE",
        ) from error
    if changed:
        console.note(f"{start} loads it now, by the lines that were added")
    console.note(f"start a new {shell}, and press Tab")
    put(written)
    return 0


def _script(shell: Literal["bash", "zsh", "fish"]) -> str:
    from batchcredit.cli.app import app

    script = app.generate_completion(shell=shell)
    if shell == "bash":  # its own file names: cyclopts would break them at blanks
        script = script.replace('COMPREPLY=( $(compgen -f -- "${cur}") )', "COMPREPLY=()")
        script = script.replace("complete -F ", "complete -o default -F ")
    return script
