"""Bodies that a hostile or broken provider may send: a true success with a few things wrong, and noise."""

import copy
import json
import re
from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st
from true_success import answer_of

Json = dict[str, object] | list[object]

#: A text that stands in for a number as it is to be written.
_NUMBER = "\ue000"

_NUMBERS = st.sampled_from(
    [
        *("1e999", "-1e-999", "1E400", "NaN", "-Infinity", "-0", "0.0", "0", "200.0", "2e2", "2E+2"),
        *("60.0", "6e1", "060", "+60", "0x3c", "61", "600", "5.0", "50e-1", "529", "5290e-1", "529.004"),
        *("9" * 30, "9" * 5000, "0." + "1" * 70, "1_0", ".5", "5.", "400", "1004", "1005"),
    ]
).map(lambda text: _NUMBER + text)
_TEXTS = st.sampled_from(
    [
        *("", "60", "060", "60 ", "60\n", "61", "200", "SUCCESS", "success", "THROTTLED", "BAD_REQUEST"),
        *("5", "5.0", "5.4", "-5", "+5", "5e0", "1,5", "529", "528.9", "523.1", "524.0", "0.9"),
        *("INTERNAL_ERROR", "\ud800", "\udc00\ud800", "\ufeff", "\x1b[31m", "A" * 2000),
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=4,
)
_NAMES = st.sampled_from(
    [
        *("http_code", "HTTP_CODE", "response_code", "response_msg", "data", "user_id", "userid", "balance"),
        *(
            "response-code",
            "respose-code",
            "response-description",
            "prev-balance",
            "sms-units",
            "new-balance",
        ),
        *("responses", "credit", "", "\ud800"),
    ]
)


_STRANGE: list[object] = ["\ud800", "\udc00\ud800", "\x1b[31m", "\x00", "\u202e", "A" * 2000]
_WRONG_NUMBERS = ["524", "524.0", "528.9", "529.01", "5.4", "0", "-5", "5e0", "", " 5", None, _NUMBER + "NaN"]
#: What is nearly right, or harmless, or neither, for each member of the providers' own answers that matters.
_NEARLY: dict[str, list[object]] = {
    "user_id": [61, "61", 6, "600", "060", " 60", "60\n", -60, 60.0, True, None, [60], "\u0666\u0660"],
    "http_code": [201, 400, 500, "200", True, _NUMBER + "2e2", _NUMBER + "NaN"],
    "response_code": ["success", "SUCCESS ", "SUCCESS\x00", "BAD_REQUEST", "INTERNAL_ERROR", 200, None, ""],
    "response_msg": _STRANGE,
    "username": [*_STRANGE, _NUMBER + "1e999", _NUMBER + "-Infinity", _NUMBER + "9" * 5000],
    "response-code": ["200", "0200", 201, 1005, "1006", 200.0, True, None, " 200", _NUMBER + "2e2"],
    "response-description": _STRANGE,
    "prev-balance": _WRONG_NUMBERS,
    "sms-units": _WRONG_NUMBERS,
    "new-balance": _WRONG_NUMBERS,
}


def _places(value: object) -> list[Json]:
    """All objects and arrays in it, itself first."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here: list[Json] = [value] if isinstance(value, dict | list) else []
    return here + [place for one in inner for place in _places(one)]


@st.composite
def _changed(draw: st.DrawFn, said: dict[str, object]) -> dict[str, object]:
    """A member or two set, taken away, renamed or moved into an array."""
    said = copy.deepcopy(said)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from([one for one in _places(said) if isinstance(one, dict)]))
        name = draw(st.sampled_from(sorted(place)) if place else _NAMES)
        value = place.pop(name, None)
        change = draw(st.sampled_from(["set", "set", "add", "lose", "rename", "wrap"]))
        if change == "set":
            place[name] = draw(_VALUES)
        elif change == "add":
            place |= {name: value, draw(_NAMES): draw(_VALUES)}
        elif change == "rename":
            place[draw(_NAMES | st.sampled_from([name.upper(), name.title()]))] = value
        elif change == "wrap":
            place[name] = draw(st.sampled_from([[value], [value, value], {name: value}]))
    return said


@st.composite
def _nested(draw: st.DrawFn, said: dict[str, object]) -> object:
    """The object at the top, or somewhere else."""
    other = draw(_VALUES)
    return draw(
        st.sampled_from([said, said, said, said, {"responses": [said]}, [said], {"responses": [said, other]}])
        | st.sampled_from([{"data": said}, {"responses": other, **said}, {"responses": said}])
    )


def _written(value: object, *, escaped: bool) -> str:
    text = json.dumps(value, ensure_ascii=escaped)
    return re.sub(r'"(?:\\ue000|\ue000)([^"\\]*)"', r"\1", text)


@cache
def near_successes(kind: str, account: str) -> tuple[bytes, ...]:
    """The provider's own success with one member that matters turned into something else."""
    names = [name for place in _places(answer_of(kind, account)) for name in place if name in _NEARLY]
    changed = [_with(answer_of(kind, account), name, value) for name in names for value in _NEARLY[name]]
    return tuple(
        _written(said, escaped=escaped).encode(errors="surrogatepass")
        for said in changed
        for escaped in (True, False)
    )


def _with(said: dict[str, object], name: str, value: object) -> dict[str, object]:
    for place in _places(said):
        if isinstance(place, dict) and name in place:
            place[name] = value
    return said


def _twice(text: str, number: int, value: str) -> str:
    """The same with one name said twice, before or behind."""
    names = list(re.finditer(r'"[^"\\]*": ', text))
    if not names:
        return text
    name = names[number % len(names)]
    return text[: name.start()] + name[0] + value + ", " + text[name.start() :]


_FRAMES: dict[str, Callable[[str], bytes]] = {
    "plain": lambda text: text.encode(errors="surrogatepass"),
    "bom": lambda text: b"\xef\xbb\xbf" + text.encode(errors="surrogatepass"),
    "two_boms": lambda text: b"\xef\xbb\xbf" * 2 + text.encode(errors="surrogatepass"),
    "utf16": lambda text: text.encode("utf-16", errors="surrogatepass"),
    "utf16_le": lambda text: text.encode("utf-16-le", errors="surrogatepass"),
    "latin": lambda text: text.encode("latin-1", errors="replace"),
    "twice": lambda text: 2 * text.encode(errors="surrogatepass"),
    "lines": lambda text: b"\n" + text.encode(errors="surrogatepass") + b"\r\n\r\n",
    "nul": lambda text: text.encode(errors="surrogatepass") + b"\x00",
    "deep": lambda text: b'{"a":' * 3000 + text.encode(errors="surrogatepass") + b"}" * 3000,
    "deep_inside": lambda text: (
        text.rstrip().removesuffix("}").encode(errors="surrogatepass")
        + b', "more": '
        + b"[" * 3000
        + b"]" * 3000
        + b"}"
    ),
}
_FRAMED = st.sampled_from(["plain"] * 12 + list(_FRAMES))


@st.composite
def _damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """Some bytes written over, lost, added or turned in one bit."""
    data = bytearray(body)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        if draw(st.booleans()) and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        else:
            data[place : place + draw(st.integers(0, 9))] = draw(st.binary(max_size=4))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 9)) == 0 else data)


@st.composite
def bodies(draw: st.DrawFn, kind: str, account: str) -> bytes:
    """The provider's own success for this account, changed at any level from its meaning to its bits."""
    if draw(st.booleans()):
        return draw(st.sampled_from(near_successes(kind, account)))
    text = _written(draw(_nested(draw(_changed(answer_of(kind, account))))), escaped=draw(st.booleans()))
    if draw(st.integers(0, 4)) == 0:
        text = _twice(text, draw(st.integers(0, 20)), _written(draw(_VALUES), escaped=True))
    body = _FRAMES[draw(_FRAMED)](text)
    return draw(_damaged(body)) if draw(st.integers(0, 3)) == 0 else body
