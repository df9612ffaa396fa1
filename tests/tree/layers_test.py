# SPDX-License-Identifier: MIT
"""A folder includes only what stands below it in src/README.md."""

import re
import unittest
from pathlib import Path

from tree import CPP, ROOT, TreeTest, files

# Folder -> layer; the longest match counts. `offered` is what every platform has or shares (the
# files right in src/platform), `platform` what one of them keeps to itself.
LAYER_OF = {
    "include": "public",
    "src/arch": "arch",
    "src/platform": "offered",
    "src/platform/*": "platform",
    "src/platform/*/nmircu/platform": "offered",
    "src/rcu": "rcu",
    "src/interrupt": "interrupt",
    "src/kernel_api": "kernel_api",
    "src/ring": "ring",
    "src/agent": "agent",
    "modules": "modules",
    "cmd/nmi": "cmd",
}

# Public headers inline the same-named headers of arch and platform, which every architecture and
# platform offers; those in turn use include/nmircu/detail.
MAY_INCLUDE = {
    "public": {"public", "arch", "offered"},
    "arch": {"public", "arch"},
    "offered": {"public", "arch", "offered"},
    "platform": {"public", "arch", "offered", "platform"},
    "rcu": {"public", "arch", "offered", "rcu"},
    "interrupt": {"public", "arch", "offered", "rcu", "interrupt"},
    "kernel_api": {"public", "arch", "offered", "rcu", "interrupt", "kernel_api"},
    "ring": {"public", "arch", "offered", "rcu", "interrupt", "ring"},
    "agent": {"public", "arch", "offered", "platform", "rcu", "interrupt", "ring", "agent"},
    "modules": {"modules"},
    "cmd": {"public", "arch", "offered", "platform", "rcu", "interrupt", "ring", "agent", "cmd"},
}

# What modules include: their interface, and where a program has its heartbeats.
FOR_MODULES = {Path("include/nmircu/module.h"), Path("include/nmircu/watchdog.h")}
INCLUDE = re.compile(r'^\s*#\s*include\s*(<([^>]+)>|"([^"]+)")')


def layer_of(path):
    best = None
    for pattern, layer in LAYER_OF.items():
        depth = len(pattern.split("/"))
        if len(path.parts) > depth and Path(*path.parts[:depth]).match(pattern):
            if best is None or depth > best[0]:
                best = (depth, layer)
    return best and best[1]


def search_path(root):
    """Where an include may be found, beside the including file's own folder."""
    folders = [Path("include"), Path("src"), Path("cmd")]
    for parent in ("src/arch", "src/platform"):
        if (root / parent).is_dir():
            folders += sorted(p.relative_to(root) for p in (root / parent).iterdir() if p.is_dir())
    return folders


def resolve(root, includer, name, quoted, folders):
    candidates = ([includer.parent] if quoted else []) + folders
    for folder in candidates:
        if (root / folder / name).is_file():
            return Path((root / folder / name).resolve().relative_to(root.resolve()))
    return None


def problems(root):
    found, folders = [], search_path(root)
    for path in files(root, *CPP):
        layer = layer_of(path)
        if layer is None:
            continue
        for number, line in enumerate((root / path).read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            name, quoted = match.group(2) or match.group(3), match.group(3) is not None
            target = resolve(root, path, name, quoted, folders)
            where = f"{path}:{number}: "
            if target is None:
                if quoted or name.startswith("nmircu/"):
                    found.append(f"{where}{name} is not in the tree; system headers take <>")
                continue
            below = layer_of(target)
            if layer == "modules" and target in FOR_MODULES:
                continue
            if below not in MAY_INCLUDE[layer]:
                found.append(f"{where}layer {layer} must not include {target} (layer {below})")
    return found


class Layers(TreeTest):
    def test_tree(self):
        self.assert_clean(problems(ROOT))

    def test_finds_an_upward_include(self):
        self.assert_finds(
            problems,
            {"src/rcu/a.cpp": '#include "interrupt/b.hpp"\n', "src/interrupt/b.hpp": "\n"},
            "layer rcu must not include src/interrupt/b.hpp")

    def test_finds_an_upward_include_beside(self):
        self.assert_finds(
            problems,
            {"include/nmircu/a.hpp": '#include "../../src/rcu/b.hpp"\n', "src/rcu/b.hpp": "\n"},
            "layer public")

    def test_finds_a_platforms_private_header(self):
        self.assert_finds(
            problems,
            {"src/rcu/a.cpp": '#include "platform/linux/b.hpp"\n', "src/platform/linux/b.hpp": "\n"},
            "(layer platform)")

    def test_finds_a_module_that_includes_more(self):
        self.assert_finds(
            problems,
            {"modules/m/m.c": "#include <nmircu/module.h>\n#include <nmircu/rcu.hpp>\n",
             "include/nmircu/module.h": "\n", "include/nmircu/rcu.hpp": "\n"},
            "modules/m/m.c:2")

    def test_finds_a_missing_header(self):
        self.assert_finds(problems, {"src/rcu/a.cpp": "#include <nmircu/none.hpp>\n"}, "not in the tree")

    def test_accepts_downward(self):
        self.assert_finds(
            problems,
            {"src/rcu/a.cpp": "#include <nmircu/platform/b.hpp>\n#include <vector>\n",
             "src/platform/linux/nmircu/platform/b.hpp": "#include <nmircu/arch/c.hpp>\n",
             "src/arch/x86_64/nmircu/arch/c.hpp": "\n"},
            None)


if __name__ == "__main__":
    unittest.main()
