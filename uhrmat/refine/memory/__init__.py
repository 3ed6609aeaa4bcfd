"""What refining costs, and how it stays within a budget of memory: tiles, smaller working sizes, retries."""
