"""What refusals of catalog say to readers of the admin."""

from django.utils.translation import gettext_noop as _

FAULTS = (
    _("ecn lists the same number twice"),
    _("Category slug contains diacritics: {field} has '{character}'"),
    _("Please provide a valid assignment reference id"),
    _("Category with id '{category}' not found"),
    _("Following languages are not supported: {languages}"),
    _("categoryIds: must not be null"),
    _("Parent category with id '{category}' not found"),
    _(
        "Category with id '{category}' cannot be moved under '{parent}', which is the category "
        "itself or one of its descendants"
    ),
    _("A category tree has at most {most} levels"),
    _("Category with id '{category}' already exists"),
    _("Code '{code}' is already assigned to another category"),
    _("ECN {numbers} is already assigned to another category"),
    _("Category tree for category with id '{category}' not found"),
    _("Parents for category with id '{category}' for tenant '{tenant}' not found"),
    _("Subcategories for category with id '{category}' for tenant '{tenant}' not found"),
    _("Resource with id '{product}' is already assigned to the category"),
    _("Assignment '{number}' not found"),
    _("Reference id {product} not found"),
    _("Categories for assignment reference with id '{product}' not found"),
    _("The product with id {product} has not been found."),
    _("Conflict - a product with the id {product} exists already."),
    _("Conflict - another product has the code {code}."),
    _("Conflict - another product has this code."),
    _("The id {product} is reserved."),
    _("{field} must be names separated by {sign}, such as A > B > C."),
    _("There is no category {category}."),
    _("There is no product {product}."),
    _("Several categories are {category}: {listed}. Name one by parentId."),
    _("path is empty."),
    _("A category cannot be moved beside itself"),
    _("Category id '{category}' is reserved"),
    _("A category of type CLASSIFICATION needs a code"),
    _("The type of a category cannot be changed"),
    _(
        "More than {most} categories would be deleted, with all that are below. Delete some of those first,"
        " or all by an import with mode delete, which commits them part by part. Nothing was deleted."
    ),
    _(
        "At most {most} categories are published or unpublished at once. Select fewer: what is below an"
        " unpublished category is not shown either. Nothing was changed."
    ),
)
