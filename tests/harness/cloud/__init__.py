from harness.cloud.faults import Faults, Rule
from harness.cloud.server import EmulatedCloud
from harness.cloud.signatures import Credentials
from harness.cloud.state import State
from harness.cloud.wire import ApiError, Call, Reply

__all__ = ["ApiError", "Call", "Credentials", "EmulatedCloud", "Faults", "Reply", "Rule", "State"]
