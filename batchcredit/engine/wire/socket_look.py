"""A look at a socket, to see whether anything waits to be read."""

import ctypes
import select
import socket


class _PollFd(ctypes.Structure):
    """struct pollfd of poll(2), the same on Linux and macOS."""

    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


#: poll(2) without giving up the interpreter's lock: where another thread waits for it, getting it back takes
#: longer than the look.
_poll = ctypes.PyDLL(None).poll
_poll.argtypes = (ctypes.POINTER(_PollFd), ctypes.c_ulong, ctypes.c_int)


class SocketLook:
    """A look at one socket, beside whoever reads from it. Of no use once the socket is closed."""

    def __init__(self, sock: socket.socket) -> None:
        self._asked = ctypes.pointer(_PollFd(sock.fileno(), select.POLLIN, 0))

    def is_silent(self) -> bool:
        """Whether nothing waits to be read: no data, no end of the connection, and no error."""
        silent: bool = _poll(self._asked, 1, 0) == 0
        return silent
