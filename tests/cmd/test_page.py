"""The page of the mesh in a headless Chromium, beside a mesh of three real nodes."""

import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import browser  # noqa: E402
import harness  # noqa: E402  (found by the line above)
from test_http import Http  # noqa: E402

NODE = "document.querySelector('[data-node=\"{}\"]')"
LINKED = "(() => {{ const e = document.querySelector('[data-link=\"{}\"]'); return e && e.dataset.state === 'linked'; }})()"
CUT = "(() => {{ const e = document.querySelector('[data-link=\"{}\"]'); return !e || e.dataset.state === 'down'; }})()"
LIVE = "document.body.className === 'live'"
SCROLL = "document.documentElement.scrollWidth <= innerWidth"


class Page(Http):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="weft-")
        cls.browser = browser.Browser(cls.scratch.name)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.scratch.cleanup()

    def setUp(self):
        super().setUp()
        self.browser.problems.clear()
        self.a = self.node("lab.a")
        self.b = self.router("lab.b", peers=[self.a.url])
        self.c = self.router("lab.c", peers=[self.a.url])
        for path in ("lab.b", "lab.c"):
            self.a.wait_peer(path)
        self.address = f"http://127.0.0.1:{self.a.http}/"

    def tearDown(self):
        self.browser.open("about:blank")  # this mesh ends, and nobody is to dial it
        super().tearDown()

    def open(self):
        self.browser.open(self.address)
        self.browser.wait(LIVE)
        for link in ("lab.a lab.b", "lab.a lab.c", "lab.b lab.c"):
            self.browser.wait(LINKED.format(link))

    def test_the_mesh(self):
        """Nodes, links, routes and an address book, and nothing to complain of in the console."""
        self.weft("sub", "T@lab.**", "-P", self.b.sock, "--path", "lab.b.ear")
        self.weft("pub", "T@lab.a.mouth.x", "hello", "-P", self.a.sock, "--path", "lab.a.mouth", "--count", "1000000", "--rate", "50")
        b = self.browser
        self.open()
        states = b.get("Object.fromEntries([...document.querySelectorAll('[data-node]')].map((n) => [n.dataset.node, n.dataset.state]))")
        self.assertEqual({name: states[name] for name in ("lab.b", "lab.c")}, {"lab.b": "tells", "lab.c": "tells"})
        self.assertIn("lab.b.ear", states, "a leaf that only its router tells of")
        b.wait("[...document.querySelectorAll('[data-row=\"lab.a lab.b\"] td')].some((td) => /^[0-9.]+ .?s$/.test(td.textContent))")
        b.wait("""(() => { const row = document.querySelector('[data-route="T@lab.a.mouth.x"]');
                   return row && row.children[1].textContent === 'lab.a.mouth' && row.children[2].textContent === 'lab.b.ear (T@lab.**)' && /[0-9]\\/s/.test(row.textContent); })()""")
        self.assertIn("lab.a (this node)", b.get("document.getElementById('node-title').textContent"))
        b.get(NODE.format("lab.b") + ".dispatchEvent(new MouseEvent('click', {bubbles: true}))")
        b.wait("document.getElementById('node-title').textContent === 'lab.b'")
        b.wait(f"[...document.querySelectorAll('#node-body .book td')].some((td) => td.textContent === '{self.a.url}')")
        self.assertEqual(b.problems, [])

    def test_a_link_that_is_cut(self):
        """It shows within 2 s of the daemon's own word, by the page's clock and the daemon's, which are one."""
        self.open()
        b = self.browser
        b.get(f"""window.seen = new Promise((done) => {{
            const look = () => {{ if ({CUT.format("lab.a lab.b")}) done(Date.now()); }};
            new MutationObserver(look).observe(document, {{subtree: true, childList: true, attributes: true}});
        }}); true""")
        self.b.proc.kill9()
        self.a.proc.wait_line(harness.PEER_DOWN.format(path="lab.b"))
        heard = time.time() * 1000
        shown = b.get("window.seen")
        print(f"shown {shown - heard:.0f} ms after the log's line", flush=True)
        self.assertLess(shown - heard, 2000)
        b.wait("document.getElementById('said').textContent.includes('link lost')")
        b.wait("document.querySelector('#lately-body [data-incident=\"peer_down\"]')")
        self.b.start()
        b.wait(LINKED.format("lab.a lab.b"))
        self.assertEqual(b.problems, [])

    def test_between_others(self):
        """A link of two other nodes that ends, with both of them still there."""
        self.open()
        self.run_weft("addrbook", "ban", self.b.sock, self.c.url)
        self.browser.wait(CUT.format("lab.b lab.c"))
        self.assertTrue(self.browser.get(LINKED.format("lab.a lab.b")))
        self.assertTrue(self.browser.get(LINKED.format("lab.a lab.c")))

    def test_the_daemon_goes_and_comes(self):
        """The page says that it lost the daemon, keeps what it had, and comes back by itself."""
        self.open()
        port = self.a.http
        self.a.proc.terminate()
        self.browser.wait("document.body.className === 'lost' && !document.getElementById('banner').hidden")
        self.assertIn("Trying again", self.browser.get("document.getElementById('banner').textContent"))
        self.assertTrue(self.browser.get(NODE.format("lab.b") + " !== null"))
        with open(self.a.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.a.config, "w", encoding="utf-8") as file:
            file.write(text.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        self.a.start()
        self.browser.wait(LIVE)
        self.assertTrue(self.browser.get("document.getElementById('banner').hidden"))
        self.browser.wait(LINKED.format("lab.a lab.c"))

    def test_screens(self):
        """No sideways scrolling, on a phone or a wall, by day or by night; and text that can be read."""
        self.open()
        for width, height in ((320, 640), (390, 844), (768, 1024), (1280, 900), (2560, 1200)):
            for dark in (False, True):
                with self.subTest(width=width, dark=dark):
                    self.browser.screen(width, height, dark, phone=width < 700)
                    self.browser.wait(f"innerWidth === {width} && {SCROLL}")
                    self.assertGreaterEqual(self.browser.get(CONTRAST), 4.5)
                    self.browser.wait("""(() => { const r = document.getElementById('mesh').getBoundingClientRect();
                        return [...document.querySelectorAll('.spot .name')].every((n) => { const b = n.getBoundingClientRect();
                            return b.left >= r.left && b.right <= r.right; }); })()""")
        self.assertEqual(self.browser.problems, [])

    def test_keyboard(self):
        """Every node is reached by Tab and chosen by Enter; everything in the picture has a name."""
        self.open()
        b = self.browser
        b.get("document.querySelector('.skip').focus()")
        reached = set()
        for _ in range(12):
            for kind in ("rawKeyDown", "keyUp"):
                b.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            reached.add(b.get("document.activeElement.dataset.node || ''"))
        self.assertLessEqual({"lab.a", "lab.b", "lab.c"}, reached)
        b.get(NODE.format("lab.c") + ".focus()")
        for kind in ("keyDown", "keyUp"):
            b.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r" if kind == "keyDown" else "")
        b.wait("document.getElementById('node-title').textContent === 'lab.c'")
        self.assertEqual(b.get(NODE.format("lab.c") + ".getAttribute('aria-pressed')"), "true")
        self.assertEqual(b.get("[...document.querySelectorAll('[role=button]')].filter((e) => !e.getAttribute('aria-label')).length"), 0)
        self.assertGreater(b.get("document.querySelectorAll('#links table caption').length"), 0)

    def test_names_are_text(self):
        """What a stranger calls itself is shown, not run."""
        name = "lab.a.<img\u00a0src=x\u00a0onerror=document.title='run'>"
        self.weft("sub", "T@lab.a.x", "-P", self.a.url, "--path", name)
        self.open()
        self.browser.wait(f"[...document.querySelectorAll('[data-node]')].some((n) => n.dataset.node === {name!r})")
        self.assertEqual(self.browser.get("document.querySelectorAll('main img').length"), 0)
        self.assertNotIn("run", self.browser.get("document.title"))


# The least contrast of any text with what is behind it (WCAG 2).
CONTRAST = """(() => {
    const light = (c) => { const v = c / 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    const parts = (text) => text.match(/[0-9.]+/g).map(Number);
    const shine = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
    const behind = (e) => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor);
        if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
    let least = 21;
    for (const e of document.querySelectorAll('body *')) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        if (!own || e.closest('.unseen, .skip, script, noscript') || !e.getClientRects().length) continue;
        const style = getComputedStyle(e), c = parts(e.closest('svg') ? style.fill : style.color);
        const [x, y] = [shine(c), shine(behind(e))].sort((p, q) => q - p);
        least = Math.min(least, (x + 0.05) / (y + 0.05));
    }
    return least;
})()"""

if __name__ == "__main__":
    if not browser.program():
        print("no Chromium here: the page is not looked at")
        sys.exit(77)
    harness.main()
