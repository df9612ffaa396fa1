# SPDX-License-Identifier: MIT
#
# Property: nothing that somebody else could have made or changed is loaded, listened to or written
# over; what is refused is refused in a line that says why, and the program goes on.
import os
import shutil
import socket
import struct
import subprocess
import sys
import unittest

from command import CommandTest, PATIENCE_S, PROGRAM, module

NOBODY = 65534
# One that anybody may run.
PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
as_root = unittest.skipUnless(os.geteuid() == 0, "needs root to be somebody else")


def message(*fields):
    body = b"".join(field.encode() + b"\0" for field in fields)
    return struct.pack("<I", len(body)) + body


class Trust(CommandTest):
    def refuse(self, *parts, words=(), program=PROGRAM):
        self.assert_one_line(self.nmi("run", *words, program, "ready", self.path("ran")), 1, *parts)
        self.assertFalse(os.path.exists(self.path("ran")), "the program ran")

    def copy_of_module(self, folder, mode, folder_mode):
        os.makedirs(self.path(folder), exist_ok=True)
        copy = shutil.copy(module("quiet"), self.path(folder))
        os.chmod(copy, mode)
        os.chmod(self.path(folder), folder_mode)
        return copy

    def run_one(self):
        child = self.start("run", "-m", "none", "--pid-file", "pid", PROGRAM, "wait",
                           self.path("over"), "exit", "7")
        self.addCleanup(lambda: open(self.path("over"), "w").close())
        return child, self.wait_for_file("pid").strip()

    def end_one(self, child):
        open(self.path("over"), "w").close()
        child.communicate(timeout=PATIENCE_S)
        self.assertEqual(child.returncode, 7)

    def test_modules_that_others_could_change(self):
        child, pid = self.run_one()
        try:
            with socket.socket(socket.AF_UNIX) as agent:
                agent.connect(self.path(f"nmi/{pid}.sock"))
                for folder, mode, folder_mode, why in (
                        ("a", 0o666, 0o755, "can be written by others (mode 666)"),
                        ("b", 0o664, 0o755, "can be written by others (mode 664)"),
                        ("c", 0o644, 0o777, "can be replaced by others")):
                    copy = self.copy_of_module(folder, mode, folder_mode)
                    # The command finds it, and so does the agent, whoever asks.
                    self.assert_one_line(self.nmi("load", pid, copy), 1, why, "chmod")
                    self.refuse(why, words=("-m", copy))
                    agent.sendall(message("load", copy, "1000", "auto"))
                    self.assertIn(why, agent.recv(4096).decode(errors="replace"))
                # A link into such a folder is no way around, and the sticky bit is enough.
                os.symlink(self.path("c/quiet.so"), self.path("link.so"))
                agent.sendall(message("load", self.path("link.so"), "1000", "auto"))
                self.assertIn("can be replaced by others", agent.recv(4096).decode(errors="replace"))
                sticky = self.copy_of_module("d", 0o644, 0o1777)
                self.assertEqual(self.nmi("load", pid, sticky).returncode, 0)
        finally:
            self.end_one(child)

    @as_root
    def test_modules_of_another_user(self):
        child, pid = self.run_one()
        copy = self.copy_of_module("a", 0o644, 0o755)
        os.chown(copy, NOBODY, NOBODY)
        self.assert_one_line(self.nmi("load", pid, copy), 1, "belongs to user 65534")
        self.end_one(child)

    def test_socket_folders(self):
        os.mkdir(self.path("elsewhere"), 0o700)
        os.symlink(self.path("elsewhere"), self.path("nmi"))
        self.refuse(self.path("nmi"), "alone may enter")
        os.unlink(self.path("nmi"))
        os.mkdir(self.path("nmi"))
        for mode in (0o750, 0o707, 0o1777):
            os.chmod(self.path("nmi"), mode)
            self.refuse(self.path("nmi"), "alone may enter")
        if os.geteuid() == 0:
            os.chmod(self.path("nmi"), 0o700)
            os.chown(self.path("nmi"), NOBODY, NOBODY)
            self.refuse(self.path("nmi"), "alone may enter")

    @as_root
    def test_another_user_who_reaches_the_socket_is_sent_away(self):
        child, pid = self.run_one()
        path = self.path(f"nmi/{pid}.sock")
        for folder in (self.folder, self.path("nmi")):
            os.chmod(folder, 0o755)
        os.chmod(path, 0o666)
        ask = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
               "s.sendall(b'\\6\\0\\0\\0hello\\0'); print(s.recv(100))")
        done = subprocess.run([PYTHON, "-c", ask, path], user=NOBODY, group=NOBODY, extra_groups=[],
                              capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertNotIn("ok", done.stdout)
        for folder in (self.folder, self.path("nmi")):
            os.chmod(folder, 0o700)
        self.assertEqual(self.nmi("status", pid).returncode, 0)
        self.end_one(child)

    @as_root
    def test_outputs_do_not_follow_links_that_others_planted(self):
        os.mkdir(self.path("open"))
        os.chmod(self.path("open"), 0o1777)
        with open(self.path("precious"), "w") as file:
            file.write("untouched")
        os.symlink(self.path("precious"), self.path("open/o.svg"))
        os.lchown(self.path("open/o.svg"), NOBODY, NOBODY)
        self.refuse("open/o.svg", "symbolic link", words=("-o", "open/o"))
        os.rename(self.path("open/o.svg"), self.path("open/report"))
        self.refuse("open/report", "symbolic link", words=("--report", "open/report"))
        with open(self.path("precious")) as file:
            self.assertEqual(file.read(), "untouched")
        # Our own are followed, as ever.
        os.lchown(self.path("open/report"), 0, 0)
        self.assertEqual(self.nmi("run", "-m", "none", "--report", "open/report", PROGRAM).returncode, 0)
        with open(self.path("precious")) as file:
            self.assertIn("all NMIs", file.read())
        self.assertTrue(os.path.islink(self.path("open/report")))


if __name__ == "__main__":
    unittest.main()
