"""The service on a Ray cluster: deployments, autoscaling, and requests handed from one to the other.

This file imports nothing: Ray ships autoscaling.py alone to its controller. Start with serve.py.
"""
