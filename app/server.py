"""`python -m app.server app.start:create_app`: uvicorn, with what an application of ours needs of it."""

import argparse

import uvicorn

from app.upkeep.commands import GRACE_SECONDS, KEEP_ALIVE_SECONDS, MAX_CONNECTIONS

PROTOCOL = "app.api.protocol:Protocol"


def main() -> None:
    """Serve until a signal ends it.

    With uvloop: asyncio's own loop with several processes stalls every reply by 44 ms. An open event stream would block the
    shutdown, so it gets a grace period.
    """
    arguments = _arguments()
    uvicorn.run(
        arguments.factory,
        factory=True,
        host=arguments.host,
        port=arguments.port,
        fd=arguments.fd,
        workers=arguments.workers,
        loop="uvloop",
        http=PROTOCOL,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
        server_header=False,
        access_log=False,
        log_level="warning",
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.server", description=__doc__)
    parser.add_argument("factory", help="what makes the application, as module:function")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--fd", type=int, help="an open socket to listen on, instead of host and port")
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
