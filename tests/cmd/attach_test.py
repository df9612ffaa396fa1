# SPDX-License-Identifier: MIT
#
# Property: an agent enters a program that was started without one and leaves it again, as often as
# asked, and the program cannot tell; what cannot work is refused, with the reason, exit status 3 and
# nothing touched.
import ctypes
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

from command import CommandTest, NMI, PATIENCE_S, PROGRAM as RUN_PROGRAM, module

PROGRAM = os.environ["NMI_TEST_ATTACH_PROGRAM"]
CYCLES = 100 if "NMIRCU_STRESS_SECONDS" in os.environ else 10
IS_ROOT = os.geteuid() == 0
AGENTS_THREADS = {"nmi-agent", "nmi-worker"}


def listing(pid, what):
    return os.listdir(f"/proc/{pid}/{what}")


def lines(pid, what):
    with open(f"/proc/{pid}/{what}") as file:
        return file.read().splitlines()


def thread_names(pid):
    names = []
    for task in listing(pid, "task"):
        try:
            names.append(lines(pid, f"task/{task}/comm")[0])
        except OSError:  # it has ended
            pass
    return names


class Attach(CommandTest):
    def exec(self, *words, program=PROGRAM, prefix=(), **options):
        """A program that has just begun: its dynamic loader may not be done."""
        child = subprocess.Popen([*prefix, program, *words], cwd=self.folder,
                                 stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=self.environment, **options)
        self.addCleanup(self.end, child)
        return child

    def begin(self, *words, **options):
        """A program that runs; its own process number."""
        ready = self.path(f"ready{len(os.listdir(self.folder))}")
        child = self.exec(*words, "ready", ready, **options)
        self.wait_for_file(os.path.basename(ready))
        return child

    def finish(self, child):
        """It ends as it should, and nothing was wrong for it."""
        _, said = child.communicate(timeout=PATIENCE_S)
        self.assertEqual((child.returncode, said), (0, ""))

    def do(self, *words):
        done = self.nmi(*map(str, words))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def status(self, pid):
        return json.loads(self.do("status", pid, "--json"))

    def wait_for_nmis(self, pid):
        end = time.monotonic() + PATIENCE_S
        while self.status(pid)["handlers"][0]["calls"] == 0:
            self.assertLess(time.monotonic(), end, "no interrupt ever came")
            time.sleep(0.01)

    def visit(self, child, *options, pid=None):
        """In, seen at work, and out."""
        pid = pid or child.pid
        self.do("load", pid, "profiler", *options)
        self.wait_for_nmis(pid)
        told = self.do("detach", pid)
        self.assertRegex(told, r"^left process \d+; .*: [\d,]+ bytes, [\d,]+ bytes of them in memory")
        self.assertFalse(AGENTS_THREADS & set(thread_names(pid)))
        return told

    def refused(self, pid, *parts, code=3):
        self.assert_one_line(self.nmi("attach", str(pid)), code, f"attach to {pid}: ", "; try ",
                             *parts)
        self.assertFalse(AGENTS_THREADS & set(thread_names(pid)))
        self.assertFalse(any("nmi-agent" in line for line in lines(pid, "maps")))


