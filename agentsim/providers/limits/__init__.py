"""Layers around a provider: calls in flight, requests and tokens a minute, retries, outages, hedging, early timeouts.

A layer adds waiting or asking again; it never changes a prompt or a completion.
"""
