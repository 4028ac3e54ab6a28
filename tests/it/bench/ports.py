"""Free loopback ports that stay ours while the test session runs.

A port found free is not a port kept: between two starts of a server another process may take it. So ports come
from below the range the kernel hands out to outgoing connections, and each one is reserved by binding an abstract
unix socket of that number, which every bench on this machine respects and which the kernel drops when the process
ends. A server that still cannot bind (a foreign process) is started again on another port (see servers.py)."""

import random
import socket

# The bus of a cluster node listens 10000 above its port in every version (a setting of its own exists only since
# Redis 7.0), so that port is tested and reserved too.
BUS_OFFSET = 10000
LOWEST = 10000
HIGHEST = 65535
EPHEMERAL_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
ATTEMPTS = 2000


class Port:
    """A reserved port number; `release` gives it back."""

    def __init__(self, number, holders):
        self.number = number
        self._holders = holders

    def release(self):
        for holder in self._holders:
            holder.close()
        self._holders = []


def _highest_base():
    """The highest port whose bus port, too, is outside the kernel's range for outgoing connections."""
    with open(EPHEMERAL_RANGE, encoding="ascii") as file:
        first_ephemeral = int(file.read().split()[0])
    highest = min(first_ephemeral - 1, HIGHEST) - BUS_OFFSET
    # A machine tuned to use nearly all ports for outgoing connections leaves no room of its own: share theirs.
    return highest if highest > LOWEST + 100 else HIGHEST - BUS_OFFSET


def _hold(number):
    """The reservation of one port, or None when another bench has it."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0keyferry-bench-port-{number}")
    except OSError:
        holder.close()
        return None
    return holder


def _is_free(number):
    probes = [(socket.AF_INET, "127.0.0.1")]
    if has_ipv6():
        probes.append((socket.AF_INET6, "::1"))
    for family, host in probes:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, number))
            except OSError:
                return False
    return True


def has_ipv6():
    """Whether ::1 can be bound here."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def reserve():
    """A Port whose number, and number + BUS_OFFSET, nobody listens on and no other bench will take."""
    highest = _highest_base()
    for _ in range(ATTEMPTS):
        number = random.randint(LOWEST, highest)
        holders = []
        for wanted in (number, number + BUS_OFFSET):
            holder = _hold(wanted)
            if holder is None or not _is_free(wanted):
                if holder is not None:
                    holder.close()
                break
            holders.append(holder)
        if len(holders) == 2:
            return Port(number, holders)
        for holder in holders:
            holder.close()
    raise RuntimeError(f"no free pair of ports found between {LOWEST} and {highest} in {ATTEMPTS} attempts")
