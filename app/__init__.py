"""The service: HTTP, its resources, and what stands behind them; never imports the worker."""
