"""Profile training loops to identify bottlenecks."""
