"""A DNS server for one test: answers with one address whatever it is asked, and remembers the questions."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from tests.interop.rig import DEADLINE


class Names:
    """``address`` goes into ``resolver.servers``; ``asked`` holds every name, in lower case."""

    def __init__(self, answer: str = "127.0.0.1") -> None:
        self._answer = answer
        self.asked: set[str] = set()
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._sock.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, name="names")

    def __enter__(self) -> Names:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._sock.getsockname())
        self._thread.join(DEADLINE)
        self._sock.close()

    def _run(self) -> None:
        while True:
            data, peer = self._sock.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            self.asked.add(question.name.to_text(omit_final_dot=True).lower())
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.AA | dns.flags.RA
            if question.rdtype == (dns.rdatatype.AAAA if ":" in self._answer else dns.rdatatype.A):
                kind = dns.rdatatype.to_text(question.rdtype)
                reply.answer.append(dns.rrset.from_text(question.name, 0, "IN", kind, self._answer))
            self._sock.sendto(reply.to_wire(), peer)
