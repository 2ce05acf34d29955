"""Open the store of attachments that the settings name."""
from services.runtime.attachments.files import FileAttachments, sweep
from services.runtime.attachments.s3 import S3Attachments
from services.runtime.attachments.store import INCOMING, Attachments
from services.runtime.settings import Settings

FOLDER = "attachments"


def open_attachments(settings: Settings) -> Attachments:
    """Return the store; nothing is made or asked until it is used. What a process that died left in the folder of arriving parts is removed."""
    folder = settings.data_dir / FOLDER
    sweep(folder / INCOMING)
    if settings.attachments == "file":
        return FileAttachments(folder)
    return S3Attachments(settings.attachments, folder / INCOMING, endpoint=settings.attachments_endpoint)
