"""The Compose file, brought up by Podman. The image of Deputy is built by its recipe. Small images with the programs of this
computer stand in for those of registries, and keep to their documented variables and paths."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
# The libraries of this computer, since the program of the tests is no static one, and its programs.
LIBRARIES = ["/lib", "/lib64"]
PROGRAMS = [*LIBRARIES, "/bin", "/sbin", "/usr/bin", "/usr/lib", "/usr/sbin", "/usr/share", "/etc/group", "/etc/passwd"]
POSTGRES = """#!/bin/sh
set -e
[ -e "$PGDATA/PG_VERSION" ] || {
  install -d -o postgres -m 700 "$PGDATA"
  setpriv --reuid postgres --clear-groups initdb --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" \
    --auth-host scram-sha-256 --auth-local trust --encoding UTF8 --locale C --no-sync
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | setpriv --reuid postgres --clear-groups postgres --single -j postgres
}
install -d -o postgres /var/run/postgresql
exec setpriv --reuid postgres --clear-groups postgres -c listen_addresses='*'
"""


def is_possible():
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("podman") and shutil.which("prometheus")


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@unittest.skipUnless(is_possible(), "needs root, Podman and Prometheus")
class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="deputy-compose-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        shutil.copytree(ROOT / "deploy", cls.folder / "deploy")
        cls.compose = cls.folder / "deploy/compose"
        # Containers of this computer, and no others.
        remote = ("CONTAINER_CONNECTION", "CONTAINER_HOST")
        cls.env = {name: value for name, value in os.environ.items() if name not in remote} | cls.podman_settings()
        cls.skip_where_no_container_runs()
        cls.deputy, cls.prometheus = free_port(), free_port()
        cls.write_context()
        cls.write_secrets()
        cls.write_compose()
        cls.build_images()
        cls.addClassCleanup(cls.clean_up)
        cls.podman_compose("up", "--detach", "--build", "--scale", "deputy=3")

    @classmethod
    def skip_where_no_container_runs(cls):
        """A computer that is a container itself may have no rights to run another, in a network of its own."""
        network = f"{cls.folder.name}_trial"
        create = ["podman", "network", "create", "--subnet", SUBNET, network]
        run = ["podman", "run", "--rm", "--network", network, "--rootfs", "/:O", "/bin/true"]
        for command in create, run:
            done = subprocess.run(command, env=cls.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                break
        subprocess.run(["podman", "network", "rm", "--force", network], env=cls.env, stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            raise unittest.SkipTest(f"no container runs here: {done.stdout[-500:]}")

    @classmethod
    def clean_up(cls):
        # A container can be removed after those that depend on it.
        remove = ["podman", "rm", "--all", "--force", "--time", "0", "--volumes"]
        for _ in range(4):
            subprocess.run(remove, env=cls.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.run_command(*remove)
        cls.run_command("podman", "network", "rm", "--force", f"{cls.folder.name}_default")
        subprocess.run(["umount", cls.folder / "storage/overlay"], stderr=subprocess.DEVNULL)

    @classmethod
    def podman_settings(cls):
        """Podman with a storage of its own, and with what works in a container, too, such as that of a CI."""
        storage, containers = cls.folder / "storage.conf", cls.folder / "containers.conf"
        storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{cls.folder}/storage"\nrunroot = "{cls.folder}/run"\n')
        runtime = 'runtime = "runc"' if shutil.which("runc", path="/usr/bin:/usr/sbin") else ""
        containers.write_text(f'[engine]\n{runtime}\n[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n')
        return {"CONTAINERS_STORAGE_CONF": str(storage), "CONTAINERS_CONF": str(containers)}

    @classmethod
    def run_command(cls, *command, input=None):
        done = subprocess.run(
            command, cwd=cls.compose, env=cls.env, input=input, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout[-4000:]}")
        return done.stdout

    @classmethod
    def podman_compose(cls, *arguments):
        return cls.run_command(sys.executable, "-m", "podman_compose", *arguments)

    @classmethod
    def write_context(cls):
        """The folder that `./dev package image` makes, with the program that the tests use."""
        context = cls.folder / "target/package/image"
        (context / "data").mkdir(parents=True)
        # Without its symbols it is a fifth as large.
        cls.run_command("strip", "--output-file", str(context / "deputy"), str(BINARIES / "deputy"))
        names = ["-subj", "/CN=PingOne", "-addext", f"subjectAltName=DNS:{PINGONE}", "-addext", "basicConstraints=critical,CA:FALSE"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "pingone.key"]
        cls.run_command("openssl", "req", "-x509", *key, *names, "-out", str(context / "ca-certificates.crt"))
        pem = (context / "ca-certificates.crt").read_text() + (cls.compose / "pingone.key").read_text()
        (cls.compose / "pingone.pem").write_text(pem)
        (cls.compose / "pingone.cfg").write_text(TLS)
        shutil.copy(ROOT / "deploy/Containerfile", context)

    @classmethod
    def write_secrets(cls):
        """The files of docs/replicas.md, made by its commands."""
        section = (ROOT / "docs/replicas.md").read_text().split("## With Docker Compose")[1]
        commands = section.split("```sh\n")[1].split("```")[0].splitlines()
        own = ("./dev ", "cd ", "docker ", "$EDITOR ")
        commands = [line.replace(" && $EDITOR deputy.env", "") for line in commands if not line.startswith(own)]
        simulator = subprocess.Popen(cls.simulator("0"), stdout=subprocess.PIPE, text=True)
        values = dict(simulator.stdout.readline().strip().split("=", 1) for _ in range(4))
        simulator.kill()
        simulator.communicate()
        (cls.folder / "secret").write_text(values["PINGONE_CLIENT_SECRET"])
        values |= {"API_IDENTIFIER": "https://api.example.com", "API_URL": "https://api.example.com"}
        at = commands.index(next(line for line in commands if line.startswith("chmod ")))
        commands.insert(at, "cp ../../secret secrets/pingone_client_secret")
        cls.run_command("sh", "-e", input="\n".join(commands))
        lines = (cls.compose / "deputy.env").read_text().splitlines()
        filled = [line + values[line[:-1]] if line.endswith("=") else line for line in lines]
        filled = [line.removeprefix("#") if line.startswith("#OPENAPI") else line for line in filled]
        for name in ("openapi.yaml", "overlay.yaml"):
            shutil.copy(ROOT / "examples/invoices" / name, cls.compose / "api")
        (cls.compose / "deputy.env").write_text("\n".join(filled) + "\n")

    @classmethod
    def simulator(cls, port):
        """The command that runs the simulated PingOne."""
        return [BINARIES / "pingone-sim", "--listen", f"127.0.0.1:{port}", "--base-url", f"https://{PINGONE}"]

    @classmethod
    def write_compose(cls):
        """The Compose file with another name and other ports, the programs of this computer, and the DNS server of Podman."""
        path = cls.compose / "compose.yaml"
        compose = yaml.safe_load(path.read_text())
        compose["name"] = cls.folder.name
        services = compose["services"]
        services["haproxy"]["ports"] = [f"127.0.0.1:{cls.deputy}:8787"]
        services["prometheus"]["ports"] = [f"127.0.0.1:{cls.prometheus}:9090"]
        run = " ".join(map(str, cls.simulator("8789")))
        services["pingone"] = {
            "image": services["haproxy"]["image"],
            "command": ["sh", "-c", f"{run} & exec haproxy -f /pingone.cfg"],
            "networks": {"default": {"aliases": [PINGONE]}},
            "volumes": [f"{BINARIES}:{BINARIES}:ro", "./pingone.cfg:/pingone.cfg:ro", "./pingone.pem:/pingone.pem:ro"],
        }
        for name, service in services.items():
            folders = LIBRARIES if name == "deputy" else PROGRAMS
            service["volumes"] = [*service.get("volumes", []), *(f"{path}:{path}:ro" for path in folders)]
        compose["networks"] = {"default": {"ipam": {"config": [{"subnet": SUBNET}]}}}
        path.write_text(yaml.safe_dump(compose))
        cls.images = {name: services[name]["image"] for name in ("haproxy", "postgres", "prometheus")}
        proxy = cls.compose / "haproxy.cfg"
        proxy.write_text(proxy.read_text().replace("127.0.0.11:53", f"{GATEWAY}:53"))

    @classmethod
    def build_images(cls):
        bin = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        path = f"ENV PATH={bin}:/usr/sbin:/usr/bin:/sbin:/bin\n"
        config = "--config.file=/etc/prometheus/prometheus.yml"
        recipes = {
            "postgres": "COPY start /start\nENV PGDATA=/var/lib/postgresql/data\nVOLUME /var/lib/postgresql/data\n"
            'ENTRYPOINT ["/start"]\n',
            "haproxy": 'CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]\n',
            "prometheus": f'ENTRYPOINT ["prometheus"]\nCMD ["{config}", "--storage.tsdb.path=/prometheus"]\n',
        }
        for name, recipe in recipes.items():
            context = cls.folder / name
            context.mkdir()
            (context / "start").write_text(POSTGRES)
            (context / "start").chmod(0o755)
            (context / "Containerfile").write_text(f"FROM scratch\n{path}{recipe}")
            image = cls.images[name]
            image = image if image.count("/") else f"library/{image}"
            cls.run_command("podman", "build", "--quiet", "--isolation", "chroot", "--tag", f"docker.io/{image}", str(context))

    def get(self, port, path):
        """The response of a service of this name, once there is one."""
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": "localhost:8787"})
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(urllib.error.HTTPError, OSError), urllib.request.urlopen(request, timeout=5) as response:
                return response.read()
            if time.monotonic() > deadline:
                self.fail(f"{path}: {self.podman_compose('ps')}{self.podman_compose('logs')[-6000:]}")
            time.sleep(0.3)

    def prometheus_reports(self, path, condition):
        """Waits for what Prometheus reports.

        Prometheus resolves the name of the replicas each 30 seconds and takes new addresses each 5 seconds.
        Its first request to a new address can wait for an interval of 15 seconds.
        """
        deadline = time.monotonic() + 150
        while True:
            data = json.loads(self.get(self.prometheus, f"/api/v1/{path}"))["data"]
            if condition(data):
                return
            if time.monotonic() > deadline:
                self.fail(json.dumps(data)[:4000])
            time.sleep(0.5)

    def test_replicas_are_served_by_the_proxy(self):
        metadata = json.loads(self.get(self.deputy, "/.well-known/oauth-authorization-server"))
        self.assertEqual(metadata["issuer"], "http://localhost:8787")
        self.get(self.deputy, "/health")
        self.get(self.deputy, "/readyz")

    def test_tools_are_those_of_the_document(self):
        self.assertIn("use your invoices", self.get(self.deputy, "/").decode())

    def test_admin_interface_is_reached_in_a_container(self):
        self.prometheus_reports("targets", all_are_up)
        listed = self.podman_compose("exec", "-T", "deputy", "deputy", "grants", "list", "--json")
        self.assertIn('"grants":[]', listed.replace(" ", ""))

    def test_prometheus_scrapes_every_replica(self):
        self.prometheus_reports("targets", all_are_up)
        self.prometheus_reports("rules", lambda data: sum(len(group["rules"]) for group in data["groups"]) > 5)


def all_are_up(targets):
    return [target["health"] for target in targets["activeTargets"]] == ["up"] * 3


PINGONE = "auth.pingone.eu"
TLS = """defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
listen pingone
    bind :443 ssl crt /pingone.pem
    server pingone 127.0.0.1:8789
"""
SUBNET, GATEWAY = "10.89.177.0/24", "10.89.177.1"

if __name__ == "__main__":
    unittest.main()
