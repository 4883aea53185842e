"""The addresses of the customer segment service. Fixed words come before the ids that they resemble."""

from core.api.routes import describe_argument, route
from segments.api.viewsets.calendar import CalendarViewSet
from segments.api.viewsets.changes import ChangeViewSet
from segments.api.viewsets.customers import CustomerAssignmentViewSet, LegalEntityCustomerViewSet
from segments.api.viewsets.effects import EffectViewSet
from segments.api.viewsets.explanations import ExplanationViewSet
from segments.api.viewsets.findings import FindingViewSet
from segments.api.viewsets.imports import ImportViewSet
from segments.api.viewsets.items import ItemAssignmentViewSet
from segments.api.viewsets.member_operations import MemberOperationViewSet
from segments.api.viewsets.rules import RuleViewSet
from segments.api.viewsets.segment_sets import SegmentSetViewSet
from segments.api.viewsets.segments import SegmentViewSet

SEGMENTS = "customer-segment/<tenant>/segments"
SEGMENT = f"{SEGMENTS}/<segment_id>"
CUSTOMERS = f"{SEGMENT}/customers"
CUSTOMER = f"{CUSTOMERS}/<customer_id>"
ITEMS = f"{SEGMENT}/items"
ITEM = f"{ITEMS}/<item_type>/<item_id>"
IMPORTS = "customer-segment/<tenant>/imports"
SEGMENT_SET = "customer-segment/<tenant>/segment-sets/<set_key>"

describe_argument("set_key", "The key of the set, from `segment-set`.", wire_name="key")
describe_argument("segment_id", "The segment's id.")
describe_argument("customer_id", "The customer's number.")
describe_argument("legal_entity_id", "The legal entity's id.")
describe_argument("item_type", "PRODUCT or CATEGORY, in any case.", wire_name="type")
describe_argument("change_id", "The id of the change, as a history shows it.")
describe_argument("job_id", "The id of the job, as the undo of a large change returned it.")
describe_argument("operation_id", "The operation's id.")
describe_argument("import_id", "The import's id.")
describe_argument("evaluation_id", "The evaluation's id.")
describe_argument("item_id", "The id of the product or category.")

urlpatterns = [
    route(SEGMENTS, SegmentViewSet, get="list", post="create"),
    route(f"{SEGMENTS}/search", SegmentViewSet, post="search"),
    route(f"{SEGMENTS}/bulk", SegmentViewSet, post="bulk_create", put="bulk_update", delete="bulk_destroy"),
    route(f"{SEGMENTS}/match", SegmentViewSet, post="match"),
    route(f"{SEGMENTS}/items", ItemAssignmentViewSet, get="list_across"),
    route(f"{SEGMENTS}/items/category-trees", ItemAssignmentViewSet, get="category_trees"),
    route(SEGMENT, SegmentViewSet, get="retrieve", put="update", patch="partial_update", delete="destroy"),
    route("customer-segment/<tenant>/changes", ChangeViewSet, get="list"),
    route("customer-segment/<tenant>/changes/<change_id>/undo", ChangeViewSet, post="undo"),
    route("customer-segment/<tenant>/undo-jobs/<job_id>", ChangeViewSet, get="undo_job"),
    route(f"{SEGMENT}/history", ChangeViewSet, get="history"),
    route(f"{SEGMENT}/effects", EffectViewSet, post="of_segment"),
    route(f"{SEGMENT}/member-operations", MemberOperationViewSet, post="combine"),
    route(f"{SEGMENT}/member-operations/<operation_id>", MemberOperationViewSet, get="state"),
    route("customer-segment/<tenant>/rule-previews", RuleViewSet, post="preview"),
    route(f"{SEGMENT}/rule", RuleViewSet, get="retrieve", put="update", delete="destroy"),
    route(f"{SEGMENT}/rule/evaluations", RuleViewSet, post="evaluate"),
    route(f"{SEGMENT}/rule/evaluations/<evaluation_id>", RuleViewSet, get="evaluation"),
    route(f"{SEGMENT}/rule/explanation", RuleViewSet, get="explanation"),
    route(f"{SEGMENT}/rule/exclusions", RuleViewSet, get="exclusions"),
    route(f"{SEGMENT}/rule/exclusions/<customer_id>", RuleViewSet, delete="lift_exclusion"),
    route("customer-segment/<tenant>/explanations", ExplanationViewSet, get="explain"),
    route("customer-segment/<tenant>/findings", FindingViewSet, get="look"),
    route("customer-segment/<tenant>/calendar", CalendarViewSet, get="read"),
    route("customer-segment/<tenant>/calendar.ics", CalendarViewSet, get="export"),
    route("customer-segment/<tenant>/segment-effects", EffectViewSet, post="of_segments"),
    route("customer-segment/<tenant>/category-effects", EffectViewSet, post="of_category"),
    route(IMPORTS, ImportViewSet, post="submit"),
    route(f"{IMPORTS}/<import_id>", ImportViewSet, get="read", delete="cancel"),
    route(f"{IMPORTS}/<import_id>/undo", ImportViewSet, post="undo"),
    route(f"{IMPORTS}/<import_id>/rejects", ImportViewSet, get="rejects"),
    route("customer-segment/<tenant>/segment-set", SegmentSetViewSet, get="own_set"),
    route(f"{SEGMENT_SET}/items", SegmentSetViewSet, get="items"),
    route(f"{SEGMENT_SET}/category-trees", SegmentSetViewSet, get="set_category_trees"),
    route(f"{SEGMENT_SET}/products", SegmentSetViewSet, get="products"),
    route(CUSTOMERS, CustomerAssignmentViewSet, get="list"),
    route(f"{CUSTOMERS}/search", CustomerAssignmentViewSet, post="search"),
    route(f"{CUSTOMERS}/bulk", CustomerAssignmentViewSet, put="bulk_update", delete="bulk_destroy"),
    route(CUSTOMER, CustomerAssignmentViewSet, get="retrieve", put="update", delete="destroy"),
    route(
        f"{CUSTOMER}/<legal_entity_id>",
        LegalEntityCustomerViewSet,
        get="retrieve",
        put="update",
        delete="destroy",
    ),
    route(ITEMS, ItemAssignmentViewSet, get="list"),
    route(f"{ITEMS}/search", ItemAssignmentViewSet, post="search"),
    route(f"{ITEMS}/<item_type>/bulk", ItemAssignmentViewSet, put="bulk_update", delete="bulk_destroy"),
    route(ITEM, ItemAssignmentViewSet, get="retrieve", put="update", delete="destroy"),
]
