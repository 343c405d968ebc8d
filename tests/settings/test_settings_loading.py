"""From files and environment to settings, or to one refusal that names all that is wrong."""

import subprocess
import sys
import traceback
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import LaneIdentity
from batchcredit.settings import Rate, Settings, default_profile, load, lowered, rate, with_sandbox
from batchcredit.settings.keys import ProfileKeys, TopKeys

CLICKSEND = '[providers.clicksend]\nkind = "clicksend"\nusername = "me"\n'
KENYA = (
    '[providers.kenya]\nkind = "fastmessage"\nbase_url = "https://sms.example.co.ke"\npartner_id = "123"\n'
)
KEY = "BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY"

same_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without settings of their own."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home" / name))
    return tmp_path


def loaded(
    folder: Path,
    toml: str,
    environ: Mapping[str, str] | None = None,
    ledger: str | None = None,
    mode: int = 0o600,
) -> Settings:
    """Settings from this text."""
    path = folder / "batchcredit.toml"
    path.write_text(toml)
    path.chmod(mode)
    return load(None, ledger, environ or {}, folder)


def refusal(folder: Path, toml: str, environ: Mapping[str, str] | None = None, mode: int = 0o600) -> str:
    """The message with which this text is refused."""
    with pytest.raises(RefusedError) as caught:
        loaded(folder, toml, environ, mode=mode)
    assert caught.value.reason == "settings"
    assert caught.value.cure
    return str(caught.value)


def test_without_any_source_the_documented_defaults_hold(home: Path) -> None:
    """Nothing set: no profile, no limits, the default times, and two ledgers in the data directory."""
    found = load(None, None, {}, home)
    assert (found.source, found.ledger, dict(found.profiles), bool(found.limits)) == (None, None, {}, False)
    assert found.repeat_window_ms == 6 * 86_400_000
    assert (found.max_pause_s, found.outage_wait_s, found.quiet_ms) == (900, 900, 900_000)
    assert str(found.timezone) == "UTC"
    assert found.ledger_url.startswith("sqlite:////")
    assert found.ledger_url.endswith("/ledger.db")
    assert found.sandbox_ledger_url != found.ledger_url


def test_a_profile_follows_its_kind_where_it_says_nothing(home: Path) -> None:
    """Address, rate and concurrency come from the adapter; the rest has one default for all."""
    found = loaded(home, CLICKSEND + KENYA)
    clicksend, kenya = found.profile("clicksend"), found.profile("kenya")
    assert clicksend.lane == LaneIdentity("clicksend", "https://rest.clicksend.com/v3", "me")
    assert kenya.lane == LaneIdentity("fastmessage", "https://sms.example.co.ke", "123")
    assert (clicksend.rate, clicksend.concurrency) == (Rate(Decimal(10), 1), 16)
    assert (kenya.rate, kenya.concurrency) == (Rate(Decimal(5), 1), 8)
    assert (kenya.timeout_s, kenya.attempts, kenya.in_doubt_limit) == (30, 5, 5)
    assert not clicksend.is_loopback


