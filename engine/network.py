"""Choose the engine's subnet and port, and remove its bridge and packet filter rules."""

import ipaddress
import re
import shlex
import socket
import subprocess

from engine.output import EngineError
from engine.processes import read_output

POOL = [ipaddress.ip_network(f"10.{second}.0.0/16") for second in range(64, 128)]
PORTS = range(25000, 26000)


def find_free_subnet(number: int) -> str:
    """Return a private subnet that no route of the machine overlaps; try number `number` first.

    Raises:
        EngineError: Every subnet of the pool is in use.
    """
    used = parse_routes(read_output(["ip", "-4", "route", "show", "table", "all"]))
    for i in range(len(POOL)):
        candidate = POOL[(number + i) % len(POOL)]
        if not any(candidate.overlaps(network) for network in used):
            return str(candidate)
    raise EngineError("finds no free range of addresses in 10.64.0.0/10 for the engine's network")


def find_free_port(number: int) -> int:
    """Return a free port of 127.0.0.1; the same number gives the same port while that is free.

    Raises:
        EngineError: Every port of the range is in use.
    """
    for i in range(len(PORTS)):
        port = PORTS[(number + i) % len(PORTS)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise EngineError(f"finds no free port from {PORTS.start} on")


def remove_network(name: str) -> None:
    """Remove the bridge and the NAT rules of a network whose engine has ended."""
    subprocess.run(["ip", "link", "delete", f"{name}0"], stderr=subprocess.DEVNULL)
    chains = set()
    for rule in read_output(
        ["iptables", "--wait", "--table=nat", "--list-rules", "POSTROUTING"]
    ).splitlines():
        if f'name: \\"{name}\\"' in rule and (chain := re.search(r"-j (CNI-\w+)", rule)):
            chains.add(chain[1])
            _run_iptables("nat", "--delete", *shlex.split(rule)[1:])
    for unused in chains:
        _run_iptables("nat", "--flush", unused)
        _run_iptables("nat", "--delete-chain", unused)


def remove_forwarding_rules(subnet: str) -> None:
    """Remove the rules that forward packets of the subnet's containers."""
    network = ipaddress.ip_network(subnet)
    rules = subprocess.run(
        ["iptables", "--wait", "--list-rules", "CNI-FORWARD"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for rule in rules.stdout.splitlines():
        address = re.search(r"-[sd] (10\.[\d.]+)/32", rule)
        if address and ipaddress.ip_address(address[1]) in network:
            _run_iptables("filter", "--delete", *shlex.split(rule)[1:])


def parse_routes(table: str) -> list[ipaddress.IPv4Network]:
    """Return the networks in the output of `ip route`, without default routes."""
    routes = (route for route in table.splitlines() if "default" not in route)
    found = [re.search(r"\b(\d+\.\d+\.\d+\.\d+(?:/\d+)?)\b", route) for route in routes]
    return [ipaddress.IPv4Network(match[1], strict=False) for match in found if match]


def _run_iptables(table: str, *arguments: str) -> None:
    """Run iptables on a table; failures are ignored."""
    subprocess.run(["iptables", "--wait", f"--table={table}", *arguments], stderr=subprocess.DEVNULL)
