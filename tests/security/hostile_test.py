# SPDX-License-Identifier: MIT
#
# Property: neither a hostile program nor a hostile peer does more than harm itself. A program that
# writes garbage into its own rings or answers in its agent's place cannot crash, hang, fill up or
# remote-control the terminal of whoever looks at it; whoever sends garbage to an agent, holds
# connections or sends descriptors keeps nobody else from it.
import array
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
import xml.dom.minidom

from command import CommandTest, NMI, PATIENCE_S, PROGRAM, module

# Finds the rings in its own memory and overwrites them: noise, then what looks like records.
SCRIBBLES = """
import os, random, struct, sys, time
rings = []
for line in open('/proc/self/maps'):
    if 'memfd:' in line and 'nmi' in line and ' rw-s ' in line:
        begin, end = (int(x, 16) for x in line.split()[0].split('-'))
        rings.append((begin, end))
if not rings: sys.exit(9)
random.seed(int(sys.argv[1]))
memory = os.open('/proc/self/mem', os.O_RDWR)
end = time.monotonic() + 1.2
spin = 0
while time.monotonic() < end:
    for begin, stop in rings:
        for _ in range(40):
            at = random.choice((begin + 4096 * random.randrange(0, 6), begin + 8 * random.randrange(0, (stop - begin) // 8 - 64)))
            kind = random.randrange(4)
            if kind == 0: data = random.randbytes(256)
            elif kind == 1: data = struct.pack('<Q', random.choice((0, 1 << 63, 2**64 - 1, 1 << 32, random.randrange(1 << 22))))
            elif kind == 2: data = b'\\xff' * 256
            else: data = struct.pack('<QQIIII', (0x80000000 << 32) | (random.randrange(5) << 20) | random.randrange(1 << 20), 1, 1, 1, 1 << 31, 0)
            os.pwrite(memory, data, at)
    spin = sum(range(2000))
sys.exit(7)
"""

ESCAPES = """
import sys, threading, time
name = b'\\x1b]0;x\\x07\\xc2\\x9b2J\\x9b<&'
with open('/proc/self/comm', 'wb') as comm: comm.write(name[:15])
def spin():
    with open('/proc/thread-self/comm', 'wb') as comm: comm.write(name[:15])
    end = time.monotonic() + 0.4
    while time.monotonic() < end: sum(range(1000))
thread = threading.Thread(target=spin); thread.start(); thread.join()
"""


def message(*fields):
    body = b"".join(field.encode() + b"\0" for field in fields)
    return struct.pack("<I", len(body)) + body


