import uuid

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.identity.models import AttemptCounter, RefreshToken, Session, SigningKey
from accounts.identity.operations.session_revocations import end_sessions
from accounts.identity.operations.signing_keys import rotate_signing_keys
from core.admin import AutocompleteFilter, PlatformAdmin, ReadOnlyAdmin
from core.admin.counts import exact_count
from core.admin.declared import Text
from core.admin.faults import refusal_text
from core.errors import Unavailable
from core.unavailability import contention_as_refusal


class LiveFilter(admin.SimpleListFilter):
    """Sessions by whether their tokens are still good."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        return [("live", _("Live")), ("revoked", _("Revoked")), ("over", _("Over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        match self.value():
            case "live":
                return queryset.filter(revoked_at=None, expires_at__gt=now)
            case "revoked":
                return queryset.filter(revoked_at__isnull=False)
            case "over":
                return queryset.filter(revoked_at=None, expires_at__lte=now)
        return queryset


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    explanation = _(
        "Visits to storefronts, of customers and of people not known yet. Revoking one ends its tokens."
    )
    sortable_by = ()  # the orders that an index serves
    list_display = (
        "session_id",
        "customer",
        "legal_entity",
        "client",
        "created_at",
        "expires_at",
        "revoked_at",
    )
    list_select_related = ("customer", "legal_entity", "client")
    list_filter = (LiveFilter, ("customer", AutocompleteFilter), ("client", AutocompleteFilter))
    linked_lookups = ("legal_entity__in",)
    search_fields = ("=session_id",)
    search_help_text = _("A whole session id.")
    ordering = ("-id",)
    actions = ("revoke",)
    fields = (
        "session_id",
        "client",
        "customer",
        "legal_entity",
        "context",
        "created_at",
        "expires_at",
        "revoked_at",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        if not search_term.strip():
            return queryset, False
        try:
            return queryset.filter(session_id=uuid.UUID(search_term.strip())), False
        except ValueError:
            return queryset.none(), False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("identity.change_session")

    @admin.action(description=_("Revoke selected sessions"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> None:
        number = end_sessions(sessions=queryset, at=timezone.now())
        self.message_user(
            request,
            ngettext("Revoked {number} session.", "Revoked {number} sessions.", number).format(
                number=exact_count(number)
            ),
            messages.SUCCESS,
        )


@admin.register(RefreshToken)
class RefreshTokenAdmin(ReadOnlyAdmin):
    explanation = _("When refresh tokens were given out and used. The tokens themselves are not kept.")
    sortable_by = ()  # the orders that an index serves
    list_display = ("session", "created_at", "expires_at", "used_at")
    list_select_related = ("session",)
    list_filter = (("session", AutocompleteFilter),)
    fields = ("session", "created_at", "expires_at", "used_at")
    ordering = ("-id",)


@admin.register(SigningKey)
class SigningKeyAdmin(PlatformAdmin, ReadOnlyAdmin):
    explanation = _(
        "The keys that sign tokens. Rotating them takes the next key into use; the old one keeps verifying."
    )
    list_display = ("kid", "status", "created_at", "retired_at")
    fields = ("kid", "status", "public_key", "created_at", "retired_at")
    ordering = ("-id",)
    change_list_template = "admin/identity/signing_keys.html"

    def get_urls(self) -> list[URLPattern]:
        page = path("rotate/", self.admin_site.admin_view(self.rotate), name="identity_signingkey_rotate")
        return [page, *super().get_urls()]

    def rotate(self, request: HttpRequest) -> HttpResponse:
        """Sign with the next key from now on."""
        if not self.has_view_permission(request) or not request.user.has_perm("identity.change_signingkey"):
            raise PermissionDenied
        if request.method == "POST":
            try:
                with contention_as_refusal():
                    active = rotate_signing_keys(at=timezone.now())
            except Unavailable as busy:
                self.message_user(request, refusal_text(busy), messages.ERROR)
            else:
                self.message_user(
                    request,
                    gettext("Tokens are signed with the key {key} from now on.").format(key=active.kid),
                    messages.SUCCESS,
                )
                return HttpResponseRedirect(reverse("admin:identity_signingkey_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Rotate the signing keys?"),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/identity/rotate_keys.html", context)


@admin.register(AttemptCounter)
class AttemptCounterAdmin(PlatformAdmin, ReadOnlyAdmin):
    explanation = _("How often somebody tried lately, for what is throttled. Subjects are digests.")
