from django.urls import path

from catalog.api.viewsets.assignments import CategoryAssignmentViewSet, ReferenceViewSet
from catalog.api.viewsets.categories import CategoryViewSet
from catalog.api.viewsets.products import ProductViewSet
from catalog.api.viewsets.trees import CategoryTreeViewSet, DeprecatedCategoryTreeViewSet

CATEGORIES = "category/<tenant>/categories"
CATEGORY = f"{CATEGORIES}/<categoryId>"
ASSIGNMENTS = f"{CATEGORY}/assignments"
TREES = "category/<tenant>/category-trees"
PRODUCTS = "product/<tenant>/products"

urlpatterns = [
    path(CATEGORIES, CategoryViewSet.as_view({"get": "list", "post": "create"})),
    path(f"{CATEGORIES}/search", CategoryViewSet.as_view({"post": "search"})),
    path(f"{CATEGORIES}/categoryTree", DeprecatedCategoryTreeViewSet.as_view({"get": "retrieve"})),
    path(
        CATEGORY,
        CategoryViewSet.as_view({"get": "retrieve", "put": "upsert", "patch": "patch", "delete": "destroy"}),
    ),
    path(f"{CATEGORY}/parents", CategoryViewSet.as_view({"get": "parents"})),
    path(f"{CATEGORY}/subcategories", CategoryViewSet.as_view({"get": "subcategories"})),
    path(
        ASSIGNMENTS,
        CategoryAssignmentViewSet.as_view({"get": "list", "post": "create", "delete": "destroy_all"}),
    ),
    path(f"{ASSIGNMENTS}/bulk", CategoryAssignmentViewSet.as_view({"post": "bulk_create"})),
    path(f"{ASSIGNMENTS}/references/bulk", CategoryAssignmentViewSet.as_view({"put": "bulk_upsert"})),
    path(
        f"{ASSIGNMENTS}/references/<referenceId>",
        CategoryAssignmentViewSet.as_view({"put": "upsert", "delete": "destroy_by_reference"}),
    ),
    path(f"{ASSIGNMENTS}/<assignmentId>", CategoryAssignmentViewSet.as_view({"delete": "destroy"})),
    path(
        "category/<tenant>/assignments/references/<referenceId>",
        ReferenceViewSet.as_view({"get": "list", "delete": "destroy"}),
    ),
    path(TREES, CategoryTreeViewSet.as_view({"get": "list"})),
    path(f"{TREES}/search", CategoryTreeViewSet.as_view({"post": "search"})),
    path(f"{TREES}/<categoryId>", CategoryTreeViewSet.as_view({"get": "retrieve"})),
    path(f"{TREES}/<rootCategoryId>/rebuild", CategoryTreeViewSet.as_view({"post": "rebuild"})),
    path(PRODUCTS, ProductViewSet.as_view({"get": "list", "post": "create"})),
    path(f"{PRODUCTS}/search", ProductViewSet.as_view({"post": "search"})),
    path(f"{PRODUCTS}/bulk", ProductViewSet.as_view({"post": "bulk_create", "put": "bulk_upsert"})),
    path(
        f"{PRODUCTS}/<productId>",
        ProductViewSet.as_view({"get": "retrieve", "put": "upsert", "patch": "patch", "delete": "destroy"}),
    ),
]