def test_every_setting_of_the_documentation_is_read(home: Path) -> None:
    """A full file arrives in full."""
    (home / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    found = loaded(
        home,
        'ledger = "sqlite:////tmp/x.db"\nrepeat_window = "2h"\ntimezone = "Africa/Nairobi"\n'
        'max_pause = "30s"\noutage_wait = "1m"\n'
        '[limits]\nmax_amount = { USD = "500.25", KES = 50000 }\nmax_day = { USD = "7" }\n'
        '[reconcile]\nquiet = "20m"\n'
        + KENYA
        + 'rate = "20/min"\nconcurrency = 2\ntimeout = 2.5\nattempts = 7\n'
        'in_doubt_limit = 3\nca_file = "ca.pem"\nproxy = "http://p:8080"\ncurrency = "KES"\n'
        'map = { account = "client" }\nthousands = ","\n',
    )
    kenya = found.profile("kenya")
    assert (found.ledger_url, found.repeat_window_ms, found.max_pause_s) == (
        "sqlite:////tmp/x.db",
        7_200_000,
        30,
    )
    assert (found.outage_wait_s, found.quiet_ms, str(found.timezone)) == (60, 1_200_000, "Africa/Nairobi")
    assert found.caps.transfer == {"USD": Decimal("500.25"), "KES": Decimal(50000)}
    assert found.caps.day == {"USD": Decimal(7)}
    assert found.limits
    assert (kenya.rate, kenya.concurrency, kenya.timeout_s, kenya.attempts) == (
        Rate(Decimal(20), 60),
        2,
        2.5,
        7,
    )
    assert (kenya.in_doubt_limit, kenya.ca_file, kenya.currency) == (3, home / "ca.pem", "KES")
    assert (dict(kenya.map), kenya.thousands) == ({"account": "client"}, ",")


@pytest.mark.parametrize(
    ("key", "variable", "in_file", "outside", "attribute"),
    [
        ("concurrency", "CONCURRENCY", "2", "3", 3),
        ("timeout", "TIMEOUT", "2", "2.5", 2.5),
        ("attempts", "attempts", "2", "4", 4),
        ("rate", "RATE", '"1/s"', "2/s", Rate(Decimal(2), 1)),
        ("username", "USERNAME", '"a"', "00123e5", "00123e5"),
    ],
)
def test_the_environment_is_stronger_than_the_file(
    home: Path, key: str, variable: str, in_file: str, outside: str, attribute: object
) -> None:
    """A variable replaces the file's value, in any case, and is taken as the text that it is."""
    toml = f'[providers.clicksend]\nkind = "clicksend"\n{key} = {in_file}\n'
    found = loaded(home, toml, {f"BATCHCREDIT_providers__clicksend__{variable}": outside}).profile(
        "clicksend"
    )
    assert getattr(found, {"timeout": "timeout_s", "username": "login"}.get(key, key)) == attribute


def test_the_command_line_is_stronger_than_the_environment(home: Path) -> None:
    """--ledger beats BATCHCREDIT_LEDGER, which beats the file."""
    toml, environ = 'ledger = "sqlite:///file"', {"BATCHCREDIT_LEDGER": "sqlite:///environment"}
    assert loaded(home, toml).ledger == "sqlite:///file"
    assert loaded(home, toml, environ).ledger == "sqlite:///environment"
    assert loaded(home, toml, environ, ledger="sqlite:///option").ledger == "sqlite:///option"


def test_limits_and_maps_can_be_set_by_environment(home: Path) -> None:
    """Tables are merged key by key, and a currency is in capitals whatever the variable's case."""
    found = loaded(
        home,
        '[limits]\nmax_amount = { USD = "5", EUR = "1" }\n' + CLICKSEND,
        {
            "batchcredit_limits__max_amount__usd": "6.50",
            "BATCHCREDIT_PROVIDERS__CLICKSEND__MAP__ACCOUNT": "Kunde",
        },
    )
    assert found.limits.max_amount == {"USD": Decimal("6.50"), "EUR": Decimal(1)}
    assert found.profile("clicksend").map == {"account": "Kunde"}


def test_a_profile_may_stand_in_the_environment_alone(home: Path) -> None:
    """Without a file, variables make a profile and give it its secret, untouched."""
    prefix = "BATCHCREDIT_PROVIDERS__MY_LOGIN__"
    environ = {
        f"{prefix}KIND": "clicksend",
        f"{prefix}USERNAME": "me",
        f"{prefix}API_KEY": "1e5",
        "OTHER": "x",
    }
    provider = load(None, None, environ, home).provider("my_login")
    assert provider.login == "me"
    assert "1e5" in provider.secrets


def test_the_file_is_sought_in_four_places(home: Path) -> None:
    """--config, then BATCHCREDIT_CONFIG, then the working directory, then the user's config directory."""
    places = [home / name for name in ("option.toml", "variable.toml", "batchcredit.toml")]
    user = home / "home" / "XDG_CONFIG_HOME" / "batchcredit" / "batchcredit.toml"
    user.parent.mkdir(parents=True)
    for path in (*places, user):
        path.write_text("")
    environ = {"BATCHCREDIT_CONFIG": "variable.toml"}
    assert load(Path("option.toml"), None, environ, home).source == places[0]
    assert load(None, None, environ, home).source == places[1]
    assert load(None, None, {}, home).source == places[2]
    assert load(None, None, {}, home / "home").source == user


def test_a_file_that_was_named_has_to_be_there(home: Path) -> None:
    """A missing --config is refused, not passed over for the next place."""
    (home / "batchcredit.toml").write_text("")
    with pytest.raises(RefusedError, match=r"nothing\.toml: .*can not be read"):
        load(Path("nothing.toml"), None, {}, home)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'a = 1\nb = "x\n', "line 2"),
        (b'a = 1\n\nb = "\xff"\n', "line 3"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"a = " + b"[" * 5000, "nested"),
        (b"#" * (1 << 20) + b"#", "1 MiB"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_line(home: Path, content: bytes, expected: str) -> None:
    """Syntax errors, foreign encodings, and files without measure name the file and the place."""
    path = home / "batchcredit.toml"
    path.write_bytes(content)
    with pytest.raises(RefusedError) as caught:
        load(None, None, {}, home)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_all_faults_are_told_at_once_each_with_its_source_and_key(home: Path) -> None:
    """One refusal has a line for each fault of file and environment."""
    told = refusal(
        home,
        'ledgr = "x"\ntimezone = "Africa/Nairoby"\n[limits]\nmax_amount = { USD = 5.1 }\nmax_totl = {}\n'
        '[reconcile]\nquit = "1s"\n' + CLICKSEND + 'concurrency = 0\ntimeout = true\nusernme = "x"\n'
        '[providers.Bad]\nkind = "clicksen"\n[providers.nokind]\nrate = "ten"\n',
        {"BATCHCREDIT_PROVIDERS__CLICKSEND__RAET": "1/s", "BATCHCREDIT_REPEAT_WINDOW": "6"},
    )
    path = home / "batchcredit.toml"
    for line in (
        f"{path}: ledgr: unknown key; did you mean ledger?",
        f"{path}: timezone: ",
        f"{path}: limits.max_amount.USD: ",
        f"{path}: limits.max_totl: unknown key; did you mean max_total?",
        f"{path}: reconcile.quit: unknown key; did you mean quiet?",
        f"{path}: providers.clicksend.concurrency: ",
        f"{path}: providers.clicksend.timeout: ",
        f"{path}: providers.clicksend.usernme: unknown key; did you mean username?",
        "BATCHCREDIT_PROVIDERS__CLICKSEND__RAET: providers.clicksend.raet: unknown key; did you mean rate?",
        "BATCHCREDIT_REPEAT_WINDOW: repeat_window: ",
        f"{path}: providers.Bad: ",
        f"{path}: providers.Bad.kind: no adapter of kind 'clicksen'",
        f"{path}: providers.nokind.kind: it is needed",
        f"{path}: providers.nokind.rate: ",
    ):
        assert line in told
    assert "14 faults" in told


@same_folder
@given(
    key=st.sampled_from(
        sorted({*TopKeys.model_fields, *ProfileKeys.model_fields, "username", "api_key"} - {"map"})
    )
)
def test_a_key_with_one_letter_lost_is_answered_with_the_key(home: Path, key: str) -> None:
    """A misspelt key is never passed over, and the right one is named."""
    wrong = key[:-2] + key[-1]
    if key in TopKeys.model_fields:
        told, place = refusal(home, f"{wrong} = 1"), wrong
    else:
        told, place = refusal(home, f"{CLICKSEND}{wrong} = 1"), f"providers.clicksend.{wrong}"
    assert f"{place}: unknown key; did you mean {key}?" in told


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ('ledger = "postgresql://me:hunter2@h/db?schema=Big"', "postgresql://user@host/database"),
        ('ledger = "/tmp/x.db"', "write sqlite:///path"),
        ('ledger = "sqlite:///"', "write sqlite:///path"),
        ("providers = 3", "providers: it has to be a table"),
        ("[providers]\nx = 3", "providers.x: it has to be a table"),
        ('[limits]\nmax_amount = { usd = "1" }', "limits.max_amount.usd"),
        ("[limits]\nmax_day = 5", "limits.max_day: it has to be a table"),
        (CLICKSEND + 'rate = "none"', "providers.clicksend.rate"),
        (CLICKSEND + 'base_url = "http://example.com"', "providers.clicksend.base_url"),
        (CLICKSEND + "concurrency = 1025", "providers.clicksend.concurrency"),
        (CLICKSEND + "timeout = 601", "providers.clicksend.timeout"),
        (CLICKSEND + "timeout = nan", "providers.clicksend.timeout"),
        (CLICKSEND + "attempts = 101", "providers.clicksend.attempts"),
        (CLICKSEND + "in_doubt_limit = 0", "providers.clicksend.in_doubt_limit"),
        (CLICKSEND + 'ca_file = "nowhere.pem"', "nowhere.pem can not be read"),
        (CLICKSEND + 'map = { acount = "x" }', "did you mean account?"),
        (CLICKSEND + 'map = { account = "x", amount = "x" }', "providers.clicksend.map"),
        (CLICKSEND + 'currency = "usd"', "providers.clicksend.currency"),
        (CLICKSEND + "api_key = 12345", "providers.clicksend.api_key: it has to be text"),
        (CLICKSEND + 'base_url = "http://localhost:1"\nproxy = "http://p:1"', "providers.clicksend.proxy"),
        ('[providers.k]\nkind = "fastmessage"\npartner_id = "1"', "providers.k.base_url: it is needed"),
        ('[providers.a__b]\nkind = "clicksend"', "no name for a profile"),
        ('[providers.a_]\nkind = "clicksend"', "no name for a profile"),
    ],
)
def test_a_setting_that_can_not_be_meant_is_refused(home: Path, toml: str, expected: str) -> None:
    """Each of these is named by its key, and a ledger's password is not repeated."""
    told = refusal(home, toml)
    assert expected in told
    assert "hunter2" not in told


