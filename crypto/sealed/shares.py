"""The two halves of every wrap's key: A for the recipient, B for the keepers.

Everything comes from the vault's epoch secrets, so any device of the patient can make it again and nothing is stored.
A and the seeds belong to one rekey; Kg and Ke to the whole grant, from the epoch of its first event. There is one seed
for each set of n-k+1 keepers, given to its members only: any k keepers have all of them, k-1 lack at least one.
"""

from collections.abc import Sequence

from crypto import labels
from crypto.derivation import Deriver, Mac, derive
from crypto.encoding import number, pae, version_parts
from crypto.grants import Act, ReleasePolicy, subset_name
from crypto.secret_bytes import SecretBytes


def grant_key(epoch_first: SecretBytes, gid: bytes) -> SecretBytes:
    """Kg: finds the readings of a grant. Known to patient, recipient and keepers."""
    return SecretBytes(derive(epoch_first.reveal(), pae(labels.GRANT_KEY, gid)))


def end_key(epoch_first: SecretBytes, gid: bytes) -> SecretBytes:
    """Ke: tags the events and the end of a grant. Known to patient and keepers, never to the recipient."""
    return SecretBytes(derive(epoch_first.reveal(), pae(labels.END_KEY, gid)))


def share_a(epoch: SecretBytes, gid: bytes, rekey: int) -> SecretBytes:
    """A: the recipient's half for one rekey."""
    return SecretBytes(derive(epoch.reveal(), pae(labels.SHARE_A, gid, number(rekey))))


def seeds(epoch: SecretBytes, gid: bytes, rekey: int, policy: ReleasePolicy) -> list[SecretBytes]:
    """One seed for each subset of ``policy``, in order."""
    deriver = Deriver(epoch.reveal())
    return [
        SecretBytes(deriver.derive(pae(labels.SEED, gid, number(rekey), subset_name(policy, subset))))
        for subset in policy.subsets
    ]


class ShareB:
    """B_T for the documents of one rekey, from the seeds of some subsets: all of them at the patient, some at a keeper.

    ``act`` decides the label: keepers compute shares of listings for act ``list`` only, and of documents for the
    other acts only, so a request to list can never be turned into an opening.
    """

    __slots__ = ("_seeds",)

    def __init__(self, seeds_: Sequence[SecretBytes], act: Act, gid: bytes, rekey: int) -> None:
        label = labels.SHARE_B_LIST if act == "list" else labels.SHARE_B
        beginning = pae(label, gid, number(rekey))
        self._seeds = [Mac(seed.reveal(), beginning) for seed in seeds_]

    def shares(self, doc: bytes, ver: bytes, ct_root: bytes) -> list[bytes]:
        """B_T = HMAC(seed_T, PAE(label, gid, rekey, doc, ver, ct_root)), in the order of the seeds."""
        parts = version_parts(doc, ver, ct_root)
        return [seed.of(parts) for seed in self._seeds]

    def __repr__(self) -> str:
        return "ShareB(…)"