class Works(Attach):
    def test_in_and_out_again_and_again_leaves_nothing_more(self):
        child = self.begin("threads", "3", "brief")
        pid = child.pid
        counts = []
        for cycle in range(CYCLES):
            told = self.visit(child)
            self.assertEqual(os.listdir(self.path("nmi")), [])
            counts.append((len(listing(pid, "fd")), len(lines(pid, "maps"))))
        # The first visits may leave an allocator's arena and a stack to be used again.
        self.assertEqual(counts[-1][0], counts[0][0])
        self.assertLessEqual(counts[-1][1], counts[1][1] + 4, counts)
        mapped = int(re.search(r": ([\d,]+) bytes", told)[1].replace(",", ""))
        ours = [line.split()[0].split("-") for line in lines(pid, "maps")
                if "nmi-agent.so" in line]
        self.assertGreaterEqual(mapped, sum(int(b, 16) - int(a, 16) for a, b in ours))
        self.assertFalse(any("nmi-rings" in line for line in lines(pid, "maps")))
        # 15 threads, main, one that creates, and perhaps the one that it has created.
        self.assertLessEqual(len(listing(pid, "task")), 18)
        self.finish(child)

    def test_a_program_that_has_just_begun(self):
        for _ in range(CYCLES):
            child = self.exec()
            self.do("attach", child.pid)
            self.finish(child)

    def test_handlers_are_swapped_and_unloaded_as_in_a_program_we_started(self):
        child = self.begin("threads", "1")
        self.do("attach", child.pid)
        self.assertEqual(self.do("attach", child.pid), "")  # it has one already
        self.do("load", child.pid, module("quiet"))
        self.do("load", child.pid, "profiler")
        self.do("swap", child.pid, "quiet", module("quiet"))
        self.do("unload", child.pid, "quiet")
        self.assertEqual([row["name"] for row in self.status(child.pid)["handlers"]
                          if row["loaded"]], ["profiler"])
        self.do("detach", child.pid)
        self.assert_one_line(self.nmi("status", str(child.pid)), 1, "there is no agent",
                             "nmi attach")
        self.assert_one_line(self.nmi("detach", str(child.pid)), 1, "there is no agent")
        self.finish(child)

    def test_threads_created_later_are_seen(self):
        for source in ("perf", "timer"):
            with self.subTest(source=source):
                child = self.begin("later", "threads", "1")
                if self.nmi("load", str(child.pid), "profiler", "--source", source).returncode != 0:
                    continue  # perf may not be allowed
                before = self.status(child.pid)["source"]["threads"]
                child.send_signal(signal.SIGUSR1)
                end = time.monotonic() + PATIENCE_S
                while self.status(child.pid)["source"]["threads"] < before + 5:
                    self.assertLess(time.monotonic(), end, "they are never seen")
                    time.sleep(0.01)
                self.do("detach", child.pid)
                self.finish(child)

    def test_a_program_that_has_the_agent_from_its_start_lets_it_go_and_come_back(self):
        child = self.start("run", "-m", "none", "--pid-file", "pid", RUN_PROGRAM, "wait",
                           self.path("over"), "exit", "5")
        pid = int(self.wait_for_file("pid"))
        for _ in range(2):
            self.visit(child, pid=pid)
        open(self.path("over"), "w").close()
        child.communicate(timeout=PATIENCE_S)
        self.assertEqual(child.returncode, 5)

    def test_a_programs_own_signals_and_stacks(self):
        for words in (["prof"], ["trap"], ["prof", "trap", "blocked"]):
            with self.subTest(words=words):
                child = self.begin(*words, "threads", "1")
                for _ in range(3):
                    self.visit(child)
                self.finish(child)

    def test_a_seccomp_filter_is_trusted_if_told_so(self):
        child = self.begin("filter", "threads", "1")
        self.refused(child.pid, "seccomp filter", "--seccomp")
        self.visit(child, "--seccomp")
        self.finish(child)

    def test_python(self):
        script = ("import sys, threading\n"
                  "def spin():\n"
                  "    while True: sum(range(1000))\n"
                  "for _ in range(3): threading.Thread(target=spin, daemon=True).start()\n"
                  "open(sys.argv[-1], 'w').close()\n"
                  "sys.stdin.read()\n")
        # The interpreter itself: what is found by its name may be a script.
        child = self.begin("-c", script, program=os.path.realpath(sys.executable))
        for _ in range(3):
            self.visit(child)
        self.finish(child)

    @unittest.skipUnless(IS_ROOT, "only root can become another user")
    def test_dropped_privileges(self):
        nobody = pwd.getpwnam("nobody").pw_uid
        place = self.path("library")
        os.mkdir(place)
        os.chmod(place, 0o755)
        build = os.path.dirname(os.path.dirname(os.path.dirname(NMI)))
        shutil.copy(os.path.join(build, "src/agent/nmi-agent.so"), place)
        shutil.copytree(os.path.join(build, "modules"), os.path.join(place, "modules"),
                        ignore=lambda folder, names: [n for n in names if not n.endswith(".so")])
        os.chmod(self.folder, 0o777)
        child = self.begin("user", str(nobody), "threads", "1")
        self.environment["NMI_LIBRARY_DIR"] = place
        os.chmod(place, 0o700)
        self.refused(child.pid, f"user {nobody}", "may not read", "NMI_LIBRARY_DIR")
        os.chmod(place, 0o755)
        self.visit(child)
        self.finish(child)

    @unittest.skipUnless(IS_ROOT, "only root can make a PID namespace without a user namespace")
    def test_a_pid_namespace(self):
        inside = ["unshare", "--pid", "--fork", "--kill-child"]
        probe = subprocess.run([*inside, "--mount-proc", "true"], capture_output=True)
        if probe.returncode != 0:
            self.skipTest("no namespaces here: " + probe.stderr.decode())
        child = self.begin("threads", "1", prefix=[*inside, "--mount-proc"])
        pid = int(lines(child.pid, f"task/{child.pid}/children")[0].split()[0])
        self.assertEqual(lines(pid, "status")[0].split()[1], os.path.basename(PROGRAM))
        self.visit(child, pid=pid)
        self.finish(child)
        child = self.begin("threads", "1", prefix=inside)
        pid = int(lines(child.pid, f"task/{child.pid}/children")[0].split()[0])
        self.refused(pid, "PID namespace", "--mount-proc")
        self.finish(child)

    def test_a_fork_of_a_program_with_handlers_is_refused_and_one_without_is_not(self):
        child = self.begin("forks", "threads", "1")
        self.do("load", child.pid, "profiler")
        child.send_signal(signal.SIGUSR1)
        fork = int(self.wait_for_file("fork"))
        self.assert_one_line(self.nmi("attach", str(fork)), 3, "fork of a program", "try ")
        os.kill(fork, signal.SIGKILL)
        self.do("detach", child.pid)
        os.remove(self.path("fork"))
        child.send_signal(signal.SIGUSR1)
        fork = int(self.wait_for_file("fork"))
        self.do("attach", fork)
        self.do("detach", fork)
        os.kill(fork, signal.SIGKILL)
        self.finish(child)

    def test_whoever_attaches_may_be_killed(self):
        # A wait that has a deadline ends with EINTR then, as when a signal comes.
        child = self.begin("prof", "threads", "2", "brief")
        for milliseconds in range(0, 40, 4):
            command = subprocess.Popen([NMI, "attach", str(child.pid)], env=self.environment,
                                       stderr=subprocess.DEVNULL)
            time.sleep(milliseconds / 1000)
            command.kill()
            command.wait()
            self.do("attach", child.pid)
            self.do("detach", child.pid)
        self.finish(child)


