"""The service on a Ray cluster: deployments, autoscaling, and forwarded requests. Knows nothing of tasks.

This file imports nothing: Ray ships autoscaling.py alone to its controller. Start with serve.py.
"""
