# SPDX-License-Identifier: MIT
"""What the documents say is there, is there: links, paths, `function()` names; and their complete
C++ and C snippets (those with an #include) compile."""

import re
import unittest

from headers_test import C, CXX, compile_error, include_paths
from tree import CPP, ROOT, TreeTest, files

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.S | re.M)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"(?:\./)?[\w.-]+(?:/[\w.-]+)*/?(?::\d+)?")
FUNCTION = re.compile(r"(?:[a-z_]\w*::)*([a-z_]\w*)\(\)")
SNIPPETS = {"cpp": CXX, "c++": CXX, "c": C}
# Made by building or running, not part of the tree.
MADE = ("build", "out")


def blank(match):
    return re.sub(r"[^\n]", "", match.group())


def anchors(text):
    """The fragments that a document's headings answer to."""
    headings = re.findall(r"^#+\s+(.*?)\s*$", FENCE.sub(blank, text), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def bad_link(root, document, link):
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return False
    name, _, fragment = link.partition("#")
    target = (root / document).parent / name if name else root / document
    if not target.exists():
        return True
    return bool(fragment) and target.suffix == ".md" and fragment not in anchors(target.read_text())


def bad_path(root, document, text):
    """Whether `text` is a path that starts at something of ours and leads nowhere."""
    words = text.split()
    if words and words[0].startswith("./"):
        text = words[0]
    if "/" not in text or not PATH.fullmatch(text):
        return False
    name = text.split(":")[0].removeprefix("./")
    top = name.split("/")[0]
    bases = [root, (root / document).parent]
    ours = text.startswith("./") or any((base / top).exists() for base in bases)
    return ours and top not in MADE and not any((base / name).exists() for base in bases)


def snippet_errors(root, document, text):
    for match in FENCE.finditer(text):
        language, code = match.groups()
        if language not in SNIPPETS or "#include" not in code:
            continue
        number = text.count("\n", 0, match.start()) + 1
        for compiler in SNIPPETS[language]:
            error = compile_error([*compiler, *include_paths(root)], code)
            if error:
                yield f"{document}:{number}: the snippet does not compile: {error}"


def problems(root):
    found = []
    words = set()
    for path in files(root, *CPP, ".py", ".S"):
        words |= set(re.findall(r"\w+", (root / path).read_text()))
    for document in files(root, ".md"):
        text = (root / document).read_text()
        found += snippet_errors(root, document, text)
        for number, line in enumerate(FENCE.sub(blank, text).split("\n"), 1):
            where = f"{document}:{number}: "
            found += [f"{where}the link to {link} leads nowhere"
                      for link in LINK.findall(line) if bad_link(root, document, link)]
            for code in CODE.findall(line):
                if bad_path(root, document, code):
                    found.append(f"{where}there is no `{code}`")
                name = FUNCTION.fullmatch(code)
                if name and name.group(1) not in words:
                    found.append(f"{where}no source file mentions `{code}`")
    return found


class Docs(TreeTest):
    def check(self, text, expected):
        self.assert_finds(problems, {"docs/a.md": text, "docs/b.md": "# It's one, two\n", "src/a.c": "f();\n"},
                          expected)

    def test_tree(self):
        self.assert_clean(problems(ROOT))

    def test_links(self):
        self.check("[a](b.md) [b](../src) [c](https://example.org/x) [d](b.md#its-one-two) [e](#f)\n# F\n", None)
        self.check("see [a](c.md).\n", "c.md leads nowhere")
        self.check("see [a](b.md#three).\n", "b.md#three leads nowhere")

    def test_paths(self):
        self.check("`src/a.c` `src/a.c:7` `docs/` `b.md` `build/x/y` `a/b` `/proc/self` `int a/2`\n", None)
        self.check("`src/b.c`\n", "there is no `src/b.c`")
        self.check("`./none --flag`\n", "there is no `./none --flag`")

    def test_functions(self):
        self.check("`f()` and `a::f()` and `f(x)`\n", None)
        self.check("`g()`\n", "no source file mentions `g()`")

    def test_snippets(self):
        self.check("```cpp\nthis is prose\n```\n```c\n#include <stdint.h>\nint a;\n```\n", None)
        self.check("```text\n[a](nowhere.md) `src/none`\n```\n", None)
        broken = "```cpp\n#include <atomic>\nint a\n```\n"
        self.assertEqual(len(CXX), len(list(snippet_errors(ROOT, "a.md", broken))))


if __name__ == "__main__":
    unittest.main()
