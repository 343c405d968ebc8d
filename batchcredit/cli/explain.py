"""explain: what a reason means, and what to do."""

import json
from dataclasses import asdict

from batchcredit.cli.flags import Common
from batchcredit.cli.session import put, without_batch
from batchcredit.errors import RefusedError
from batchcredit.reasons import Reason, reasons

_COMMON = Common()


def explain(reason: str = "", /, *, common: Common = _COMMON) -> int:
    """What a reason means: whose fault it is, whether anything was paid, and what to do. Without one, all of
    them."""
    from batchcredit.console import reasons as shown

    known = reasons()
    if reason and reason not in known:
        raise _unknown(reason, known)
    found = [known[reason]] if reason else [*known.values()]
    if common.json:
        put(json.dumps(without_batch(explained=[asdict(each) for each in found])))
    else:
        put(shown.explained(found[0]) if reason else shown.listed(found))
    return 0


def _unknown(word: str, known: dict[str, Reason]) -> RefusedError:
    from batchcredit.settings.values import nearest

    likely = nearest(word, [*known])
    return RefusedError(
        f"{word!r} is no reason that batchcredit gives" + (f"; did you mean {likely}?" if likely else ""),
        reason="usage",
        cure=f"batchcredit explain {likely}".rstrip(),
    )
