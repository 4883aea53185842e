from typing import Any

from core.admin import DocumentForm
from segments.forms.windows import check_window
from segments.models import Segment


class WindowForm(DocumentForm):
    """A form of something with a window of validity."""

    def clean(self) -> Any:
        cleaned = super().clean()
        check_window(self)
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
