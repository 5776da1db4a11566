"""Start, find and stop the engine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import network
from engine.images import ImageDigests
from engine.output import EngineError, warn
from engine.paths import SOURCE, Paths, compute_source_digest
from engine.processes import Commands, read_output
from engine.setup import Parts

START_SECONDS = 120
ANSWER_SECONDS = 30
# The engine may need five minutes to write its data.
STOP_SECONDS = 330
LOG_BYTES = 20_000_000
KEPT_FREE = 15_000_000_000
CONNECTED = "03"  # SS_CONNECTED in the kernel's linux/net.h
EXITING = 0x4  # PF_EXITING in the kernel's linux/sched.h
KILLED = 1 << (signal.SIGKILL - 1)
# The HTTP/2 connection preface (RFC 9113, 3.4) with an empty SETTINGS frame, which a server answers with its own. An
# engine that is being killed still accepts connections, but does not answer.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
BASE_IMAGE = "library/debian:bookworm-slim"


@dataclass(frozen=True)
class Process:
    """A process, identified by its id and its start time: a later process may have the same id."""

    pid: int
    started: str

    @classmethod
    def find(cls, pid: int) -> "Process":
        """Return the process that has this id now."""
        return cls(pid, _read_start_time(pid))

    @property
    def alive(self) -> bool:
        """Return whether the process has not ended yet."""
        return self.started != "" and _read_start_time(self.pid) == self.started

    @property
    def ending(self) -> bool:
        """Return whether the process was killed or has begun to exit.

        The first process of a PID namespace is still there until all others have ended.
        """
        try:
            flags = int(_read_stat(self.pid)[6])
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return True
        pending = (line.split()[1] for line in status.splitlines() if line.startswith(("SigPnd:", "ShdPnd:")))
        return bool(flags & EXITING) or any(int(signals, 16) & KILLED for signals in pending)


@dataclass(frozen=True)
class Engine:
    """An engine that was started."""

    source: str
    tools: str
    socket: str
    registry: str
    subnet: str
    # unshare, and its child: the first process of the engine's PID namespace. When that ends, the kernel ends the rest.
    holder: Process
    init: Process

    @classmethod
    def read(cls, paths: Paths) -> "Engine | None":
        """Read the record of the engine that was started last; older versions may have written it."""
        try:
            record = json.loads(paths.record.read_text())
            return cls(
                source=record.get("source", ""),
                tools=record.get("tools", ""),
                socket=record["socket"],
                registry=record["registry"],
                subnet=record["subnet"],
                holder=Process(**record["holder"]),
                init=Process(**record["init"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @property
    def alive(self) -> bool:
        """Return whether the engine can be used.

        A busy engine, which accepts connections but does not answer in ANSWER_SECONDS, counts as alive.
        """
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.init.alive and not self.init.ending and _accepts(self.socket):
            if _answers(self.socket) or time.monotonic() > deadline:
                return True
            time.sleep(0.05)
        return False


def find_engine(paths: Paths) -> Engine | None:
    """Return this cache folder's engine if it runs and may be used, else None.

    An engine of another state of engine/ is used only while it has other clients.
    """
    engine = Engine.read(paths)
    if engine is None or not engine.alive:
        return None
    if engine.source == compute_source_digest():
        return engine
    if not count_clients(Path("/proc/net/unix").read_text(), engine.socket):
        return None
    warn("engine/ has changed, but another call is using the engine: goes on with it as it is")
    return engine


def count_clients(table: str, address: str) -> int:
    """Count the connections to a listening unix socket in the text of /proc/net/unix."""
    rows = (line.split() for line in table.splitlines())
    return sum(row[5] == CONNECTED and row[7] == address for row in rows if len(row) == 8)


def start_engine(paths: Paths, parts: Parts) -> Engine:
    """Start the engine and its registry, push the base image, and wait for the engine.

    Raises:
        EngineError: The engine ended, or did not start in START_SECONDS.
    """
    stop_engine(paths)
    _rotate_log(paths.log)
    shutil.rmtree(paths.registry, ignore_errors=True)  # its index is kept in memory only
    for folder in (paths.state, paths.registry):
        folder.mkdir(parents=True, exist_ok=True)
    registry = f"127.0.0.1:{network.find_free_port(paths.number)}"
    subnet = network.find_free_subnet(paths.number)
    paths.socket.unlink(missing_ok=True)
    paths.config.write_text(json.dumps(make_config(registry, os.statvfs(paths.state)), indent=2))
    holder = _spawn_engine(paths, parts, registry, subnet)
    engine = Engine(
        source=compute_source_digest(),
        tools=str(parts.tools),
        socket=str(paths.socket),
        registry=registry,
        subnet=subnet,
        holder=Process.find(holder.pid),
        init=_find_only_child(holder),
    )
    paths.record.write_text(json.dumps(asdict(engine), indent=2))
    _wait_until(lambda: _accepts(registry), holder, paths)
    Commands(paths.setup_log).run(
        str(parts.tools / "crane"), "push", str(parts.images / "base"), f"{registry}/{BASE_IMAGE}"
    )
    _wait_until(lambda: _accepts(engine.socket), holder, paths)
    return engine


def stop_engine(paths: Paths) -> bool:
    """Stop this cache folder's engine and wait for its end; return whether it was running."""
    engine = Engine.read(paths)
    if engine is None:
        return False
    was_alive = engine.init.alive
    _end_engine(engine)
    network.remove_network(paths.name)
    network.remove_forwarding_rules(engine.subnet)
    Path(engine.socket).unlink(missing_ok=True)
    paths.record.unlink(missing_ok=True)
    return was_alive


