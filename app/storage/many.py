"""Many keys at once: a write is mostly waiting for the disk or the bucket, which keep many nearly as soon as one."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from app.storage.storage import Storage

WRITERS = 16


def put_all(storage: Storage, contents: Mapping[str, bytes]) -> None:
    """As Storage.put of each, in no order: all are durable afterwards. Where one fails others may be there."""
    if len(contents) < 2:
        for key, data in contents.items():
            storage.put(key, data)
        return
    with ThreadPoolExecutor(min(WRITERS, len(contents)), thread_name_prefix="put") as pool:
        list(pool.map(storage.put, contents.keys(), contents.values()))
