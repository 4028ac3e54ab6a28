"""Chaos, bounded: `make soak` goes on for longer, with other seeds. See chaos/run.py.

KEYFERRY_CHAOS_SEEDS   how many seeds (default 1)        KEYFERRY_CHAOS_FAULTS   how many faults each (default 10), or which: "16-20"
KEYFERRY_CHAOS_FIRST   the first seed (default 1)        KEYFERRY_CHAOS_ONLY     names of faults, separated by commas (default all)"""

import os

import pytest

from chaos.run import Chaos
from chaos.scenes import SCENES

FIRST = int(os.environ.get("KEYFERRY_CHAOS_FIRST", "1"))
SEEDS = int(os.environ.get("KEYFERRY_CHAOS_SEEDS", "1"))
BEGIN, _, END = os.environ.get("KEYFERRY_CHAOS_FAULTS", "10").rpartition("-")
FAULTS = range(int(BEGIN or 1), int(END) + 1)
ONLY = os.environ.get("KEYFERRY_CHAOS_ONLY", "").split(",") if os.environ.get("KEYFERRY_CHAOS_ONLY") else None


@pytest.mark.timeout(120 + 60 * len(FAULTS))
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
@pytest.mark.parametrize("scene", sorted(SCENES))
def test_chaos(bench, scene, seed):
    Chaos(bench, scene, seed, mode="all", only=ONLY).run(FAULTS)
