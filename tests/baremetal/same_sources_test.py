# SPDX-License-Identifier: MIT
"""Property: the image is made of the library's own sources. Every file of src/rcu, src/interrupt and
src/kernel_api that the library compiles is compiled, from the same path, into the image; the image
contains nothing else from there; and no file of the port is a copy of one of them.

same_sources_test.py SOURCE_TREE BUILD_TREE LIBRARY_TARGET IMAGE_OUTPUT
"""

import json
import re
import subprocess
import sys
import unittest
from pathlib import Path

SHARED = ("src/rcu", "src/interrupt", "src/kernel_api")
PORT = ("baremetal", "src/platform/baremetal")
# So many lines of code in a row, the same in both, are a copy; the port's own calls are shorter.
COPY_LINES = 10


def below(path, folders):
    return any(folder in ("/".join(path.parts[:n]) for n in range(1, len(path.parts)))
               for folder in folders)


def compiled(commands, source_tree):
    """Object file -> source file, relative, of everything from the shared folders."""
    objects = {}
    for entry in commands:
        path = Path(entry["file"]).resolve()
        if not path.is_relative_to(source_tree):
            continue
        path = path.relative_to(source_tree)
        if below(path, SHARED):
            output = entry.get("output") or re.search(r" -o (\S+)", entry["command"])[1]
            objects[output] = path
    return objects


def differences(commands, source_tree, library_objects, image_objects):
    """What is wrong, as sentences. The two sets: the object files that go into each."""
    objects = compiled(commands, source_tree)
    library = {objects[o] for o in library_objects if o in objects}
    image = {objects[o] for o in image_objects if o in objects}
    found = [] if library else ["nothing of the shared folders is in the library"]
    found += [f"{path} is in the library, not in the image" for path in sorted(library - image)]
    found += [f"{path} is in the image, not in the library" for path in sorted(image - library)]
    return found


def code_lines(text):
    lines = (line.split("//")[0].strip() for line in text.splitlines())
    return [line for line in lines if len(line) > 2 and not line.startswith("#")]


def copies(tree):
    """Pairs of files, one of the port and one shared, with COPY_LINES lines of code in common."""
    windows, found = {}, set()
    for folder in SHARED:
        for path in sorted((tree / folder).rglob("*.[ch]pp")):
            lines = code_lines(path.read_text())
            for at in range(len(lines) - COPY_LINES + 1):
                windows[tuple(lines[at:at + COPY_LINES])] = path
    for folder in PORT:
        for path in sorted(p for p in (tree / folder).rglob("*") if p.suffix in (".cpp", ".hpp", ".h", ".c")):
            lines = code_lines(path.read_text())
            for at in range(len(lines) - COPY_LINES + 1):
                original = windows.get(tuple(lines[at:at + COPY_LINES]))
                if original:
                    found.add(f"{path.relative_to(tree)} copies {original.relative_to(tree)}")
    return sorted(found)


def inputs_of(build_tree, target):
    """Everything that the build graph says `target` is made from, object files among it."""
    listed = subprocess.run(["ninja", "-C", build_tree, "-t", "inputs", target],
                            check=True, capture_output=True, text=True).stdout
    return set(listed.split())


class SameSources(unittest.TestCase):
    def test_image_is_made_of_the_library(self):
        commands = json.loads(Path(build_tree, "compile_commands.json").read_text())
        self.assertEqual([], differences(commands, source_tree, inputs_of(build_tree, library_target),
                                         inputs_of(build_tree, image_output)))

    def test_port_copies_nothing(self):
        self.assertEqual([], copies(source_tree))

    # That the two can fail at all.
    COMMANDS = [{"file": "/t/src/rcu/a.cpp", "output": "lib/a.o", "command": ""},
                {"file": "/t/src/rcu/a.cpp", "output": "image/a.o", "command": ""},
                {"file": "/t/src/rcu/b.cpp", "command": "c++ -o lib/b.o -c /t/src/rcu/b.cpp"},
                {"file": "/t/baremetal/b.cpp", "output": "image/b.o", "command": ""}]

    def test_finds_a_missing_file(self):
        both = {"lib/a.o", "lib/b.o"}, {"image/a.o", "image/b.o"}
        self.assertEqual(["src/rcu/b.cpp is in the library, not in the image"],
                         differences(self.COMMANDS, Path("/t"), *both))
        self.assertEqual([], differences(self.COMMANDS, Path("/t"), {"lib/a.o"}, {"image/a.o"}))
        self.assertEqual(1, len(differences(self.COMMANDS, Path("/t"), set(), set())))

    def test_finds_a_copy(self):
        import tempfile
        text = "\n".join(f"int line_{n} = {n};  // text" for n in range(COPY_LINES))
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder)
            for name, contents in (("src/rcu/a.cpp", text), ("baremetal/x/b.hpp", "\n" + text + "\n")):
                (tree / name).parent.mkdir(parents=True)
                (tree / name).write_text(contents)
            self.assertEqual(["baremetal/x/b.hpp copies src/rcu/a.cpp"], copies(tree))
            (tree / "baremetal/x/b.hpp").write_text(text.replace("line_4", "other"))
            self.assertEqual([], copies(tree))


if __name__ == "__main__":
    source_tree, build_tree, library_target, image_output = (
        Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3], sys.argv[4])
    unittest.main(argv=sys.argv[:1])
