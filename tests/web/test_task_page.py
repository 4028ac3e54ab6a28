"""What an operator sees of a running task, and does with it."""

from bench.compare import assert_same
from bench.data import fill
from bench.waiting import wait_for
from console import check, open_console


def test_source_dies(bench, daemon, browser):
    """What an operator sees while the source is away, and when it is back."""
    source, target = bench.server(), bench.server()
    fill(source, keys=300)
    daemon.create("orders", source, target)
    daemon.call("task.start", task="orders")
    daemon.wait_state("orders", "streaming")
    open_console(browser, daemon, "#/tasks/1")
    browser.find("svg .flow.good")
    source.kill()
    browser.find("svg .flow.warn")
    browser.wait_text("The source does not answer", "td.cell-state")
    browser.click(".tabs a|Events")
    browser.find(".events li|Source lost")
    source.start()
    browser.find(".events li|Full resync")
    browser.click(".tabs a|Overview")
    browser.find("svg .flow.good")
    daemon.wait_in_step("orders", source)
    assert_same(source, target, as_replica=True)
    check(browser)


def test_operations(bench, daemon, browser, axe):
    """Limits, pause, resume, verification with repair, cut-over, deletion; each asks first."""
    source, target = bench.server(), bench.server()
    fill(source, keys=500)
    daemon.create("orders", source, target)
    daemon.call("task.start", task="orders")
    daemon.wait_state("orders", "streaming")
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
    browser.click("#do-cutover")
    browser.find("dialog li|Both sides are compared")
    check(browser, axe)
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
