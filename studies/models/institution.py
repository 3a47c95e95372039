"""An institution (the legal body) and the public key of the one site worker it runs."""

from django.db import models


class Institution(models.Model):
    """A member of the federation; enrolled once its site's key is pinned."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=200)
    site_key = models.CharField(max_length=64, blank=True)  # Ed25519 public key, hexadecimal
    enrolled_at = models.DateTimeField(null=True, blank=True)
    last_seen = models.DateTimeField(null=True, blank=True)
    offer = models.JSONField(
        default=dict, blank=True
    )  # what the site says it lends (messages.Offer)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
