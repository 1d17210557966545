from harness.cloud.faults import Faults, Rule
from harness.cloud.server import EmulatedCloud
from harness.cloud.state import State
from harness.cloud.wire import ApiError, Call, Reply
from harness.credentials import Credentials

__all__ = ["ApiError", "Call", "Credentials", "EmulatedCloud", "Faults", "Reply", "Rule", "State"]
