"""Chaos, bounded: `make soak` goes on for longer, with other seeds. See chaos/run.py.

KEYFERRY_CHAOS_SEEDS   how many seeds (default 1)        KEYFERRY_CHAOS_FAULTS   how many faults each (default 10, or 6), or which: "16-20"
KEYFERRY_CHAOS_FIRST   the first seed (default 1)        KEYFERRY_CHAOS_ONLY     names of faults, separated by commas (default all)"""

import os

import pytest

from chaos.run import Chaos
from chaos.scenes import SCENES

FIRST = int(os.environ.get("KEYFERRY_CHAOS_FIRST", "1"))
SEEDS = int(os.environ.get("KEYFERRY_CHAOS_SEEDS", "1"))
FAULTS = os.environ.get("KEYFERRY_CHAOS_FAULTS")
BOUNDED = {"atomic": "6"}
ONLY = os.environ.get("KEYFERRY_CHAOS_ONLY", "").split(",") if os.environ.get("KEYFERRY_CHAOS_ONLY") else None


def faults_of(scene):
    begin, _, end = (FAULTS or BOUNDED.get(scene, "10")).rpartition("-")
    return range(int(begin or 1), int(end) + 1)


def limited(scene):
    return pytest.param(scene, marks=pytest.mark.timeout(120 + 60 * len(faults_of(scene))))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
@pytest.mark.parametrize("scene", [limited(scene) for scene in sorted(SCENES)])
def test_chaos(bench, scene, seed):
    Chaos(bench, scene, seed, mode="all", only=ONLY).run(faults_of(scene))
