"""A line between client and server that counts what goes up, and can be cut at any byte."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class CuttingProxy:
    """Forwards connections to ``port`` of this computer. A context manager."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._left: int | None = None
        self.up = 0
        self.was_cut = threading.Event()

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def cut_after(self, count: int) -> None:
        """Let so many more bytes go up, then cut every connection and refuse new ones."""
        self.was_cut.clear()
        self._left = count

    def mend(self) -> None:
        """Forward again."""
        self._left = None

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # ends ``accept``
        self._cut()
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def _start(self, work: Callable[..., None], *words: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=words, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._start(self._forward, client)

    def _forward(self, client: socket.socket) -> None:
        """One connection, until either end has it closed or it is cut."""
        with client:
            if self._left == 0:
                return
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                with self._lock:
                    self._open |= {client, server}
                down = self._start(self._pump, server, client, False)
                self._pump(client, server, True)
                down.join()
                with self._lock:
                    self._open -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 14):
                sink.sendall(self._counted(data) if is_up else data)
                if self._left == 0:
                    self._cut()
                    self.was_cut.set()
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _counted(self, data: bytes) -> bytes:
        with self._lock:
            if self._left is not None:
                data = data[: self._left]
                self._left -= len(data)
            self.up += len(data)
        return data

    def _cut(self) -> None:
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
