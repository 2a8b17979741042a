"""A TCP relay in front of a real server, for what a server cannot be asked to do: fall silent without closing."""

import selectors
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Relay:
    """Passes connections on to `port`; after `freeze` it keeps those that are open but passes nothing on. Loopback only."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._frozen: set[socket.socket] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def freeze(self) -> None:
        """From now on, nothing of the connections that are open goes either way."""
        self._frozen |= set(self._peers)

    def cut(self) -> None:
        """Close the connections that are open."""
        for connection in list(self._peers):
            with suppress(OSError):  # its other end has just closed it
                connection.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.02):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj not in self._frozen:
                    self._pass_on(key.fileobj)  # type: ignore[arg-type]
                else:
                    self._selector.unregister(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._target))
        for one, other in ((client, server), (server, client)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)
        self.accepted += 1

    def _pass_on(self, connection: socket.socket) -> None:
        peer = self._peers.get(connection)
        if peer is None:
            return
        try:
            data = connection.recv(65536)
            if data:
                peer.sendall(data)
                return
        except OSError:
            pass
        for one in (connection, peer):
            self._peers.pop(one, None)
            self._selector.unregister(one)
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        for each in (*self._peers, self._listener):
            each.close()
        self._selector.close()
