"""What the console's tests share: opening it, looking for complaints, going through the wizard."""

import json

from bench.data import fill


def open_console(browser, daemon, place="#/", language="en"):
    """The page, in this language; nothing of it may be asked of another place."""
    browser.open(f"http://127.0.0.1:{daemon.port}/{place}")
    browser.find("header #language")
    if (browser.js("document.documentElement.lang") == "zh-CN") != (language == "zh"):
        browser.click("#language")


def check(browser, axe=None):
    """Nothing that the browser complains about, nothing from elsewhere; and nothing that keeps somebody out who does not see or has no mouse."""
    assert not browser.complaints
    assert all(url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:")) for url in browser.requests), browser.requests
    if axe:
        # Once a page: it is large.
        if not browser.js("Boolean(window.axe)"):
            browser.js(axe)
        found = browser.js("axe.run(document, {resultTypes: ['violations']}).then((result) => JSON.stringify(result.violations.map((one) => "
                           "[one.id, one.help, one.nodes.map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary)])))")
        assert json.loads(found) == []


def run_task(bench, daemon, keys=300):
    """A task `orders` that streams. (source, target)"""
    source, target = bench.server(), bench.server()
    fill(source, keys=keys)
    daemon.create("orders", source, target)
    daemon.call("task.start", task="orders")
    daemon.wait_state("orders", "streaming")
    return source, target


def join_events(browser, alone=()):
    """Before the page is opened: __tell() there puts events into the daemon's streams. alone: names of those that come from nobody else."""
    browser.send("Page.addScriptToEvaluateOnNewDocument", source="""
      window.__streams = new Set();
      window.EventSource = class extends EventSource {
        constructor(...given) { super(...given); window.__streams.add(this); }
        close() { super.close(); window.__streams.delete(this); }
        addEventListener(name, run) { super.addEventListener(name, (event) => { if (!event.isTrusted || !%s.includes(name)) run(event); }); }
      };
      window.__tell = (name, data) => window.__streams.forEach((stream) => stream.dispatchEvent(new MessageEvent(name, {data: JSON.stringify(data)})));
      window.__frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));""" % json.dumps(alone))


def heap(browser):
    """(bytes, nodes) that the page holds when what it does not need any more is gone."""
    browser.send("HeapProfiler.collectGarbage")
    held = {one["name"]: one["value"] for one in browser.send("Performance.getMetrics")["metrics"]}
    return held["JSHeapUsedSize"], held["Nodes"]


def fill_sides(browser, name, source, target):
    browser.fill("#f-name", name)
    for side, (addresses, password) in {"source": source, "target": target}.items():
        browser.fill(f"#f-{side}-address", "\n".join(addresses))
        if password:
            browser.fill(f"#f-{side}-password", password)


def without_margin(browser):
    """In the advanced settings: times of expiry are to be compared exactly."""
    browser.click("#options-target summary")
    browser.fill("#f-target-expiry_margin", "0s")


def to_precheck(browser):
    """From the first step to the last, by the button."""
    browser.click("#next")
    browser.find("#keyspace")
    browser.click("#next")
    browser.click("#next")
    without_margin(browser)
    browser.click("#next")
    browser.find("#check")


def check_complaint(browser, status):
    """The browser tells of each answer that is an error; takes the ones of this status."""
    wrong = [text for text in browser.complaints if status in text]
    assert wrong and len(wrong) == len(browser.complaints), browser.complaints
    browser.complaints.clear()


def views(task=1):
    """Places of all views, with something of each that is there when it is drawn."""
    tabs = {"": "section h2", "/precheck": "#precheck-title", "/verify": "#verify-title", "/events": "#events-title", "/log": "#log-title", "/document": "#document-title"}
    return {"": "table.tasks", **{f"tasks/{task}{tab}": element for tab, element in tabs.items()}, "new": "#f-name", "access": "#audit-title"}


def complaints_of(browser, *statuses):
    """As check_complaint(), of several statuses, and of a daemon that was away; each may be there or not."""
    wrong = [text for text in browser.complaints if not any(one in text for one in (*statuses, "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET"))]
    assert not wrong, wrong
    browser.complaints.clear()
