"""The picture of the links, and a page that is told of them for a long time: statuses are put into the daemon's stream, for hundreds of real servers are too many for a test."""

import statistics

from console import check, heap, join_events, open_console

# Makes a status of so many links; `odd` changes some of them.
STATUS = """
window.__status = (links, targets, odd = {}, second = 0) => ({
  task: 'orders', state: 'streaming', since: '2026-01-01T00:00:00Z', error: null, expiry: null, verify: null, events: [], as_of: new Date(Date.now() + 1000 * second).toISOString(),
  targets: Array.from({length: targets}, (_, at) => `10.1.0.${at}:6379`),
  links: Array.from({length: links}, (_, at) => ({
    source: `10.0.${at >> 5}.${at % 32}:6379`, target_file: null, state: 'streaming', connected: true, caught_up: true, waiting_for: null, error: null,
    snapshot: {bytes_total: 100, bytes_done: 100, keys_total: 10, keys_done: 10, keys_expired: 0}, position: {replid: 'a1b2c3d4e5', received: 1e9 + second, applied: 1e9 + second, generation: 1},
    lag: {seconds: ((at + second) % 9) / 1000, bytes: at}, rates: {commands_per_second: 100 + second % 50, bytes_per_second: 5000}, spool: {bytes: second % 100, disk_bytes: 4096},
    reconnects: 0, target_reconnects: 0, resyncs: 0, ...odd[at]}))});
"""
ODD = """{7: {state: 'failed', connected: false, error: {text: 'the target refuses it'}}, 20: {connected: false, lag: {seconds: null, bytes: null},
  source_away: {since: '2026-01-01T00:00:00Z', text: '10.0.0.20:6379: closed the connection', hint: 'look at its log'}}, 21: {connected: false}, 40: {waiting_for: 'no answer'},
  50: {lag: {seconds: 75, bytes: 1e9}}, 51: {lag: {seconds: 700, bytes: 1e9}}, 60: {state: 'snapshot', snapshot: {bytes_total: 100, bytes_done: 30}}}"""


def open_with(browser, daemon, bench):
    """The page of a task that does not run: what it shows of links comes from the test alone."""
    daemon.create("orders", bench.server(), bench.server())
    join_events(browser, alone=["status"])
    browser.send("Page.addScriptToEvaluateOnNewDocument", source=STATUS)
    browser.send("Performance.enable", timeDomain="threadTicks")
    open_console(browser, daemon, "#/tasks/1")
    browser.find(".live.on")


def tell(browser, links, targets, odd="{}"):
    """Until it is drawn: the page may be about to listen anew."""
    browser.wait(f"(window.__tell('status', window.__status({links}, {targets}, {odd})), Boolean(document.querySelector('svg .flow')))")


def shown(browser, css):
    return browser.js(f"[...document.querySelectorAll('{css}')].map((one) => one.firstChild.textContent)")


def test_many_links(bench, daemon, browser, axe):
    """Three masters are drawn each; of two hundred those that need a look, the others by what they have in common. One finds each by its kind, by name, and by keyboard."""
    open_with(browser, daemon, bench)
    tell(browser, 3, 3)
    browser.wait("document.querySelectorAll('svg .flow').length === 3")
    assert browser.js("document.querySelectorAll('.picture .wire').length") == 3 + 3 * 3 and not browser.has("#links-search")
    tell(browser, 200, 60, ODD)
    browser.find("#links-search")
    drawn = shown(browser, ".flow .node .node-name")
    # The worst first; the sixth of these and all others are put together.
    assert drawn == ["10.0.0.7:6379", "10.0.0.20:6379", "10.0.0.21:6379", "10.0.1.8:6379", "10.0.1.19:6379", "10.0.1.18:6379", "10.0.1.28:6379", "193 source masters"]
    assert shown(browser, "svg > .node .node-name") == ["60 nodes"]
    told = browser.js("document.querySelector('.picture svg').getAttribute('aria-label')")
    assert "Failed: 1; Source away: 2; Target waits: 1; Lag 1 min or more: 2; Snapshot: 1; Lag below 1 s: 193" in told and "Targets: 60" in told and len(told) < 300
    check(browser, axe)
    assert browser.js("document.querySelectorAll('table.links tbody tr').length") == 16
    assert browser.text("table.links tbody tr").startswith("10.0.0.7:6379") and "the target refuses it" in browser.text("table.links tbody tr")
    # No number of lag where nobody knows it.
    assert "–" in browser.text("table.links tr|10.0.0.20:6379") and " ms" not in browser.text("table.links tr|10.0.0.20:6379")
    # Why it is away, and what to do, where that is known.
    assert "10.0.0.20:6379: closed the connection" in browser.text("table.links tr|10.0.0.20:6379") and "look at its log" in browser.text("table.links tr|10.0.0.20:6379")
    assert "The source sends nothing yet" in browser.text("table.links tr|10.0.0.21:6379")
    browser.js("document.querySelector('#links-away').focus()")
    browser.key("Enter", 13, "\r")
    browser.wait("document.querySelectorAll('svg .flow').length === 2 && document.querySelectorAll('table.links tbody tr').length === 2")
    browser.wait_text("2 of 200 links", "#links-shown")
    browser.click("#links-all")
    browser.js("document.querySelector('.flow.bundle .link-box').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    browser.find("#links-lag_little[aria-pressed=true]")
    browser.click("#links-more")
    browser.wait("document.querySelectorAll('table.links tbody tr').length === 193")
    browser.click("#links-all")
    browser.fill("#links-search", "10.0.6.")
    browser.wait_text("8 of 200 links", "#links-shown")
    assert len(shown(browser, ".flow .node .node-name")) == 8
    browser.fill("#links-search", "nothing")
    browser.find("p|No link fits")
    browser.fill("#links-search", "")
    browser.click("#language")
    browser.find("h2|趋势")
    tell(browser, 200, 60, ODD)
    browser.find("#links-away|源端无应答")
    browser.size(390, 844, mobile=True)
    browser.wait("document.querySelectorAll('table.links tbody tr').length === 5")
    assert browser.js("document.documentElement.scrollWidth <= innerWidth && document.querySelector('.picture').scrollWidth <= document.querySelector('.picture').clientWidth")
    check(browser, axe)


def test_long_open(bench, daemon, browser):
    """A status of two hundred links is drawn within 100 ms; and what the page holds does not grow with an hour of them, told within seconds."""
    open_with(browser, daemon, bench)
    frames = f"for (let second = %d; second < %d; second++) {{ window.__tell('status', window.__status(25, 9, second %% 5 ? {{}} : {ODD}, second)); if (second %% 30 === 0) await window.__frame(); }}"
    took = [browser.busy_ms(f"window.__tell('status', window.__status(200, 60, {ODD}, {second})), window.__frame()") for second in range(9)]
    assert statistics.median(took) < 100, took
    browser.js(f"(async () => {{ {frames % (10, 600)} }})()")
    before = heap(browser)
    browser.js(f"(async () => {{ {frames % (600, 3600)} await window.__frame(); }})()")
    after = heap(browser)
    assert after[0] < before[0] * 1.1 + 500_000 and after[1] < before[1] * 1.1, (before, after)
    check(browser)
