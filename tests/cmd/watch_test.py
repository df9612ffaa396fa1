# SPDX-License-Identifier: MIT
#
# Property: a stalled event loop, a thread that never waits, and a masked region that does not end are
# told with the function that is to blame; a busy healthy program, sleeping threads and a program that
# was stopped are not. The watchdog comes and goes while alarms arrive.
#
# NMI_WATCH_SECONDS: how long the healthy program is watched.
import json
import os
import signal
import subprocess
import time
import unittest

from command import CommandTest, PATIENCE_S

PROGRAM = os.environ["NMI_TEST_WATCHED_PROGRAM"]
HEALTHY_S = float(os.environ.get("NMIRCU_STRESS_SECONDS", os.environ.get("NMI_WATCH_SECONDS", "2")))


class Watch(CommandTest):
    def begin(self, *orders):
        self.program = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=self.environment)
        self.addCleanup(self.end, self.program)
        self.pid = str(self.program.pid)
        for order in orders:
            self.tell(order)

    def tell(self, order):
        """The monotonic time in ms at which it was begun."""
        self.program.stdin.write(order + "\n")
        self.program.stdin.flush()
        return int(self.program.stdout.readline().split()[1])

    def load(self, limit_ms, *arguments):
        spec = ",".join(["watchdog", f"limit_ms={limit_ms}", "log=" + self.path("log"), *arguments])
        done = self.nmi("load", self.pid, spec)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def log(self):
        with open(self.path("log")) as file:
            return file.read()

    def finish(self):
        self.program.communicate(timeout=PATIENCE_S)
        self.assertEqual(self.program.returncode, 0)

    def first_alarm(self, order):
        watch = self.start("watch", self.pid, "--json", "--count", "1")
        begun_ms = self.tell(order)
        told, said = watch.communicate(timeout=PATIENCE_S)
        self.assertEqual((watch.returncode, said), (0, ""))
        alarm = json.loads(told)
        alarm["functions"] = [frame["function"] for frame in alarm["frames"]]
        print(f"{order}: told after {alarm['time_ns'] / 1e6 - begun_ms:.0f} ms", flush=True)
        return alarm

    def assert_calls(self, alarm, function):
        self.assertTrue(any(function in name for name in alarm["functions"]), alarm)

    def test_stalled_loop(self):
        self.begin("loops 8")
        self.load(250)
        alarm = self.first_alarm("stall 1000")
        self.assertEqual((alarm["rule"], alarm["heartbeat"]), ("heartbeat", "loop 0"))
        self.assertGreaterEqual(alarm["stalled_ns"], 250_000_000)
        self.assert_calls(alarm, "stall_on_purpose")
        self.assertRegex(self.log(), r"thread \d+ \(watched_program\): no heartbeat of loop 0 for "
                                     r"\d+ ms; at .*watched_program\+0x[0-9a-f]+ watched_program\+0x")
        self.finish()

    def test_thread_that_never_waits(self):
        self.begin("sleep 4")
        self.load(250, "rule=busy")
        alarm = self.first_alarm("spin 1000")
        self.assertEqual((alarm["rule"], alarm["heartbeat"]), ("busy", ""))
        self.assert_calls(alarm, "spin_on_purpose")
        self.finish()

    def test_masked_region(self):
        self.begin("hammer 2")
        self.load(250, "rule=mask")
        alarm = self.first_alarm("mask 1000")
        self.assertEqual(alarm["rule"], "mask")
        self.assert_calls(alarm, "mask_on_purpose")
        self.assertEqual(self.log().count("\n"), 1)
        self.finish()

    def test_thread_that_touched_once(self):
        self.begin("sleep 2")
        self.load(100)
        alarm = self.first_alarm("touch 1000")
        self.assertEqual((alarm["rule"], alarm["heartbeat"]), ("heartbeat", ""))
        self.assertTrue(alarm["frames"])
        self.finish()

    def test_healthy_program(self):
        self.begin("loops 8", "hammer 2", "sleep 8")
        self.load(1000, "rule=all")
        time.sleep(HEALTHY_S)
        self.assertEqual(self.log(), "")
        self.finish()

    def test_stopped_program(self):
        self.begin("loops 2", "hammer 1")
        self.load(500)
        time.sleep(0.3)
        self.program.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        self.program.send_signal(signal.SIGCONT)
        time.sleep(0.7)
        self.assertEqual(self.log(), "")
        self.finish()

    def test_comes_and_goes_while_alarms_arrive(self):
        self.begin("loops 8")
        end = time.monotonic() + PATIENCE_S
        visits = 0
        while visits < 8 or "no heartbeat of loop 0" not in self.log():
            self.assertLess(time.monotonic(), end, "no stall was ever told")
            visits += 1
            self.program.stdin.write("stall 100\n")
            self.program.stdin.flush()
            self.load(25)
            time.sleep(0.05)
            self.assertEqual(self.nmi("unload", self.pid, "watchdog").returncode, 0)
        status = json.loads(self.nmi("status", self.pid, "--json").stdout)
        self.assertEqual(status["source"]["kind"], "none")
        self.assertEqual(self.nmi("detach", self.pid).returncode, 0)
        self.finish()

    def test_command_on_alarm(self):
        self.begin("loops 1")
        self.load(100)
        watch = self.start("watch", self.pid, "--count", "2", "--exec",
                           f"cat > {self.path('told')}; echo $NMI_PID $NMI_RULE >> {self.path('runs')}")
        self.tell("stall 300")
        self.tell("stall 300")
        told, said = watch.communicate(timeout=PATIENCE_S)
        self.assertEqual(watch.returncode, 0)
        self.assertEqual(said, "nmi: the command was not run for 1 alarms, by --every 10\n")
        self.assertEqual(told.count("no heartbeat of loop 0"), 2)
        with open(self.path("told")) as file:
            self.assertIn("stall_on_purpose", file.read())
        with open(self.path("runs")) as file:
            self.assertEqual(file.read(), f"{self.pid} heartbeat\n")

    def test_watch_ends_with_the_watchdog_and_the_program(self):
        self.begin("loops 1")
        self.load(100)
        watches = [self.start("watch", self.pid, "--json") for _ in range(2)]
        self.tell("stall 300")
        for watch in watches:
            self.assertIn("loop 0", watch.stdout.readline())
        self.nmi("unload", self.pid, "watchdog")
        for watch in watches:
            self.assertEqual(watch.wait(PATIENCE_S), 0)
        self.load(100)
        watch = self.start("watch", self.pid, "--json")
        self.tell("stall 300")
        self.assertIn("loop 0", watch.stdout.readline())
        self.finish()
        self.assertEqual(watch.wait(PATIENCE_S), 0)

    def test_bad_input(self):
        self.begin()
        for arguments, reason in (("", "limit_ms is missing"), (",limit_ms=24", "25..3600000"),
                                  (",limit_ms=1s", "25..3600000"), (",limit_ms=100,rule=all", ""),
                                  (",limit_ms=100,rule=lazy", "rule is"),
                                  (",limit_ms=100,log=here", "absolute path"),
                                  (",limit_ms=100,log=/nowhere/log", "cannot write to /nowhere/log"),
                                  (",limit=100", "the keys are")):
            done = self.nmi("load", self.pid, "watchdog" + arguments)
            if not reason:
                self.assertEqual(done.returncode, 0)
                self.nmi("unload", self.pid, "watchdog")
            else:
                self.assert_one_line(done, 1, reason)
        self.assert_one_line(self.nmi("watch", self.pid), 1, "no watchdog is loaded")
        self.assert_one_line(self.nmi("watch", self.pid, "--every", "x"), 2, "--every")
        self.finish()


if __name__ == "__main__":
    unittest.main(verbosity=2)
