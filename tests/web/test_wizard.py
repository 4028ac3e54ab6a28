"""A task is made in the browser: the guide's whole path, the failures on it, documents that come in and go out."""

import json

from bench.compare import assert_same
from bench.data import fill
from bench.load import Load
from bench.waiting import wait_for
from console import check, check_complaint, fill_sides, open_console, to_precheck, without_margin


def test_guide(bench, daemon, browser, axe):
    """A cluster to a cluster, in Chinese: created, checked, started, watched until 同步中; then compared."""
    source = bench.cluster(masters=2, replicas_per_master=0, password="src-secret")
    target = bench.cluster(masters=3, replicas_per_master=0)
    fill(source, keys=1200)
    open_console(browser, daemon, language="zh")
    browser.find("h2|还没有同步任务")
    check(browser, axe)
    browser.click("#create")
    fill_sides(browser, "orders-to-new-idc", ([source.masters()[0].address], "src-secret"), ([target.masters()[0].address], None))
    check(browser, axe)
    browser.click("#next")
    browser.wait_text("集群版，2 个主节点", "#keyspace")
    held = sum(server.command("DBSIZE") for server in source.masters())
    assert browser.text("tbody tr").split()[:3] == ["DB", "0", f"{held:,}"]
    browser.click("#databases-chosen")
    check(browser, axe)
    browser.click("#next")
    browser.fill("#limit-size", "medium")
    browser.click("#add-block")
    browser.fill("#block-0", "tmp:")
    check(browser, axe)
    browser.click("#next")
    browser.find("#snapshot")
    browser.click("#options-heartbeat summary")
    browser.fill("#f-heartbeat-interval", "1s")
    without_margin(browser)
    check(browser, axe)
    browser.click("#next")
    browser.click("#check")
    browser.find("#verdict|预检查通过")
    check(browser, axe)
    document = daemon.show("orders-to-new-idc")["document"]
    assert document["source"]["databases"] == ["0"] and document["limit"] == {"records_per_second": "5000"} and document["filter"] == {"block": [{"prefix": "tmp:"}]}
    assert document["heartbeat"] == {"interval": "1s"} and document["source"]["password"] == "********"
    with Load(source, rate=300):
        browser.click("#start")
        browser.find(".title .state|同步中")
        browser.find("svg .flow.good.flows")
        assert browser.js("document.querySelectorAll('svg .flow').length") == 2
        # Every master of the target, though the document names one.
        assert browser.js("[...document.querySelectorAll('svg .node .node-text')].filter((node) => node.textContent === '目标端').length") == 3
        browser.wait("document.querySelectorAll('.u-wrap canvas').length === 4")
        browser.wait_text("ms", ".figure|延迟")
        check(browser, axe)
        for tab in "precheck", "verify", "events", "log", "document":
            browser.click(f".tabs a[href$='{tab}']")
            browser.find("section h2")
            check(browser, axe)
    assert "src-secret" not in browser.js("document.documentElement.outerHTML")
    daemon.wait_in_step("orders-to-new-idc", *source.masters())
    assert_same(source, target, as_replica=True)


def test_failures_on_the_way(bench, daemon, browser, axe):
    """A wrong password, a target that is not empty: told with cause and mend, and mended."""
    source, target = bench.server(password="right"), bench.server()
    fill(source, keys=300)
    target.command("SET", "in-the-way", "1")
    open_console(browser, daemon, "#/new")
    browser.click("#next")
    browser.find("#f-name-wrong|name")
    fill_sides(browser, "mended", ([source.address], "wrong"), (["here:99999"], None))
    browser.click("#next")
    browser.find("#f-target-address[aria-invalid=true]")
    browser.find("#f-target-address-wrong|no valid port")
    browser.wait("document.activeElement.id === 'f-target-address'")
    assert "f-target-address-wrong" in browser.js("document.activeElement.getAttribute('aria-describedby')").split()
    check(browser, axe)
    browser.fill("#f-target-address", target.address)
    browser.wait("!document.querySelector('#f-target-address-wrong')")
    browser.click("#next")
    browser.find("[role=alert]|password")
    check_complaint(browser, "502")
    # The target is asked, too: what it holds is told before the checks.
    browser.find("#target-card .warned|holds keys already")
    browser.click("#back")
    browser.fill("#f-source-password", "right")
    to_precheck(browser)
    browser.click("#back")
    browser.click("#options-heartbeat summary")
    browser.fill("#f-heartbeat-interval", "5x")
    browser.click("#next")
    browser.find("#f-heartbeat-interval-wrong|not a duration")
    check_complaint(browser, "422")
    browser.fill("#f-heartbeat-interval", "")
    browser.click("#next")
    browser.click("#check")
    browser.find("#verdict|Precheck failed")
    assert "1 key" in browser.text(".check.failed") and "target.existing" in browser.text(".check.failed .remedy")
    assert not browser.js("Boolean(document.querySelector('#start:not(:disabled)'))")
    check(browser, axe)
    target.command("DEL", "in-the-way")
    browser.click("#check-again")
    browser.find("#verdict|Precheck passed")
    browser.click("#start")
    browser.find(".title .state|Streaming")
    daemon.wait_in_step("mended", source)
    assert_same(source, target, as_replica=True)


