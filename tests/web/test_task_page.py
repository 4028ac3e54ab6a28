"""What an operator sees of a running task, and does with it."""

import os
import signal

from bench.compare import assert_same
from bench.waiting import wait_for
from console import check, complaints_of, open_console, run_task, views


def test_sides_die(bench, daemon, browser):
    """The source away and back, the target, the worker killed, the daemon killed: the page that is open says each, and follows by itself."""
    source, target = run_task(bench, daemon)
    open_console(browser, daemon, "#/tasks/1")
    browser.find("svg .flow.good")
    source.kill()
    browser.find("svg .flow.warn")
    browser.wait_text(f"{source.address}: ", "td.cell-state .fault")
    assert "Without its source since" in browser.text("td.cell-state .fault")
    browser.click(".tabs a|Events")
    browser.find(".events li|Source lost")
    # In Chinese, with the daemon's own words at hand.
    browser.click("#language")
    browser.find(".events li|与源端断开")
    browser.find(".events li .said|正在重试，将")
    source.start()
    browser.find(".events li|全量重做")
    browser.find(".events li .said|全量重新同步，快照始于复制 ID")
    assert "full resync" in browser.js("window.__find('.events li .said|全量重新同步').title")
    browser.click("#language")
    browser.find(".events li|Full resync")
    browser.click(".tabs a|Overview")
    browser.find("svg .flow.good")
    daemon.wait_in_step("orders", source)
    assert_same(source, target, as_replica=True)
    target.kill()
    source.command("SET", "while-away", "1")
    browser.find("td.cell-state .fault|The target takes nothing")
    browser.find("svg .flow.warn")
    target.start()
    browser.find("svg .flow.flows.good")
    browser.wait("!window.__find('td.cell-state .fault')")
    check(browser)
    first = daemon.show("orders")["worker"]["pid"]
    os.kill(first, signal.SIGKILL)
    browser.find("#fault|Internal error")
    browser.wait_text("Failed", "#said")
    browser.find(".title .state|Streaming")
    assert daemon.show("orders")["worker"]["pid"] != first
    daemon.kill()
    browser.find(".live:not(.on)")
    daemon.start()
    browser.find(".live.on")
    source.command("SET", "after", "1")
    browser.find("svg .flow.flows.good")
    daemon.wait_in_step("orders", source)
    assert_same(source, target, as_replica=True)
    complaints_of(browser)


def test_operations(bench, daemon, browser, axe):
    """Limits, pause, resume, verification with repair, cut-over, deletion; each asks first."""
    source, target = run_task(bench, daemon, keys=500)
    daemon.wait_in_step("orders", source)
    open_console(browser, daemon, "#/tasks/1")
    browser.click("#limits")
    browser.fill("#limit-size", "own")
    browser.fill("#limit-records", "1234")
    check(browser, axe)
    browser.click("#confirm")
    browser.wait_text("1,234 records/s", ".figures")
    assert daemon.show("orders")["limit"]["records_per_second"] == 1234
    browser.click("#do-pause")
    browser.find("dialog li|position is kept")
    browser.key("Escape", 27)
    wait_for(lambda: not browser.has("dialog"), what="the dialog's end")
    assert daemon.show("orders")["state"] == "streaming"
    browser.click("#do-pause")
    browser.click("#confirm")
    browser.find(".title .state|Paused")
    browser.click("#do-resume")
    browser.click("#confirm")
    browser.find(".title .state|Streaming")
    # Names that are markup or no text at all are shown as what they are.
    markup, binary = "<img src=x onerror=document.title='run'>", b"\xff\x00"
    target.command("SET", markup, "1")
    target.command("SET", binary, "1")
    browser.click(".tabs a|Verification")
    browser.click("#verify-start")
    browser.find("#verify-verdict|Differences: 2")
    browser.find("tbody code")
    assert sorted(browser.js("[...document.querySelectorAll('tbody code')].map((code) => code.textContent)")) == [markup, "base64:/wA="]
    assert "run" not in browser.js("document.title")
    check(browser, axe)
    browser.click("#repair")
    browser.click("#confirm")
    browser.find("#verify-verdict|repaired")
    assert target.command("EXISTS", markup, binary) == 0
    daemon.wait_in_step("orders", source)
    browser.click(".tabs a|Overview")
    browser.find("#readiness .answer.calm|not everything was looked at")
    browser.click("#do-cutover")
    browser.find("dialog li|Both sides are compared")
    browser.find("dialog .check.passed|Verified at")
    check(browser, axe)
    browser.click("#confirm")
    browser.find("#outcome-cutover .verdict.good|rehearsal went well")
    browser.find("#readiness .answer.good|Ready")
    browser.click("#do-cutover")
    browser.find("dialog .verdict.good|Ready")
    browser.click("dialog label|Rehearse")
    browser.click("#confirm")
    browser.find(".title .state|Finished")
    browser.find("#outcome-cutover .verdict.good")
    assert_same(source, target, as_replica=True)
    browser.click("#do-delete")
    browser.click("#confirm")
    browser.find("h2|No tasks yet")
    check(browser)
    assert daemon.call("task.list") == []


