# SPDX-License-Identifier: MIT
"""Every ordered atomic access and every fence says, under a tag, whom it pairs with.

In include/, src/ and modules/:
  - a statement with an acquire, release, acq_rel or seq_cst, or a fence, has a comment block right
    above it in which a line starts with its tag: `// [TAG-1] release: ...`. That line defines the
    tag, once in the tree. A comment may define several tags, one for each access of the statement.
  - its comment names its partners: `Partner: the scan at [TAG-2], rcu/grace_period.cpp.` (or
    `Partners:`), up to the end of that sentence; each partner names it back.
  - every tag mentioned is defined.
  - no access leaves its order to the default.
"""

import re
import unittest
from collections import namedtuple

from tree import CPP, ROOT, TreeTest, files, split_comments

FOLDERS = {"include", "src", "modules", "baremetal"}
ORDER = r"(?:memory_order(?:_|::)|__ATOMIC_)(?:acquire|release|acq_rel|seq_cst|ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)\b"
FENCE = r"\batomic_(?:thread|signal)_fence\b|\b__atomic_(?:thread|signal)_fence\b|\b__sync_\w+"
# `asm volatile("" ::: "memory")`, a compiler fence, as split_comments leaves it.
ASM_FENCE = r'\basm\s+volatile\s*\(\s*""\s*:\s*:\s*:\s*"_"\s*\)'
NAMED_ORDER = re.compile(r"\bmemory_order\s+(\w+)\s*=([^;]*);")
TAG = re.compile(r"\[([A-Z][A-Z0-9]*-[0-9]+)\]")
DEFINITION = re.compile(r"^\s*(?://+|/?\*+)\s*\[([A-Z][A-Z0-9]*-[0-9]+)\]\s")
PARTNERS = re.compile(r"\bPartners?:(.*?)(?:\.\s|\.$|$)", re.S)
CALL = re.compile(r"(?:\.|->)\s*(load|store|exchange|fetch_(?:add|sub|and|or|xor)|"
                  r"compare_exchange_(?:weak|strong))\s*\(")
OPERANDS = {"load": 0, "compare_exchange_weak": 2, "compare_exchange_strong": 2}

Definition = namedtuple("Definition", "where text")


def arguments(code, start):
    """The top-level arguments of the call whose '(' is just before `start`."""
    depth, parts, part = 0, [], ""
    for character in code[start:]:
        if character in "([{":
            depth += 1
        elif character in ")]}":
            if depth == 0:
                break
            depth -= 1
        if character == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    parts.append(part)
    return [p.strip() for p in parts if p.strip()]


def statement_start(lines, index):
    """The first line of the statement that line `index` belongs to."""
    while index > 0:
        code, comment = lines[index - 1]
        code = code.strip()
        if not code or code.startswith("#") or code[-1] in ";{}:":
            break
        index -= 1
    return index


def comment_above(lines, index):
    """Line numbers of the block of comment-only lines right above line `index`."""
    first = index
    while first > 0 and not lines[first - 1][0].strip() and lines[first - 1][1].strip():
        first -= 1
    return range(first, index)


def defined_by(lines, index):
    """The tag that the comment line `index` defines, if it does. A mention that merely came to stand
    first in its line continues a sentence."""
    code, comment = lines[index]
    match = DEFINITION.match(comment)
    if code.strip() or not match:
        return None
    before_code, before = lines[index - 1] if index else ("", "")
    continues = not before_code.strip() and before.strip(" /*") and before.strip()[-1] not in ".:)"
    return None if continues else match.group(1)


def definitions(path, lines):
    """(tag, Definition) for every tag that a comment of this file defines."""
    found, open_tag = [], None
    for number, (code, comment) in enumerate(lines, 1):
        tag = defined_by(lines, number - 1)
        if tag:
            open_tag = tag
            found.append((open_tag, number, []))
        if code.strip() or not comment.strip():
            open_tag = None
        elif open_tag:
            found[-1][2].append(re.sub(r"^\s*(?://+|/?\*+)?", "", comment).strip())
    return [(tag, Definition(f"{path}:{number}", " ".join(text))) for tag, number, text in found]


def named_orders(sources):
    """Constants that stand for an order other than relaxed."""
    return {match.group(1)
            for lines in sources.values()
            for match in NAMED_ORDER.finditer("\n".join(code for code, _ in lines))
            if re.search(ORDER, match.group(2))}


def untagged(path, lines, named):
    """Ordered accesses without a tag of their own, and accesses with a default order."""
    found = []
    ordered = re.compile("|".join([ORDER, FENCE, ASM_FENCE, *(rf"\b{name}\b" for name in named)]))
    whole = "\n".join(code for code, _ in lines)
    statements = set()
    for match in ordered.finditer(whole):
        index = whole.count("\n", 0, match.start())
        start = statement_start(lines, index)
        statement = "\n".join(code for code, _ in lines[start:index + 1])
        # What merely names an order is no access.
        if start in statements or NAMED_ORDER.search(statement + ";") or "#include" in statement:
            continue
        statements.add(start)
        if not any(defined_by(lines, i) for i in comment_above(lines, start)):
            found.append(f"{path}:{index + 1}: {match.group()} without a [TAG-n] comment right above")
    for match in CALL.finditer(whole):
        if len(arguments(whole, match.end())) == OPERANDS.get(match.group(1), 1):
            index = whole.count("\n", 0, match.start())
            found.append(f"{path}:{index + 1}: {match.group(1)} leaves its memory order to the default")
    return found


