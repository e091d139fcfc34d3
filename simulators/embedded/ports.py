"""Ports of this machine's loopback."""

import socket
from contextlib import closing

LOOPBACK = "127.0.0.1"


def free_port(preferred: int = 0) -> int:
    """Give the preferred TCP port of the loopback where it is free, else another free one.

    Nothing reserves it: another process may take it before the caller does.
    """
    for port in (preferred, 0):
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            # As servers do, so that a port whose last connections are in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free TCP port on the loopback")
