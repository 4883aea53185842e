from django.urls import path

from accounts.totp import views

urlpatterns = [
    path("verify/", views.verify, name="totp_verify"),
    path("set-up/", views.set_up, name="totp_set_up"),
    path("recovery-codes/", views.recovery_codes, name="totp_recovery_codes"),
]
