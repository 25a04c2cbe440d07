"""Calls as they are made, before they are sent: checked, encrypted, numbered. For tasks and clients; no Celery."""
