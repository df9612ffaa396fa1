# SPDX-License-Identifier: MIT
#
# usage: seeds.py NAME FOLDER [WORD...]
# Writes the inputs from which the fuzz target NAME starts into FOLDER: those its function below makes
# (with the words, if it takes any), and those in corpus/NAME/: .hex files are hexadecimal bytes with
# comments behind '#', others are taken as they are.
import gzip
import pathlib
import shutil
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent


def u8(*values):
    return struct.pack(f"<{len(values)}B", *values)


def u16(value):
    return struct.pack("<H", value)


def u32(value):
    return struct.pack("<I", value)


def u64(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def ring_reader():
    """As ring_reader_fuzz.cpp reads it: flags, six words of header, rounds of writes and a call."""
    as_it_should_be = u64(0) * 6

    def record(position, kind, length, ring=0):
        return u8(ring << 4 | 2) + u32(position) + u8(kind) + u32(length)

    def head(value, ring=0):
        return u8(ring << 4 | 1) + u32(value)

    def sample(position, addresses):
        # The payload of a struct nmi_sample, words from `position` on: time, thread and CPU, count.
        first = (3 * 4096 + position) // 8
        words = (1, 7 | 1 << 32, addresses, *range(0x400000, 0x400000 + addresses))
        return b"".join(u8(0) + u16(first + 1 + i) + u64(word) for i, word in enumerate(words))

    def rounds(*writes, call=1):
        return u8(len(writes)) + b"".join(writes) + u8(call)

    one = [head(40), record(0, 1, 40)]
    yield "one", u8(0) + as_it_should_be + rounds(*one)
    yield "sample", u8(0) + as_it_should_be + rounds(
        head(80), record(0, 1, 56), sample(0, 3)) + rounds(record(56, 1, 24), sample(56, 1))
    yield "both", u8(0) + as_it_should_be + rounds(head(64), head(64, 1), record(0, 5, 64),
                                                   record(0, 5, 32, 1), record(32, 0, 32, 1))
    yield "dead", u8(0) + as_it_should_be + rounds(head(4096), record(800, 1, 80), call=0)
    yield "beyond", u8(0) + as_it_should_be + rounds(head(65536 * 2), record(0, 1, 0xffff8))
    yield "thread", u8(4) + as_it_should_be + rounds(*one) + b"".join(one) * 4
    yield "unsealed", u8(1) + as_it_should_be + rounds(*one)
    yield "short", u8(2) + as_it_should_be + u16(40)
    for word, wrong in enumerate((1, 1 << 32 | 2, 1 << 63, 1 << 63, 1 << 63, 1 << 63)):
        words = [0] * 6
        words[word] = wrong
        yield f"header-{word}", u8(0) + u64(*words) + rounds(*one)


def message(*fields):
    body = b"".join(field.encode() + b"\0" for field in fields)
    return u32(len(body)) + body


def agent_server():
    """As agent_server_fuzz.cpp reads it: steps of a byte and what they need."""
    def raw(data, who=0):
        return u8(who << 4, len(data)) + data

    for verb in ("hello", "status", "rings", "start", "finish", "what"):
        yield verb, raw(message(verb))
    yield "load", raw(message("load", "/no/such.so", "1000", "auto"))
    yield "pieces", b"".join(raw(message("hello")[i:i + 1]) for i in range(10))
    yield "two", raw(message("status"), 1) + raw(message("status"), 2) + u8(0x17, 0x25)
    yield "crowd", b"".join(raw(message("status"), who) for who in range(16))
    yield "lengths", b"".join(raw(u32(n) + b"x", i) for i, n in enumerate((0, 1, 65536, 65537, 2**32 - 1)))
    yield "words", u8(1, 3, 5, 11, 8, 7) + u8(0x12, 2, 6, 12, 11) + u8(0x24, 0, 4)
    yield "half", u8(3, 0, 4, 5) + u8(0x06, 1) + u8(0x13, 0, 0, 2, 0x17)


STATUS = [
    "agent\t1\t4711",
    "source\tperf\t1000\t3\t1\t2\tno reason",
    "cpus\t0\t1",
    "nmi\t10\t20",
    "handler\tprofiler\t1\t/a/b.so\t30\t30\t3\t900\t400\t10\t20",
    "retired\told\t2\t/c.so\t1\t1\t1\t1\t1\t1\t0",
    "unknown\t1",
    "forwarded\t2",
    "lost\t0\t3",
    "grace\t4\t5\t6",
]


def agent_reply():
    """As agent_reply_fuzz.cpp reads it: 0 and lines, or 1 and what comes over the socket."""
    yield "lines", u8(0) + "\n".join(STATUS).encode()
    yield "socket", u8(1) + message("ok", *STATUS)
    yield "error", u8(1) + message("error", "3", "what\x1b[2J", "try") + message("exiting")
    yield "rubbish", u8(1) + message("yes") + u32(0)
    yield "escapes", u8(0) + b"handler\t\x1b]0;x\x07\t1\t\xff\xfe\t" + b"9" * 30


def maps():
    line = "7f00{:02x}000000-7f00{:02x}800000 r-xp 00001000 08:01 {} {}"
    one = "\n".join(line.format(i, i, 100 + i, path) for i, path in enumerate(
        ("/usr/lib/libc.so.6", "/tmp/a b (deleted)", "[vdso]", "", "/x\\012y")))
    yield "one", one.encode()
    yield "two", one.encode() + b"\0" + line.format(0, 2, 5, "/over/all").encode()
    yield "inside", (line.format(0, 9, 1, "/big") + "\0" + line.format(3, 3, 2, "/small")).encode()


def elf(*objects):
    """As elf_fuzz.cpp reads it; `objects` are files to begin with."""

    def rules(program, initial=bytes([0x0c, 7, 8, 0x90, 1])):
        return (u8(0, 1, 0xf8) + u8(len(initial)) + initial + u8(len(program)) + program +
                bytes(range(256)) + u8(*range(0, 17 * 8, 8)))

    yield "pushes", rules(bytes([0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x0a, 0x4c, 0x0c, 7, 8,
                                 0xc6, 0x41, 0x0b]))
    # The linkage stub's expression, a signal frame's, and what compilers use less.
    stub = bytes([0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22])
    yield "linkage", rules(bytes([0x41, 0x0e, 16, 0x4a, 0x0f, len(stub)]) + stub)
    yield "signal", rules(bytes([0x10, 3, 2, 0x77, 40, 0x16, 7, 3, 0x77, 8, 0x06, 0x07, 16]))
    yield "rare", rules(bytes([0x02, 4, 0x05, 3, 2, 0x11, 6, 0x7e, 0x14, 12, 1, 0x09, 3, 13, 0x08,
                               6, 0x06, 3, 0x2e, 16, 0x12, 7, 0x7e, 0x13, 0x7e]))
    yield "cpp", u8(1) + b"_ZNSt6vectorIiSaIiEE9push_backERKi"
    yield "rust", u8(1) + b"_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate"
    yield "old_rust", u8(1) + b"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"
    for number, name in enumerate(objects):
        yield f"object{number}", u8(2) + pathlib.Path(name).read_bytes()


def pprof():
    def number(field, value):
        out = bytearray([field << 3])
        while value >= 0x80:
            out.append(value & 0x7f | 0x80)
            value >>= 7
        out.append(value)
        return bytes(out)

    def text(field, value):
        return bytes([field << 3 | 2, len(value)]) + value

    strings = (b"", b"samples", b"count", b"cpu", b"nanoseconds", b"main", b"m.c", b"/bin/x", b"0a1b",
               b"thread", b"worker", b"thread_id", b"lost records: 0")
    whole = b"".join((
        text(1, number(1, 1) + number(2, 2)), text(1, number(1, 3) + number(2, 4)),
        text(2, text(1, b"\1\2") + text(2, b"\3\4") + text(3, number(1, 9) + number(2, 10))
             + text(3, number(1, 11) + number(3, 4711))),
        text(3, number(1, 1) + number(2, 4096) + number(3, 8192) + number(5, 7) + number(6, 8)),
        text(4, number(1, 1) + number(2, 1) + number(3, 5000) + text(4, number(1, 1) + number(2, 12))),
        text(4, number(1, 2) + number(3, 99)),
        text(5, number(1, 1) + number(2, 5) + number(3, 5) + number(4, 6)),
        b"".join(text(6, one) for one in strings),
        number(9, 1 << 60), number(10, 10**9), text(11, number(1, 3) + number(2, 4)),
        number(12, 10**6), text(13, b"\x0c"), number(14, 1)))
    yield "whole", whole
    yield "compressed", gzip.compress(whole, mtime=0)
    yield "cut", gzip.compress(whole, mtime=0)[:-9]
    yield "no-samples", text(1, number(1, 1)) + text(6, b"") + text(6, b"samples")


def stored(name):
    folder = HERE / "corpus" / name
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix == ".hex":
            text = "".join(line.split("#")[0] for line in path.read_text().splitlines())
            yield path.stem, bytes.fromhex(text)
        else:
            yield path.name, path.read_bytes()


def main(name, folder, *words):
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make = globals().get(name)
    for seed, contents in [*(make(*words) if make else ()), *stored(name)]:
        (folder / seed).write_bytes(contents)


if __name__ == "__main__":
    main(*sys.argv[1:])
