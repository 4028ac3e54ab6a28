"""A headless Chromium, spoken to over its debugging pipe (Chrome DevTools Protocol): no driver, no port, nothing beside the browser itself."""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import select
import shutil
import subprocess
import time

PROGRAMS = ("chromium-headless-shell", "chromium")
# What a page may take to show something: the machine may be busy.
PATIENCE_S = 180
# Runs in the page: finds an element, also by the text that it shows ("button|Start"), and does something with it.
HELPERS = """
window.__find = (selector) => {
  const [css, text] = selector.split('|');
  return [...document.querySelectorAll(css)].find((element) => element.checkVisibility() && (!text || element.textContent.trim().includes(text))) ?? null;
};
"""


def program():
    """The browser's path; None where there is none."""
    return next((path for path in map(shutil.which, PROGRAMS) if path), None)


class PageError(Exception):
    """A script in the page has thrown."""


class Browser:
    """One process with one page. What the page complains about is gathered in .complaints, what it asks for in .requests."""

    def __init__(self, folder):
        self._numbers = itertools.count(1)
        self._text = b""
        self.complaints = []
        self.requests = []
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        self._log = open(pathlib.Path(folder) / "browser.log", "wb")

        def place():
            # The browser reads 3 and writes 4; either end may have the other's number.
            ends = [os.dup(fd) for fd in (to_browser, from_browser)]
            high = [os.dup2(fd, 90 + at) for at, fd in enumerate(ends)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        home = pathlib.Path(folder) / "browser"
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
            [program(), "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-GB",
             "--disable-background-networking", "--host-resolver-rules=MAP elsewhere.test 127.0.0.1", f"--user-data-dir={home}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, preexec_fn=place, pass_fds=(3, 4), env=os.environ | {"HOME": str(folder), "LANG": "C.UTF-8"})
        os.close(to_browser)
        os.close(from_browser)
        self._session = None
        target = next(target for target in self._targets() if target["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Network", "Log":
            self.send(f"{domain}.enable")
        self.send("Page.addScriptToEvaluateOnNewDocument", source=HELPERS)
        self.size(1280, 900)

    def _targets(self):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            targets = self.send("Target.getTargets")["targetInfos"]
            if any(target["type"] == "page" for target in targets) or time.monotonic() > deadline:
                return targets

    def close(self):
        with contextlib.suppress(OSError):
            os.close(self._out)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        self._log.close()

    # -- protocol

    def _read(self, timeout):
        """The next message; None when none came."""
        while b"\0" not in self._text:
            if not select.select([self._in], [], [], timeout)[0]:
                return None
            part = os.read(self._in, 1 << 20)
            if not part:
                raise ConnectionError("the browser has ended")
            self._text += part
        text, self._text = self._text.split(b"\0", 1)
        return json.loads(text)

    def _take(self, message):
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description") or details["text"])
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                self.complaints.append(" ".join(str(one.get("value", one.get("description"))) for one in params["args"]))
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])

    def send(self, method, **params):
        """One call of the protocol; its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data):]
        while True:
            answer = self._read(PATIENCE_S)
            if answer is None:
                raise TimeoutError(f"{method}: the browser does not answer")
            if answer.get("id") == number:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._take(answer)

    # -- the page

    def size(self, width, height, mobile=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def open(self, url):
        """Another page; a change behind '#' alone is none, and is made by the page."""
        self.send("Page.navigate", url=url)

    def js(self, code):
        """The value of an expression, a promise's included."""
        answer = self.send("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise PageError(answer["exceptionDetails"].get("exception", {}).get("description") or answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def busy_ms(self, code):
        """What the page's thread works while an expression runs: with Performance.enable(timeDomain="threadTicks") its own time alone, however busy the machine is."""
        def worked():
            return next(one["value"] for one in self.send("Performance.getMetrics")["metrics"] if one["name"] == "TaskDuration")
        before = worked()
        self.js(code)
        return (worked() - before) * 1000

    def wait(self, code, what=None, timeout=PATIENCE_S):
        """Until an expression is true; its value."""
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(PageError):
                value = self.js(code)
                if value:
                    return value
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout} s in vain for {what or code}; the page shows:\n{self.js('document.body.innerText')}\ncomplaints: {self.complaints}")
            time.sleep(0.03)

    def find(self, selector, timeout=PATIENCE_S):
        """Waits for an element that is seen: "css" or "css|text that it shows"."""
        self.wait(f"Boolean(window.__find({json.dumps(selector)}))", f"element {selector}", timeout)

    def has(self, selector):
        return self.js(f"Boolean(window.__find({json.dumps(selector)}))")

    def click(self, selector):
        """Waits until it may be clicked: it is enabled and nothing lies over it. In one step, for the page may move under a mouse."""
        self.wait(f"""(() => {{
          const element = window.__find({json.dumps(selector)});
          if (!element || element.disabled) return false;
          element.scrollIntoView({{block: 'center', behavior: 'instant'}});
          const box = element.getBoundingClientRect();
          const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
          if (!element.contains(there)) return false;
          element.focus();
          element.click();
          return true;
        }})()""", f"{selector} that can be clicked")

    def fill(self, selector, text):
        """As somebody types: the field has the text, and has been left."""
        self.find(selector)
        self.js(f"""(() => {{
          const field = window.__find({json.dumps(selector)});
          field.focus();
          Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set.call(field, {json.dumps(str(text))});
          field.dispatchEvent(new Event('input', {{bubbles: true}}));
          field.dispatchEvent(new Event('change', {{bubbles: true}}));
        }})()""")

    def key(self, name, code=0, text=None):
        """A key of the keyboard: "Tab", "Enter", "Escape"."""
        extra = {"text": text} if text else {}
        for kind in "keyDown", "keyUp":
            self.send("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **extra)

    def text(self, selector="main"):
        return self.js(f"window.__find({json.dumps(selector)})?.innerText ?? ''")

    def wait_text(self, text, selector="main", timeout=PATIENCE_S):
        self.wait(f"(window.__find({json.dumps(selector)})?.innerText ?? '').includes({json.dumps(text)})", f"the text {text!r} in {selector}", timeout)

    def picture(self, path):
        """A PNG of the whole page."""
        height = self.js("document.documentElement.scrollHeight")
        width = self.js("innerWidth")
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True, clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))
