# SPDX-License-Identifier: MIT
#
# Property: with --follow, what the children of a program do is in its profile, whether they were
# executed or forked and however shortly they live; those that no agent can enter run as they are and
# are counted; and whatever becomes of the command, they run to their end.
import os
import re
import signal
import subprocess
import time
import unittest

from command import CommandTest, PATIENCE_S

FORKS = os.environ["NMI_TEST_FORKS"]
NAME = os.path.basename(FORKS)


class Follow(CommandTest):
    def follow(self, *words, verb="run"):
        outputs = {"run": ["-o", "profile"], "record": ["-o", "profile.folded", "--threads"]}[verb]
        done = self.nmi(verb, "--follow", *outputs, "--", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLessEqual(len(os.listdir(self.path("nmi"))), 1)  # the program's own: sh's exit
        self.summary = re.search(r"children: (.*?)( \(nmi\))?$", self.folded(), re.M)[1]
        return done

    def folded(self):
        with open(self.path("profile.folded")) as file:
            return file.read()

    def samples(self):
        return sum(int(line.rsplit(" ", 1)[1]) for line in self.folded().splitlines()
                   if not line.startswith("#"))

    def test_a_pipeline_of_three_programs(self):
        self.follow("sh", "-c", f"{FORKS} 0 0 | {FORKS} 1 200 | {FORKS} 0 0; true")
        self.assertGreater(self.samples(), 100)
        self.assertIn(f"{NAME};", self.folded())

    def test_a_prefork_server(self):
        done = self.follow(FORKS, "4", "100", verb="record")
        self.assertGreater(self.samples(), 200)
        self.assertEqual(self.summary, "4 recorded")
        # Each is a thread of its own.
        self.assertGreaterEqual(len(set(re.findall(rf"^{NAME} \(\d+\)", self.folded(), re.M))), 4,
                                done.stderr + self.folded())

    def test_fifty_that_live_shortly(self):
        self.follow(FORKS, "50", "5")
        self.assertGreater(self.samples(), 100)
        self.assertEqual(self.summary, "50 recorded")

    def test_one_that_no_agent_can_enter(self):
        with open(self.path("alone.c"), "w") as file:
            file.write("#include <unistd.h>\nint main(void) { return usleep(1500000); }\n")
        built = subprocess.run(["cc", "-static", "-o", self.path("alone"), self.path("alone.c")],
                               capture_output=True)
        if built.returncode != 0:
            self.skipTest("no static libc here")
        self.follow("sh", "-c", f"{self.path('alone')}; {FORKS} 1 50")
        self.assertRegex(self.summary, r"^\d+ recorded, 1 not \(alone\)$")

    def test_forks_of_a_program_that_was_there(self):
        program = subprocess.Popen(["sh", "-c", "read x; "
                                    "for i in 1 2 3; do (j=0; while [ $j -lt 20000 ]; do "
                                    "j=$((j+1)); done); done; read y"],
                                   stdin=subprocess.PIPE, env=self.environment)
        self.addCleanup(self.end, program)
        recorded = self.start("record", "--follow", "-d", "2", "-o", "profile.folded",
                              str(program.pid))
        end = time.monotonic() + PATIENCE_S
        while not any(name.startswith("follow-") for name in self.sockets()):
            self.assertLess(time.monotonic(), end, "nobody follows")
            self.assertIsNone(recorded.poll(), recorded.poll() and recorded.stderr.read())
            time.sleep(0.01)
        time.sleep(0.3)  # until the program has been told; nothing fails if it is not enough
        program.stdin.write(b"\n")
        program.stdin.flush()
        _, said = recorded.communicate(timeout=PATIENCE_S)
        self.assertEqual(recorded.returncode, 0, said)
        program.stdin.close()
        self.assertEqual(program.wait(PATIENCE_S), 1)  # read's, at the end of its input
        self.assertIn("children: ", self.folded())

    def sockets(self):
        try:
            return os.listdir(self.path("nmi"))
        except FileNotFoundError:
            return []

    def test_the_command_is_killed(self):
        command = self.start("run", "--follow", "-o", "profile", "--pid-file", "pid", "--",
                             FORKS, "3", "500", FORKS, "2", "20")
        pid = int(self.wait_for_file("pid"))
        time.sleep(0.1)  # at any moment
        command.send_signal(signal.SIGKILL)
        command.wait()
        end = time.monotonic() + PATIENCE_S
        while os.path.exists(f"/proc/{pid}"):
            with open(f"/proc/{pid}/stat") as file:
                if file.read().split()[2] == "Z":  # whoever inherits it does not look
                    return
            self.assertLess(time.monotonic(), end, "it hangs")
            time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()
