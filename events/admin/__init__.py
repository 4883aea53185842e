from events.admin.deliveries import DeliveryAdmin

__all__ = ["DeliveryAdmin"]
