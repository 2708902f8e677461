"""The source tree as the checks see it: which files are ours, and their text."""
import os
import re
import subprocess
from pathlib import Path

PROGRAM_FOLDERS = ("protocol", "daemon", "client")


def files(root):
    """Paths relative to root: what git tracks, or without git everything but build directories."""
    root = Path(root)
    if (root / ".git").exists():
        done = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z"], check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            found = [Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name]
            return sorted(path for path in found if (root / path).is_file())
    found = []
    for folder, names, plain in os.walk(root):
        names[:] = [n for n in names if n not in (".git", "__pycache__") and
                    not (Path(folder) == root and n.startswith("build")) and not Path(folder, n, "meson-private").is_dir()]
        found += [Path(folder, name).relative_to(root) for name in plain]
    return sorted(found)


def sources(root, folders=PROGRAM_FOLDERS, endings=(".c", ".h")):
    return [path for path in files(root) if path.parts[0] in folders and path.suffix in endings]


def read(root, path):
    return (Path(root) / path).read_text(encoding="utf-8", errors="replace")


_PIECES = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def without(text, comments=False, strings=False):
    """C text with comments or string literals blanked out; lines stay where they are."""
    def blank(match):
        piece = match.group(0)
        is_comment = piece.startswith(("/*", "//"))
        if (is_comment and comments) or (not is_comment and strings):
            return re.sub(r"[^\n]", " ", piece)
        return piece
    return _PIECES.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