def test_loopback_may_go_without_a_rate_and_tls(home: Path) -> None:
    """A test server on this machine needs neither."""
    found = loaded(home, CLICKSEND + 'base_url = "http://127.0.0.1:8080/"\nrate = "none"\n').profile(
        "clicksend"
    )
    assert (found.base_url, found.rate, found.is_loopback) == ("http://127.0.0.1:8080", None, True)


def test_two_names_for_one_lane_are_refused(home: Path) -> None:
    """The same kind, address and login twice would be two lanes for one wallet, however it is spelt."""
    twin = CLICKSEND.replace("[providers.clicksend]", "[providers.second]")
    told = refusal(home, CLICKSEND + twin + 'base_url = "https://REST.clicksend.com:443/v3/"\n')
    assert "providers.second: the same kind, base_url and login as profile clicksend" in told
    assert len(loaded(home, CLICKSEND + twin.replace('"me"', '"other"')).profiles) == 2


@same_folder
@given(
    secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=12, max_size=40),
    fault=st.sampled_from(["", "rate = 5", "api_kee = 1", "username = 5", "kind = 5", "concurrency = 0"]),
)
def test_a_secret_is_in_no_message_traceback_or_repr(home: Path, secret: str, fault: str) -> None:
    """Whatever else is wrong, the secret is not repeated, even in the frames of a traceback."""
    lines = dict.fromkeys(["kind", "username"]) | {
        "kind": 'kind = "clicksend"',
        "username": 'username = "me"',
    }
    lines[fault.split(" ")[0]] = fault
    toml = "[providers.clicksend]\n" + "\n".join(filter(None, lines.values())) + f'\napi_key = "q{secret}q"\n'
    try:
        shown = repr(loaded(home, toml))
    except RefusedError as error:
        captured = traceback.TracebackException.from_exception(error, capture_locals=True)
        frames = [
            frame
            for frame in captured.stack
            if "settings" in frame.filename and "tests" not in frame.filename
        ]
        held = [value for frame in frames for name, value in (frame.locals or {}).items() if name != "toml"]
        shown = str(error) + "".join(held)
        assert captured.__cause__ is None
    assert f"q{secret}q" not in shown


