"""What a storefront asks, at a load that rises until it answers too slowly, and beside other work."""
