from events.admin.deliveries import DeliveryAdmin
from events.admin.targets import SubscriptionAdmin, TargetAdmin, WebhookConfigAdmin

__all__ = ["DeliveryAdmin", "SubscriptionAdmin", "TargetAdmin", "WebhookConfigAdmin"]
