"""The bench: real Redis and Valkey servers for the scenario tests of tests/it.

Tests get at it through the `bench` fixture (see ../conftest.py). The modules, lowest first:
waiting (the one place that sleeps), ports, process, versions, tls, servers, cluster, sentinel.
"""
