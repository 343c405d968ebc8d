"""Fuzzing as long as one likes, and a minute more at the most: python tests/fuzz/long_fuzz.py SECONDS

hypothesis searches in all tests of the two folders that ask it, a file at a time, again and again, with more
examples than in `make test`. Where atheris is installed, which is led by coverage, it has the second half.
"""

import itertools
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDERS = (HERE, HERE.parent / "hostile_files")
#: Where atheris keeps what it found interesting, and what it found wrong.
CORPUS, FOUND = ROOT / ".fuzz" / "corpus", ROOT / ".fuzz" / "found"
LIMITS = ("-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1")


def main(seconds: int) -> int:
    if not find_spec("atheris"):
        print("atheris is not installed (pip install atheris): hypothesis searches alone", flush=True)
        return by_hypothesis(seconds)
    found = by_hypothesis(seconds // 2)
    if not found:
        by_atheris(seconds - seconds // 2)
    return found


def by_hypothesis(seconds: int) -> int:
    """One file after the other until the time is over, or one finds something."""
    until, found = time.monotonic() + seconds, 0
    files = [path for folder in FOLDERS for path in folder.glob("test_*.py") if "@given" in path.read_text()]
    for path in itertools.cycle(files):
        if found or time.monotonic() > until:
            break
        chosen = ["-m", "hypothesis and not torture", "--hypothesis-profile=fuzz", str(path)]
        found = subprocess.call([sys.executable, "-m", "pytest", "-q", "-n", "2", *chosen], cwd=ROOT)
    return found


def by_atheris(seconds: int) -> None:
    """Ends the process, with a code of its own where something was found."""
    import atheris

    sys.path[:0] = [str(ROOT), str(HERE), str(HERE.parent / "engine")]
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
