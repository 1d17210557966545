"""All checks of a deployed function, in the order in which they are made."""

from __future__ import annotations

import re
from collections.abc import Iterator

from image_steward.errors import InvalidSetting
from image_steward.settings import Settings
from scf_deploy.check import FAIL, OPEN, Check, of_account
from scf_deploy.deployment import Current, Deployment
from scf_deploy.dry_runs import LEVELS_OF_RUNS, dry_runs
from scf_deploy.errors import DeployError
from scf_deploy.live import Live
from scf_deploy.timers import timers
from scf_deploy.trials import Trials, changes, uploads
from scf_local.terminal_text import printable

_PACKAGE = "image_steward/"
_NOT_REPLIES = (ValueError, LookupError, TypeError, AttributeError, OSError)
"""What reading a reply may raise, also that of a host which is taken for an emulated cloud."""


def checks(wanted: Deployment, current: Current, live: Live, may: Trials) -> Iterator[Check]:
    """Yield all checks.

    Functions other than Image Steward get no events: nobody knows what they do with them.
    """
    yield from of_account(wanted, current)
    function, code = current.function, current.code or wanted.code
    if not function or not any(name.startswith(_PACKAGE) for name in code.files):
        return
    if function["Status"] != "Active" or current.reserved_mb == 0:
        yield Check("dry runs", OPEN, "not tried: the function does not run", "see above")
        return
    variables = (function.get("Environment") or {}).get("Variables") or ()
    try:
        settings = Settings.from_environ(
            {each["Key"]: each.get("Value") or "" for each in variables}
        )
    except InvalidSetting as error:
        advice = "correct the environment in the file, or apply it, if it is not as in the file"
        yield Check("settings", FAIL, printable(error.message, 400), advice)
        return
    enabled = [each for each in current.triggers if each.is_enabled]
    uploading = [each for each in enabled if re.search(r"ObjectCreated:(\*|Put\b)", each.rule)]
    places = [f"{source}/" for source in settings.sources if "-" in source]
    places += [f"{each.bucket}/{each.keys[0]}" for each in enabled if each.kind == "cos"]
    places += [each for t in enabled for each in re.findall('cos://([^"]*/)', t.argument)]
    # A whole bucket, of which the role may read a part, may be allowed, or be a trigger's.
    prefixes = [
        each
        for each in dict.fromkeys(places)
        if not any(other != each and other.startswith(each) for other in places)
    ]
    may.say("Making dry runs")
    has_runs = settings.log_level in LEVELS_OF_RUNS
    if not has_runs:
        advice = "deploy STEWARD_LOG_LEVEL INFO, so that the log has what undo and replay need"
        yield Check("log level", OPEN, f"{settings.log_level} leaves out what was done", advice)
    yield from _tried("dry runs", dry_runs(live, settings, prefixes, may.token))
    if live.topic:
        yield from _tried("timers", timers(live, wanted.triggers))
    for trigger in uploading:
        if may.write and has_runs and live.topic:
            yield from _tried("uploads", uploads(live, settings, trigger, may))
        else:
            advice = "--write uploads a dry run and the manifest of no image, and deletes both"
            if may.write:
                advice = "deploy a log topic and STEWARD_LOG_LEVEL INFO: the log has to tell of it"
            yield Check(f"upload to {trigger.bucket}", OPEN, "not tried", advice)
    if may.image:
        yield from _tried("changes", changes(live, settings, may))
    else:
        advice = "--image img-… renames and tags an image, and takes both back"
        yield Check("changes", OPEN, "not tried", advice)


def _tried(what: str, found: Iterator[Check]) -> Iterator[Check]:
    """Yield checks, and a failure as another one, so that it does not end those that follow."""
    try:
        yield from found
    except DeployError as error:
        yield Check(what, FAIL, str(error))
    except _NOT_REPLIES as error:
        seen = printable(f"a reply is not as documented: {error}", 400)
        yield Check(what, FAIL, seen, "check again; if it stays so, please open an issue")
