"""A small model of grants, the witnessed log and the keepers, explored until nothing new can happen.

``rules`` is the table of what protocol.md demands. Four kinds of worlds use it: ``keepers`` (everybody lies but a quorum of keepers
and the patient), ``reader`` (nobody is honest but the reader), ``record`` (the devices of a patient, one of them stolen and
removed) and ``honest`` (nobody lies, so nothing may be an alarm). ``explore`` visits every state of one.
"""
