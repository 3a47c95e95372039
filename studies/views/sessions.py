"""Logging in and out; nothing here tells whether a name exists."""

from django.contrib.auth.views import LoginView, LogoutView
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache


@method_decorator(never_cache, name="dispatch")
class LogIn(LoginView):
    """One answer for a wrong name and a wrong password; who is logged in goes home."""

    redirect_authenticated_user = True


log_in = LogIn.as_view()
log_out = LogoutView.as_view()
