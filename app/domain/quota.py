"""What a project may have at once."""

from dataclasses import dataclass

from app.domain.errors import QueueFull, QuotaExceeded


@dataclass(frozen=True, kw_only=True)
class Quota:
    """Of each project; 0 is no limit."""

    queued_jobs: int = 0
    running_jobs: int = 0
    rows: int = 0
    stored_bytes: int = 0

    def check_queue(self, new: int, *, queued: int) -> None:
        """QuotaExceeded where so many jobs can never wait, QueueFull where there is no room for them now."""
        most = self.queued_jobs
        if most and new > most:
            raise QuotaExceeded(f"These are {new} jobs, and a project may have {most} waiting.")
        if most and queued + new > most:
            raise QueueFull(f"{queued} jobs of the project wait, and it may have {most}: try again when some of them run.")

    def check_datasets(self, *, rows: int, stored_bytes: int) -> None:
        """QuotaExceeded where the project's datasets, the new one included, are too many rows or bytes."""
        for what, had, most in (("rows", rows, self.rows), ("bytes", stored_bytes, self.stored_bytes)):
            if most and had > most:
                raise QuotaExceeded(f"The project's datasets would have {had} {what} of {most} that it may keep: delete some.")
