"""How docs/guide.md is read and compared (tests/guide/guide.py): what differs is found, and what may differ is not."""

import os
import sys
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "integration"))
sys.path.insert(0, os.path.join(FOLDER, "..", "guide"))
import guide  # noqa: E402  (found by the lines above)
import harness  # noqa: E402

RUN = "<!-- on base -->\n```sh\nls\n```\n"


class Guide(unittest.TestCase):
    def test_the_guide_is_understood(self):
        with open(os.path.join(FOLDER, "..", "..", "docs", "guide.md"), encoding="utf-8") as file:
            steps = guide.steps(file.read())
        self.assertGreater(len(steps), 50)
        self.assertEqual([step.body for step in steps if step.kind == "not run"], ["./dev deb"])

    def test_no_block_is_passed_over(self):
        for text, words in (("```sh\nls\n```\n", "what becomes"), ("```text\nx\n```\n", "no command says"),
                            (RUN + "\nprose\n```text\nx\n```\n", "no command says"), ("<!-- on base -->\n", "no block"),
                            ("<!-- in base -->\n```sh\nls\n```\n", "not understood"),
                            ("<!-- on base: perhaps -->\n```sh\nls\n```\n", "not understood"),
                            ("<!-- on base -->\n```python\nx\n```\n", "a block of 'python'")):
            with self.assertRaisesRegex(guide.Wrong, words, msg=text):
                guide.steps(text)

    def test_what_a_text_belongs_to(self):
        steps = guide.steps(RUN + "```text\nx\n```\n<!-- shows eye -->\n```text\ny\n```\n<!-- stop eye -->\n")
        self.assertEqual([(step.kind, step.shows) for step in steps], [("run", ["x"]), ("shows", ["y"]), ("stop", None)])

    def test_figures_may_differ(self):
        for shown, said in (("up 2.32s, since 2026-11-21T17:55:59Z", "up 12 ms, since 2027-01-02T03:04:05Z"),
                            ("id 765606211c6c4b5664b73e50e23a6f38", "id 0dcb40893469ba3dc9504092dba30221"),
                            ("a   linked out 143us  0", "a linked     out  1.20ms   459"),
                            ("in 594ms", "in 1.19s"), ("x 0.98 y -0.19", "x -1.00 y 0.09"),
                            ("refused … lab", "refused by tcp://10.0.0.1:7400/a of lab")):
            self.assertIsNone(guide.missing([shown], said), shown)

    def test_words_names_and_order_may_not(self):
        for shown, said in ((["linked"], "waiting"), (["tcp://10.0.0.1:7400/a"], "tcp://10.0.0.2:7400/a"),
                            (["one", "two"], "two\none"), (["one", "one"], "one"), (["hello"], ""),
                            (["refused … lab"], "lab refused"), (["a linked"], "a linked in")):
            self.assertIsNotNone(guide.missing(shown, said), shown)
        self.assertIsNone(guide.missing(["one", "…", "three"], "zero\none\ntwo\nthree\n"))


if __name__ == "__main__":
    harness.main()
