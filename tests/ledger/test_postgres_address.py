"""URLs of ledgers: what libpq is given, and what a person may see of it."""

import pytest
from psycopg import conninfo

from batchcredit.errors import RefusedError
from batchcredit.ledger.postgres.address import address_of, has_secret

SECRET = "opensesame"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://me:{SECRET}@h/db", "postgresql://me@h/db"),
        (f"postgresql://me:{SECRET}%40%23%3F@h:5432/db", "postgresql://me@h:5432/db"),
        (f"postgresql://me@h/db?password={SECRET}&sslmode=require", "postgresql://me@h/db?sslmode=require"),
        (f"postgresql://h/db?p%61ssword={SECRET}", "postgresql://h/db"),
        (f"postgresql://h/db?oauth_client_secret={SECRET}", "postgresql://h/db"),
        (f"postgresql://:{SECRET}@[::1]:5/db?schema=s", "postgresql://[::1]:5/db?schema=s"),
    ],
)
def test_a_secret_is_found_and_not_shown(url: str, shown: str) -> None:
    address = address_of(url)
    assert has_secret(url)
    assert address.shown == shown
    assert SECRET not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:12#{SECRET}@h/db",  # what stands before the # would be a port
        f"postgresql://me:1?a={SECRET}@h/db",
        f"postgresql://me:1/{SECRET}@h/db",
        f"postgresql://me:1@{SECRET}@h/db",  # libpq's message would name the rest as a host
        f"postgresql://me:{SECRET}%zz@h/db",  # and here the password
        f"postgresql://me:{SECRET}%00@h/db",
        f"postgresql://me:{SECRET}@[::1]x/db",  # and here the whole
        f"postgresql://me:{SECRET}@[]/db",
        f"postgresql://me:{SECRET} @h/db",
        f"postgresql://h/db?{SECRET}",
        f"postgresql://h/db?password={SECRET}=x",
        "postgresql://h/db?schema=Big",
        "postgresql://h:port/db",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_unseen(url: str) -> None:
    with pytest.raises(RefusedError) as refused:
        address_of(url)
    assert SECRET not in f"{refused.value} {refused.value.cure}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db?host=/run/postgresql",
        "postgresql://%2Frun%2Fpostgresql/db",
        "postgresql://me@h1:5432,h2:5433/db?target_session_attrs=read-write",
        "postgresql://?service=ledgers",
        "postgresql://me@h/db?options=-c%20geqo%3Doff&sslmode=verify-full",
    ],
)
def test_what_libpq_understands_is_handed_on_as_it_is(url: str) -> None:
    address = address_of(url)
    assert (address.conninfo, address.shown, address.schema) == (url, url, "batchcredit")
    assert not has_secret(url)
    assert address_of(url + ("&" if "?" in url else "?") + "schema=shop").conninfo == url


def test_libpq_reads_what_it_is_handed() -> None:
    address = address_of("postgresql://me:a%40b@h1:1,[::1]:2/db?schema=s&options=-c%20geqo%3Doff")
    assert conninfo.conninfo_to_dict(address.conninfo) == {
        "user": "me",
        "password": "a@b",
        "host": "h1,::1",
        "port": "1,2",
        "dbname": "db",
        "options": "-c geqo=off",
    }
