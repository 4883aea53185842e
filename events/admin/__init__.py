from core.admin.faults import register_faults
from events.admin.deliveries import DeliveryAdmin
from events.admin.faults import FAULTS
from events.admin.targets import SubscriptionAdmin, TargetAdmin, WebhookConfigAdmin

__all__ = ["DeliveryAdmin", "SubscriptionAdmin", "TargetAdmin", "WebhookConfigAdmin"]

register_faults(*FAULTS)
