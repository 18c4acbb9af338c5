"""The service on a Ray cluster: deployments, autoscaling, and forwarded requests. This room does not know tasks.

This file imports nothing: Ray ships autoscaling.py alone to its controller. Start with serve.py.
"""
