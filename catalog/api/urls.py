"""The addresses of the category and product services. Fixed words come before the ids that they resemble."""

from catalog.api.viewsets.assignments import CategoryAssignmentViewSet, ReferenceViewSet
from catalog.api.viewsets.categories import CategoryViewSet
from catalog.api.viewsets.products import ProductViewSet
from catalog.api.viewsets.trees import CategoryTreeViewSet, DeprecatedCategoryTreeViewSet
from core.api.routes import describe_argument, route

CATEGORIES = "category/<tenant>/categories"
CATEGORY = f"{CATEGORIES}/<category_id>"
ASSIGNMENTS = f"{CATEGORY}/assignments"
ASSIGNMENT = f"{ASSIGNMENTS}/<assignment_id>"
OF_REFERENCE = f"{ASSIGNMENTS}/references/<reference_id>"
REFERENCE = "category/<tenant>/assignments/references/<reference_id>"
TREES = "category/<tenant>/category-trees"
PRODUCTS = "product/<tenant>/products"
PRODUCT = f"{PRODUCTS}/<product_id>"

describe_argument("category_id", "The category's id.")
describe_argument("root_category_id", "The id of a root category.")
describe_argument("assignment_id", "The assignment's id.")
describe_argument("reference_id", "The product's id.")
describe_argument("product_id", "The product's id.")

urlpatterns = [
    route(CATEGORIES, CategoryViewSet, get="list", post="create"),
    route(f"{CATEGORIES}/search", CategoryViewSet, post="search"),
    route(f"{CATEGORIES}/categoryTree", DeprecatedCategoryTreeViewSet, get="retrieve"),
    route(CATEGORY, CategoryViewSet, get="retrieve", put="update", patch="partial_update", delete="destroy"),
    route(f"{CATEGORY}/parents", CategoryViewSet, get="parents"),
    route(f"{CATEGORY}/subcategories", CategoryViewSet, get="subcategories"),
    route(ASSIGNMENTS, CategoryAssignmentViewSet, get="list", post="create", delete="destroy_all"),
    route(f"{ASSIGNMENTS}/bulk", CategoryAssignmentViewSet, post="bulk_create"),
    route(f"{ASSIGNMENTS}/references/bulk", CategoryAssignmentViewSet, put="bulk_update"),
    route(OF_REFERENCE, CategoryAssignmentViewSet, put="update", delete="destroy_by_reference"),
    route(ASSIGNMENT, CategoryAssignmentViewSet, delete="destroy"),
    route(REFERENCE, ReferenceViewSet, get="list", delete="destroy"),
    route(TREES, CategoryTreeViewSet, get="list"),
    route(f"{TREES}/search", CategoryTreeViewSet, post="search"),
    route(f"{TREES}/<category_id>", CategoryTreeViewSet, get="retrieve"),
    route(f"{TREES}/<root_category_id>/rebuild", CategoryTreeViewSet, post="rebuild"),
    route(PRODUCTS, ProductViewSet, get="list", post="create"),
    route(f"{PRODUCTS}/search", ProductViewSet, post="search"),
    route(f"{PRODUCTS}/bulk", ProductViewSet, post="bulk_create", put="bulk_update"),
    route(PRODUCT, ProductViewSet, get="retrieve", put="update", patch="partial_update", delete="destroy"),
]
