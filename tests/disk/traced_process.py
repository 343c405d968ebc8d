"""What strace saw of a process: writes, syncs and requests, in the order of the system calls."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from command_line import PROGRAM, CommandLine, Ended
from durable_image import Sent
from fragile_disk import Act

_CALLS = "pwrite64,ftruncate,fsync,fdatasync,unlink,write,writev,sendto,sendmsg"
_KINDS = {"pwrite64": "write", "ftruncate": "truncate", "fsync": "sync", "fdatasync": "sync"}
_CALL = re.compile(r"(\d+) +(\w+)\((.*?)(?: <unfinished \.\.\.>|\) += (\d+).*)$")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*?)\) += (\d+).*$")
_SEEN = "what is written"
_PROBE = f"import os; from batchcredit import host; host.keep_secrets_in(); os.write(1, b'{_SEEN}')"
_BYTE = re.compile(r"\\x([0-9a-f]{2})")


class Traced(NamedTuple):
    """A command that has ended; times are places in the order of its system calls."""

    ended: Ended
    acts: list[Act]
    sent: list[Sent]


def is_possible(folder: Path) -> bool:
    """Whether strace is installed and sees what a program writes that keeps its memory in; root does."""
    log = folder / "probe"
    strace = ["strace", "-o", str(log), "-e", "trace=write", sys.executable, "-c", _PROBE]
    done = shutil.which("strace") and subprocess.run(strace, check=False, capture_output=True)
    return bool(done) and not done.returncode and _SEEN in log.read_text()


def traced(cli: CommandLine, *arguments: object) -> Traced:
    """Run a command, as it is, under strace."""
    log = cli.home / "strace.log"
    argv = [str(each) for each in arguments]
    strace = ["strace", "-f", "-y", "-xx", "-s", "9000", "-qq", "-e", f"trace={_CALLS}", "-e", "signal=none"]
    done = cli.program(*strace, "-o", str(log), *PROGRAM, *argv, timeout_s=120)
    lines = log.read_text().splitlines()
    ended = Ended(tuple(argv), done.returncode, done.stdout, done.stderr)
    return Traced(ended, list(_acts(lines)), list(_requests(lines)))


def _acts(lines: Sequence[str]) -> Iterator[Act]:
    """The changes of files, each at the place where its call had returned."""
    begun: dict[str, str] = {}
    for place, line in enumerate(lines):
        if resumed := _RESUMED.match(line):
            process, call, rest, result = resumed.groups()
            yield from _act(place, call, begun.pop(process) + rest, result)
        elif (found := _CALL.match(line)) and found[4] is not None:
            yield from _act(place, found[2], found[3], found[4])
        elif found:
            begun[found[1]] = found[3]


def _act(place: int, call: str, arguments: str, result: str) -> Iterator[Act]:
    if call == "unlink":
        yield Act("unlink", Path(_text(arguments).strip('"')).name, False, place)
    elif call in _KINDS:
        descriptor, *rest = arguments.split(", ")
        name = Path(_text(descriptor.partition("<")[2].rstrip(">"))).name
        data = _text(rest[0]).strip().encode("latin-1")[1:-1] if call == "pwrite64" else b""
        assert call != "pwrite64" or len(data) == int(result), "strace has shortened what was written"
        yield Act(_KINDS[call], name, False, place, int(rest[-1]) if rest else 0, data.hex())


def _requests(lines: Sequence[str]) -> Iterator[Sent]:
    """The transfers that were sent, each at the place where its call began."""
    for place, line in enumerate(lines):
        found = _CALL.match(line)
        if found and found[2] in ("write", "writev", "sendto", "sendmsg"):
            head, _, body = _text(found[3]).partition("\r\n\r\n")
            if "/transfer-credit" in head or "/services/credit " in head:
                said = json.loads(body[: body.index("}") + 1], parse_float=Decimal)
                account, amount = (
                    said.get("client_user_id", said.get("childID")),
                    said.get("balance", said.get("amount")),
                )
                yield Sent(place, str(account), Decimal(amount))


def _text(quoted: str) -> str:
    return _BYTE.sub(lambda found: chr(int(found[1], 16)), quoted)
