"""The web process on a listening socket that its supervisor opened: `python -m config.web FD`.

The supervisor keeps the socket, so the port cannot be lost to another program, and a request that
comes while the web process is being started again waits instead of being refused.
"""

import socket
import sys

import uvicorn


def main(descriptor: int) -> None:
    """Serve until SIGTERM."""
    options = {"lifespan": "off", "log_level": "warning", "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config("config.asgi:application", **options))
    server.run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
