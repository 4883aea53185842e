from events.operations.deliveries import add_deliveries

__all__ = ["add_deliveries"]
