"""Static files: collected when they have changed, since to hash and compress them all takes seconds."""

import hashlib
from pathlib import Path

import orjson
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

STAMP = "collected"


def collect_static_files() -> bool:
    """Collect the static files of all apps; False when the very same ones have been collected before."""
    stamp = Path(settings.STATIC_ROOT) / STAMP
    present = fingerprint()
    if stamp.exists() and stamp.read_text() == present:
        return False
    stamp.unlink(missing_ok=True)  # should we be killed, the next start collects them
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(present)
    return True


def fingerprint() -> str:
    """Return what differs as soon as a file comes, goes or changes, or is to be stored in another way."""
    files = [
        (path, storage.size(path), storage.get_modified_time(path))
        for finder in get_finders()
        for path, storage in finder.list(None)
    ]
    facts = orjson.dumps([settings.STORAGES["staticfiles"], sorted(files)])
    return hashlib.sha256(facts).hexdigest()
