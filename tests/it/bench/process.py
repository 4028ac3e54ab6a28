"""Child processes that cannot outlive the test session."""

import concurrent.futures
import os
import signal
import subprocess

# The kernel sends a parent-death signal when the *thread* that forked the child ends. Tests start servers from
# helper threads too, so all children are forked by one thread that lives as long as the session.
_spawner = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="bench-spawner")

STOP_SECONDS = 120    # however busy the machine is


class Process:
    """One running child; standard output and error are appended to the file `output`."""

    def __init__(self, argv, folder, output):
        # setpriv instead of a preexec_fn: the latter runs Python between fork and exec, which can deadlock in a
        # session that has threads. The shell sees to it that a session which ended before setpriv did its work is
        # noticed as well.
        command = ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()),
                   *map(str, argv)]
        # A process group of its own: Ctrl-C at a terminal is for the tests alone, which end their children in order.
        with open(output, "ab") as sink:
            self._child = _spawner.submit(subprocess.Popen, command, cwd=folder, stdin=subprocess.DEVNULL,
                                          stdout=sink, stderr=subprocess.STDOUT, process_group=0).result()
        self.paused = False

    @property
    def pid(self):
        return self._child.pid

    @property
    def running(self):
        return self._child.poll() is None

    @property
    def exit_code(self):
        """None while it runs; negative: the signal that ended it."""
        return self._child.poll()

    def pause(self):
        self._child.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self._child.send_signal(signal.SIGCONT)
        self.paused = False

    def signal(self, number):
        self._child.send_signal(number)

    def stop(self, timeout=STOP_SECONDS):
        """SIGTERM, and waits. Returns the exit code."""
        if self.paused:
            self.resume()
        self._child.terminate()
        return self.wait(timeout)

    def kill(self):
        """SIGKILL, and waits. Harmless when it has ended already."""
        self._child.kill()
        return self.wait()

    def wait(self, timeout=STOP_SECONDS):
        return self._child.wait(timeout)
