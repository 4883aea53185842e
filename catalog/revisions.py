"""The subjects whose changes the catalogue counts (docs/caching.md)."""

TREE = -1
"""Categories and their numbers."""
PRODUCTS = -2
"""Products, whatever of them."""
PRODUCT_NAMES = -3
"""What lists show of a product: id, code and name."""
PLACEMENTS = -4
"""Products in categories."""

OF_CATEGORIES = (TREE,)
"""What trees and lists of categories show."""
OF_PLACEMENTS = (TREE, PLACEMENTS, PRODUCT_NAMES)
"""What lists of what is assigned to a category show."""
OF_REFERENCES = (TREE, PLACEMENTS, PRODUCTS)
"""What lists of the categories of a product show: also whether there is the product."""
OF_PRODUCTS = [PRODUCTS, PLACEMENTS, TREE]
"""What lists of products show. Apps above the catalogue add what they show there."""
