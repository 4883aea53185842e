import selectors
import socket
import threading
from pathlib import Path


class FreezableProxy:
    """Is between clients and PostgreSQL's socket; frozen, it keeps connections and passes on nothing."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.passes = threading.Event()
        self.passes.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        self.passes.clear()

    def thaw(self) -> None:
        self.passes.set()

    def close(self) -> None:
        self.thaw()
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        self.passes.wait()
        # not select(), which knows no descriptors beyond 1,024
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as ends:
            server.connect(self.target)
            ends.register(client, selectors.EVENT_READ, server)
            ends.register(server, selectors.EVENT_READ, client)
            while True:
                readable = ends.select()
                self.passes.wait()
                for key, _ in readable:
                    try:
                        content = key.fileobj.recv(65_536)
                        key.data.sendall(content)
                    except OSError:
                        return
                    if not content:
                        return
