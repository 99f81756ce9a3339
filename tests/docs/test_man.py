"""The man pages: sound for mandoc and groff, whole, and true to the programs, the library and the code."""

import glob
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def output(*argv, **how):
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False, **how)
    return done.stdout + done.stderr


class Man(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = os.path.join(harness.BUILD, "docs")
        cls.pages = sorted(os.path.relpath(path, cls.root) for path in glob.glob(os.path.join(cls.root, "man?", "*.?")))

    def read(self, page):
        """As people see it, in one line, hyphens undone."""
        with open(os.path.join(self.root, page), encoding="utf-8") as file:
            text = file.read()
        return re.sub(r"\s+", " ", re.sub(r"\\&|\\f[BRI]|\n\.\w+.*", " ", text).replace("\\", ""))

    def test_all_sections_are_there(self):
        self.assertEqual({page.split("/")[0] for page in self.pages}, {"man1", "man3", "man5", "man7", "man8"})
        self.assertGreater(len(self.pages), 90)

    def test_mandoc_has_nothing_to_say(self):
        said = output("mandoc", "-Tlint", "-Wwarning", *self.pages, cwd=self.root)
        self.assertEqual([line for line in said.splitlines() if ".so is fragile" not in line], [])

    def test_groff_has_nothing_to_say(self):
        links = [page for page in self.pages if self.read(page).startswith(".so ")]
        self.assertEqual(output("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z",
                                *[page for page in self.pages if page not in links], cwd=self.root,
                                env={**os.environ, "MANWIDTH": "80"}).count("warning:"), 0)
        for page in links:
            to = self.read(page)[len(".so "):].strip()
            self.assertIn(to, self.pages, page)

    def test_every_page_has_a_name_that_whatis_finds(self):
        said = output("lexgrog", *self.pages, cwd=self.root)
        self.assertNotIn("parse failed", said)
        self.assertEqual(len(said.splitlines()) >= len(self.pages), True, said)

    def test_every_function_of_the_library_has_a_page(self):
        symbols = output("nm", "-D", "--defined-only", os.path.join(harness.BUILD, "node", "libweft.so"))
        functions = re.findall(r" T (weft_\w+)", symbols)
        self.assertGreater(len(functions), 50)
        self.assertEqual([name for name in functions if f"man3/{name}.3" not in self.pages], [])

    def test_every_error_is_in_the_table(self):
        with open(os.path.join(ROOT, "include", "weft", "weft.h"), encoding="utf-8") as file:
            names = re.findall(r"X\((E\w+), -", file.read())
        page = self.read("man3/weft_errors.3")
        self.assertEqual([name for name in names if f"WEFT_{name}" not in page], [])

    def test_every_command_and_option_is_told(self):
        weft = harness.program("weft")
        commands = re.findall(r"^  ([a-z]+) {2,}\S", output(weft, "--help"), re.M)
        self.assertIn("pub", commands)
        for name in commands:
            self.assertIn(name, self.read("man1/weft.1"))
            page = self.read(f"man1/weft-{name}.1")
            for option in re.findall(r"--[a-z][\w-]*", output(weft, name, "--help")):
                self.assertIn(option, page, name)
        for option in re.findall(r"--[a-z][\w-]*", output(harness.program("weftd"), "--help")):
            self.assertIn(option, self.read("man8/weftd.8"))

    def test_examples_can_be_copied(self):
        weft = harness.program("weft")
        found = 0
        for name in re.findall(r"^  ([a-z]+) {2,}\S", output(weft, "--help"), re.M):
            page = output("mandoc", "-Tascii", "-Owidth=100", f"man1/weft-{name}.1", cwd=self.root)
            for line in re.findall(rf"^  (weft {name} .*)", output(weft, name, "--help"), re.M):
                self.assertIn(line, [shown.strip() for shown in page.splitlines()])
                found += line.endswith("\\")
        self.assertGreater(found, 0, "no example goes on in a second line")

    def test_the_configuration_is_told_whole(self):
        """Each key of the tables that read the file, and no other."""
        code = set()
        for path in glob.glob(os.path.join(ROOT, "cmd", "weftd", "*.c")):
            with open(path, encoding="utf-8") as file:
                code |= set(re.findall(r'"(\w+)",\s*read_\w+', file.read()))
        self.assertIn("self", code)
        with open(os.path.join(ROOT, "docs", "man", "weftd.yaml.5.scd"), encoding="utf-8") as file:
            told = set(re.findall(r"^\*(\w+)\*\n\t", file.read(), re.M))
        self.assertEqual(told ^ code, set())

    def test_the_build_knows_its_sources(self):
        """A page that the build does not name would not be made anew when it changes."""
        listed = re.findall(r"'man/([\w.-]+)'", open_text(os.path.join(ROOT, "docs", "meson.build")))
        self.assertEqual(sorted(listed), sorted(os.listdir(os.path.join(ROOT, "docs", "man"))))

    def test_what_is_pointed_to_exists(self):
        names = {os.path.basename(page) for page in self.pages}
        for page in self.pages:
            for name, section in re.findall(r"\\fB([\w.-]+)\\fR\((\d)\)", open_text(os.path.join(self.root, page))):
                self.assertIn(f"{name}.{section}", names, page)


def open_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    harness.main()
