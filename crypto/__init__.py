"""Everything two parties of Coffre must agree on byte for byte: suite ``coffre-1``.

Pure: no I/O, no clock, no framework. Read it from the top down, for each line builds on those above:

``labels errors unicode14``        names and refusals
``encoding secret_bytes``          canonical JSON, pre-authentication encoding, secrets that do not print
``statements derivation``          what every signed body carries; keyed hashes
``signing merkle padding pieces``  envelopes, RFC 6962 trees, padding, the geometry of ciphertext
``checkpoint tiles receipt``       C2SP notes, tiles and proofs
``access_log locators sealing``    leaves and openings, finding one's own leaves, HPKE
``identity_links identity_state identity_chain``   a person's keys: the forms, what they add up to, the rules
``trust_root``                     who the log, the keepers and the registrars are
``vault_links vault_chain``        a record's history: the forms and the rules
``grants requests descriptors``    who may open what, what is signed before opening, what documents are called
``deposits``                       what others may put into a record: cards, deposits, standing
``sealed``                         the half that opens; nothing of the server outside the keeper may import it
``wire``                           the messages both sides speak
"""
