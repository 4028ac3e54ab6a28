"""Who gets in and may do what; language, colours, keyboard."""

import json

from bench.daemon import Daemon
from bench.waiting import wait_for
from console import check, check_complaint, complaints_of, open_console


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
    for place in "new", "tasks/1/edit", "access":
        browser.js(f"location.hash = '#/{place}'")
        browser.find("h1|Not allowed")
    browser.js("location.hash = '#/tasks/1'")
    browser.find("h1|orders")
    check(browser, axe)
    assert token not in browser.js("JSON.stringify(localStorage) + document.cookie + location.href + document.documentElement.outerHTML")
    browser.click("#logout")
    browser.find("#token")
    browser.complaints.clear()
    open_console(browser, daemon, "#/tasks/1")
    browser.find("#token")
    assert not browser.has("h1|orders")


def test_admin(bench, browser, axe):
    """Tokens are made, told once and revoked at the page; who did what is told. A token that is revoked ends the page of who uses it."""
    daemon = Daemon(bench, config="require_token: true\n").start()
    admin = daemon.call("token.create", name="boss", role="admin")["token"]
    open_console(browser, daemon, "#/access")
    browser.fill("#token", admin)
    browser.click("#login")
    browser.fill("#token-name", "deploy")
    browser.fill("#token-role", "operator")
    browser.click("button|Make a token")
    token = browser.js("new Promise((done) => { const look = () => { const code = document.querySelector('code.token'); code ? done(code.textContent) : setTimeout(look, 20); }; look(); })")
    assert token.startswith("kf_")
    browser.find("tr|deploy")
    browser.find("#audit-title ~ div tr|Make a token")
    browser.complaints.clear()
    check(browser, axe)
    daemon.call("token.create", name="other", role="viewer")
    browser.js("location.hash = '#/'")
    browser.find("h2|No tasks yet")
    browser.js("location.hash = '#/access'")
    browser.find("tr|other")
    assert token not in browser.js("document.documentElement.outerHTML")
    browser.click("#logout")
    browser.fill("#token", token)
    browser.click("#login")
    browser.find("h1|Not allowed")
    assert not browser.has("nav a|Access")
    browser.js("location.hash = '#/new'")
    browser.find("#f-name")
    browser.fill("#f-name", "half-done")
    daemon.call("token.delete", id=next(each["id"] for each in daemon.call("token.list") if each["name"] == "deploy"))
    browser.js("location.hash = '#/'")
    browser.find("#token")
    browser.fill("#token", admin)
    browser.click("#login")
    browser.click("#create")
    browser.find("#f-name")
    assert browser.js("document.querySelector('#f-name').value") == ""
    complaints_of(browser, "401")


def test_policy(bench, daemon, browser):
    """The browser is told to run nothing but the daemon's own scripts, and to ask nobody else."""
    open_console(browser, daemon)
    browser.find("h2|No tasks yet")
    policy = browser.js("fetch('/').then((answer) => answer.headers.get('content-security-policy'))")
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy and "*" not in policy, policy
    browser.js("(() => { const script = document.createElement('script'); script.textContent = 'window.ran = true'; document.body.append(script); })()")
    assert not browser.js("Boolean(window.ran)")
    assert browser.js("fetch('https://elsewhere.test/').then(() => 'came', () => 'refused')") == "refused"
    assert len([text for text in browser.complaints if "Content Security Policy" in text]) >= 2
    assert not any("elsewhere.test" in url for url in browser.requests)


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
