from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.cloud.wire import ApiError, Call, Reply
from scf_local.credentials import Credentials

__all__ = ["ApiError", "Call", "Credentials", "EmulatedCloud", "Faults", "Reply", "Rule", "State"]
