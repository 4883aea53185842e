from typing import Any

from core.admin import DocumentForm
from segments.models import Segment


class WindowForm(DocumentForm):
    """A form of something with a window of validity."""

    def clean(self) -> Any:
        cleaned = super().clean()
        starts_at, ends_at = self.cleaned_data.get("valid_from"), self.cleaned_data.get("valid_to")
        if starts_at and ends_at and starts_at > ends_at:
            self.add_error("valid_to", "The end must not be earlier than the start.")
        return cleaned


class SegmentForm(WindowForm):
    class Meta:
        model = Segment
        fields = "__all__"
        labels = {"valid_from": "Valid from", "valid_to": "Valid to", "mixin_schemas": "Mixin schemas"}
        help_texts = {
            "site": "The shop front that the segment is for.",
            "status": "Only active segments count for customers.",
            "valid_from": "The first instant at which the segment counts. Leave empty for no start.",
            "valid_to": "The last instant at which the segment counts. Leave empty for no end.",
            "mixins": "Attributes of your own, as a JSON object.",
            "mixin_schemas": "The address of each mixin's schema, by the mixin's name.",
        }
