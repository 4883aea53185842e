"""One-time passwords for staff. Needs requirements-totp.txt; see docs/staff-login.md."""
