"""What `open_ws` is asked for, checked before it is sent, and made into what a session needs where it runs.

Options as they may stand in a task's arguments and in Redis: `profile`, those of EXCHANGE_OPTIONS, `publish`, and
`credentials`, sealed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okws_celery.config import FLAGS, SECRET_PARTS, SESSION_OPTIONS
from okws_celery.errors import BadCommand
from okws_celery.keys import check_name
from okws_celery.okx.endpoints import check_proxy, endpoints
from okws_celery.okx.login import Credentials, credentials
from okws_celery.settings import EXCHANGE_OPTIONS, PUBLISH_FORMS, Settings
from okws_celery.store.credentials import is_sealed, seal, unseal

__all__ = ["OPTIONS", "checked_options", "resolved_options", "shown_options"]

OPTIONS = SESSION_OPTIONS
"""What `open_ws` takes beside a name and credentials."""


def checked_options(
    settings: Settings, auth_params: Mapping[str, Any] | None, given: Mapping[str, Any], *, sealing: bool
) -> dict[str, Any]:
    """The options of an `open_ws`, credentials sealed; BadCommand (80010) if one is wrong.

    Where they have come over the wire already (`sealing` false), credentials in clear are refused unseen.
    """
    auth_params = {} if auth_params is None else auth_params
    if not isinstance(auth_params, Mapping):
        raise BadCommand("credentials: an object with apiKey, secret and password is accepted, or none")
    if is_sealed(auth_params):
        return _checked(given) | {"credentials": dict(auth_params)}
    secret, plain = _split(auth_params)
    options = _checked(plain | {key: value for key, value in given.items() if value is not None})
    parts = {key: value for key, value in secret.items() if value not in (None, "")}
    if "@" in options.get("proxy", ""):
        parts["proxy"] = options.pop("proxy")  # a proxy's password is a secret as well
    if not parts:
        return options
    if not sealing:
        raise BadCommand(
            "credentials came in clear and were not used: send them by tasks.open_ws.delay(...) or the client, "
            "which encrypt them, or name a profile"
        )
    if credentials(secret) is not None and "profile" in options:
        raise BadCommand("open_ws: a profile or credentials are accepted, not both")
    return options | {"credentials": seal(settings, parts)}


def resolved_options(settings: Settings, options: Mapping[str, Any]) -> tuple[Credentials | None, dict[str, Any]]:
    """Who logs in, and the options with those of the profile under them; BadCommand if this worker cannot know."""
    options = dict(options)
    opened: dict[str, Any] = {}
    sealed = options.pop("credentials", None)
    if sealed is not None:
        opened = unseal(settings, sealed)
    name = options.get("profile")
    if name:
        profile = settings.profiles.get(str(name).lower())
        if profile is None:
            known = ", ".join(sorted(settings.profiles)) or "none"
            raise BadCommand(
                f"profile {name!r}: this worker does not know it (known: {known}); "
                f"OKWS_PROFILE_{str(name).upper()} or [profiles.{name}] in the config file makes one"
            )
        secret, plain = _split(profile)
        opened = secret | opened
        options = _checked(plain) | options
    if opened.get("proxy"):
        options["proxy"] = opened.pop("proxy")
    return credentials(opened), options


def shown_options(options: Mapping[str, Any]) -> str:
    """The options as monitors may show them."""
    return repr({key: "***" if key == "credentials" else value for key, value in options.items()})


def _split(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Secret parts and options; a text that names an unknown key never shows its value."""
    secret, plain = {}, {}
    for key, value in given.items():
        name = str(key).lower().replace("_", "")
        if name in SECRET_PARTS:
            secret[str(key)] = value
        elif key in EXCHANGE_OPTIONS:
            plain[str(key)] = value
        else:
            accepted = ", ".join(("apiKey", "secret", "password", *EXCHANGE_OPTIONS))
            raise BadCommand(f"credentials: {key!r} is not known; {accepted} are accepted")
    return secret, plain


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    options = {key: value for key, value in given.items() if value not in (None, "")}
    unknown = sorted(options.keys() - set(OPTIONS))
    if unknown:
        raise BadCommand(f"open_ws: option {unknown[0]!r} is not known; {', '.join(OPTIONS)} are accepted")
    if "demo" in options:
        options["demo"] = _flag(options["demo"])
    for key in ("region", "proxy", "ws_url", "rest_url", "publish", "profile"):
        if not isinstance(options.get(key, ""), str):
            raise BadCommand(f"open_ws: {key} must be text")
    if "profile" in options:
        check_name(options["profile"], "profile")
    if options.get("publish", "both") not in PUBLISH_FORMS:
        raise BadCommand(f"open_ws: publish {options['publish']!r}; {', '.join(PUBLISH_FORMS)} are accepted")
    if "proxy" in options:
        check_proxy(options["proxy"])
    endpoints(
        region=options.get("region", "global"),
        ws_url=options.get("ws_url", ""),
        rest_url=options.get("rest_url", ""),
    )
    return options


def _flag(value: Any) -> bool:
    try:
        return FLAGS[value.lower() if isinstance(value, str) else value]
    except (KeyError, TypeError):
        raise BadCommand(f"open_ws: demo {value!r}; true or false is accepted") from None
