"""The proxy that requests go through, where the environment names one, and what may be wrong with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from itune_core.api import ModelError


@dataclass(frozen=True)
class Proxy:
    """A proxy.

    Attributes:
        url: its address, which may hold a password: it is shown to nobody.
        named: by which variable.
    """

    url: str = field(repr=False)
    named: str

    def unusable(self) -> ModelError:
        """It is of a kind that nothing here speaks to, or has no address at all."""
        return ModelError(
            "E-BACKEND-039",
            f"the proxy that {self.named} names cannot be used",
            why="its address is not of the form http://host:port or https://host:port; for SOCKS a package is missing",
            fix=f"let {self.named} name another, or unset it; for a SOCKS proxy `pip install socksio`",
        )

    def refused(self) -> ModelError:
        """It wants to know who asks."""
        return ModelError(
            "E-BACKEND-039",
            f"the proxy that {self.named} names does not let us through",
            why="it said 407: it asks for a user and a password, or for others",
            fix=f"put them into the address in {self.named}: http://user:password@host:port",
        )


def proxy(base_url: str) -> Proxy | None:
    """The proxy that the environment names for an address, if any."""
    parts, proxies = urlsplit(base_url), getproxies()
    if proxy_bypass(parts.netloc):
        return None
    for scheme in (parts.scheme, "all"):
        if found := proxies.get(scheme):
            name = f"{scheme}_proxy"
            spelt = [each for each in (name, name.upper()) if each in os.environ]
            return Proxy(found if "://" in found else f"http://{found}", [*spelt, "the system's settings"][0])
    return None
