"""A headless Chromium, driven by the DevTools protocol over a pair of pipes.

    with browser.Browser(folder) as b:
        b.open("http://127.0.0.1:7480/")
        b.wait("document.querySelectorAll('[data-node]').length == 3")
        b.problems                       what was written to the console or thrown so far

wait() asks again whenever the page changes: it is the page that says so, not a clock."""

import base64
import json
import os
import shutil
import subprocess
import threading


def program():
    """Where Chromium is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    def __init__(self, folder, patience=30):
        self.patience = patience
        self.problems = []
        self.answers = {}
        self.ready = threading.Condition()
        self.last = 0
        self.loads = 0
        from_us, self.to_it = os.pipe()
        self.from_it, to_us = os.pipe()
        # The protocol's pipes are the descriptors 3 and 4.
        os.set_inheritable(from_us, True)
        os.set_inheritable(to_us, True)
        command = f'exec 3<&{from_us} 4>&{to_us}; exec "$0" "$@"'
        self.log = open(os.path.join(folder, "chromium.log"), "wb")
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", command, program(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
             "--remote-debugging-pipe", f"--user-data-dir={os.path.join(folder, 'chromium')}", "about:blank"],
            pass_fds=(from_us, to_us), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(from_us)
        os.close(to_us)
        threading.Thread(target=self._read, daemon=True).start()
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        self.session = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self._send("Browser.close", {})
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(self.patience)
        os.close(self.to_it)
        self.log.close()

    # ---- The protocol: JSON texts that end with a NUL byte --------------------------------------

    def _read(self):
        buffer = b""
        while True:
            try:
                data = os.read(self.from_it, 65536)
            except OSError:
                data = b""
            if not data:
                break
            *whole, buffer = (buffer + data).split(b"\0")
            for text in whole:
                self._take(json.loads(text))
        os.close(self.from_it)
        with self.ready:
            self.answers[None] = True
            self.ready.notify_all()

    def _take(self, message):
        params = message.get("params", {})
        with self.ready:
            if "id" in message:
                self.answers[message["id"]] = message
                self.ready.notify_all()
            elif message["method"] == "Page.loadEventFired":
                self.loads += 1
                self.ready.notify_all()
            elif message["method"] == "Runtime.exceptionThrown":
                detail = params["exceptionDetails"]
                self.problems.append(detail.get("exception", {}).get("description", detail["text"]))
            elif message["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                self.problems.append(" ".join(str(arg.get("value", arg)) for arg in params["args"]))
            elif message["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                self.problems.append(f'{params["entry"]["text"]} {params["entry"].get("url", "")}')

    def _send(self, method, params, session=None):
        with self.ready:
            self.last += 1
            number = self.last
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to_it, json.dumps(message).encode() + b"\0")
        with self.ready:
            self.ready.wait_for(lambda: number in self.answers or None in self.answers, self.patience + 10)
            answer = self.answers.pop(number, None)
        if answer is None:
            raise AssertionError(f"chromium: no answer to {method}")
        if "error" in answer:
            raise AssertionError(f"chromium: {method}: {answer['error']}")
        return answer["result"]

    def call(self, method, **params):
        return self._send(method, params, self.session)

    # ---- What tests do --------------------------------------------------------------------------

    def open(self, url):
        before = self.loads
        result = self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise AssertionError(f"{url}: {result['errorText']}")
        with self.ready:
            if not self.ready.wait_for(lambda: self.loads > before, self.patience):
                raise AssertionError(f"{url}: not loaded")

    def get(self, expression):
        """The value of an expression, a promise's when it is fulfilled."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            detail = result["exceptionDetails"]
            raise AssertionError(f"{expression}: {detail.get('exception', {}).get('description', detail['text'])}")
        return result["result"].get("value")

    def wait(self, expression, timeout=None):
        """Until it is true, tried again at each change of the page. Returns its value."""
        milliseconds = int((timeout or self.patience) * 1000)
        script = f"""new Promise((done) => {{
            const look = () => {{ const value = (() => {expression})(); if (value) {{ seen.disconnect(); done(value); }} return value; }};
            const seen = new MutationObserver(look);
            if (!look()) {{
                seen.observe(document, {{subtree: true, childList: true, attributes: true, characterData: true}});
                setTimeout(() => {{ seen.disconnect(); done(null); }}, {milliseconds});
            }}
        }})"""
        value = self.get(script)
        if value is None:
            raise AssertionError(f"not true within {milliseconds} ms: {expression}\n{self.get('document.body.innerText')}")
        return value

    def screen(self, width, height, dark=False, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def shoot(self, file):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        with open(file, "wb") as out:
            out.write(base64.b64decode(data))
