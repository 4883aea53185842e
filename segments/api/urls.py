"""The addresses of the customer segment service. Fixed words stand before the ids that they resemble."""

from typing import Any

from django.urls import URLPattern, path

from segments.api.viewsets.customers import CustomerAssignmentViewSet
from segments.api.viewsets.items import ItemAssignmentViewSet
from segments.api.viewsets.segments import SegmentViewSet

SEGMENTS = "customer-segment/<tenant>/segments"
SEGMENT = f"{SEGMENTS}/<segmentId>"
CUSTOMERS = f"{SEGMENT}/customers"
ITEMS = f"{SEGMENT}/items"


def route(address: str, viewset: Any, **actions: str) -> URLPattern:
    """Return the pattern of an address; the actions name the viewset's method for each HTTP method."""
    return path(address, viewset.as_view(actions))


urlpatterns = [
    route(SEGMENTS, SegmentViewSet, get="list", post="create"),
    route(f"{SEGMENTS}/search", SegmentViewSet, post="search"),
    route(f"{SEGMENTS}/bulk", SegmentViewSet, post="bulk_create", put="bulk_upsert", delete="bulk_destroy"),
    route(f"{SEGMENTS}/match", SegmentViewSet, post="match"),
    route(f"{SEGMENTS}/items", ItemAssignmentViewSet, get="list_across"),
    route(f"{SEGMENTS}/items/category-trees", ItemAssignmentViewSet, get="category_trees"),
    route(SEGMENT, SegmentViewSet, get="retrieve", put="upsert", patch="patch", delete="destroy"),
    route(CUSTOMERS, CustomerAssignmentViewSet, get="list"),
    route(f"{CUSTOMERS}/search", CustomerAssignmentViewSet, post="search"),
    route(f"{CUSTOMERS}/bulk", CustomerAssignmentViewSet, put="bulk_upsert", delete="bulk_destroy"),
    route(
        f"{CUSTOMERS}/<customerId>",
        CustomerAssignmentViewSet,
        get="retrieve",
        put="upsert",
        delete="destroy",
    ),
    route(
        f"{CUSTOMERS}/<customerId>/<legalEntityId>",
        CustomerAssignmentViewSet,
        get="retrieve_b2b",
        put="upsert_b2b",
        delete="destroy_b2b",
    ),
    route(ITEMS, ItemAssignmentViewSet, get="list"),
    route(f"{ITEMS}/search", ItemAssignmentViewSet, post="search"),
    route(f"{ITEMS}/<type>/bulk", ItemAssignmentViewSet, put="bulk_upsert", delete="bulk_destroy"),
    route(f"{ITEMS}/<type>/<itemId>", ItemAssignmentViewSet, get="retrieve", put="upsert", delete="destroy"),
]
