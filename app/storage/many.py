"""Many keys at once: a write is mostly waiting for the disk or the bucket, which keep many nearly as soon as one."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

WRITERS = 16


def put_each(put: Callable[[str, bytes], None], contents: Mapping[str, bytes]) -> None:
    """All by `put`, several at a time; returns or raises when none is being written any more."""
    if len(contents) < 2:
        for key, data in contents.items():
            put(key, data)
        return
    with ThreadPoolExecutor(min(WRITERS, len(contents)), thread_name_prefix="put") as pool:
        written = [pool.submit(put, key, data) for key, data in contents.items()]
    errors = [error for one in written if (error := one.exception())]
    # Where one met a full disk and removed the folder, another may have found none: the first is the cause.
    for error in sorted(errors, key=lambda error: isinstance(error, FileNotFoundError)):
        raise error
