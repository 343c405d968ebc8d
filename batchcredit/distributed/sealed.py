"""Secrets on their way to one other process, through whatever keeps or logs what it carries."""

from nacl.public import PrivateKey, PublicKey, SealedBox


class Seal:
    """A key pair of this process alone; it is in no file, and ends with it."""

    def __init__(self) -> None:
        self._key = PrivateKey.generate()

    @property
    def public(self) -> bytes:
        """With this anybody may seal for us, and nobody opens."""
        return bytes(self._key.public_key)

    def opened(self, sealed: bytes) -> bytes:
        """What was sealed for us. Raises nacl.exceptions.CryptoError for anything else."""
        return SealedBox(self._key).decrypt(sealed)


def sealed(plain: bytes, public: bytes) -> bytes:
    """`plain`, for the holder of the other half of this key only."""
    return SealedBox(PublicKey(public)).encrypt(plain)
