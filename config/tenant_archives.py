"""A tenant as one archive: a ZIP of files that the imports take, in the order in which they go in.

All files show one moment. What is personal to an installation stays there: passwords, API clients and
webhooks with their secrets, sessions, staff, the journal, reservations, and codes of campaigns and referrals.
"""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.db.models import F

from accounts.bodies.legal_entities import ContactAssignmentCreation
from accounts.bodies.sites import PatchedSite
from accounts.models import Customer, LegalEntity, Site
from accounts.operations.contact_assignments import upsert_contact_assignment
from accounts.operations.sites import change_site, create_site
from accounts.operations.tenants import create_tenant
from accounts.representations import CONTACT_ASSIGNMENTS, SITES
from config.command_line import VERSION
from core.bodies import read_body
from core.errors import DomainError, InvalidInput
from core.imports.exporting import exported_documents
from core.imports.resources import Export, registered_resources
from core.json_types import JsonObject
from core.tenancy.callers import TenantRecord
from core.tenancy.models import Tenant
from core.timestamps import format_time
from coupons.models import CouponSettings
from segments.models import Rule, RuleExclusion, Segment
from segments.rules.operations import save_rule

FORMAT = 2
READ_FORMATS = (1, FORMAT)  # 1 has no rules and exclusions
MANIFEST = "manifest.json"
# Each after those that it names.
ORDER = (
    "sites",
    "customers",
    "legal_entities",
    "contacts",
    "products",
    "categories",
    "category_assignments",
    "segments",
    "segment_customers",
    "segment_items",
    "coupons",
    "redemptions",
    "rule_exclusions",
    "rules",  # the last, because each is evaluated as soon as it is there
)
SINCE_FORMAT_2 = ("rule_exclusions", "rules")
OF_THEIR_OWN = {
    "sites": Export(SITES, order="site.is_default DESC, site.id", key=("code",)),
    "contacts": Export(CONTACT_ASSIGNMENTS, order="contact.id"),
}
COMMANDS = {"redemptions": "import_redemptions"}  # of the others: upsert_<kind>
SETTINGS = [field for field in CouponSettings._meta.concrete_fields if field.name != "tenant"]

Progress = Callable[[str], None]


class ArchiveRefused(DomainError):
    """The archive is broken, unknown, or cannot go in there. The message says why."""

    code = "archive_refused"


def documents_of(kind: str, tenant: TenantRecord) -> Iterator[str]:
    """Yield each row of the kind as JSON text."""
    if kind == "rules":
        yield from map(json.dumps, rule_documents(tenant))
    elif kind == "rule_exclusions":
        yield from map(json.dumps, exclusion_documents(tenant))
    else:
        export = OF_THEIR_OWN[kind] if kind in OF_THEIR_OWN else registered_resources()[kind].export
        yield from exported_documents(export, tenant)


def rule_documents(tenant: TenantRecord) -> Iterator[dict[str, str]]:
    rules = Rule.objects.for_tenant(tenant.id).order_by("id")
    return rules.values("q", "mode", "membership", segmentId=F("segment__external_id")).iterator()


def exclusion_documents(tenant: TenantRecord) -> Iterator[dict[str, str | None]]:
    return (
        RuleExclusion.objects.for_tenant(tenant.id)
        .order_by("id")
        .values(
            segmentId=F("segment__external_id"),
            customerId=F("customer__external_id"),
            legalEntityId=F("legal_entity__external_id"),
        )
        .iterator()
    )


def write_archive(tenant: Tenant, path: Path, *, at: datetime, tell: Progress) -> dict[str, int]:
    """Write all kinds of the tenant to the file, as of one moment; return how many rows each has.

    The file has its name only when it is whole.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    record, counts, digests = tenant.record, {}, {}
    try:
        with transaction.atomic(), zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            for kind in ORDER:
                digest = hashlib.sha256()
                counts[kind] = 0
                with archive.open(f"{kind}.jsonl", "w", force_zip64=True) as file:
                    for document in documents_of(kind, record):
                        line = document.encode() + b"\n"
                        file.write(line)
                        digest.update(line)
                        counts[kind] += 1
                digests[kind] = digest.hexdigest()
                tell(f"{kind}: {counts[kind]:,}")
            settings = CouponSettings.objects.filter(tenant=tenant).first()
            manifest = {
                "format": FORMAT,
                "version": VERSION,
                "exportedAt": format_time(at),
                "tenant": {
                    "name": tenant.name,
                    "title": tenant.title,
                    "languages": tenant.languages,
                    "defaultLanguage": tenant.default_language,
                    "currency": tenant.currency,
                },
                "couponSettings": settings
                and {field.name: field.value_to_string(settings) for field in SETTINGS},
                "rows": counts,
                "sha256": digests,
            }
            archive.writestr(MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return counts


def read_manifest(archive: zipfile.ZipFile) -> JsonObject:
    """Return the manifest of an archive whose files are all there and unchanged; raise ArchiveRefused."""
    try:
        manifest: JsonObject = json.loads(archive.read(MANIFEST))
        if manifest["format"] not in READ_FORMATS:
            raise ArchiveRefused(
                f"The archive has the format {manifest['format']}; this version reads up to {FORMAT}."
            )
        for kind in kinds_in(manifest):
            digest = hashlib.sha256()
            with archive.open(f"{kind}.jsonl") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
            if digest.hexdigest() != manifest["sha256"][kind]:
                raise ArchiveRefused(f"The archive is broken: {kind}.jsonl has changed since it was made.")
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as fault:
        raise ArchiveRefused(f"The archive is broken: {fault}") from fault
    return manifest


def kinds_in(manifest: JsonObject) -> list[str]:
    """Return the kinds that an archive of this format has, in the order in which they go in."""
    return [kind for kind in ORDER if manifest["format"] != 1 or kind not in SINCE_FORMAT_2]


def read_archive(path: Path, *, name: str, resume: bool, at: datetime, tell: Progress) -> dict[str, int]:
    """Make a tenant of the archive, `name` or that of the archive; return how many rows each kind has.

    With `resume` the tenant may exist: what is there stays, what is missing or differs is written. Raises
    ArchiveRefused before anything is written, and for the first kind of which a row was refused.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as fault:
        raise ArchiveRefused(f"{path} cannot be read: {fault}") from fault
    with archive, tempfile.TemporaryDirectory() as folder:
        manifest = read_manifest(archive)
        name = name or manifest["tenant"]["name"]
        tenant = Tenant.objects.filter(name=name).first()
        if tenant is not None and not resume:
            raise ArchiveRefused(
                f"There is a tenant {name} already. Choose another name by --as, or go on with --resume."
            )
        tenant = tenant or tenant_of(manifest, name, at=at)
        for kind in kinds_in(manifest):
            file = Path(archive.extract(f"{kind}.jsonl", folder))
            if write := WRITERS.get(kind):
                for document in documents_in(file):
                    if left_out := write(tenant, document, at):
                        tell(left_out)
            elif manifest["rows"][kind]:
                import_file(kind, file, name)
            file.unlink()
            tell(f"{kind}: {manifest['rows'][kind]:,}")
        rows: dict[str, int] = manifest["rows"]
        return rows


