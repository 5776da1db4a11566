"""The running engine: starts it, finds it again, stops it."""

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
# The engine itself may take five minutes to write everything down.
STOP_SECONDS = 330
LOG_BYTES = 20_000_000
KEPT_FREE = 15_000_000_000
CONNECTED = "03"  # SS_CONNECTED in the kernel's linux/net.h
EXITING = 0x4  # PF_EXITING in the kernel's linux/sched.h
KILLED = 1 << (signal.SIGKILL - 1)
# What a client of HTTP/2 sends first (RFC 9113, 3.4): the preface and an empty SETTINGS frame; a server answers with
# its own. An engine that is being killed still takes connections, but answers none.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
BASE_IMAGE = "library/debian:bookworm-slim"


@dataclass(frozen=True)
class Process:
    """A process by its id and its start time, which tell it from a later one with the same id."""

    pid: int
    started: str

    @classmethod
    def find(cls, pid: int) -> "Process":
        return cls(pid, _read_start_time(pid))

    @property
    def alive(self) -> bool:
        return self.started != "" and _read_start_time(self.pid) == self.started

    @property
    def ending(self) -> bool:
        """Whether it was killed, or has begun to exit: the first process of a PID namespace ends after all others."""
        try:
            flags = int(_read_stat(self.pid)[6])
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return True
        pending = (line.split()[1] for line in status.splitlines() if line.startswith(("SigPnd:", "ShdPnd:")))
        return bool(flags & EXITING) or any(int(signals, 16) & KILLED for signals in pending)


@dataclass(frozen=True)
class Engine:
    """What is known of an engine that was started."""

    source: str
    tools: str
    socket: str
    registry: str
    subnet: str
    # unshare, and its child: the first process of the engine's own PID namespace, whose end ends all in it.
    holder: Process
    init: Process

    @classmethod
    def read(cls, paths: Paths) -> "Engine | None":
        """The engine that was started last, whichever version of this file wrote it down."""
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
        """Whether it can be given a call; a busy engine is waited for, and never taken for a dead one."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.init.alive and not self.init.ending and _accepts(self.socket):
            if _answers(self.socket) or time.monotonic() > deadline:
                return True
            time.sleep(0.05)
        return False


def find_engine(paths: Paths) -> Engine | None:
    """The engine of this cache folder, if it runs and is what the repository says, or is at work for somebody."""
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
    """How many connections a listening unix socket has accepted, by the kernel's table of sockets."""
    rows = (line.split() for line in table.splitlines())
    return sum(row[5] == CONNECTED and row[7] == address for row in rows if len(row) == 8)


def start_engine(paths: Paths, parts: Parts) -> Engine:
    stop_engine(paths)
    _rotate_log(paths.log)
    shutil.rmtree(paths.registry, ignore_errors=True)  # its index is lost when it ends
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
    """Ends the engine of this cache folder and waits for it; tells whether there was one."""
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
    # The engine counts the blocks that the file system keeps back as free; nobody can write them.
    unavailable = (disk.f_bfree - disk.f_bavail) * disk.f_frsize
    # One rule for everything: the default's first rule would cut cache volumes that lay idle for two days. It is about
    # free space alone: the engine counts files that layers share (by hard links) once for each layer. Seen: 53 GB
    # counted where 21 GB were used, so that a limit on what is used threw away compiles on a disk that was half empty.
    # But with no limit at all the engine takes what there is for the limit, which is then reached: seen, each time it
    # looked, the entry that was used least went, ccache's volume among them.
    rule = {
        "all": True,
        "reservedSpace": 5_000_000_000,
        "minFreeSpace": KEPT_FREE + unavailable,
        "maxUsedSpace": 100 * disk.f_blocks * disk.f_frsize,
    }
    return {
        "logLevel": "error",
        # Ordinary image names resolve to the local registry first.
        "registries": {"docker.io": {"mirrors": [registry]}, registry: {"http": True}},
        "gc": {"policies": [rule]},
    }


def _spawn_engine(paths: Paths, parts: Parts, registry: str, subnet: str) -> subprocess.Popen[bytes]:
    digests = ImageDigests.read(parts.images)
    environment = {
        **os.environ,
        "DAGGER_GO_SDK_MANIFEST_DIGEST": digests.go_sdk,
        "DAGGER_PYTHON_SDK_MANIFEST_DIGEST": digests.python_sdk,
        "ENGINE_NETWORK": paths.name,
        "ENGINE_SUBNET": subnet,
        "ENGINE_SOCKET": str(paths.socket),
        "ENGINE_REGISTRY": registry,
        # The machine's, wherever it is set: containers that build the SDK are given it.
        "GOPROXY": _read_go_proxy(),
    }
    folders = [parts.tools, parts.images / "content", paths.state, paths.registry, paths.run]
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"]
    # A session of its own, and none of the caller's streams: a pipe that daggerw writes to ends with daggerw.
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
    """Where the machine's Go gets modules from; without a Go, nothing is to be got."""
    return read_output(["go", "env", "GOPROXY"]) if shutil.which("go") else "off"


def _find_only_child(parent: subprocess.Popen[bytes]) -> Process:
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    for _ in range(100):
        if parent.poll() is None and (pids := children.read_text().split()):
            return Process.find(int(pids[0]))
        time.sleep(0.05)
    raise EngineError("cannot start the engine: unshare makes no process")


def _wait_until(ready: Callable[[], bool], holder: subprocess.Popen[bytes], paths: Paths) -> None:
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
    deadline = time.monotonic() + STOP_SECONDS
    if engine.init.alive:
        os.kill(engine.init.pid, signal.SIGTERM)
    while engine.init.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in (engine.init, engine.holder):
        if process.alive:
            os.kill(process.pid, signal.SIGKILL)


def _read_start_time(pid: int) -> str:
    """The process's start in ticks since boot, with the boot's own mark; nothing for one that has ended."""
    try:
        fields = _read_stat(pid)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot}:{fields[19]}"


def _read_stat(pid: int) -> list[str]:
    """The fields of a process's state, from the third on: the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _accepts(address: str) -> bool:
    family = socket.AF_UNIX if address.startswith("/") else socket.AF_INET
    host, _, port = address.partition(":")
    with socket.socket(family) as probe:
        try:
            probe.connect(address if family == socket.AF_UNIX else (host, int(port)))
        except OSError:
            return False
    return True


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address)
            probe.sendall(HELLO)
            return probe.recv(1) != b""
        except OSError:
            return False


def _rotate_log(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def _read_last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
