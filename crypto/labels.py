"""Every domain-separation label of suite ``coffre-1``, in one table.

A label is the first part of everything that is signed, hashed for an id, derived or sealed; no two uses share one.
"""

from typing import Final

SUITE: Final = "coffre-1"


def _label(name: str) -> str:
    return f"{SUITE}/{name}"


# Signed bodies (envelope types)
TRUST_ROOT: Final = _label("trust-root")
IDENTITY_LINK: Final = _label("identity-link")
GENESIS: Final = _label("genesis")
VAULT_LINK: Final = _label("vault-link")
GRANT_EVENT: Final = _label("grant-event")
ACCESS_REQUEST: Final = _label("access-request")
ERASURE: Final = _label("erasure")
IDHEAD: Final = _label("idhead")
END_ACKNOWLEDGEMENT: Final = _label("end-acknowledgement")
LOGIN: Final = _label("login")
ROOT_LOGIN: Final = _label("root-login")
DEPOSIT_CARD: Final = _label("deposit-card")
DEPOSIT: Final = _label("deposit")
EXPORT: Final = _label("export")
EVIDENCE: Final = _label("evidence")
KEEPER_EVIDENCE: Final = _label("keeper-evidence")
HEADS_QUESTION: Final = _label("heads-question")
KNOWN_HEADS: Final = _label("known-heads")

# Ids and hash chains
IDENTITY: Final = _label("identity")
VAULT: Final = _label("vault")
PERSON: Final = _label("person")
PART: Final = _label("part")
SCAN_KEY: Final = _label("scan-key")

# The access log
ENTRY: Final = _label("entry")
PREVIOUS: Final = _label("prev")
DIRECTORY: Final = _label("dir")
LOCATOR: Final = _label("loc")
EVENT_TAG: Final = _label("event")
END_TAG: Final = _label("end")
OPENING: Final = _label("opening")
PURPOSE: Final = _label("purpose")
SUCCESSOR: Final = _label("successor")

# Content (Cobblestone-256 contexts)
DOCUMENT: Final = _label("document")
DESCRIPTOR: Final = _label("descriptor")
LISTING: Final = _label("listing")
LOCAL_RECORD: Final = _label("local-record")

# Grants
SHARE_A: Final = _label("share-a")
SHARE_B: Final = _label("share-b")
SHARE_B_LIST: Final = _label("share-b-list")
SEED: Final = _label("seed")
GRANT_KEY: Final = _label("grant-key")
END_KEY: Final = _label("end-key")
A_BOX: Final = _label("a-box")
POLICY: Final = _label("policy")
KEK: Final = _label("kek")
KEK_DOCUMENT: Final = _label("kek-doc")
RELEASE: Final = _label("release")
HELD_ENDS: Final = _label("held-ends")
SELF_WRAP: Final = _label("self")

# Deposits
CARD_BOX: Final = _label("card-box")
DEPOSIT_KEY: Final = _label("deposit-key")
STANDING_KEYS: Final = _label("standing-keys")
STANDING_A: Final = _label("standing-a")
STANDING_POLICY: Final = _label("standing-policy")
SHARE_B_STANDING: Final = _label("share-b-standing")
KEK_STANDING: Final = _label("kek-standing")

# Keyrings, recovery, profile
VAULT_KEYRING: Final = _label("vault-keyring")
IDENTITY_KEYRING: Final = _label("identity-keyring")
KIT_ROOT: Final = _label("kit-root")
KIT_UNLOCK: Final = _label("kit-unlock")
KIT_CHECK: Final = _label("kit-check")
PROFILE: Final = _label("profile")
PROFILE_NAME: Final = _label("profile-name")
