"""What the catalogue shows of segments: a filter of assignments, and a field of products."""

from catalog import extensions
from catalog.representations import RelatedIds
from core.sql.composition import Sql
from segments.cache_groups import TREE, tenant_group
from segments.revisions import ITEMS
from segments.visibility import categories_of_segments

SEGMENT_IDS = RelatedIds(
    "segments_itemassignment AS assigned JOIN segments_segment AS holder"
    " ON holder.tenant_id = assigned.tenant_id AND holder.id = assigned.segment_id",
    tenant="assigned.tenant_id",
    product="assigned.product_id",
    id="holder.external_id",
    position="assigned.id",
    condition=Sql("TRUE"),
)

extensions.register_segment_filter(categories_of_segments)
extensions.register_touched_groups(
    of_category=lambda tenant: [TREE], of_product=lambda tenant: [tenant_group(tenant)]
)
extensions.register_product_field(
    "customerSegmentIds",
    SEGMENT_IDS,
    {"description": "The customer segments that the product itself is assigned to."},
    subjects=(ITEMS,),
)
