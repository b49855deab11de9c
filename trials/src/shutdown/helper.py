# The calls that Rust cannot make without unsafe code. It runs before a filesystem is shut down, so
# that the shutdown comes at once.
import ctypes
import fcntl
import os
import struct
import sys
import time

GOINGDOWN = 0x8004587D
NO_LOG_FLUSH = struct.pack("I", 2)
PUNCH_HOLE = 3  # and keep the size
BLOCK = 4096
HOLED = 64 << 20


def fragment(mount):
    """Leaves no two blocks free side by side, so that files are written piece by piece."""
    libc = ctypes.CDLL(None, use_errno=True)
    ballast = os.open(mount + "/ballast", os.O_CREAT | os.O_WRONLY, 0o600)
    taken, step = 0, 32 << 20
    while step >= BLOCK:
        try:
            os.posix_fallocate(ballast, taken, step)
            taken += step
        except OSError:
            step //= 2
    for offset in range(0, min(taken, HOLED), 2 * BLOCK):
        at, length = ctypes.c_long(offset), ctypes.c_long(BLOCK)
        if libc.fallocate(ballast, PUNCH_HOLE, at, length) != 0:
            raise OSError(ctypes.get_errno(), "fallocate")
    os.close(ballast)


for line in iter(sys.stdin.readline, ""):
    command, argument = line.rstrip("\n").split(" ", 1)
    if command == "fragment":
        fragment(argument)
        print("done", flush=True)
    elif command == "open":
        mount = os.open(argument, os.O_RDONLY)
        print("done", flush=True)
    elif command == "down":
        time.sleep(int(argument) / 1e6)
        at = time.time_ns()
        fcntl.ioctl(mount, GOINGDOWN, NO_LOG_FLUSH)
        os.close(mount)
        print(at, flush=True)