def problems(root):
    found, defined = [], {}
    sources = {path: split_comments((root / path).read_text())
               for path in files(root, *CPP, ".S") if path.parts[0] in FOLDERS}
    named = named_orders(sources)
    for path, lines in sources.items():
        found += untagged(path, lines, named)
        for tag, definition in definitions(path, lines):
            if tag in defined:
                found.append(f"{definition.where}: [{tag}] is defined at {defined[tag].where} already")
            defined.setdefault(tag, definition)
    for path, lines in sources.items():
        for number, (_, comment) in enumerate(lines, 1):
            found += [f"{path}:{number}: [{tag}] is defined nowhere"
                      for tag in TAG.findall(comment) if tag not in defined]
    partners = {tag: {partner for sentence in PARTNERS.findall(definition.text)
                      for partner in TAG.findall(sentence)}
                for tag, definition in defined.items()}
    for tag, definition in defined.items():
        if not partners[tag]:
            found.append(f"{definition.where}: [{tag}] names no partner")
        found += [f"{definition.where}: [{tag}] names [{partner}], which does not name it back"
                  for partner in sorted(partners[tag])
                  if partner in defined and tag not in partners[partner]]
    return sorted(found)


GOOD = """\
// [A-1] release: the data precedes the flag.
// Partner: the acquire at [A-2], b.cpp, of all places. Not the fence [B-1].
// Weakened: garbage.
flag.store(1,
           std::memory_order_release);
x.store(2, std::memory_order_relaxed);
"""
GOOD_B = """\
if (a) {
    // [A-2] Partner: [A-1].
    while (flag.load(std::memory_order_acquire) == 0) {}
    // [B-1] Partners: [B-2] and others.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // [B-2] Partner: [B-1].
    barrier();
}
"""


class Ordering(TreeTest):
    def check(self, a, b, expected):
        self.assert_finds(problems, {"src/a.cpp": a, "src/b.cpp": b}, expected)

    def test_tree(self):
        self.assert_clean(problems(ROOT))

    def test_accepts_a_pair(self):
        self.check(GOOD, GOOD_B, None)

    def test_finds_an_untagged_access(self):
        for access in ("x.load(std::memory_order_acquire);", "__atomic_load_n(&x, __ATOMIC_ACQUIRE);",
                       "std::atomic_thread_fence(std::memory_order_seq_cst);",
                       "x.load(\n    std::memory_order::acquire);",
                       "do_that();  // [A-1]\nx.fetch_add(1, std::memory_order_acq_rel);",
                       'asm volatile("" ::: "memory");'):
            self.check(GOOD + access + "\n", GOOD_B, "without a [TAG-n] comment")

    def test_finds_an_access_that_shares_the_comment_of_another(self):
        self.check(GOOD, GOOD_B.replace("    barrier();",
                                        "    barrier();\n    z.load(std::memory_order_acquire);"),
                   "without a [TAG-n] comment")

    def test_finds_a_named_order(self):
        name = "constexpr std::memory_order order = odd ? std::memory_order_acquire : plain;\n"
        self.check(GOOD + name, GOOD_B, None)
        self.check(GOOD + name + "x.load(order);\n", GOOD_B, "order without a [TAG-n]")

    def test_ignores_comments_and_strings(self):
        self.check(GOOD + '// like memory_order_acquire\nchar c = \'"\'; s("memory_order_acquire");\n',
                   GOOD_B, None)

    def test_finds_a_reused_tag(self):
        self.check(GOOD + "// [A-1] again. Partner: [A-2].\nf();\n", GOOD_B, "defined at")

    def test_finds_a_missing_partner(self):
        self.assert_finds(problems, {"src/a.cpp": "// [A-1] Weakened: garbage.\nf();\n"}, "names no partner")

    def test_finds_a_one_sided_pair(self):
        self.check(GOOD + "// [C-1] Partner: [A-2].\nf();\n", GOOD_B, "[C-1] names [A-2], which does not")

    def test_finds_an_undefined_tag(self):
        self.check(GOOD + "// as in [Z-9]\nf();\n", GOOD_B, "[Z-9] is defined nowhere")

    def test_knows_a_mention_from_a_definition(self):
        mention = "// [C-1] Partner: [C-2]. Those in the shared slot have a fence of their own,\n// [A-1] or so.\nf();\n"
        self.check(GOOD + mention + "// [C-2] Partner: [C-1].\nf();\n", GOOD_B, None)

    def test_finds_default_orders(self):
        for access in ("x.load();", "x->load( );", "x.store(f(1, 2));", "x.fetch_add(1);", "x.exchange(\n 0);",
                       "x.compare_exchange_weak(a, b);"):
            self.check(GOOD + access + "\n", GOOD_B, "to the default")


if __name__ == "__main__":
    unittest.main()
