"""What waits and writes: a sitting plays one run, a study plays all runs concurrently, a stop ends them in order.

Everything asynchronous outside `providers` is here. What is computed from replies belongs to `play`.
"""