def make_config(registry: str, disk: os.statvfs_result) -> dict[str, object]:
    """Return the engine's configuration: its log level, registry and garbage collection."""
    # The engine counts the file system's reserved blocks as free, but it cannot use them.
    unavailable = (disk.f_bfree - disk.f_bavail) * disk.f_frsize
    # One rule for everything: the default's first rule would prune cache volumes that were not used for two days. The
    # rule limits free space, not used space: the engine counts files that layers share by hard links once per layer
    # (seen: 53 GB counted, 21 GB used), so a limit on used space drops compiled files while half of the disk is free.
    # Without any limit, the engine uses the current size as the limit, which is then reached: seen, each garbage
    # collection removed the least used entry, ccache's volume among them.
    rule = {
        "all": True,
        "reservedSpace": 5_000_000_000,
        "minFreeSpace": KEPT_FREE + unavailable,
        "maxUsedSpace": 100 * disk.f_blocks * disk.f_frsize,
    }
    return {
        "logLevel": "error",
        # Look up image names without a host in the local registry first.
        "registries": {"docker.io": {"mirrors": [registry]}, registry: {"http": True}},
        "gc": {"policies": [rule]},
    }


def _spawn_engine(paths: Paths, parts: Parts, registry: str, subnet: str) -> subprocess.Popen[bytes]:
    """Start namespace_init.sh in namespaces of its own."""
    digests = ImageDigests.read(parts.images)
    environment = {
        **os.environ,
        "DAGGER_GO_SDK_MANIFEST_DIGEST": digests.go_sdk,
        "DAGGER_PYTHON_SDK_MANIFEST_DIGEST": digests.python_sdk,
        "ENGINE_NETWORK": paths.name,
        "ENGINE_SUBNET": subnet,
        "ENGINE_SOCKET": str(paths.socket),
        "ENGINE_REGISTRY": registry,
        # The machine's setting, for the containers that build the SDK.
        "GOPROXY": _read_go_proxy(),
    }
    folders = [parts.tools, parts.images / "content", paths.state, paths.registry, paths.run]
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"]
    # The engine outlives daggerw: it gets a session of its own and none of daggerw's streams, which may be pipes.
    with paths.log.open("ab") as log:
        return subprocess.Popen(
            ["unshare", *namespaces, str(SOURCE / "namespace_init.sh"), *map(str, folders)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )


def _read_go_proxy() -> str:
    """Return the GOPROXY of the machine's Go, or 'off' if the machine has no Go."""
    return read_output(["go", "env", "GOPROXY"]) if shutil.which("go") else "off"


def _find_only_child(parent: subprocess.Popen[bytes]) -> Process:
    """Wait up to five seconds for the child process of unshare and return it."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    for _ in range(100):
        if parent.poll() is None and (pids := children.read_text().split()):
            return Process.find(int(pids[0]))
        time.sleep(0.05)
    raise EngineError("cannot start the engine: unshare makes no process")


def _wait_until(ready: Callable[[], bool], holder: subprocess.Popen[bytes], paths: Paths) -> None:
    """Wait until `ready` returns true; stop the engine after START_SECONDS.

    Raises:
        EngineError: The engine ended, or it was not ready in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if holder.poll() is not None:
            raise EngineError(
                f"the engine ended while it started: {_read_last_line(paths.log)} (all of it: {paths.log})"
            )
        if time.monotonic() > deadline:
            stop_engine(paths)
            raise EngineError(f"the engine did not start in {START_SECONDS} s (see {paths.log})")
        time.sleep(0.05)


def _end_engine(engine: Engine) -> None:
    """Terminate the engine and wait for its end; kill it after STOP_SECONDS."""
    deadline = time.monotonic() + STOP_SECONDS
    if engine.init.alive:
        os.kill(engine.init.pid, signal.SIGTERM)
    while engine.init.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in (engine.init, engine.holder):
        if process.alive:
            os.kill(process.pid, signal.SIGKILL)


def _read_start_time(pid: int) -> str:
    """Return the boot's id and the process's start in ticks since boot; empty if it has ended."""
    try:
        fields = _read_stat(pid)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot}:{fields[19]}"


def _read_stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the program's name, which may contain spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _accepts(address: str) -> bool:
    """Return whether a unix socket or HOST:PORT accepts connections."""
    family = socket.AF_UNIX if address.startswith("/") else socket.AF_INET
    host, _, port = address.partition(":")
    with socket.socket(family) as probe:
        try:
            probe.connect(address if family == socket.AF_UNIX else (host, int(port)))
        except OSError:
            return False
    return True


def _answers(address: str) -> bool:
    """Return whether the HTTP/2 server at a unix socket answers within a second."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address)
            probe.sendall(HELLO)
            return probe.recv(1) != b""
        except OSError:
            return False


def _rotate_log(log: Path) -> None:
    """Rename a log that has more than LOG_BYTES."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def _read_last_line(log: Path) -> str:
    """Return the last line of a log, or 'it said nothing' if it is empty."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