@transaction.atomic
def tenant_of(manifest: JsonObject, name: str, *, at: datetime) -> Tenant:
    described = manifest["tenant"]
    tenant = create_tenant(
        name=name,
        title=described["title"],
        languages=described["languages"],
        default_language=described["defaultLanguage"],
        currency=described["currency"],
        site_code="main",
        at=at,
    )
    Site.objects.filter(tenant=tenant).delete()  # the archive has the tenant's own
    if given := manifest["couponSettings"]:
        values = {field.name: field.to_python(given[field.name]) for field in SETTINGS if field.name in given}
        CouponSettings.objects.update_or_create(tenant=tenant, defaults=values)
    return tenant


def documents_in(file: Path) -> Iterator[dict[str, object]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def write_site(tenant: Tenant, document: JsonObject, at: datetime) -> None:
    """Make the site, or change it to what the document says."""
    document.pop("metadata", None)
    home = document.pop("homeBase", None) or {}
    is_there = Site.objects.filter(tenant=tenant, code=document["code"]).exists()
    # A site of create_tenant has no address, which a body has to have
    change = read_body(PatchedSite, document).change()
    change = replace(change, values={**change.values, "home_base": home})
    if is_there:
        change_site(tenant_id=tenant.pk, code=document["code"], change=lambda site: change, at=at)
    else:
        create_site(tenant_id=tenant.pk, code=document["code"], change=change, at=at)


def write_contact(tenant: Tenant, document: JsonObject, at: datetime) -> None:
    document.pop("metadata", None)
    body = read_body(ContactAssignmentCreation, document)
    upsert_contact_assignment(
        tenant_id=tenant.pk,
        external_id=document["id"],
        legal_entity_id=body.legal_entity.id,
        customer_id=body.customer.id,
        change=body.change(),
        at=at,
    )


def write_exclusion(tenant: Tenant, document: JsonObject, at: datetime) -> None:
    segments, customers = Segment.objects.for_tenant(tenant.pk), Customer.objects.for_tenant(tenant.pk)
    companies = LegalEntity.objects.for_tenant(tenant.pk)
    RuleExclusion.objects.get_or_create(
        tenant=tenant,
        segment=segments.get(external_id=document["segmentId"]),
        customer=customers.get(external_id=document["customerId"]),
        legal_entity=companies.filter(external_id=document["legalEntityId"]).first(),
        defaults={"created_at": at},
    )


def write_rule(tenant: Tenant, document: JsonObject, at: datetime) -> str | None:
    """Give the segment its rule; return why not, for one that failed where it comes from as well."""
    try:
        save_rule(
            tenant_id=tenant.pk,
            segment_id=document["segmentId"],
            q=document["q"],
            mode=document["mode"],
            membership=document["membership"],
            at=at,
        )
    except InvalidInput as refused:
        return f"The rule of segment {document['segmentId']} was left out: {refused}"
    return None


WRITERS: dict[str, Callable[[Tenant, JsonObject, datetime], str | None]] = {
    "sites": write_site,
    "contacts": write_contact,
    "rule_exclusions": write_exclusion,
    "rules": write_rule,
}


def import_file(kind: str, file: Path, tenant: str) -> None:
    command = COMMANDS.get(kind, f"upsert_{kind}")
    try:
        call_command(command, str(file), "--tenant", tenant, "--quiet")
    except (CommandError, SystemExit) as refused:
        raise ArchiveRefused(
            f"Rows of {kind} were refused ({refused}); the page Imports of the admin says which and why."
            " What was written stays; go on with --resume."
        ) from refused


def kinds() -> Iterable[str]:
    """Return the kinds that an archive has to have: those of the imports, and those written here."""
    return {*registered_resources(), *WRITERS}
