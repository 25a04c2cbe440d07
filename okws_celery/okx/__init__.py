"""What OKX says, as values: no sockets, no Redis, no clock that is not passed in."""
