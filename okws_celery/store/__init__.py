"""Redis: the batch and the fence through which a session writes, the registry of sessions, and credentials at rest."""
