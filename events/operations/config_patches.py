"""Partial changes of the webhook configuration: a list of operations, each on one of its members."""

from collections.abc import Sequence

from core.errors import InvalidInput
from core.json_types import JsonObject
from events.bodies import ConfigChange
from events.errors import AmbiguousEventType, UnsupportedProvider
from events.event_types import normalized

ENTRIES = "/configuration/http/eventsConfiguration"
ENTRY = "/configuration/http/eventsConfigurationEntry"
TYPE_MEMBERS = ("destinationUrl", "secretKey", "headers")
ENTRY_MEMBERS = (*TYPE_MEMBERS, "filter", "excludedFields", "name", "active")


def apply_change(document: JsonObject, change: ConfigChange) -> None:
    """Apply one change to the document; raise InvalidInput or AmbiguousEventType."""
    configuration = document["configuration"]
    entries: list[dict[str, object]] = configuration.setdefault("eventsConfiguration", [])
    removes = change.op == "REMOVE"
    if not removes and change.value is None:
        raise InvalidInput("UPSERT needs a value.", field="value")
    path = change.path
    if path.startswith("/configuration/svix"):
        raise UnsupportedProvider("SVIX", field="path")
    if path == "/active":
        if removes or not isinstance(change.value, bool):
            raise InvalidInput("active is true or false.", field="value")
        document["active"] = change.value
    elif path == "/configuration":
        if removes:
            raise InvalidInput("Delete the configuration instead, by DELETE.", field="op")
        for name, value in as_object(change.value).items():
            if name == "eventsConfiguration":
                configuration[name] = without_new_ids(value, entries)
            else:
                configuration[name] = value
    elif path in (f"/configuration/http/{name}" for name in ("headers", "destinationUrl", "secretKey")):
        set_member(configuration, path.rpartition("/")[2], change)
    elif path == ENTRIES:
        configuration["eventsConfiguration"] = [] if removes else without_new_ids(change.value, entries)
    elif path == ENTRY:
        if removes:
            raise InvalidInput(f"Name the entry to remove: {ENTRY}/{{entryId}}.", field="path")
        entry = as_object(change.value)
        if "id" in entry:
            raise InvalidInput("Entries get their ids from the service. Leave out id.", field="value.id")
        entries.append(entry)
    elif path.startswith(f"{ENTRY}/"):
        key, _, member = path[len(ENTRY) + 1 :].partition("/")
        found = next((entry for entry in entries if entry.get("id") == key), None)
        if found is None:
            raise InvalidInput(f"There is no entry with the id {key}.", field="path")
        change_entry(entries, found, member, change, members=ENTRY_MEMBERS)
    elif path.startswith(f"{ENTRIES}/"):
        event_type, _, member = path[len(ENTRIES) + 1 :].partition("/")
        named = [
            entry
            for entry in entries
            if normalized(str(entry.get("eventType", ""))) == normalized(event_type)
        ]
        if len(named) > 1:
            raise AmbiguousEventType(event_type)
        if not named and not removes and not member:
            entries.append(without_id(as_object(change.value)))
        elif named:
            change_entry(entries, named[0], member, change, members=TYPE_MEMBERS)
        elif member:
            raise InvalidInput(f"There is no entry for {event_type}.", field="path")
    else:
        raise InvalidInput(f"The path {path} does not name anything that can be changed.", field="path")


def change_entry(
    entries: list[JsonObject],
    entry: dict[str, object],
    member: str,
    change: ConfigChange,
    *,
    members: Sequence[str],
) -> None:
    if member and member not in members:
        raise InvalidInput(f"An entry has no {member}; it has {', '.join(members)}.", field="path")
    if member == "active" and not isinstance(change.value, bool):
        raise InvalidInput("active is true or false.", field="value")
    if member:
        set_member(entry, member, change)
    elif change.op == "REMOVE":
        entries.remove(entry)
    else:
        sent = as_object(change.value)
        if sent.get("id", entry.get("id")) != entry.get("id"):
            raise InvalidInput("The id of an entry cannot be changed.", field="value.id")
        kept = {name: entry[name] for name in ("id",) if name in entry}
        entries[entries.index(entry)] = {"eventType": entry["eventType"], **sent, **kept}


def set_member(document: JsonObject, name: str, change: ConfigChange) -> None:
    if change.op == "UPSERT":
        document[name] = change.value
    elif name == "secretKey":
        document[name] = ""
    else:
        document.pop(name, None)


def as_object(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise InvalidInput("The value is an object.", field="value")
    return dict(value)


def without_id(entry: JsonObject) -> dict[str, object]:
    if "id" in entry:
        raise InvalidInput("Entries get their ids from the service. Leave out id.", field="value.id")
    return entry


def without_new_ids(value: object, entries: Sequence[JsonObject]) -> list[dict[str, object]]:
    """Return the entries of a list; raise InvalidInput for an id that no entry has."""
    if not isinstance(value, list):
        raise InvalidInput("The value is a list of entries.", field="value")
    known = [entry.get("id") for entry in entries]  # no set: what is sent may be anything
    sent = [as_object(entry) for entry in value]
    for number, entry in enumerate(sent):
        if "id" in entry and entry["id"] not in known:
            raise InvalidInput(
                "There is no entry with this id. Leave id out to make a new entry.",
                field=f"value[{number}].id",
            )
    return sent