def test_told_while_typed(bench, daemon, browser, axe):
    """What is wrong with a name, an address, an option, a document that is pasted, is told before anything is saved, in both languages."""
    source, target = bench.server(), bench.server()
    fill(source, keys=50)
    daemon.create("orders", source, target)
    open_console(browser, daemon, "#/new")
    for name, why in {"or ders": "no blanks", "a/b": "/ cannot stand", "-a": "begin", "x" * 101: "101 bytes", "数" * 34: "102 bytes", "17": "not a number", "orders": "There is a task orders already"}.items():
        browser.fill("#f-name", name)
        browser.find(f"#f-name-wrong|{why}")
    check(browser, axe)
    browser.click("#language")
    browser.fill("#f-name", "orders ")
    browser.find("#f-name-wrong|不能有空格")
    browser.fill("#f-name", "orders")
    browser.find("#f-name-wrong|已有名为 orders 的任务")
    browser.click("#language")
    browser.fill("#f-name", "订单迁移")
    browser.wait("!document.querySelector('#f-name-wrong')")
    for address, why in {"here:99999": "no valid port", "redis://here:1": "Without redis://", "u:secret@here:1": "fields of their own", "[::1:1": "is not an address", "::1": None, "[::1]:6379": None, "/run/redis.sock": None}.items():
        browser.fill("#f-target-address", address)
        if why:
            browser.find(f"#f-target-address-wrong|{why}")
            assert "secret" not in browser.text("#f-target-address-wrong")
        else:
            browser.wait("!document.querySelector('#f-target-address-wrong')")
    # A name that is taken is told when the step is left, too; one that is left empty is made of the addresses, and another one where that is taken.
    browser.fill("#f-source-address", source.address)
    browser.fill("#f-target-address", target.address)
    browser.fill("#f-name", "orders")
    browser.click("#next")
    browser.find("#f-name-wrong|already")
    made = f"{source.address}-to-{target.address}".replace(":", "-")
    daemon.create(made, source, target)
    browser.fill("#f-name", "")
    browser.find(f"#f-name[placeholder='{made}']")
    browser.click("#next")
    # The last database is not taken away: none would mean all.
    browser.find("#keyspace")
    browser.click("#databases-chosen")
    browser.click("#db-0")
    browser.find(".wrong|At least one")
    assert browser.js("document.querySelector('#db-0').checked")
    browser.click("#next")
    browser.click("#next")
    browser.click("#options-heartbeat summary")
    assert not browser.complaints
    browser.fill("#f-heartbeat-interval", "5x")
    browser.find("#f-heartbeat-interval-wrong|not a duration")
    browser.fill("#f-heartbeat-interval", "")
    browser.wait("!document.querySelector('#f-heartbeat-interval-wrong')")
    browser.click("#next")
    browser.find(f".summary dd|{made}-2")
    # Somebody else was quicker.
    daemon.create(f"{made}-2", source, target)
    browser.click("#store")
    browser.find("#f-name-wrong|already")
    browser.complaints.clear()
    browser.click("#import")
    sides = f"source: {{address: '{source.address}'}}\ntarget: {{address: '{target.address}'}}\n"
    browser.fill("#import-text", f"name: fresh\n{sides}limits:\n  spec: small\n")
    browser.find("dialog .place|limits:")
    browser.click("#import-line|4")
    assert browser.js("(() => { const field = document.activeElement; return field.value.slice(field.selectionStart, field.selectionEnd); })()") == "limits:"
    check_complaint(browser, "422")
    check(browser, axe)
    browser.fill("#import-text", f"name: orders\n{sides}")
    browser.find("dialog [role=alert]|There is a task orders already")
    browser.fill("#import-text", f"name: fresh\n{sides}")
    browser.find("#import-good|fresh")
    check(browser, axe)
    assert len(daemon.call("task.list")) == 3


