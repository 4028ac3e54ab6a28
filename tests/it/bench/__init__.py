"""The bench: real Redis and Valkey servers for the scenario tests of tests/it.

Tests get at it through the `bench` fixture (see factory.Bench and ../conftest.py).
Servers, lowest first: waiting (the one place that sleeps), ports, process, versions, tls, servers, slots, cluster, sentinel,
factory. The other modules make data and load for them and compare what two deployments hold.
"""
