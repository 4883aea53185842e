"""The webhook configuration of a tenant, and its targets."""

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from core.bodies import read_body
from core.errors import Conflict, InvalidBody, InvalidInput, Problem
from core.json_types import JsonObject
from core.tenancy.identifiers import generate_id
from core.tenancy.models import Tenant
from events.bodies import (
    MOST_HEADERS,
    ConfigChange,
    ConfigCreation,
    ConfigUpdate,
    EventEntry,
    HeaderValue,
    HttpConfiguration,
)
from events.errors import (
    ConfigExists,
    ConfigIsActive,
    ConfigNotFound,
    TargetNotAccessible,
    UnsupportedProvider,
)
from events.event_types import normalized
from events.filters import check_filter
from events.models import Target, WebhookConfig
from events.operations.config_patches import apply_change
from events.sending.addresses import UnsafeDestination, split_url
from events.sending.requests import is_accessible

CODE = "http"
NOT_ACCESSIBLE = (
    "The resource specified by the URL is not accessible. For a webhook to be accessible, it needs to respond"
    " with any successful status for either `HEAD` or `OPTIONS` request."
)
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
OWN_HEADERS = {"host", "content-length", "content-type", "transfer-encoding", "connection", "expect", "te"}
OWN_PREFIXES = ("webhook-", "emporix-event-", "proxy-")
CHECKED_AT_ONCE = 8
MOST_CHECKED = 40


@dataclass(slots=True)
class Faults:
    """What is wrong with a configuration, by path."""

    found: list[Problem]

    def add(self, field: str, message: str) -> None:
        self.found.append(Problem(field, "invalid", message))

    def refuse(self) -> None:
        if self.found:
            raise InvalidBody(self.found)


def create_config(*, tenant: Tenant, body: ConfigCreation, at: datetime) -> WebhookConfig:
    """Create the tenant's configuration.

    Raises UnsupportedProvider, InvalidBody, TargetNotAccessible, and ConfigExists when there is one.
    """
    check_provider(body.provider)
    if body.code != CODE:
        raise InvalidInput(f"The code of the provider HTTP is {CODE}, not {body.code}.", field="code")
    configuration = body.configuration or HttpConfiguration()
    if any(entry.id is not None for entry in configuration.events_configuration):
        raise InvalidInput("Entries get their ids from the service. Leave out id.", field="id")
    if WebhookConfig.objects.filter(tenant=tenant).exists():
        raise ConfigExists(resource_id=CODE)
    check_configuration(configuration, known=())
    with transaction.atomic():
        lock_tenant(tenant)
        if WebhookConfig.objects.filter(tenant=tenant).exists():
            raise ConfigExists(resource_id=CODE)
        config = WebhookConfig.objects.create(
            tenant=tenant, is_active=body.is_active, created_at=at, modified_at=at
        )
        store_targets(tenant, configuration, at)
    return config


def update_config(*, tenant: Tenant, code: str, body: ConfigUpdate, at: datetime) -> None:
    """Replace the tenant's configuration; without a `configuration` only whether it is active."""
    check_provider(body.provider)
    require_config(tenant, code)
    known = targets_of(tenant)
    if body.configuration is not None:
        check_configuration(body.configuration, known=known)
    with transaction.atomic():
        config = locked_config(tenant, code)
        config.is_active = body.is_active
        config.modified_at = at
        config.save(update_fields=["is_active", "modified_at"])
        if body.configuration is not None:
            store_targets(tenant, body.configuration, at)


def patch_config(*, tenant: Tenant, code: str, changes: Sequence[ConfigChange], at: datetime) -> None:
    """Make changes one after the other, all or none. Raises AmbiguousEventType, and as `update_config`."""
    config = require_config(tenant, code)
    known = targets_of(tenant)
    document = document_of(config, known, for_clients=False)
    for number, change in enumerate(changes):
        try:
            apply_change(document, change)
        except InvalidInput as refused:
            raise InvalidBody(
                [Problem(f"[{number}].{refused.field or 'path'}", "invalid", refused.message)]
            ) from refused
    configuration = read_body(HttpConfiguration, document["configuration"])
    check_configuration(configuration, known=known)
    with transaction.atomic():
        stored = locked_config(tenant, code)
        if stored.modified_at != config.modified_at:
            raise Conflict("The configuration was changed meanwhile. Read it and send the request again.")
        config.is_active = document["active"]
        config.modified_at = at
        config.save(update_fields=["is_active", "modified_at"])
        store_targets(tenant, configuration, at)


@transaction.atomic
def switch_config(*, tenant: Tenant, is_active: bool, at: datetime) -> WebhookConfig:
    """Switch all webhooks of the tenant on or off; makes the configuration when there is none."""
    lock_tenant(tenant)
    config = WebhookConfig.objects.filter(tenant=tenant).first() or WebhookConfig(
        tenant=tenant, created_at=at
    )
    config.is_active, config.modified_at = is_active, at
    config.save()
    return config


