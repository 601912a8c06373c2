"""Paths that a hostile snapshot may hold: more than five hundred, each of which no snapshot may hold."""

from __future__ import annotations

UP = [
    "..",
    "../x",
    "../../x",
    "a/../x",
    "a/../../x",
    "a/b/../../../x",
    "./x",
    "a/./x",
    "x/.",
    "x/..",
    "..//x",
    "a/..",
]
ABSOLUTE = [
    "/",
    "/x",
    "/etc/passwd",
    "//x",
    "//server/share/x",
    "/../x",
    "/tmp/x",
    "/a/../x",
    "/dev/null",
    "/proc/self/mem",
]
WINDOWS = ["C:", "C:x", "C:/x", "C:\\x", "c:\\windows\\x", "\\x", "..\\x", "a\\..\\..\\x", "\\\\server\\share\\x", "a\\b",
           "\\\\?\\C:\\x", "\\\\.\\pipe\\x", "x::$DATA", "x:stream", "a/C:/x", "file:///x"]  # fmt: skip
RESERVED = [
    "con",
    "prn",
    "aux",
    "nul",
    "conin$",
    "conout$",
    *(f"{p}{n}" for p in ("com", "lpt") for n in "123456789¹²³"),
]
CONTROL = [chr(n) for n in (*range(32), 127, *range(128, 160), 0x2028, 0x2029)]
DOTTED = ["x.", "x..", "x ", "x. ", " .", "...", "a./b", "a /b", "x.\t", ". ", ".. ", "a/ ./b"]
EMPTY = ["", "a//b", "a/", "a///b", "//", "a/b/"]
LONG = ["n" * 256, "a/" + "n" * 256, "é" * 128, "a/" * 2048 + "b", "n" * 4097, "/".join(["n" * 200] * 21)]
UNICODE = ["e\u0301", "a/e\u0301/b", "\u212b", "\u1100\u1161", "a\u0344", "\u03a9\u0301", "\u2126"]


def corpus() -> list[str]:
    """All of them, each once, that can be text in a snapshot at all."""
    found = [*UP, *ABSOLUTE, *WINDOWS, *DOTTED, *EMPTY, *LONG, *UNICODE]
    for name in RESERVED:
        found += [
            name,
            name.upper(),
            f"{name}.txt",
            f"a/{name}",
            f"{name} .x",
            f"{name}/b",
            f"a/{name.title()}.tar.gz/b",
        ]
    for character in CONTROL:
        found += [f"a{character}b", character, f"{character}../x", f"a/b{character}"]
    for bad in ("../x", "/x", "C:\\x", "x\\..\\y"):
        found += [f"{'d/' * n}{'../' * n}{bad}" for n in range(1, 8)]
        found += [f"{prefix}{bad}" for prefix in ("ok/../", "a/b/../../", ".git/../", "~/")]
    return [path for path in dict.fromkeys(found) if "\0" not in path]
