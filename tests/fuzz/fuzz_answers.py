"""Fuzzing as long as one likes: python tests/fuzz/fuzz_answers.py SECONDS

With atheris, which is led by coverage, where it is installed; else with the tests of this folder, again and
again, each with a thousand of hypothesis's examples.
"""

import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Where atheris keeps what it found interesting, and what it found wrong.
CORPUS, FOUND = ROOT / ".fuzz" / "corpus", ROOT / ".fuzz" / "found"
LIMITS = ("-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1")


def main(seconds: int) -> int:
    sys.path[:0] = [str(ROOT), str(HERE), str(HERE.parent / "engine")]
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("atheris is not installed (pip install atheris): hypothesis searches instead", flush=True)
        return by_hypothesis(seconds)
    by_atheris(seconds)
    return 0


def by_hypothesis(seconds: int) -> int:
    """Whole rounds until the time is over, or one finds something."""
    import pytest

    until, found = time.monotonic() + seconds, 0
    while not found and time.monotonic() < until:
        found = pytest.main(["-q", "-p", "no:xdist", "--hypothesis-profile=fuzz", str(HERE)])
    return int(found)


def by_atheris(seconds: int) -> None:
    """Ends the process, with a code of its own where something was found."""
    import atheris

    with atheris.instrument_imports(include=["batchcredit", "strict_json", "strict_http", "true_success"]):
        from answer_checks import check_answer, check_bytes
    from true_success import TRANSFERS, body_of
    from wires import sized

    kinds = list(TRANSFERS)

    def one_input(data: bytes) -> None:
        """The first byte chooses the provider, and whether the others are a body or a whole answer."""
        choice, rest = data[0] if data else 0, data[1:]
        kind = kinds[choice % 2]
        if choice < 2:
            check_answer(kind, 200, rest)
        elif answer := check_bytes(rest, choice):
            check_answer(kind, answer.status, answer.body)

    for folder in (CORPUS, FOUND):
        folder.mkdir(parents=True, exist_ok=True)
    for number, kind in enumerate(kinds):
        body = body_of(kind, TRANSFERS[kind].account)
        CORPUS.joinpath(f"{kind}-body").write_bytes(bytes([number]) + body)
        CORPUS.joinpath(f"{kind}-bytes").write_bytes(bytes([number + 100]) + sized(body))
    limits = [f"-max_total_time={seconds}", f"-artifact_prefix={FOUND}/", *LIMITS]
    atheris.Setup([sys.argv[0], str(CORPUS), *limits], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
