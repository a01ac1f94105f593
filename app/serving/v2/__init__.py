"""The Open Inference Protocol: requests, answers and metadata, in JSON and with its binary extension."""
