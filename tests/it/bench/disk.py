"""A small file system of its own, for disks that get full."""

import pathlib
import subprocess

import pytest


def small_disk(bench, folder, megabytes):
    """A SmallDisk; skips the test where none may be mounted."""
    try:
        return SmallDisk(bench, folder, megabytes)
    except OSError as error:
        pytest.skip(str(error))


class SmallDisk:
    """A tmpfs of so many MiB in a folder, which is made. Ends with the bench, after what was made later. OSError where none may be mounted."""

    def __init__(self, bench, folder, megabytes):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs")
        bench.servers.append(self)

    def _mount(self, *words):
        done = subprocess.run(["mount", *words, str(self.folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"cannot mount a file system in {self.folder}: {done.stderr.strip()}")

    def resize(self, megabytes):
        """No smaller than what is on it."""
        self._mount("-o", f"remount,size={megabytes}m")

    def fill(self):
        """Takes all that is free, until free() is called."""
        with open(self.folder / "filler", "wb", buffering=0) as filler:
            size = 1 << 20
            while size:
                try:
                    if filler.write(b"\0" * size) < size:
                        size //= 2
                except OSError:
                    size //= 2

    def free(self):
        (self.folder / "filler").unlink()

    # What the bench wants of everything that it ends.
    def log_tail(self):
        return f"--- disk in {self.folder}"

    def close(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
