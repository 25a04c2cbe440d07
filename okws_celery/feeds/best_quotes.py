"""The row of a book of one level a side, as `bbo-tbt` has it (PROTOCOL 6.1), cut without being decoded."""

from __future__ import annotations

import re

__all__ = ["match_best_quote"]

# What is spelled in another way than here is for the decoder. Nothing is tried twice.
_NUMBER = rb"[0-9]{1,40}+(?:\.[0-9]{1,40}+)?+"
_SIZE = rb"(?=[0.]*+[1-9])" + _NUMBER  # a level of no size is no level
_SIDE = rb'(\[\["(%b)","%b"(?:,"[0-9]*+")*+\]\])' % (_NUMBER, _SIZE)
_INTEGER = rb"(?:0|[1-9][0-9]{0,17}+)"
# Of the fields behind, none may be one of those that mean something, given twice or in another place.
_REST = rb'(?:,"(?!asks"|bids"|ts"|seqId"|checksum")[A-Za-z0-9]++":(?:"[0-9A-Za-z._-]*+"|-?%b(?=[,}])))*+' % _INTEGER
match_best_quote = re.compile(
    rb'\{"asks":%b,"bids":%b,"ts":"([1-9][0-9]{0,14})"(?:,"prevSeqId":-?%b)?+,"seqId":(%b)(?=[,}])%b\}'
    % (_SIDE, _SIDE, _INTEGER, _INTEGER, _REST)
).fullmatch
"""Tells a row with one level on each side, a time and a sequence number and no checksum. Its groups, spelled as sent:
asks (a JSON list of one level), their price, bids, their price, ts, seqId. Whether the two cross is not looked at."""