def delete_config(*, tenant: Tenant, code: str, force: bool) -> None:
    """Delete the tenant's configuration with its targets and deliveries; an active one only by force."""
    with transaction.atomic():
        lock_tenant(tenant)
        config = WebhookConfig.objects.filter(tenant=tenant).first() if code == CODE else None
        if config is None:
            return
        if config.is_active and not force:
            raise ConfigIsActive
        targets = Target.objects.filter(tenant=tenant)
        targets._raw_delete(targets.db)
        config.delete()


def check_provider(provider: str) -> None:
    if provider != "HTTP":
        raise UnsupportedProvider(provider)


def lock_tenant(tenant: Tenant) -> None:
    """Hold the tenant's row, so that one writer at a time changes its webhooks."""
    Tenant.objects.select_for_update(of=("self",), no_key=True).get(pk=tenant.pk)


def require_config(tenant: Tenant, code: str) -> WebhookConfig:
    if code in ("svix", "svix_shared"):
        raise UnsupportedProvider(code.upper(), field="code")
    config = WebhookConfig.objects.filter(tenant=tenant).first() if code == CODE else None
    if config is None:
        raise ConfigNotFound(code)
    return config


def locked_config(tenant: Tenant, code: str) -> WebhookConfig:
    lock_tenant(tenant)
    return require_config(tenant, code)


def targets_of(tenant: Tenant) -> list[Target]:
    return list(Target.objects.filter(tenant=tenant).order_by("position", "id"))


def check_configuration(configuration: HttpConfiguration, *, known: Sequence[Target]) -> None:
    """Refuse a configuration that breaks a rule, or has a new target that does not answer.

    Asks targets over the network, so it is called outside of transactions.
    """
    faults = Faults([])
    check_target(faults, configuration, "")
    by_id = {target.external_id: target for target in known if target.event_type}
    ids = Counter(entry.id for entry in configuration.events_configuration if entry.id)
    for number, entry in enumerate(configuration.events_configuration):
        path = f"eventsConfiguration[{number}]."
        if entry.id is not None and entry.id not in by_id:
            faults.add(f"{path}id", "There is no entry with this id. Leave id out to make a new entry.")
        elif entry.id and ids[entry.id] > 1:
            faults.add(f"{path}id", "Two entries have the same id.")
        if not entry.destination_url and not configuration.destination_url:
            faults.add(f"{path}destinationUrl", "Name where to send events, here or in the configuration.")
        check_target(faults, entry, path)
        try:
            if entry.filter:
                check_filter(entry.filter, field=f"{path}filter")
        except InvalidInput as refused:
            faults.add(refused.field, refused.message)
    faults.refuse()
    check_accessible(configuration, {target.destination_url for target in known})


def check_target(faults: Faults, body: HttpConfiguration | EventEntry, path: str) -> None:
    if body.destination_url:
        try:
            split_url(body.destination_url)
        except UnsafeDestination as refused:
            faults.add(f"{path}destinationUrl", refused.message)
    for name, header in body.headers.items():
        if not HEADER_NAME.fullmatch(name):
            faults.add(f"{path}headers", f"{name!r} is no name of a header.")
        elif name.lower() in OWN_HEADERS or name.lower().startswith(OWN_PREFIXES):
            faults.add(f"{path}headers", f"The header {name} is set by the service.")
        if not header.value.isascii() or not (header.value + " ").isprintable():
            faults.add(f"{path}headers", f"The header {name} has characters that headers cannot have.")


def check_accessible(configuration: HttpConfiguration, known_urls: set[str]) -> None:
    """Ask each new target with HEAD or OPTIONS; raise TargetNotAccessible naming those that do not answer."""
    places = {"destinationUrl": configuration.destination_url} | {
        f"eventsConfiguration[{number}].destinationUrl": entry.destination_url
        for number, entry in enumerate(configuration.events_configuration)
    }
    urls = {url for url in places.values() if url and url not in known_urls}
    if len(urls) > MOST_CHECKED:
        raise InvalidInput(
            f"At most {MOST_CHECKED} new addresses are checked in one request. Add the others in another.",
            field="eventsConfiguration",
        )
    if not urls:
        return
    with ThreadPoolExecutor(CHECKED_AT_ONCE) as threads:
        answers = dict(zip(urls, threads.map(is_accessible, urls), strict=True))
    silent = [
        Problem(path, "not_accessible", NOT_ACCESSIBLE)
        for path, url in places.items()
        if not answers.get(url, True)
    ]
    if silent:
        raise TargetNotAccessible(silent)


