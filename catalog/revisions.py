"""The subjects whose changes the catalogue counts (docs/caching.md)."""

TREE = -1
"""Categories and their numbers."""
PRODUCTS = -2
"""Products, whatever of them."""
PRODUCT_NAMES = -3
"""What is shown of a product that stands for it in lists: id, code and name."""
PLACEMENTS = -4
"""Products in categories."""
