"""The sandbox as a child process: settings on stdin's first line, the port on stdout, gone with stdin."""

import os
import sys
import threading

from batchcredit.sandbox.server import run
from batchcredit.sandbox.settings import SandboxSettings


def _end_with_stdin() -> None:
    """The parent's end of the pipe closes however the parent dies; nothing here is worth a slower end."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def _tell(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def main() -> None:
    line = bytearray()
    while (piece := os.read(sys.stdin.fileno(), 65_536)) and b"\n" not in piece:
        line += piece
    line += piece
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    settings = SandboxSettings.model_validate_json(bytes(line))
    run(settings, int(sys.argv[1]), _tell)


if __name__ == "__main__":
    main()
