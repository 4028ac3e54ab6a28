"""Who gets in and may do what; language, colours, keyboard."""

import json

from bench.daemon import Daemon
from bench.waiting import wait_for
from console import check, check_complaint, open_console


def test_foreign_address(bench, daemon, browser):
    """Without tokens the daemon is spoken to as localhost only; the page says so."""
    browser.open(f"http://elsewhere.test:{daemon.port}/")
    browser.find("[role=alert]|loopback address")


def test_login(bench, browser, axe):
    """With tokens asked for: nothing without one; a viewer sees and does not touch."""
    daemon = Daemon(bench, config="require_token: true\n").start()
    token = daemon.call("token.create", name="screen", role="viewer")["token"]
    daemon.create("orders", bench.server(), bench.server())
    open_console(browser, daemon)
    browser.find("#token")
    check_complaint(browser, "401")
    check(browser, axe)
    browser.fill("#token", "kf_wrong")
    browser.click("#login")
    browser.find("[role=alert]|token")
    check_complaint(browser, "401")
    browser.fill("#token", token)
    browser.click("#login")
    browser.find("tr|orders")
    browser.click("tr a|orders")
    browser.find("h1|orders")
    assert not browser.has("#do-start") and not browser.has("#create")
    check(browser, axe)
    assert token not in browser.js("JSON.stringify(localStorage) + document.cookie + location.href + document.documentElement.outerHTML")
    browser.click("#logout")
    browser.find("#token")
    browser.complaints.clear()
    open_console(browser, daemon, "#/tasks/1")
    browser.find("#token")
    assert not browser.has("h1|orders")


def test_choices_are_remembered(bench, daemon, browser, axe):
    """Language and colours; and what is begun stays while they change."""
    name = "orders-" + "x" * 93
    daemon.create(name, bench.server(), bench.server())
    open_console(browser, daemon, "#/new")
    browser.fill("#f-name", "half-done")
    browser.click("#language")
    browser.find("h1|创建同步任务")
    assert browser.js("document.querySelector('#f-name').value") == "half-done"
    browser.click("#theme")
    browser.click("#theme")
    assert browser.js("document.documentElement.dataset.theme") == "dark"
    browser.open(f"http://127.0.0.1:{daemon.port}/?again#/")
    browser.find("h1|同步任务")
    assert browser.js("document.documentElement.dataset.theme") == "dark" and browser.js("document.documentElement.lang") == "zh-CN"
    check(browser, axe)
    browser.size(390, 800, mobile=True)
    browser.find("tr|orders")
    for place in "", "tasks/1", "tasks/1/events", "new", "access":
        browser.js(f"location.hash = '#/{place}'")
        browser.wait("document.querySelector('main h1') && !document.querySelector('main .waiting')")
        assert browser.js("document.documentElement.scrollWidth <= innerWidth"), place
        check(browser, axe)


def test_keyboard(bench, daemon, browser):
    """To a task and into a dialog without a mouse; the focus is kept in it and comes back."""
    daemon.create("orders", bench.server(), bench.server())
    open_console(browser, daemon)
    browser.find("tr|orders")

    def press_until(selector):
        for _ in range(40):
            browser.key("Tab", 9)
            if browser.js(f"document.activeElement?.matches({json.dumps(selector)})"):
                return
        raise AssertionError(f"{selector} is not reached by Tab")
    press_until("tbody a")
    browser.key("Enter", 13, "\r")
    browser.find("h1|orders")
    press_until("#do-delete")
    browser.key("Enter", 13, "\r")
    browser.find("dialog h2")
    for _ in range(8):
        browser.key("Tab", 9)
        assert browser.js("document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))")
    browser.key("Escape", 27)
    wait_for(lambda: not browser.has("dialog"), what="the dialog's end")
    browser.wait("document.activeElement.id === 'do-delete'")
    assert daemon.show("orders")["state"] == "created"