def test_a_secret_in_a_file_that_others_can_read_is_refused(home: Path) -> None:
    """The cure is a chmod, and a file without a secret may be open to all."""
    path = home / "batchcredit.toml"
    for line, key in (('api_key = "hunter2"', "api_key"), ('proxy = "http://u:hunter2@p:1"', "proxy")):
        told = refusal(home, CLICKSEND + line, {KEY: "stronger"} if key == "api_key" else {}, mode=0o640)
        assert f"providers.clicksend.{key}: " in told
        assert f"chmod 600 {path}" in told
        assert "hunter2" not in told
        loaded(home, CLICKSEND + line)
    loaded(home, CLICKSEND, {KEY: "hunter2"}, mode=0o644)


def test_so_is_the_password_of_a_ledger(home: Path) -> None:
    """Where it stands in the file; in the environment only its user can read it."""
    url = "postgresql://me:hunter2@h/db"
    assert "chmod 600" in refusal(
        home, f'ledger = "{url}"', {"BATCHCREDIT_LEDGER": "sqlite:///x.db"}, mode=0o640
    )
    assert loaded(home, "", {"BATCHCREDIT_LEDGER": url}, mode=0o644).ledger == url


def test_only_a_profile_that_is_used_needs_its_secret(home: Path) -> None:
    """A missing key is refused when the provider is asked for, by the profile's name."""
    found = loaded(home, CLICKSEND + KENYA, {KEY: "key"})
    assert found.provider("clicksend").login == "me"
    with pytest.raises(RefusedError, match=r"providers\.kenya: apikey is missing|providers\.kenya.*missing"):
        found.provider("kenya")


