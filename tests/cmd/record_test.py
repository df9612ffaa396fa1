# SPDX-License-Identifier: MIT
#
# Property: however a recording ends, what was seen is written in a form that others can read, and the
# program runs on; the next recording finds nothing of the last one. What is made from a stored profile
# is what would have been made at once.
import gzip
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
import unittest
import xml.dom.minidom

from command import CommandTest, NMI, PATIENCE_S, PROGRAM, module

HUNG = os.environ["NMI_TEST_HUNG_PROGRAM"]
HERE = os.path.dirname(os.path.abspath(__file__))
LOSSES = ("lost records: ", "overruns: ", "unreachable threads: ", "stacks cut at the limit: ",
          "stacks unwound badly: ", "malformed records: ")
KINDS = ("x.pb.gz", "x.pprof", "x.folded", "x.collapsed", "x.svg", "x.html", "x.speedscope.json",
         "x.txt")


def outputs(names):
    return [word for name in names for word in ("-o", name)]


class RecordTest(CommandTest):
    def program(self, *words):
        """A program that we have not started through nmi; it burns CPU time until `over` exists."""
        words = words or ("wait", self.path("over"), "exit", "7")
        child = subprocess.Popen([PROGRAM, "ready", self.path("ready"), *words],
                                 env=self.environment, cwd=self.folder)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.wait_for_file("ready")
        return child

    def runs_on(self, child):
        self.assertIsNone(child.poll())
        open(self.path("over"), "w").close()
        self.assertEqual(child.wait(PATIENCE_S), 7)

    def succeed(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def wait_until(self, true, what):
        end = time.monotonic() + PATIENCE_S
        while not true():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def has_profiler(self, pid):
        done = self.nmi("status", str(pid), "--json")
        return done.returncode == 0 and any(
            row["name"] == "profiler" and row["loaded"] for row in json.loads(done.stdout)["handlers"])

    def started_recording(self, child, *options):
        """nmi record, once the profiler is in the program and has seen something."""
        recording = self.start("record", *options, str(child.pid))
        self.wait_until(lambda: self.has_profiler(child.pid), "the profiler never came")
        time.sleep(0.1)  # for some samples; those that need them say so
        return recording

    def finish(self, recording):
        _, told = recording.communicate(timeout=PATIENCE_S)
        return recording.returncode, told

    def table(self, name="profile.pb.gz"):
        return self.succeed(self.nmi("report", name)).stdout


class Endings(RecordTest):
    def test_after_a_while(self):
        child = self.program()
        done = self.succeed(self.nmi("record", "-d", "0.3", str(child.pid)))
        self.assertEqual(done.stdout, "")
        for part in ("spin_here", "1,000 Hz of cpu time", "written: profile.pb.gz", *LOSSES):
            self.assertIn(part, done.stderr)
        self.assertNotIn("\r", done.stderr)
        self.assertIn("spin_here", self.table())
        # Nothing is left but what nmi detach leaves.
        self.assertIn("no agent", self.nmi("status", str(child.pid)).stderr)
        self.runs_on(child)

    def test_a_recording_that_cannot_begin_leaves_as_it_came(self):
        child = self.program()
        self.succeed(self.nmi("attach", str(child.pid)))
        self.succeed(self.nmi("load", str(child.pid), "profiler"))
        self.assertEqual(self.nmi("record", str(child.pid)).returncode, 1)
        self.assertTrue(self.has_profiler(child.pid))
        self.succeed(self.nmi("detach", str(child.pid)))
        # A profiler that refuses what it is told, in a program that had no agent.
        library = self.path("library")
        os.makedirs(os.path.join(library, "modules"))
        build = os.path.dirname(os.path.dirname(os.path.dirname(NMI)))
        agent = os.path.join(build, "src", "agent", "nmi-agent.so")
        os.symlink(agent, os.path.join(library, "nmi-agent.so"))
        os.symlink(module("refuses"), os.path.join(library, "modules", "profiler.so"))
        self.environment["NMI_LIBRARY_DIR"] = library
        self.assert_one_line(self.nmi("record", str(child.pid)), 1, "wrong phase")
        self.assertIn("no agent", self.nmi("status", str(child.pid)).stderr)
        self.runs_on(child)

    def test_an_agent_that_was_there_stays(self):
        child = self.program()
        self.succeed(self.nmi("load", str(child.pid), module("quiet"), "-F", "100"))
        self.succeed(self.nmi("record", "-d", "0.2", str(child.pid)))
        self.assertIn("quiet", self.succeed(self.nmi("status", str(child.pid))).stdout)
        self.assertIn("100 Hz of cpu time", self.table())  # its source is everybody's
        self.assertFalse(self.has_profiler(child.pid))
        self.runs_on(child)

    def test_signals(self):
        child = self.program()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                recording = self.started_recording(child, "-o", f"{number}.pb.gz")
                recording.send_signal(number)
                self.assertEqual(self.finish(recording)[0], 0)
                self.assertIn("spin_here", self.table(f"{number}.pb.gz"))
        self.runs_on(child)

    def test_the_program_exits(self):
        child = self.program("spin", "600", "exit", "3")
        recording = self.started_recording(child)
        self.assertEqual(child.wait(PATIENCE_S), 3)
        self.assertEqual(self.finish(recording)[0], 0)
        self.assertIn("spin_here", self.table())

    def test_the_program_is_killed(self):
        child = self.program()
        recording = self.started_recording(child)
        child.kill()
        child.wait()
        self.assertEqual(self.finish(recording)[0], 0)
        self.assertIn("spin_here", self.table())

    def test_the_program_becomes_another(self):
        child = self.program("wait", self.path("go"), "exec", PROGRAM, "wait", self.path("over"),
                             "exit", "7")
        recording = self.started_recording(child)
        open(self.path("go"), "w").close()
        code, told = self.finish(recording)
        self.assertEqual(code, 0, told)
        self.assertIn("exec", told)
        self.assertIn("spin_here", self.table())
        self.runs_on(child)

    def test_the_agent_is_taken_out(self):
        child = self.program()
        recording = self.started_recording(child)
        self.succeed(self.nmi("detach", str(child.pid)))
        self.assertEqual(self.finish(recording)[0], 0)
        self.assertIn("spin_here", self.table())
        self.runs_on(child)

    def test_nmi_is_killed(self):
        child = self.program()
        recording = self.started_recording(child)
        recording.kill()
        self.finish(recording)
        self.wait_until(lambda: not self.has_profiler(child.pid), "the profiler stays")
        self.assertFalse(os.path.exists(self.path("profile.pb.gz")))
        self.succeed(self.nmi("record", "-d", "0.2", str(child.pid)))
        self.assertIn("spin_here", self.table())
        self.runs_on(child)

    def test_a_file_that_can_no_longer_be_written(self):
        child = self.program()
        os.mkdir(self.path("there"))
        recording = self.started_recording(child, "-o", "there/x.svg", "-o", "x.txt")
        os.rmdir(self.path("there"))
        recording.send_signal(signal.SIGINT)
        code, told = self.finish(recording)
        self.assertEqual(code, 1)
        self.assertIn("there/x.svg", told)
        self.assertTrue(os.path.exists(self.path("x.txt")))
        self.runs_on(child)


class Programs(RecordTest):
    def test_its_status_is_ours(self):
        done = self.nmi("record", "--", PROGRAM, "spin", "200", "print", "said", "exit", "7")
        self.assertEqual((done.returncode, done.stdout), (7, "said\n"))
        self.assertIn("spin_here", self.table())
        self.assertIn(PROGRAM + " spin 200", self.table())

    def test_it_outlives_the_recording(self):
        recording = self.start("record", "-d", "0.2", "-F", "500", "--", PROGRAM, "wait",
                               self.path("over"), "exit", "7")
        self.wait_until(lambda: os.path.exists(self.path("profile.pb.gz")), "no profile")
        self.assertIsNone(recording.poll())
        self.assertIn("spin_here", self.table())
        self.assertIn("500 Hz", self.table())
        open(self.path("over"), "w").close()
        self.assertEqual(self.finish(recording)[0], 7)

    def test_it_is_killed(self):
        done = self.nmi("record", "--", PROGRAM, "spin", "200", "kill", "9")
        self.assertEqual(done.returncode, 128 + 9)
        self.assertIn("spin_here", self.table())


class Modes(RecordTest):
    """A program in which three threads wait for a lock, one in a handler, and one never waits."""

    def setUp(self):
        super().setUp()
        self.hung = subprocess.Popen([HUNG, "3", "spin", "handler"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, env=self.environment)
        self.addCleanup(self.end, self.hung)
        self.assertEqual(self.hung.stdout.readline(), "ready\n")

    def stacks(self, *options):
        """Weights by stack, outermost function first."""
        self.succeed(self.nmi("record", *options, "-d", "1", "-o", "x.folded", str(self.hung.pid)))
        self.assertIsNone(self.hung.poll())
        with open(self.path("x.folded")) as file:
            lines = [line.rsplit(" ", 1) for line in file if not line.startswith("#")]
        return {stack: int(weight) for stack, weight in lines}

    def weight(self, stacks, *functions):
        return sum(weight for stack, weight in stacks.items()
                   if all(name in stack.split(";") for name in functions))

    def test_blocked_threads_with_whole_stacks(self):
        stacks = self.stacks("--mode", "offcpu", "--idle", "--call-graph", "dwarf")
        every = sum(stacks.values())
        self.assertEqual(self.weight(stacks, "spin_for_ever"), 0, stacks)
        # Through libc, which has no frame pointers, and a signal frame.
        locked = self.weight(stacks, "start_thread", "deadlocked", "wait_for_lock", "pthread_mutex_lock")
        self.assertAlmostEqual(locked / every, 3 / 7, delta=0.05, msg=stacks)
        handled = self.weight(stacks, "start_thread", "handling", "raise", "wait_in_handler", "read")
        self.assertAlmostEqual(handled / every, 1 / 7, delta=0.05, msg=stacks)

    def test_wall_time_counts_everybody_alike(self):
        stacks = self.stacks("--mode", "wall", "--idle", "--call-graph", "dwarf,8192")
        every = sum(stacks.values())
        self.assertAlmostEqual(self.weight(stacks, "spin_for_ever") / every, 1 / 8, delta=0.05,
                               msg=stacks)
        self.assertAlmostEqual(self.weight(stacks, "wait_for_lock") / every, 3 / 8, delta=0.05,
                               msg=stacks)

    def test_threads_that_have_long_slept_are_left_alone(self):
        time.sleep(1.5)
        stacks = self.stacks("--mode", "wall")
        self.assertGreater(self.weight(stacks, "spin_for_ever"), 0)
        self.assertEqual(self.weight(stacks, "wait_for_lock"), 0, stacks)


class Alone(RecordTest):
    """One profiler, and one reader of its records, at a time."""

    def test_a_second_recording(self):
        child = self.program()
        recording = self.started_recording(child)
        for verb in ("record", "top"):
            self.assert_one_line(self.nmi(verb, "-d", "0.2", str(child.pid)), 1, "already", "; try ")
        recording.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(recording)[0], 0)
        self.runs_on(child)

    def test_a_profiler_is_loaded(self):
        child = self.program()
        self.succeed(self.nmi("load", str(child.pid), "profiler"))
        self.assert_one_line(self.nmi("record", "-d", "0.2", str(child.pid)), 1, "already",
                             "nmi unload", "; try ")
        self.assertTrue(self.has_profiler(child.pid))
        self.runs_on(child)

    def test_nmi_run_reads(self):
        running = self.start("run", "-m", module("quiet"), "--pid-file", "pid", PROGRAM, "wait",
                             self.path("over"), "exit", "7")
        pid = self.wait_for_file("pid").strip()
        self.assert_one_line(self.nmi("record", "-d", "0.2", pid), 1, "somebody else reads", "; ")
        open(self.path("over"), "w").close()
        self.assertEqual(self.finish(running)[0], 7)


class Outputs(RecordTest):
    def setUp(self):
        super().setUp()
        done = self.nmi("record", "--threads", *outputs(KINDS), "--", PROGRAM, "spin", "300")
        self.succeed(done)

    def text(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def test_losses_are_in_all_of_them(self):
        for name in KINDS[2:]:
            for what in LOSSES:
                self.assertIn(what, self.text(name), name)
        for name in KINDS[:2]:
            self.assertIn("lost records: ", self.table(name))

    def test_protoc_reads_pprof(self):
        decoded = subprocess.run(
            ["protoc", "--decode=Profile", "--proto_path=" + HERE, "profile.proto"],
            input=gzip.open(self.path("x.pb.gz")).read(), stdout=subprocess.PIPE, check=True,
            timeout=PATIENCE_S).stdout.decode()
        # A field that the description does not have would stand there as a number.
        self.assertIsNone(re.search(r"^\s*\d+:", decoded, re.MULTILINE))
        strings = [eval("b" + text).decode()
                   for text in re.findall(r"^string_table: (\".*\")$", decoded, re.MULTILINE)]
        types = [(strings[int(a)], strings[int(b)]) for a, b in re.findall(
            r"sample_type \{\s*type: (\d+)\s*unit: (\d+)", decoded)]
        self.assertEqual(types, [("samples", "count"), ("cpu", "nanoseconds")])
        self.assertEqual(strings[0], "")
        self.assertIn("spin_here", strings)
        self.assertIn(PROGRAM, strings)
        self.assertIn("thread_id", strings)
        self.assertTrue(any(re.fullmatch("[0-9a-f]{40}", text) for text in strings))  # a build-id
        self.assertIn("period: 1000000\n", decoded)
        self.assertRegex(decoded, r"time_nanos: \d{19}\n")
        self.assertRegex(decoded, r"duration_nanos: \d+\n")
        for wanted in ("lost records: 0", "command: " + PROGRAM + " spin 300"):
            self.assertRegex(decoded, rf"comment: {strings.index(wanted)}\b")

    def test_speedscope_has_what_its_schema_requires(self):
        document = json.loads(self.text("x.speedscope.json"))
        self.assertEqual(document["$schema"],
                         "https://www.speedscope.app/file-format-schema.json")
        frames = document["shared"]["frames"]
        self.assertIn("spin_here", [frame["name"] for frame in frames])
        self.assertEqual(len(document["profiles"]), 1)  # threads
        for one in document["profiles"]:
            self.assertEqual((one["type"], one["unit"]), ("sampled", "nanoseconds"))
            self.assertIsInstance(one["name"], str)
            self.assertEqual(len(one["samples"]), len(one["weights"]))
            self.assertEqual(one["startValue"], 0)
            self.assertEqual(one["endValue"], sum(one["weights"]))
            self.assertTrue(all(0 <= at < len(frames) for stack in one["samples"] for at in stack))

    def test_drawings_are_well_formed(self):
        for name in ("x.svg", "x.html"):
            text = self.text(name)
            drawing = text[text.index("<svg"):text.index("</svg>") + 6]
            xml.dom.minidom.parseString(drawing)
            self.assertIn("spin_here", drawing)
            self.assertNotRegex(text.replace("http://www.w3.org", ""), "(src|href)=")
        self.assertTrue(self.text("x.html").startswith("<!DOCTYPE html>"))

    def test_threads_have_their_numbers(self):
        self.assertRegex(self.text("x.folded"), r"(?m)^program \(\d+\);.*;spin_here \d+$")
        self.succeed(self.nmi("report", "x.pb.gz", "-o", "merged.folded"))
        self.assertNotIn("program (", self.text("merged.folded"))

    def test_a_report_is_what_would_have_been_written(self):
        os.mkdir(self.path("again"))
        names = ["again/" + name for name in KINDS]
        self.succeed(self.nmi("report", "--threads", "x.pprof", *outputs(names)))
        for name in KINDS:
            with open(self.path(name), "rb") as first, open(self.path("again/" + name), "rb") as second:
                self.assertEqual(first.read(), second.read(), name)

    def test_no_profile(self):
        with open(self.path("x.pb.gz"), "rb") as file:
            whole = file.read()
        for name, contents in (("empty", b""), ("text", b"some text\n"), ("cut", whole[:-9]),
                               ("bent", whole[:60] + b"\0\0\0\0" + whole[64:])):
            with open(self.path(name), "wb") as file:
                file.write(contents)
            self.assert_one_line(self.nmi("report", name), 1, name, "no profile", "; try ")
            self.assert_one_line(self.nmi("diff", "x.pb.gz", name, "-o", "d.svg"), 1, name, "; try ")
        self.assert_one_line(self.nmi("report", "nowhere"), 1, "nowhere", "; try ")
        self.assert_one_line(self.nmi("report", "."), 1, "; try ")
        self.assertFalse(os.path.exists(self.path("d.svg")))

    def test_differences(self):
        self.succeed(self.nmi("diff", "x.pb.gz", "x.pprof", "-o", "d.svg", "-o", "d.html"))
        drawing = self.text("d.svg")
        xml.dom.minidom.parseString(drawing)
        self.assertIn("(+0.00 points)", drawing)
        for what in ("red grew", "blue shrank", *LOSSES):
            self.assertIn(what, drawing)
        self.assertNotIn("hsl(8,", drawing.replace(drawing[drawing.index('<g id="legend"'):], ""))
        self.assertIn("spin_here", self.text("d.html"))


class Top(RecordTest):
    def test_one_table(self):
        child = self.program()
        done = self.succeed(self.nmi("top", str(child.pid), "-d", "0.2", "-n", "1"))
        self.assertEqual(done.stderr, "")
        self.assertIn("spin_here", done.stdout)
        self.assertNotIn("\033", done.stdout)
        self.assertEqual(done.stdout.count("%"), 2)  # one row
        self.assertIn("no agent", self.nmi("status", str(child.pid)).stderr)
        self.runs_on(child)

    def test_more_tables(self):
        child = self.program()
        done = self.succeed(self.nmi("top", str(child.pid), "-d", "0.1", "--looks", "3"))
        self.assertEqual(done.stdout.count("lost records: "), 3)
        self.runs_on(child)

    def test_a_terminal(self):
        child = self.program()
        for leave in (b"q", b"\x03"):
            ours, theirs = pty.openpty()
            process = subprocess.Popen(
                [NMI, "top", str(child.pid), "-d", "0.1"], stdin=theirs, stdout=theirs,
                stderr=theirs, env=self.environment, start_new_session=True,
                preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0))  # TIOCSCTTY
            os.close(theirs)
            self.addCleanup(self.end, process)
            seen = b""
            while b"spin_here" not in seen:
                self.assertTrue(select.select([ours], [], [], PATIENCE_S)[0], seen)
                seen += os.read(ours, 4096)
            os.write(ours, leave)
            try:
                while select.select([ours], [], [], PATIENCE_S)[0]:
                    seen += os.read(ours, 4096)
            except OSError:
                pass  # the other end is closed
            os.close(ours)
            self.assertEqual(process.wait(PATIENCE_S), 0, seen)
            self.assertIn(b"\033[?1049h", seen)
            self.assertIn(b"\033[?1049l", seen[seen.index(b"spin_here"):])
        self.runs_on(child)

    def test_the_program_ends(self):
        child = self.program("spin", "400", "exit", "0")
        done = self.succeed(self.nmi("top", str(child.pid), "-d", "0.1", "--looks", "1000"))
        self.assertIn("has ended", done.stderr)


if __name__ == "__main__":
    unittest.main()