class Refused(Attach):
    def test_no_process(self):
        with open("/proc/sys/kernel/pid_max") as file:
            beyond = int(file.read())
        for verb in (["attach"], ["detach"], ["load"]):
            done = self.nmi(*verb, str(beyond), *(["profiler"] if verb == ["load"] else []))
            self.assert_one_line(done, 1, "there is no process")

    def test_states_in_which_nothing_can_be_asked_of_a_program(self):
        child = self.begin()
        child.send_signal(signal.SIGSTOP)
        while lines(child.pid, "stat")[0].split()[2] != "T":
            time.sleep(0.001)
        self.refused(child.pid, "is stopped", f"kill -CONT {child.pid}")
        child.send_signal(signal.SIGCONT)
        self.finish(child)
        ended = subprocess.Popen(["true"])
        while lines(ended.pid, "stat")[0].split()[2] != "Z":
            time.sleep(0.001)
        self.refused(ended.pid, "has ended")
        ended.wait()

    def test_a_thread_is_no_process(self):
        child = self.begin("threads", "1")
        thread = next(int(task) for task in listing(child.pid, "task") if int(task) != child.pid)
        self.refused(thread, f"is a thread of process {child.pid}")
        self.finish(child)

    def test_a_program_without_a_dynamic_loader(self):
        source, program = self.path("static.c"), self.path("static")
        with open(source, "w") as file:
            file.write("#include <unistd.h>\n#include <fcntl.h>\n"
                       "int main(int n, char** v) { char c; open(v[n - 1], O_CREAT, 0600);\n"
                       "    return read(0, &c, 1) < 0; }\n")
        built = subprocess.run(["cc", "-static", "-o", program, source], capture_output=True)
        if built.returncode != 0:
            self.skipTest("no static libc here")
        child = self.begin(program=program)
        self.refused(child.pid, "statically linked")
        self.finish(child)

    def test_strict_seccomp(self):
        ready = self.path("ready")
        child = subprocess.Popen([PROGRAM, "ready", ready, "strict"], stdin=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, child)
        self.wait_for_file("ready")
        while "Seccomp:\t1" not in lines(child.pid, "status"):
            time.sleep(0.001)
        self.refused(child.pid, "strict mode")
        child.kill()

    @unittest.skipUnless(IS_ROOT, "needs a program of another user's")
    def test_another_users_program(self):
        child = self.begin("threads", "1")
        nobody = pwd.getpwnam("nobody").pw_uid
        shutil.copy(NMI, self.path("nmi-copy"))
        os.chmod(self.folder, 0o755)
        done = subprocess.run([self.path("nmi-copy"), "attach", str(child.pid)], user=nobody,
                              capture_output=True, text=True, env=self.environment)
        self.assert_one_line(done, 1, "belongs to user 0", "as root")
        self.finish(child)

    def test_a_program_that_is_traced(self):
        child = self.begin("threads", "1")
        seize = 0x4206  # PTRACE_SEIZE: it runs on, with us as its tracer
        if ctypes.CDLL(None, use_errno=True).ptrace(seize, child.pid, None, None) != 0:
            self.skipTest("nothing may be traced here")
        self.refused(child.pid, f"is traced by process {os.getpid()}")
        self.finish(child)


if __name__ == "__main__":
    unittest.main()
