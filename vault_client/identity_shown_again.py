"""Showing the links of one's own identity to a service that lost them: the directory still commits to each.

Until that is done the service knows nobody of that identity, or an earlier state of it, and lets no device log in.
"""

from crypto.wire.losses import ShownIdentityLink
from vault_client.declared_losses import declared_losses, is_done, loss_of, note_done
from vault_client.device_store import DeviceStore
from vault_client.identity_parts import parts_of
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service


async def show_identity(
    service: Service, store: DeviceStore, own: OwnIdentity, *, again: bool = False
) -> None:
    """Show those links of one's chain, as this device has it, that the service declares to have lost.

    ``again``: although that was done, since the service says that it lacks something. Raises NotProven where it shows, or the
    service says, that the directory does not hold a link.
    """
    origin = service.root.directory_origin
    losses = await declared_losses(service, store, origin)
    if is_done(store, origin, losses) and not (again and losses):
        return
    for link in own.profile.chain.links:
        if loss_of(losses, link.disclosure.index) is None:
            continue
        shown = ShownIdentityLink(link=link, parts=parts_of(store, link.envelope))
        logged = await service.api.show_identity_link(shown)
        await service.believe_logged(origin, logged, link.envelope, "accepted")
    service.forget_directory()
    note_done(store, origin, losses)
