from datetime import tzinfo

from django.utils.translation import gettext_lazy as _

from accounts.models import Site
from core.admin import DocumentForm
from segments.forms.windows import check_window
from segments.models import Segment


class WindowForm(DocumentForm):
    """A form of something with a window of validity."""

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        check_window(self)
        return cleaned


class SegmentForm(WindowForm):
    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        if self.instance._state.adding and "site" in self.fields and self.tenant is not None:
            sites = list(Site.objects.filter(tenant=self.tenant, is_active=True)[:2])
            if len(sites) == 1:
                self.initial.setdefault("site", sites[0].pk)

    def zone(self) -> tzinfo | None:
        return self.instance.site.time_zone if self.instance.site_id else None

    class Meta:
        model = Segment
        fields = "__all__"
        labels = {
            "valid_from": _("Valid from"),
            "valid_to": _("Valid to"),
            "mixin_schemas": _("Mixin schemas"),
        }
        help_texts = {
            "site": _("The shop front that the segment is for."),
            "status": _("Only active segments count for customers."),
            "valid_from": _("The first instant at which the segment counts. Leave empty for no start."),
            "valid_to": _("The last instant at which the segment counts. Leave empty for no end."),
            "mixins": _("Attributes of your own, as a JSON object."),
            "mixin_schemas": _("The address of each mixin's schema, by the mixin's name."),
        }