def test_differences(bench, daemon, browser, axe):
    """Thousands of differences: page by page, by kind; repaired when that was confirmed."""
    source, target = bench.server(), bench.server()
    source.client().mset({f"missing:{number}": "x" for number in range(30)})
    daemon.create("orders", source, target)
    daemon.call("task.start", task="orders")
    daemon.wait_state("orders", "streaming")
    daemon.wait_in_step("orders", source)
    target.client().mset({f"extra:{number}": "x" for number in range(2100)})
    target.client().delete(*(f"missing:{number}" for number in range(30)))
    open_console(browser, daemon, "#/tasks/1/verify")
    browser.click("#verify-start")
    browser.find("#verify-verdict|Differences: 2,130")
    browser.wait_text("1–50 of 2,130", "#differences-shown")
    first = browser.text("tbody tr")
    browser.click("#page-next")
    browser.wait_text("51–100 of 2,130", "#differences-shown")
    assert browser.text("tbody tr") != first and browser.js("document.querySelectorAll('tbody tr').length") == 50
    check(browser, axe)
    browser.click("#page-back")
    browser.wait_text("1–50", "#differences-shown")
    assert browser.text("tbody tr") == first
    browser.click("#kind-missing")
    browser.wait_text("1–30 of 30", "#differences-shown")
    keys = browser.js("[...document.querySelectorAll('tbody th code')].map((code) => code.textContent)")
    assert sorted(keys) == sorted(f"missing:{number}" for number in range(30))
    assert browser.js("document.querySelector('#page-next').disabled")
    browser.click("#repair")
    browser.find("dialog li|Values are copied")
    check(browser, axe)
    browser.click("#confirm")
    browser.find("#verify-verdict|2,130, all repaired")
    browser.wait_text("1–50 of 2,130", "#differences-shown")
    browser.find("tbody tr|Yes")
    assert not browser.has("#repair")
    browser.click("#language")
    browser.find("#verify-verdict|2,130 处差异已全部修复")
    assert_same(source, target, as_replica=True)
    check(browser, axe)


