"""What operators see of a running service: metrics, and log lines that name their request."""
