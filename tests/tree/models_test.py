# SPDX-License-Identifier: MIT
"""The models keep up with the engine: a tag that a model mentions exists in the sources, and every
tag of the engine's files is mentioned in models/, by a bad_* model or with a reason in README.md."""

import unittest
from pathlib import Path

from ordering_test import TAG, definitions
from tree import CPP, ROOT, TreeTest, files, split_comments

# Folders and files whose every ordered access wants a model.
MODELLED = ("src/rcu/", "src/platform/lock.hpp", "src/interrupt/deferred.cpp", "include/nmircu/detail/reader.hpp",
            "include/nmircu/rcu.hpp")


def problems(root):
    found, defined, wanted = [], set(), {}
    for path in files(root, *CPP, ".S"):
        for tag, definition in definitions(path, split_comments((root / path).read_text())):
            defined.add(tag)
            if str(path).startswith(MODELLED):
                wanted[tag] = definition
    mentioned = set()
    for path in files(root, ".pml", ".md"):
        if path.parts[0] != "models":
            continue
        for number, line in enumerate((root / path).read_text().split("\n"), 1):
            tags = set(TAG.findall(line))
            found += [f"{path}:{number}: [{tag}] is defined nowhere" for tag in sorted(tags - defined)]
            if path.name.startswith("bad_") or path.suffix == ".md":
                mentioned |= tags
    found += [f"{definition.where}: no models/*/bad_*.pml weakens [{tag}], and models/README.md does not say why"
              for tag, definition in wanted.items() if tag not in mentioned]
    return found


class Models(TreeTest):
    SOURCE = "// [A-1] release: so. Partner: [A-1].\nx.store(1, std::memory_order_release);\n"

    def check(self, tree, expected):
        self.assert_finds(problems, {"src/rcu/a.cpp": self.SOURCE, **tree}, expected)

    def test_tree(self):
        self.assert_clean(problems(ROOT))
        for path in MODELLED:
            self.assertTrue(Path(ROOT, path).exists(), path)

    def test_tags(self):
        self.check({"models/a/bad_a.pml": "// [A-1] relaxed\n"}, None)
        self.check({"models/README.md": "[A-1]: no machine shows it\n"}, None)
        self.check({"models/a/good_a.pml": "// [A-1]\n"}, "weakens [A-1]")
        self.check({"models/a/bad_a.pml": "// [A-1]\n// [A-2]\n"}, "a.pml:2: [A-2] is defined nowhere")


if __name__ == "__main__":
    unittest.main()
