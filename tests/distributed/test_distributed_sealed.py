"""What travels sealed: only the one whose key it was sealed with opens it, and nobody reads it on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import CryptoError

from batchcredit.distributed.sealed import Seal, sealed


@given(st.binary(max_size=2_000))
def test_only_its_holder_opens_it(plain: bytes) -> None:
    """Another key, and one changed bit, open nothing."""
    ours, other = Seal(), Seal()
    box = sealed(plain, ours.public)
    assert ours.opened(box) == plain
    for key, given_box in ((other, box), (ours, bytes([box[0] ^ 1]) + box[1:])):
        with pytest.raises(CryptoError):
            key.opened(given_box)


def test_nothing_of_it_shows() -> None:
    """Sealed twice it looks different twice, and holds no piece of what it hides."""
    seal, secret = Seal(), b"opensesame-4711" * 10
    boxes = {sealed(secret, seal.public) for _ in range(3)}
    assert len(boxes) == 3
    assert not any(b"opensesame" in box for box in boxes)
