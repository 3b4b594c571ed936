"""A process with `deputy demo`: Deputy, the Todo API and the simulated PingOne, on free ports."""

import http.client
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]

# The audience of the access tokens for the demo's Todo API.
API_IDENTIFIER = "https://todo.deputy.example"

ALICE = ("alice", "Alice-demo-1")
BOB = ("bob", "Bob-demo-1")


class Demo:
    """A running demo, with a temporary folder."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="deputy-demo-")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.port, self.todo_api_port, self.pingone_port = free_ports(3)
        self.issuer = f"http://localhost:{self.port}"
        self.mcp = f"{self.issuer}/mcp"
        self._run()

    def restart(self):
        """Ends the process and starts another with the same folder."""
        self._end()
        self._run()

    def stop(self):
        """Ends the process and removes the folder."""
        self._end()
        self.log.close()
        shutil.rmtree(self.folder)

    def request(self, method, path, body=None, headers=None):
        """Sends a request to Deputy without an SDK. Returns the status and the body."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _run(self):
        binary = os.environ.get("DEPUTY", REPOSITORY / "target/debug/deputy")
        numbers = {"port": self.port, "todo-api-port": self.todo_api_port, "pingone-port": self.pingone_port}
        flags = [f"--{name}={value}" for name, value in numbers.items()]
        command = [binary, "demo", "--empty", *flags, "--data-dir", os.path.join(self.folder, "data")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                if self.request("GET", "/.well-known/oauth-protected-resource")[0] == 200:
                    # On workerd, the Todo API is a separate process, which may start later.
                    socket.create_connection(("localhost", self.todo_api_port), timeout=30).close()
                    return
            except OSError:
                time.sleep(0.1)
        self._end()
        self.log.seek(0)
        raise RuntimeError(f"the demo does not respond:\n{self.log.read()}")

    def _end(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_ports(count):
    """Ports that are free, though another process may take them before they are used."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports
