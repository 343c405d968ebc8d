"""A postgresql:// URL: what of it is ours, what is libpq's, and what may be shown of it."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from batchcredit.errors import RefusedError

SCHEME = "postgresql://"

#: The schema of a ledger that names none.
SCHEMA = "batchcredit"

_SECRET = frozenset(
    {"password", "sslpassword", "passfile", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)

#: As libpq reads it (postgresql.org/docs, Connection URIs), and so that no password can be taken for anything
#: else: a `@`, `:`, `/`, `?`, `#` or space that stands for itself is written %40 and so on.
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:,@/?#]*)(?::[0-9]*)?"
_URL = re.compile(
    r"postgresql://(?:(?P<user>[^:@/?#]*)(?P<password>:[^:@/?#]*)?@)?"
    rf"(?P<place>{_HOST}(?:,{_HOST})*)(?P<path>/[^/@?#]*)?(?:\?(?P<query>[^@?#]*))?"
)
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})|%00|[\s\x00-\x1f\x7f]")
_PARAMETER = re.compile("[^=&]+=[^=&]*")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a ledger is: what psycopg connects to, and the schema in it. `shown` holds no secret."""

    conninfo: str = field(repr=False)
    schema: str
    shown: str


def address_of(url: str) -> Address:
    """The address in `postgresql://user@host/database?schema=NAME`; raises RefusedError (`settings`)."""
    read = _URL.fullmatch(url)
    given = _parameters(url)
    if read is None or _STRAY.search(url) or not all(map(_PARAMETER.fullmatch, given)):
        raise refused_url()
    schema = next((unquote(one.partition("=")[2]) for one in given if _key(one) == "schema"), SCHEMA)
    if not schema.isidentifier() or not schema.isascii() or schema != schema.lower() or len(schema) > 60:
        raise refused_url()
    libpq = [one for one in given if _key(one) != "schema"]
    open_to_all = [one for one in given if _key(one) not in _SECRET]
    login, user = url[len(SCHEME) : read.start("place")], read["user"]
    place = read["place"] + (read["path"] or "")
    return Address(
        SCHEME + login + place + _query(libpq),
        schema,
        SCHEME + (f"{user}@" if user else "") + place + _query(open_to_all),
    )


def has_secret(url: str) -> bool:
    """Whether it holds a password, which a list of processes or a shell's history would show."""
    read = _URL.fullmatch(url)
    named = {_key(one) for one in _parameters(url)}
    return bool(read and read["password"]) or not named.isdisjoint(_SECRET - {"passfile"})


def _parameters(url: str) -> list[str]:
    query = url.partition("?")[2]
    return query.split("&") if query else []


def _key(parameter: str) -> str:
    return unquote(parameter.partition("=")[0])


def _query(parameters: list[str]) -> str:
    return "?" + "&".join(parameters) if parameters else ""


def refused_url() -> RefusedError:
    """What to write instead."""
    return RefusedError(
        "this is no address of a PostgreSQL ledger",
        reason="settings",
        cure="write postgresql://user@host/database, with ?schema=name for another than batchcredit; in a "
        "name or a password write %40 for @, %3A for :, %2F for /, %3F for ?, %23 for #, %25 for %",
    )
