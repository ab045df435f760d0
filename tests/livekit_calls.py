"""Remote calls of the LiveKit in memory."""

from __future__ import annotations

import time
from dataclasses import dataclass

from livekit.rtc._proto import ffi_pb2, rpc_pb2

from tests.livekit_wire import Member, Proto, Rooms, emit


@dataclass(frozen=True)
class Call:
    """A remote call as it was made."""

    caller: str
    target: str
    method: str
    payload: str
    at: float  # time.monotonic


class Calls(Rooms):
    """What is asked.

    Attributes:
        calls: every remote call so far.
        answered: seconds that each took, in the order of their answers, with its method.
        fails: how many of the next calls of a method fail on the way.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.answered: list[tuple[str, float]] = []
        self.fails: dict[str, int] = {}
        self._calling: dict[int, tuple[int, Member, Member, str, float]] = {}  # by invocation

    def of(self, method: str) -> list[Call]:
        """Returns the calls of one method."""
        return [call for call in self.calls if call.method == method]

    def _register(self, asked: Proto, answered: Proto) -> None:
        del answered
        self._by_handle(asked.local_participant_handle).methods.add(asked.method)

    def _unregister(self, asked: Proto, answered: Proto) -> None:
        del answered
        self._by_handle(asked.local_participant_handle).methods.discard(asked.method)

    def _call(self, asked: Proto, answered: Proto) -> None:
        caller = self._by_handle(asked.local_participant_handle)
        method, now = asked.method, time.monotonic()
        number = answered.async_id
        if self.fails.get(method, 0):
            self.fails[method] -= 1
            self._fail_call(caller, number, method, 1501, "Connection timeout")
            return
        self.calls.append(
            Call(caller.identity, asked.destination_identity, method, asked.payload, now)
        )
        found = [
            each for each in self._others(caller) if each.identity == asked.destination_identity
        ]
        if not found:
            self._fail_call(caller, number, method, 1401, "Recipient not found")
            return
        target = found[0]
        if method not in target.methods:
            self._fail_call(caller, number, method, 1400, "Method not supported at destination")
            return
        invocation = next(self._numbers)
        self._calling[invocation] = (number, caller, target, method, now)
        event = ffi_pb2.FfiEvent()
        told = event.rpc_method_invocation
        told.local_participant_handle = target.handle
        told.invocation_id = invocation
        told.method, told.request_id = method, str(invocation)
        told.caller_identity, told.payload = caller.identity, asked.payload
        told.response_timeout_ms = asked.response_timeout_ms or 10_000
        emit(event)

    def _call_answered(self, asked: Proto, answered: Proto) -> None:
        del answered
        found = self._calling.pop(asked.invocation_id, None)
        if found is None:
            return
        number, caller, _, method, began = found
        self.answered.append((method, time.monotonic() - began))
        event = ffi_pb2.FfiEvent()
        event.perform_rpc.async_id = number
        if asked.HasField("error"):
            event.perform_rpc.error.CopyFrom(asked.error)
        else:
            event.perform_rpc.payload = asked.payload
        self._tell(caller, event)

    def _fail_call(self, caller: Member, number: int, method: str, code: int, text: str) -> None:
        del method
        event = ffi_pb2.FfiEvent()
        event.perform_rpc.async_id = number
        event.perform_rpc.error.CopyFrom(rpc_pb2.RpcError(code=code, message=text))
        self._tell(caller, event)
