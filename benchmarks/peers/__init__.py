"""What others serve the same network with: each file runs in a virtual environment of its own and knows nothing of ours."""
