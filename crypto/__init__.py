"""Everything two parties of Coffre must agree on byte for byte: suite ``coffre-1``.

Pure: no I/O, no clock, no framework. Read it from the bottom up:

``labels errors unicode14``        names and refusals
``encoding secret_bytes``          canonical JSON, pre-authentication encoding, secrets that do not print
``statements``                     what every signed body carries
``signing merkle pieces padding``  envelopes, RFC 6962 trees, the geometry of ciphertext
``access_log checkpoint locators sealing``   leaves and openings, C2SP notes, finding one's own leaves, HPKE
``trust_root identity_chain vault_chain grants requests``   what is signed, and the rules that fold it
``sealed``                         the half that opens; nothing of the server outside the keeper may import it
``wire``                           the messages both sides speak
"""
