"""A connected socket to whichever of several addresses answers first."""

import socket
from collections.abc import Sequence

import aiohappyeyeballs

#: The wait for one address before the next one is tried beside it (RFC 8305 section 8 recommends 250 ms).
_NEXT_ADDRESS_S = 0.25


async def dialled(addresses: Sequence[aiohappyeyeballs.AddrInfoType]) -> socket.socket:
    """Tries the addresses side by side. Raises OSError."""
    try:
        return await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1
        )
    except RuntimeError as error:  # uvloop's sock_connect raises it
        raise OSError(str(error)) from error
