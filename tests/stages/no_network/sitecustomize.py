"""Refuse, and note in the file that NO_NETWORK names, whatever reaches for a network.

Python imports this module at its start where its folder is on PYTHONPATH. An audit hook sees also what C code
of the socket module does.
"""

import os
import socket
import sys
import traceback

LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Let only sockets of this machine's file system pass: wandb speaks to its own process through one."""
    sends = event in SENDS and getattr(arguments[0], "family", None) != socket.AF_UNIX
    if not (sends or event in LOOKUPS):
        return
    with open(os.environ["NO_NETWORK"], "a", encoding="utf-8") as noted:  # noqa: PTH123 - imported before all else
        noted.write(f"{event} {arguments[1:] if sends else arguments}\n{''.join(traceback.format_stack())}\n")
    raise OSError(f"the test allows no network: {event}")


sys.addaudithook(_refuse)