def test_a_missing_login_is_named_when_it_is_needed(home: Path) -> None:
    """The adapter's own needed keys are named with the profile."""
    found = loaded(home, '[providers.clicksend]\nkind = "clicksend"\n', {KEY: "hunter2"})
    with pytest.raises(RefusedError, match=r"providers\.clicksend\.username: it is needed") as caught:
        found.provider("clicksend")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_an_unknown_profile_is_answered_with_the_nearest(home: Path) -> None:
    """A misspelt provider of a row finds its profile's name in the message."""
    with pytest.raises(RefusedError) as caught:
        loaded(home, CLICKSEND).profile("clicksnd")
    assert caught.value.reason == "unknown_provider"
    assert "did you mean clicksend?" in caught.value.cure


def test_a_rehearsal_keeps_the_lane_and_gives_away_no_secret(home: Path) -> None:
    """The sandbox gets the profile's login and rate, at its own address, with a stand-in for the key."""
    environ = {KEY: "hunter2"}
    real = loaded(home, CLICKSEND + 'proxy = "http://p:1"\nrate = "1/s"\n', environ).profile("clicksend")
    rehearsed = with_sandbox(real, "http://127.0.0.1:9/")
    assert rehearsed.lane == real.lane
    assert rehearsed.rate == real.rate
    assert (rehearsed.wire_url, rehearsed.is_loopback, rehearsed.proxy) == ("http://127.0.0.1:9", True, None)
    assert rehearsed.provider().login == "me"
    assert not any("hunter2" in secret for secret in rehearsed.provider().secrets)


@pytest.mark.parametrize("kind", ["clicksend", "fastmessage"])
def test_a_rehearsal_needs_no_configuration(kind: str) -> None:
    """Each kind can be rehearsed with a login that is made up."""
    rehearsed = with_sandbox(default_profile(kind), "http://127.0.0.1:9")
    assert rehearsed.name == kind
    assert rehearsed.login == rehearsed.provider().login != ""


@given(
    count=st.integers(1, 100),
    unit=st.sampled_from(["s", "min", "h"]),
    concurrency=st.none() | st.integers(1, 2000),
)
def test_a_flag_can_only_lower(count: int, unit: str, concurrency: int | None) -> None:
    """Neither rate nor concurrency is ever above the profile's, and each is the smaller one."""
    profile, asked = default_profile("clicksend"), rate(f"{count}/{unit}")
    assert profile.rate
    assert asked
    result = lowered(profile, concurrency, asked)
    assert result.rate
    assert result.rate.exact_per_s == min(profile.rate.exact_per_s, asked.exact_per_s)
    assert result.concurrency == min(profile.concurrency, concurrency or 2000)


def test_importing_the_settings_is_cheap() -> None:
    """Neither polars nor an HTTP library, nor an adapter, is imported with them."""
    code = (
        "import sys, batchcredit.settings\n"
        "heavy = {'polars', 'httpx', 'apsw', 'batchcredit.providers.clicksend'} & sys.modules.keys()\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
