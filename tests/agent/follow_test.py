# SPDX-License-Identifier: MIT
#
# Property: every child of a followed program, executed or forked, connects to the recorder, waits
# for it before main, is interrupted from its first instructions, and waits for it at its exit; and
# none ever hangs on a recorder that is silent or gone. The recorder here is a few lines of Python.
#
# Environment: NMI_TEST_AGENT, NMI_TEST_PROFILER, NMI_TEST_FORKS: nmi-agent.so, profiler.so, forks.c.
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

AGENT = os.environ["NMI_TEST_AGENT"]
PROFILER = os.environ["NMI_TEST_PROFILER"]
FORKS = os.environ["NMI_TEST_FORKS"]
PATIENCE_S = 60


class Channel:
    """The recorder's end of one agent's channel."""

    def __init__(self, connected):
        self.socket = connected
        self.exiting = False
        self.pid = self.nmis = None
        self.inherited = False

    def message(self):
        size, = struct.unpack("<I", self.exactly(4))
        fields = self.exactly(size).decode().split("\0")[:-1]
        self.exiting = self.exiting or fields == ["exiting"]
        return fields

    def exactly(self, size):
        got = b""
        while len(got) < size:
            part = self.socket.recv(size - len(got))
            if not part:
                raise ConnectionError
            got += part
        return got

    def ask(self, *fields):
        text = "".join(field + "\0" for field in fields).encode()
        self.socket.sendall(struct.pack("<I", len(text)) + text)
        while (answer := self.message()) == ["exiting"]:
            pass
        return answer

    def count(self):
        lines = {line.split("\t")[0]: line.split("\t") for line in self.ask("status")[1:]}
        self.nmis = sum(map(int, lines["nmi"][1:]))
        return lines

    def serve(self):
        try:
            self.pid = int(self.ask("hello")[2])
            self.inherited = "handler" in self.count()
            self.prepare()
            self.ask("start")
            while not self.exiting:
                self.message()
        except (ConnectionError, OSError):
            pass  # exec, or an end without goodbye

    def prepare(self):
        if not self.inherited:
            self.ask("load", PROFILER, "1000", "auto")

    def say_goodbye(self):
        self.count()
        self.ask("finish")


class Recorder:
    def __init__(self, path, kind=Channel):
        self.kind = kind
        self.channels = []
        self.threads = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(128)
        self.accepting = threading.Thread(target=self.accept)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                connected, _ = self.listener.accept()
            except OSError:
                return
            channel = self.kind(connected)
            self.channels.append(channel)
            self.threads.append(threading.Thread(target=self.attend, args=[channel]))
            self.threads[-1].start()

    @staticmethod
    def attend(channel):
        channel.serve()
        try:
            if channel.exiting:
                channel.say_goodbye()
        except (ConnectionError, OSError):
            pass
        channel.socket.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()
        for thread in self.threads:
            thread.join()


class Follow(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="nmi-test-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = os.path.join(self.folder, "recorder")
        self.environment = dict(os.environ, XDG_RUNTIME_DIR=self.folder, LD_PRELOAD=AGENT,
                                NMI_AGENT_FOLLOW=self.path)

    def start(self, *words):
        child = subprocess.Popen(words, env=self.environment, cwd=self.folder,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(child.kill)
        return child

    def run_to_end(self, *words):
        child = self.start(*words)
        out, said = child.communicate(timeout=PATIENCE_S)
        self.assertEqual((child.returncode, said), (0, ""))
        return out

    def record(self, *words, kind=Channel):
        recorder = Recorder(self.path, kind)
        try:
            self.output = self.run_to_end(*words)
        finally:
            recorder.stop()
        # A fork may have become a program before it said anything.
        return [channel for channel in recorder.channels if channel.pid is not None]

    def test_what_a_shell_executes(self):
        channels = self.record("sh", "-c", f"{FORKS} 0 0 | {FORKS} 1 30 | {FORKS} 0 0; "
                                           "cat /proc/self/environ")
        # The shell, its forks that became programs, the programs, a fork of one.
        self.assertGreaterEqual(len({channel.pid for channel in channels}), 6)
        busy = [channel for channel in channels if channel.nmis is not None and channel.inherited
                and channel.nmis >= 10]
        self.assertTrue(busy, [(c.pid, c.inherited, c.nmis) for c in channels])
        self.assertIn(f"NMI_AGENT_FOLLOW={self.path}", self.output)

    def test_fifty_forks_that_live_shortly(self):
        channels = self.record(FORKS, "50", "4")
        self.assertEqual(len(channels), 51)
        self.assertEqual(len({channel.pid for channel in channels}), 51)
        for channel in channels[1:]:
            self.assertTrue(channel.inherited)
            self.assertGreaterEqual(channel.nmis, 1, channel.pid)

    def test_forks_that_become_programs(self):
        channels = self.record(FORKS, "5", "1", FORKS, "1", "20")
        # The first, five that forked and became programs, and a fork of each of those.
        self.assertEqual(len({channel.pid for channel in channels}), 11)

    def test_a_module_of_a_fork_can_be_swapped_and_unloaded(self):
        answers = []

        class Swapping(Channel):
            def prepare(self):
                super().prepare()
                for _ in range(3):  # the second has a copy's number
                    answers.append(self.ask("swap", "profiler", PROFILER))
                if self.inherited:
                    answers.append(self.ask("unload", "profiler"))

        channels = self.record(FORKS, "1", "100", kind=Swapping)
        self.assertEqual(len(channels), 2)
        self.assertEqual(len(answers), 7)
        for answer in answers:
            self.assertEqual(answer[0], "ok", answer)

    def test_nobody_there(self):
        began = time.monotonic()
        out = self.run_to_end("sh", "-c", f"{FORKS} 2 1; env")
        self.assertLess(time.monotonic() - began, PATIENCE_S)
        self.assertNotRegex(out, "LD_PRELOAD|NMI_AGENT")

    def test_a_recorder_that_dies(self):
        recorder = Recorder(self.path)
        child = self.start(FORKS, "3", "300", FORKS, "3", "20")
        while len(recorder.channels) < 4:
            time.sleep(0.01)
        os.unlink(self.path)
        for channel in list(recorder.channels):
            try:
                channel.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        recorder.stop()
        _, said = child.communicate(timeout=PATIENCE_S)
        self.assertEqual((child.returncode, said), (0, ""))

    def test_a_recorder_that_is_silent(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(8)
        began = time.monotonic()
        self.run_to_end(FORKS, "0", "0")
        listener.close()
        # Until start, and at the exit.
        self.assertGreater(time.monotonic() - began, 4)


if __name__ == "__main__":
    unittest.main()
