"""The list of all tasks: live, long, and after the daemon was away."""

import os
import signal
import statistics

import pytest

from console import check, heap, join_events, open_console, run_task


def test_daemon_restarts(bench, daemon, browser):
    """The page says that it is not connected, and is up to date when the daemon is back."""
    source, target = bench.server(), bench.server()
    for name in "stays", "goes":
        daemon.create(name, source, target)
    open_console(browser, daemon)
    browser.find(".live.on")
    browser.find("tr|goes")
    assert daemon.stop() == 0
    browser.find(".live:not(.on)")
    browser.find("#lost|Not connected to the daemon since")
    daemon.start()
    daemon.call("task.delete", task="goes")
    daemon.create("comes", source, target)
    browser.find(".live.on")
    browser.find("tr|comes")
    browser.wait("!window.__find('tr|goes')")
    assert browser.has("tr|stays") and not browser.has("#lost")


def test_daemon_hangs(bench, daemon, browser):
    """A daemon that says nothing, or a network that has gone away, closes no connection: the page finds out by itself, and is there again when it goes on."""
    # All that waits for seconds waits for a fifth of them.
    browser.send("Page.addScriptToEvaluateOnNewDocument", source="""
      for (const name of ['setTimeout', 'setInterval']) {
        const timer = window[name].bind(window);
        window[name] = (run, after, ...rest) => timer(run, (after ?? 0) >= 2000 ? after / 5 : after, ...rest);
      }
      const now = Date.now;
      const begin = now();
      Date.now = () => begin + 5 * (now() - begin);
      const patience = AbortSignal.timeout.bind(AbortSignal);
      AbortSignal.timeout = (after) => patience(after / 5);""")
    daemon.create("idle", bench.server(), bench.server())
    open_console(browser, daemon)
    browser.find("tr|idle")
    browser.find(".live.on")
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        browser.find("#lost|Not connected to the daemon since")
        browser.find(".live:not(.on)")
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)
    browser.find(".live.on")
    browser.wait("!document.querySelector('#lost')")
    daemon.create("comes", bench.server(), bench.server())
    browser.find("tr|comes")


@pytest.mark.timeout(300)
def test_many_tasks(bench, daemon, browser):
    """200 tasks: the list is whole, and answers within 100 ms to what somebody does, also while all of them change; and does not grow with what it is told."""
    source, target = bench.server(), bench.server()
    for number in range(200):
        daemon.create(f"task-{number:03}", source, target)
    join_events(browser)
    open_console(browser, daemon)
    browser.wait("document.querySelectorAll('tbody tr').length === 200")
    # What the page itself takes from the input to the frame that shows its effect: other processes of a busy machine are no fault of it.
    browser.send("Performance.enable", timeDomain="threadTicks")

    def type_text(text, meanwhile=""):
        return browser.busy_ms(f"""(async () => {{
          {meanwhile}
          const field = document.querySelector('#search');
          field.value = '{text}';
          field.dispatchEvent(new Event('input', {{bubbles: true}}));
          await window.__frame();
        }})()""")

    texts = ("task-1", "", "task-19", "", "7", "", "task", "")
    assert statistics.median(map(type_text, texts)) < 100
    # Each task tells of new figures in the frame in which a letter is typed, as it may at most twice a second.
    browser.js("fetch('/api/v1/tasks').then((answer) => answer.json()).then((list) => { window.tasks = list.items; })")
    changed = "window.tasks.forEach((task, at) => window.__tell('task', {...task, lag: {seconds: at + %s, bytes: 1}}))"
    assert statistics.median(type_text(text, changed % number) for number, text in enumerate(texts)) < 100

    def tell_rounds(first, last):
        browser.js(f"""(async () => {{
          for (let round = {first}; round < {last}; round++) {{
            window.tasks.slice(0, 9).forEach((task) => window.__tell('task', {{...task, lag: {{seconds: round, bytes: 1}}}}));
            if (round % 40 === 0) await window.__frame();
          }}
          await window.__frame();
        }})()""")
    # An hour.
    tell_rounds(0, 400)
    before = heap(browser)
    tell_rounds(400, 3600)
    after = heap(browser)
    assert after[0] < before[0] * 1.1 + 500_000 and after[1] < before[1] * 1.1, (before, after)
    browser.js(changed.replace("at + %s", "null"))
    browser.fill("#search", "task-19")
    browser.wait("document.querySelectorAll('tbody tr').length === 10")
    browser.wait_text("10 of 200 tasks", "#shown")
    # Sorted both ways, by state, and as it was after one has looked at a task.
    assert browser.text("tbody tr th") == "task-190"
    browser.click("th button|Name")
    browser.find("th[aria-sort=descending]|Name")
    assert browser.text("tbody tr th") == "task-199"
    browser.click("tr a|task-195")
    browser.find("h1|task-195")
    browser.click("a.back")
    browser.wait("document.querySelectorAll('tbody tr').length === 10")
    assert browser.text("tbody tr th") == "task-199"
    daemon.call("task.start", task="task-192")
    browser.wait_text("task-192: Streaming", "#said")
    browser.click("#state-streaming")
    browser.wait("document.querySelectorAll('tbody tr').length === 1")
    browser.click("#state-all")
    for column in "State", "Lag", "Links":
        browser.click(f"th button|{column}")
        browser.find(f"th[aria-sort=descending]|{column}")
        browser.wait("document.querySelector('tbody tr th').textContent === 'task-192'")
    # What changes is shown while one looks.
    daemon.call("task.delete", task="task-199")
    browser.wait("document.querySelectorAll('tbody tr').length === 9")
    check(browser)


def test_quick_answer(bench, daemon, browser):
    """What the daemon says before the first paint is seen, too."""
    browser.send("Page.addScriptToEvaluateOnNewDocument", source="""
      const later = window.requestAnimationFrame.bind(window);
      window.requestAnimationFrame = (run) => later(() => setTimeout(run, 1500));
      const timer = window.setTimeout.bind(window);
      window.setTimeout = (run, after, ...rest) => timer(run, (after ?? 0) < 1000 ? 1500 : after, ...rest);""")
    open_console(browser, daemon)
    browser.find("h2|No tasks yet")


def test_need_a_look(bench, daemon, browser, axe):
    """A link without its source is no green task with a lag of nothing: it is among those that need a look, also at its own page."""
    source, _ = run_task(bench, daemon)
    daemon.create("idle", source, bench.server())
    open_console(browser, daemon)
    browser.find("tr .state.good|Streaming")
    assert not browser.has("#state-look")
    source.kill()
    browser.find("tr .warned|1 of 1 links without their source")
    browser.wait_text("–", "td[data-label=Lag]")
    check(browser, axe)
    browser.click("#state-look|1")
    browser.wait("document.querySelectorAll('tbody tr').length === 1")
    browser.click("tr a|orders")
    browser.find(".title .state.warn|Streaming")
    browser.find(".figure|not known: 1 of 1 links")
    browser.click("#readiness summary|Not now")
    browser.find("#readiness .check.failed|do not follow their source")
    check(browser, axe)
    source.start()
    browser.find(".title .state.good|Streaming")
    browser.find("#readiness .check.passed|1 of 1")
    browser.click("a.back")
    browser.click("#state-all")
    browser.wait("!document.querySelector('#state-look') && document.querySelectorAll('tbody tr').length === 2")
