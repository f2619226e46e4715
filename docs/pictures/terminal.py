"""Runs commands in a pseudo terminal, and draws what a person would see as an SVG: terminal.py FILE COMMAND..."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

# As wide as a page of text, so that the letters are as large as its own.
COLUMNS = 84


def output_of(command: str) -> str:
    """What a command writes to a terminal of this width. It must succeed."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        os.execvp("sh", ["sh", "-c", command])
    output = b""
    try:
        while chunk := os.read(terminal, 65536):
            output += chunk
    except OSError:
        pass  # How Linux says that the other side was closed.
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{command} failed:\n{output.decode()}")
    return output.decode().replace("\r\n", "\n").replace(os.getcwd() + "/", "")


def main(file: str, commands: list[str]) -> None:
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True, highlight=False)
    for command in commands:
        output = output_of(command).rstrip()
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        if output:
            console.print(Text.from_ansi(output))
            console.print()
    svg = console.export_svg(title="shipfront", theme=MONOKAI, unique_id="terminal")
    # Its fonts would be fetched from another host; those of the reader's machine will do.
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    with open(file, "w") as out:
        out.write(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE))


main(sys.argv[1], sys.argv[2:])