def test_waive(bench, daemon, browser, axe):
    """What may be is waived by its name, and not waived any more; what may not be is not offered."""
    source, target = bench.server(), bench.server()
    target.command("SET", "in-the-way", "1")
    target.command("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "allkeys-lru")
    open_console(browser, daemon, "#/new")
    fill_sides(browser, "waived", ([source.address], None), ([target.address], None))
    to_precheck(browser)
    browser.click("#check")
    browser.find("#verdict|Precheck failed")
    browser.find(".check.failed|existing")
    assert not browser.has("#waive-target-empty")
    target.command("DEL", "in-the-way")
    browser.click("#waive-eviction")
    browser.find(".check.waived|evict")
    browser.find("#verdict|Precheck passed")
    assert daemon.show("waived")["document"]["precheck"] == {"waive": ["eviction"]}
    check(browser, axe)
    browser.click("#waive-eviction")
    browser.find(".check:not(.waived)|evict")
    assert "precheck" not in daemon.show("waived")["document"]
    browser.click("#waive-eviction")
    browser.find(".check.waived|evict")
    browser.key("Escape", 27)
    wait_for(lambda: not browser.has("dialog"), what="the dialog's end")
    browser.click("#show-report")
    browser.click("#start")
    browser.find(".title .state|Streaming")
    check(browser)


def test_import_and_edit(bench, daemon, browser):
    """A document comes in as YAML, is refused where it is wrong, goes out as it came; and is changed later with its secrets kept."""
    source, target = bench.server(password="s3cret-of-source"), bench.server()
    open_console(browser, daemon, "#/new")
    browser.click("#import")
    browser.fill("#import-text", "name: from-yaml\nsource: {adress: [127.0.0.1:1]}\n")
    browser.click("#import-take")
    browser.find("dialog [role=alert]|source.address")
    check_complaint(browser, "422")
    text = f"name: from-yaml\nsource:\n  address: {source.address}\n  password: s3cret-of-source\ntarget:\n  address: {target.address}\n  existing: merge\nlimit: {{spec: small}}\nrename: [{{prefix: a, to: b}}]\n"
    browser.fill("#import-text", text)
    browser.click("#import-take")
    browser.find("h1|Edit from-yaml")
    browser.wait(f"document.querySelector('#f-source-address').value === {json.dumps(source.address)}")
    to_precheck(browser)
    browser.click("#store")
    browser.find(".title .state|Created")
    stored = daemon.show("from-yaml")["document"]
    assert stored["rename"] == [{"prefix": "a", "to": "b"}] and stored["target"]["existing"] == "merge"
    browser.click("a|Edit")
    browser.find("#f-name")
    assert browser.js("document.querySelector('#f-source-password').value") == "********"
    to_precheck(browser)
    browser.click("#back")
    browser.click("#snapshot")
    browser.click("#next")
    browser.click("#store")
    browser.find(".title .state|Created")
    wait_for(lambda: daemon.show("from-yaml")["document"].get("snapshot") is False, what="the changed document")
    changed = daemon.show("from-yaml")["document"]
    assert changed == stored | {"snapshot": False}
    assert daemon.job("precheck", "from-yaml")["exit_code"] == 0
    check(browser)


def test_export(bench, daemon, browser):
    """What the page writes as YAML is read by the daemon as what it was."""
    document = {
        "name": "odd", "snapshot": False, "source": {"address": ["127.0.0.1:1", "[::1]:2"], "password": "12: #'\"\\ on", "username": "yes", "databases": [0, 2]},
        "target": {"address": "127.0.0.1:3", "database_map": {"0": 5, "*": 1}, "tls": {"insecure": True}, "password": "0123"},
        "filter": {"allow": [{"prefix": ["user:", "- a"]}, {"key": "中文 \u00e9"}], "block": [{"regex": "^a: b$"}]}, "lua": {"script": "return function(event)\n\treturn true\nend\n"},
    }
    open_console(browser, daemon)
    browser.find("h2|No tasks yet")
    module = browser.js("new URL('document.js', document.querySelector('script[src]').src).href")
    text = browser.js(f"import({json.dumps(module)}).then((module) => module.yaml({json.dumps(document)}))")
    assert not text.startswith("{")
    for notation in text, json.dumps(document):
        daemon.call("task.create", document=notation)
        made = daemon.show("odd")["document"]
        assert made["source"]["databases"] == ["0", "2"] and made["lua"] == document["lua"] and made["filter"]["allow"] == document["filter"]["allow"]
        daemon.call("task.delete", task="odd")
    checked = [daemon.call("document.check", document=notation) for notation in (text, json.dumps(document))]
    assert checked[0] == checked[1]
    check(browser)
