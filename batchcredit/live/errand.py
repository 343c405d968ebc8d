"""What the process that serves the page is told: by a pipe, since others can read command lines."""

import pickle
from dataclasses import dataclass, field, replace
from typing import IO, cast

from batchcredit.ledger.registry import silent
from batchcredit.runner.batch import ledger_url
from batchcredit.runner.options import SendOptions
from batchcredit.settings import Settings

#: Where the page is served, and nowhere else.
HOST = "127.0.0.1"

_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Errand:
    """Whose page it is. `how` names the ledger, whose URL may hold a password; no secret of a provider is
    there. `port` 0 takes any free one."""

    how: SendOptions = field(repr=False)
    settings: Settings = field(repr=False)
    port: int

    @classmethod
    def of(cls, how: SendOptions, settings: Settings, port: int) -> "Errand":
        """What a run with these settings has to tell, and no more."""
        asked = SendOptions(
            command="serve",
            sandbox=how.sandbox,
            ledger_url=ledger_url(how, settings),
            again=how.again,
            note=silent,
        )
        profiles = {name: replace(profile, proxy=None, own={}) for name, profile in settings.profiles.items()}
        return cls(asked, replace(settings, ledger=None, profiles=profiles), port)

    def write(self, pipe: IO[bytes]) -> None:
        packed = pickle.dumps(self)
        pipe.write(len(packed).to_bytes(_LENGTH_BYTES) + packed)
        pipe.flush()

    @classmethod
    def read(cls, pipe: IO[bytes]) -> "Errand":
        """From whoever started us, who could have us run any code."""
        length = int.from_bytes(pipe.read(_LENGTH_BYTES))
        return cast("Errand", pickle.loads(pipe.read(length)))  # noqa: S301