class HostileProgram(CommandTest):
    def assert_plain(self, data):
        text = data if isinstance(data, str) else data.decode()
        self.assertIsNone(re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), repr(text[:500]))

    def test_garbage_in_the_rings(self):
        for seed in ("1", "2"):
            with self.subTest(seed=seed):
                began = time.monotonic()
                done = self.nmi("run", "-o", "garbage", sys.executable, "-c", SCRIBBLES, seed)
                # It may be the end of the program; never of the command.
                self.assertNotEqual(done.returncode, 9, "the test does not find the rings")
                self.assertIn("exit status 7", done.stderr)
                self.assertEqual(done.returncode, 7, done.stderr)
                self.assertLess(time.monotonic() - began, 30)
                self.assert_plain(done.stderr)
                if os.path.exists(self.path("garbage.svg")):
                    xml.dom.minidom.parse(self.path("garbage.svg"))
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.assertLess(used, 1 << 20, "kilobytes")

    def test_escapes_in_names(self):
        done = subprocess.run([NMI, "run", "-o", "named", sys.executable, "-c", ESCAPES],
                              cwd=self.folder, env=self.environment, capture_output=True,
                              timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_plain(done.stderr)
        with open(self.path("named.folded"), "rb") as file:
            self.assert_plain(file.read())
        xml.dom.minidom.parse(self.path("named.svg"))

    def test_a_program_that_answers_itself(self):
        # The process that was asked for is the one that answers, so who it is is not the question.
        os.mkdir(self.path("nmi"), 0o700)
        hello = message("ok", "1", "1")
        status = message("ok", "agent\t1\t5", "source\t\x1b[2J\t9\t1\t1\t1\t\u009b", "cpus" + "\t7" * 2000,
                         "nmi" + "\t18446744073709551615" * 2000, "handler\t" + "\u202e" * 99,
                         *(f"unreachable\t{i}\t\x07" for i in range(3000)))
        answers = (b"", b"\0" * 9, b"\xff" * 4096, message("ok", "2"), message("no"), hello[:5],
                   hello + struct.pack("<I", 65537), hello + message("error", "1", "\x1b[2J", "\n\n"),
                   hello + message("exiting") * 300, hello + status[:20], hello + status)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path(f"nmi/{os.getpid()}.sock"))
            listener.listen(64)
            for answer in answers:
                with self.subTest(answer=answer[:30]):
                    self.answer_once(listener, answer)

    def answer_once(self, listener, answer):
        def serve():
            peer, _ = listener.accept()
            with peer:
                try:
                    # With descriptors, which nobody asked for.
                    peer.sendmsg([answer or b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                       array.array("i", [0, 1, 2]))])
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(4096):
                        pass
                except OSError:
                    pass
        server = threading.Thread(target=serve)
        server.start()
        done = subprocess.run([NMI, "status", str(os.getpid())], env=self.environment,
                              capture_output=True, timeout=PATIENCE_S)
        server.join(PATIENCE_S)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assert_plain(done.stdout)
        self.assert_plain(done.stderr)
        if done.returncode == 1:
            self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)


class HostilePeer(CommandTest):
    def setUp(self):
        super().setUp()
        self.child = self.start("run", "-m", module("quiet"), "--pid-file", "pid", PROGRAM, "wait",
                                self.path("over"), "exit", "7")
        self.pid = self.wait_for_file("pid").strip()

    def tearDown(self):
        self.assertIn("quiet", self.nmi("status", self.pid).stdout)
        open(self.path("over"), "w").close()
        self.child.communicate(timeout=PATIENCE_S)
        self.assertEqual(self.child.returncode, 7)

    def connect(self):
        one = socket.socket(socket.AF_UNIX)
        one.connect(self.path(f"nmi/{self.pid}.sock"))
        one.settimeout(PATIENCE_S)
        self.addCleanup(one.close)
        return one

    def files(self):
        return sum(len(os.listdir(f"/proc/{self.pid}/task/{task}/fd"))
                   for task in os.listdir(f"/proc/{self.pid}/task"))

    def test_a_thousand_connections(self):
        before = self.files()
        crowd = []
        for i in range(1000):
            crowd.append(self.connect())
            crowd[-1].sendall(message("status")[:1 + i % 9])
            if i % 250 == 0:
                self.assertEqual(self.nmi("status", self.pid).returncode, 0)
        # However many there are, the agent keeps a few.
        self.assertLess(self.files(), before + 40 * len(os.listdir(f"/proc/{self.pid}/task")))

    def test_descriptors_are_not_kept(self):
        before = self.files()
        peer = self.connect()
        for _ in range(50):
            peer.sendmsg([message("hello")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                               array.array("i", [0] * 100))])
            self.assertIn(b"ok", peer.recv(100))
        peer.close()
        self.assertEqual(self.nmi("status", self.pid).returncode, 0)
        self.assertLess(self.files(), before + 20)

    def test_garbage(self):
        for garbage in (b"\0" * 70000, b"\xff" * 70000, b"GET / HTTP/1.0\r\n\r\n",
                        struct.pack("<I", 65536) + b"x" * 65535):
            try:
                self.connect().sendall(garbage)
            except OSError:  # sent away
                pass
            self.assertEqual(self.nmi("status", self.pid).returncode, 0)


if __name__ == "__main__":
    unittest.main()
