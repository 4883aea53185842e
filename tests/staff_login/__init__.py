"""Logins that need packages and settings of their own: `cases.py` runs in a process of its own."""