def test_charts(bench, daemon, browser, axe):
    """A snapshot that takes its time, with progress and time left; its limit is lifted while it runs. The charts know what was before the page was loaded, and before the daemon was restarted."""
    source, target = bench.server(), bench.server()
    source.client().mset({f"key:{number}": "x" * 100 for number in range(4000)})
    daemon.create("orders", source, target, limit={"records_per_second": 250})
    daemon.call("task.start", task="orders")
    open_console(browser, daemon, "#/tasks/1")
    browser.find(".title .state|Snapshot")
    browser.find("section.snapshot [role=progressbar]")
    browser.wait_text("left", "section.snapshot")
    browser.wait("/about [0-9.]+ (ms|s|min) left/.test(window.__find('section.snapshot')?.innerText)")
    browser.find("figcaption|Snapshot")
    browser.click("#limits")
    browser.fill("#limit-size", "unlimited")
    browser.click("#confirm")
    browser.find(".title .state|Streaming")
    daemon.wait_in_step("orders", source)
    assert_same(source, target, as_replica=True)
    browser.click("#do-stop")
    browser.click("#confirm")
    browser.find(".title .state|Ready")
    for again in "page", "daemon":
        if again == "daemon":
            assert daemon.stop() == 0
            daemon.start()
        browser.open(f"http://127.0.0.1:{daemon.port}/?{again}#/tasks/1")
        browser.find("figcaption|highest")
        for span in "1h", "24h", "15m":
            browser.click(f"#span-{span}")
            browser.find(f"#span-{span}[aria-pressed=true]")
            browser.wait("[...document.querySelectorAll('figcaption')].find((one) => one.textContent.includes('Records')).textContent.includes('highest')")
    browser.click("#span-1h")
    complaints_of(browser)
    browser.open(f"http://127.0.0.1:{daemon.port}/?chosen#/tasks/1")
    browser.find("#span-1h[aria-pressed=true]")
    check(browser, axe)


def test_every_view(bench, daemon, browser, axe):
    """Of a task that runs, in both themes, as a desk and as a phone has it: nobody is kept out, nothing is wider than the page, and nothing moves for who does not want it."""
    run_task(bench, daemon, keys=100)
    daemon.job("precheck", "orders")
    daemon.job("verify", "orders", options={"mode": "outline"})
    open_console(browser, daemon)
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    for theme, (width, height, mobile) in {"dark": (1280, 900, False), "light": (390, 844, True)}.items():
        browser.size(width, height, mobile)
        browser.js(f"document.documentElement.dataset.theme = '{theme}'")
        for place, element in views().items():
            browser.js(f"location.hash = '#/{place}'")
            browser.find(element)
            browser.wait("document.title.endsWith('keyferry') && document.title !== 'keyferry'")
            assert browser.js("document.documentElement.scrollWidth <= innerWidth"), (place, theme)
            check(browser, axe)
            if place == "tasks/1":
                browser.find("svg .flow.flows")
                assert browser.js("getComputedStyle(document.querySelector('.flow.flows .wire')).animationName") == "none"
                assert browser.js("document.querySelector('.picture').scrollWidth <= document.querySelector('.picture').clientWidth")


def test_log(bench, daemon, browser):
    """Its level is changed while it runs; lines are looked for. A task that is stopped is finished, and starts no more."""
    run_task(bench, daemon, keys=0)
    open_console(browser, daemon, "#/tasks/1/log")
    browser.wait_text("streaming: every link", "pre.log")
    browser.fill("#log-search", "work directory")
    browser.wait("!document.querySelector('pre.log').textContent.includes('every link')")
    assert "work directory" in browser.text("pre.log")
    # What comes is told as it comes.
    browser.fill("#log-search", "")
    with open(daemon.data / "tasks/1/log", "a") as log:
        log.write("a line <b>that</b> comes later\n")
    browser.wait_text("a line <b>that</b> comes later", "pre.log")
    assert browser.text("pre.log").count("streaming: every link") == 1
    browser.fill("#log-level", "debug")
    wait_for(lambda: daemon.show("orders")["log_level"] == "debug", what="the level of the log")
    browser.click("#do-stop")
    browser.find("dialog li|A failure that it had is forgotten")
    browser.click("#confirm")
    browser.find(".title .state|Ready")
    browser.click("#do-finish")
    browser.find("dialog li|cannot be undone")
    browser.click("#confirm")
    browser.find(".title .state|Finished")
    browser.click(".tabs a|Overview")
    browser.find("#outcome-finish .verdict.good")
    assert not any(browser.has(f"#do-{name}") for name in ("start", "resume", "pause", "stop", "cutover", "finish"))
    check(browser)
