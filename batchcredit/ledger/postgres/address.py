"""A postgresql:// URL: what of it is ours, what is libpq's, and what may be shown of it."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from batchcredit.errors import RefusedError

SCHEME = "postgresql://"

#: The schema of a ledger that names none.
SCHEMA = "batchcredit"

_SECRET = frozenset({"password", "sslpassword", "passfile"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a ledger is: what psycopg connects to, and the schema in it. `shown` holds no secret."""

    conninfo: str = field(repr=False)
    schema: str
    shown: str


def address_of(url: str) -> Address:
    """The address in `postgresql://user@host/database?schema=NAME`; raises RefusedError (`settings`)."""
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError as error:
        raise refused_url() from error
    schema = dict(given).get("schema", SCHEMA)
    if not schema.isidentifier() or not schema.isascii() or schema != schema.lower() or len(schema) > 60:
        raise refused_url()
    libpq = urlencode([(key, value) for key, value in given if key != "schema"])
    open_to_all = [(key, value) for key, value in given if key not in _SECRET]
    place = parts.netloc.rpartition("@")[2]
    user = unquote(parts.username or "")
    shown = f"{SCHEME}{user}@{place}" if user else SCHEME + place
    query = f"?{urlencode(open_to_all)}" if open_to_all else ""
    return Address(urlunsplit(parts._replace(query=libpq)), schema, f"{shown}{parts.path}{query}")


def has_secret(url: str) -> bool:
    """Whether it holds a password, which a list of processes or a shell's history would show."""
    parts = urlsplit(url)
    return parts.password is not None or any(
        key in _SECRET - {"passfile"} for key, _ in parse_qsl(parts.query)
    )


def refused_url() -> RefusedError:
    """What to write instead."""
    return RefusedError(
        "this is no address of a PostgreSQL ledger",
        reason="settings",
        cure="write postgresql://user@host/database, with ?schema=name for another than batchcredit",
    )