def store_targets(tenant: Tenant, configuration: HttpConfiguration, at: datetime) -> None:
    """Make the targets those of the configuration. Call it with the tenant locked."""
    known = targets_of(tenant)
    by_id = {target.external_id: target for target in known}
    default = next((target for target in known if not target.event_type), None)
    default = default or Target(tenant=tenant, event_type="", created_at=at)
    switch_target(default, is_active=True)
    store_target(default, configuration, at)
    stored_types = Counter(normalized(target.event_type) for target in known)
    sent_types = Counter(normalized(entry.event_type) for entry in configuration.events_configuration)
    kept: set[int] = set()
    for position, entry in enumerate(configuration.events_configuration, 1):
        event_type = normalized(entry.event_type)
        target = by_id.get(entry.id or "")
        if target is None and stored_types[event_type] == sent_types[event_type] == 1:
            target = next(one for one in known if normalized(one.event_type) == event_type)
        target = target or Target(tenant=tenant, external_id=generate_id(), created_at=at)
        target.event_type = entry.event_type
        target.name = entry.name
        target.filter = entry.filter
        target.excluded_fields = entry.excluded_fields
        target.position = position
        switch_target(target, is_active=entry.is_active)
        store_target(target, entry, at)
        kept.add(target.pk)
    gone = Target.objects.filter(tenant=tenant).exclude(event_type="").exclude(pk__in=kept)
    gone._raw_delete(gone.db)


def store_target(target: Target, body: HttpConfiguration | EventEntry, at: datetime) -> None:
    if target.destination_url != body.destination_url:
        target.failures, target.failing_since, target.resume_at = 0, None, None
    target.destination_url = body.destination_url
    target.headers = {name: header.value for name, header in body.headers.items()}
    if body.secret_key is not None:
        rotate_secret(target, body.secret_key, at)
    target.modified_at = at
    target.save()


def switch_target(target: Target, *, is_active: bool) -> None:
    """Switch a target on or off; on, it is asked again at once, whatever it answered before."""
    if is_active and not target.is_active:
        target.failures, target.failing_since, target.resume_at = 0, None, None
    target.is_active, target.turned_off_reason = is_active, ""


def save_target(*, target: Target, secret: str | None, at: datetime) -> Target:
    """Store a target that staff have entered, under the rules of the API.

    A `secret` replaces the present one. Makes the tenant's configuration when there is none.
    """
    tenant = target.tenant
    headers = {name: HeaderValue(value=str(value)) for name, value in target.headers.items()}
    body = EventEntry(event_type=target.event_type, destination_url=target.destination_url, headers=headers)
    faults = Faults([])
    check_target(faults, body, "")
    if len(headers) > MOST_HEADERS:
        faults.add("headers", f"At most {MOST_HEADERS} headers.")
    others = Target.objects.filter(tenant=tenant).exclude(pk=target.pk)
    default = others.filter(event_type="").first()
    if not target.event_type and default is not None:
        faults.add("eventType", "There is a default target already. Choose a type of events, or change that.")
    if not target.destination_url and not (target.event_type and default and default.destination_url):
        faults.add("destinationUrl", "Name where to send events, here or in the default target.")
    faults.refuse()
    if target.filter:
        check_filter(target.filter)
    stored = Target.objects.filter(pk=target.pk).first()
    asked = HttpConfiguration(destination_url=target.destination_url)
    check_accessible(asked, {stored.destination_url} if stored else set())
    with transaction.atomic():
        lock_tenant(tenant)
        WebhookConfig.objects.get_or_create(tenant=tenant, defaults={"created_at": at, "modified_at": at})
        if stored is not None and target.is_active and not stored.is_active:
            target.failures, target.failing_since, target.resume_at = 0, None, None
            target.turned_off_reason = ""
        if secret is not None:
            rotate_secret(target, secret, at)
        target.position = target.position or others.count() + 1
        target.modified_at = at
        target.save()
    return target


def rotate_secret(target: Target, secret: str, at: datetime) -> None:
    """Give the target another secret; the former one signs along for a day, so that receivers can follow."""
    if secret == target.secret_key:
        return
    has_both = bool(secret and target.secret_key)
    overlap = timedelta(hours=settings.WEBHOOK_SECRET_OVERLAP_HOURS)
    target.previous_secret_key = target.secret_key if has_both else ""
    target.previous_secret_until = at + overlap if has_both else None
    target.secret_key = secret


def document_of(config: WebhookConfig, targets: Sequence[Target], *, for_clients: bool) -> JsonObject:
    """Return the configuration as JSON; for clients it says whether there is a secret, but not which."""
    default = next((target for target in targets if not target.event_type), None)
    configuration = target_document(default or Target(), for_clients=for_clients)
    configuration["eventsConfiguration"] = [
        {
            "id": target.external_id,
            "eventType": target.event_type,
            **({"name": target.name} if target.name else {}),
            **target_document(target, for_clients=for_clients),
            **({"filter": target.filter} if target.filter else {}),
            **({"excludedFields": target.excluded_fields} if target.excluded_fields is not None else {}),
            "active": target.is_active,
        }
        for target in targets
        if target.event_type
    ]
    return {
        "code": CODE,
        "provider": "HTTP",
        "active": config.is_active,
        "configuration": configuration,
    }


def target_document(target: Target, *, for_clients: bool) -> JsonObject:
    document: dict[str, object] = {}
    if target.destination_url:
        document["destinationUrl"] = target.destination_url
    if for_clients:
        document["secretKeyExists"] = bool(target.secret_key)
    if target.headers:
        document["headers"] = {name: {"value": value} for name, value in target.headers.items()}
    return document
