"""What the tests of the program share: running it, hostile little GGUF files, a server to pull from."""
import hashlib
import http.server
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("FIKR_PROGRAM", str(ROOT / "build/fikr"))
SKIP = 77  # meson's code for a test that could not run


def main():
    """Runs the tests of the calling file; argv[1] names the program."""
    global PROGRAM
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        PROGRAM = os.path.abspath(sys.argv.pop(1))
    program = unittest.main(exit=False)
    result = program.result
    if result.wasSuccessful() and result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(SKIP)
    sys.exit(0 if result.wasSuccessful() else 1)


def model_path():
    """The real model, or None."""
    for path in (os.environ.get("FIKR_SMOLLM2"), ROOT / ".cache/models/smollm2.gguf"):
        if path and Path(path).exists():
            return str(path)
    return None


class Case(unittest.TestCase):
    """A test with a home of its own."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = Path(self.folder.name)
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("FIKR_", "XDG_", "http", "HTTP", "all_proxy", "ALL_PROXY"))}
        self.env.update(HOME=str(self.dir), FIKR_MODELS=str(self.dir / "models"), LC_ALL="C.UTF-8")

    def tearDown(self):
        self.folder.cleanup()

    def fikr(self, *args, stdin=b"", timeout=120, **env):
        return subprocess.run([PROGRAM, *map(str, args)], input=stdin, capture_output=True,
                              timeout=timeout, env={**self.env, **env}, cwd=self.dir)

    def refused(self, *args, code=2, says=None, stdin=b"", **env):
        """One sentence on stderr, nothing on stdout, the exit code."""
        r = self.fikr(*args, stdin=stdin, **env)
        text = r.stderr.decode()
        self.assertEqual(r.returncode, code, text)
        self.assertEqual(r.stdout, b"")
        self.assertRegex(text, r"\Afikr: [^\n]+\n\Z")
        if says:
            self.assertRegex(text, says)
        return text


def read_pty(master):
    """Everything that comes from a pty until its other end is closed."""
    out = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            piece = b""
        if not piece:
            os.close(master)
            return out
        out += piece


def string(s):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(s)) + s


def tiny_gguf(name=b"tiny", key=b"general.note", value=b"x", tensor=b"token_embd.weight"):
    """A well-formed GGUF that is no model, with one F32 tensor of 4 numbers."""
    u32, text = 4, 8
    meta = [(b"general.architecture", text, string(b"llama")), (b"general.name", text, string(name)),
            (b"general.alignment", u32, struct.pack("<I", 32)), (key, text, string(value))]
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(meta))
    for k, t, v in meta:
        head += string(k) + struct.pack("<I", t) + v
    head += string(tensor) + struct.pack("<IQIQ", 1, 4, 0, 0)
    head += b"\0" * (-len(head) % 32)
    return head + struct.pack("<4f", 1, 2, 3, 4)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Server:
    """Serves `files` with Range, If-Range and ETag. It cuts the next len(cuts) answers after so many
    bytes; with ranges=False it always sends everything;
    it takes at least `seconds` for an answer."""

    def __init__(self, files, cuts=(), ranges=True, seconds=0):
        self.files, self.cuts, self.ranges = dict(files), list(cuts), ranges
        self.requests, self.seconds = [], seconds
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *args):
                pass  # a client that hangs up is part of the tests

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,),
                                       daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, h):
        want = h.headers.get("Range")
        self.requests.append((h.path, want))
        data = self.files.get(h.path.split("?")[0])
        h.close_connection = True
        if data is None:
            h.send_response(404)
            h.send_header("Content-Length", "9")
            h.end_headers()
            h.wfile.write(b"not here\n")
            return
        etag = '"%s"' % sha256(data)[:16]
        begin = 0
        if want and self.ranges and h.headers.get("If-Range", etag) == etag:
            begin = int(re.fullmatch(r"bytes=(\d+)-", want).group(1))
        if begin and begin >= len(data):
            h.send_response(416)
            h.send_header("Content-Range", "bytes */%d" % len(data))
            h.send_header("Content-Length", "0")
            h.end_headers()
            return
        h.send_response(206 if begin else 200)
        h.send_header("ETag", etag)
        h.send_header("Content-Length", str(len(data) - begin))
        if begin:
            h.send_header("Content-Range", "bytes %d-%d/%d" % (begin, len(data) - 1, len(data)))
        h.end_headers()
        end = begin + self.cuts.pop(0) if self.cuts else len(data)
        steps = 16 if self.seconds else 1
        for i in range(steps):
            h.wfile.write(data[begin:end][(end - begin) * i // steps:(end - begin) * (i + 1) // steps])
            h.wfile.flush()
            time.sleep(self.seconds / steps)
