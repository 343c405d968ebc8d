"""A look at a socket sees what waits, and reads nothing."""

import socket
import struct

from batchcredit.engine.wire.socket_look import SocketLook


def test_a_look_at_a_socket_sees_data_and_its_end() -> None:
    """Silent as long as nothing came; not with data, with an end, or with a reset; and nothing is read."""
    here, there = socket.socketpair()
    with here, there:
        look = SocketLook(here)
        assert look.is_silent()
        there.send(b"x")
        assert not look.is_silent()
        assert here.recv(10) == b"x"
        assert look.is_silent()
        there.close()
        assert not look.is_silent()


def test_a_look_at_a_socket_sees_a_reset() -> None:
    """A connection that the other side has reset is not silent."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as here:
        here.connect(server.getsockname())
        there, _ = server.accept()
        look = SocketLook(here)
        assert look.is_silent()
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there.close()
        assert not look.is_silent()
