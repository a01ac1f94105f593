"""The reading process as it is started: `python -m app.tabular.reader` loads `app.tabular.ingest` and answers one request."""

from app.loading import collector_at_rest


def main() -> None:
    """One request on standard input, one outcome on standard output."""
    with collector_at_rest():
        from app.tabular.ingest import main as answer
    answer()


if __name__ == "__main__":
    main()
